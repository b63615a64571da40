//! Every worker that was started has ended.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Lifecycle {
    /// The lines of attempts that have not ended.
    open: BTreeMap<(u64, String, u64), u64>,
    /// Answers that no worker of this run gave: taken over from an earlier run, or brought by `mesh collect`.
    brought: BTreeSet<(u64, String, u64)>,
}

impl Check for Lifecycle {
    fn name(&self) -> &'static str {
        "lifecycle"
    }

    fn rule(&self) -> &'static str {
        "as many workers ended as were started"
    }

    fn see(&mut self, record: &Record, _waves: &WaveFiles, found: &mut Findings) {
        let row = record.text("item_id");
        match record.event.as_str() {
            "attempt_started" if self.open.insert(record.attempt(), record.line).is_some() => {
                found.at(record, row, "the same attempt started twice");
            }
            "attempt_reported" if ["reuse", "collect"].contains(&record.text("via")) => {
                self.brought.insert(record.attempt());
            }
            "attempt_finished" => {
                let attempt = record.attempt();
                let is_known =
                    self.open.remove(&attempt).is_some() || self.brought.remove(&attempt);
                if !is_known {
                    found.at(record, row, "an attempt ended that was not started");
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, is_finished: bool, _waves: &WaveFiles, found: &mut Findings) {
        let open = self.open.iter().filter(|_| is_finished);
        for ((_, row, attempt), line) in open {
            found.add(
                Some(*line),
                row,
                format!("attempt {attempt} was started and has no end"),
            );
        }
    }
}
