//! Guardrail 4: after a bad wave fewer rows run at once.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Backpressure {
    full: u64,
    current: u64,
    waves: BTreeMap<u64, Judged>,
}

#[derive(Default)]
struct Judged {
    /// The number that the wave was compiled with.
    number: u64,
    /// The current number when its first verdict came.
    at_verdict: Option<u64>,
    /// The line and reason of the first failure that counts.
    bad: Option<(u64, String)>,
    /// Whether the number changed because of it.
    is_heeded: bool,
}

impl Check for Backpressure {
    fn name(&self) -> &'static str {
        "backpressure"
    }

    fn rule(&self) -> &'static str {
        "after a wave with refused answers or timeouts fewer rows run at once, until one is clean"
    }

    fn see(&mut self, record: &Record, _waves: &WaveFiles, found: &mut Findings) {
        let wave = record.number("wave");
        match record.event.as_str() {
            "run_started" => {
                self.full = record.field("settings")["bounds"]["max_concurrency"]
                    .as_u64()
                    .unwrap_or_default();
                self.current = self.full;
            }
            "wave_compiled" => {
                let number = record.number("max_concurrency");
                self.waves.insert(
                    wave,
                    Judged {
                        number,
                        ..Judged::default()
                    },
                );
            }
            "verdict" => {
                let current = self.current;
                if let Some(judged) = self.waves.get_mut(&wave) {
                    judged.at_verdict.get_or_insert(current);
                    // Neither a fault of the service nor a task that somebody else took is a failure of the row.
                    let is_excused =
                        !record.field("fault").is_null() || record.text("code") == "plan_conflict";
                    if record.text("verdict") != "accepted" && !is_excused && judged.bad.is_none() {
                        let why = format!("{}: {}", record.text("item_id"), record.text("verdict"));
                        judged.bad = Some((record.line, why));
                    }
                }
            }
            "backpressure" => {
                let (from, to) = (record.number("from"), record.number("to"));
                let is_clean = record.field("causes").as_array().is_none_or(Vec::is_empty);
                let expected = match is_clean {
                    true => self.full,
                    false => (from / 2).max(1),
                };
                if from != self.current || to != expected {
                    found.at(
                        record,
                        format!("wave {wave}"),
                        format!(
                            "the number went from {from} to {to}; expected {} to {expected}",
                            self.current
                        ),
                    );
                }
                self.current = to;
                if let Some(judged) = self.waves.get_mut(&wave) {
                    judged.is_heeded = true;
                    if is_clean && let Some((_, why)) = &judged.bad {
                        found.at(
                            record,
                            format!("wave {wave}"),
                            format!("it counts as clean, but {why}"),
                        );
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, _is_finished: bool, _waves: &WaveFiles, found: &mut Findings) {
        for (wave, judged) in &self.waves {
            // A wave that was compiled under another number says nothing about the current one; below 1 it can't go.
            let counts = judged.at_verdict == Some(judged.number) && judged.number > 1;
            if let Some((line, why)) = judged.bad.as_ref().filter(|_| counts && !judged.is_heeded) {
                found.add(
                    Some(*line),
                    format!("wave {wave}"),
                    format!("no fewer rows ran at once after it ({why})"),
                );
            }
        }
    }
}
