//! Every file that the ledger names is there.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Files {
    /// Waves whose job started.
    started: BTreeSet<u64>,
    /// Waves whose rows all have verdicts are written; those of a running wave may not be.
    judged: BTreeSet<u64>,
}

impl Check for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn rule(&self) -> &'static str {
        "every file that the ledger names is there and as it was written"
    }

    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        match record.event.as_str() {
            "wave_compiled" => {
                let damage = waves.get(record.number("wave")).map(|wave| &wave.damage);
                for damage in damage.into_iter().flatten() {
                    found.at(record, format!("wave {}", record.number("wave")), damage);
                }
            }
            "wave_started" => {
                self.started.insert(record.number("wave"));
            }
            "verdict" => {
                self.judged.insert(record.number("wave"));
            }
            "integration_started" | "undo_started" => require(record, "patch_path", waves, found),
            "validation_finished" => require(record, "log_path", waves, found),
            _ => {}
        }
    }

    fn end(&mut self, _is_finished: bool, waves: &WaveFiles, found: &mut Findings) {
        for path in waves.redacted() {
            found.unchecked(format!(
                "whether `{path}` is as it was written: secrets were removed from it"
            ));
        }
        for (number, wave) in waves.all() {
            if !(self.started.contains(&number) && self.judged.contains(&number)) {
                continue;
            }
            let output = wave.call["output_csv_path"].as_str().unwrap_or_default();
            let folder = waves.folder().join(&wave.csv_path);
            let path = crate::platform::parent(&folder).join(output);
            if output.is_empty() || !path.is_file() {
                found.add(
                    None,
                    format!("wave {number}"),
                    format!("its output {output:?} is missing"),
                );
            }
        }
    }
}

fn require(record: &Record, field: &str, waves: &WaveFiles, found: &mut Findings) {
    let path = record.text(field);
    if path.is_empty() || !waves.folder().join(path).is_file() {
        found.at(record, record.text("unit"), format!("{path:?} is missing"));
    }
}
