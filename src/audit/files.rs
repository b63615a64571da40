//! Every file that the ledger names is there.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use crate::platform::{look, machine_fault};
use std::collections::BTreeSet;
use std::path::Path;

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
            let is_there = !output.is_empty() && is_file(&path, found);
            if !is_there {
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
    let is_there = !path.is_empty() && is_file(&waves.folder().join(path), found);
    if !is_there {
        found.at(record, record.text("unit"), format!("{path:?} is missing"));
    }
}

/// Whether the file is there. One that can't be looked at counts as unchecked, and not as missing.
fn is_file(path: &Path, found: &mut Findings) -> bool {
    look::is_file(path).unwrap_or_else(|error| {
        let (path, why) = (path.display(), machine_fault::line_of(&error));
        found.unchecked(format!("whether `{path}` is there: {why}"));
        true
    })
}
