//! The ledger is whole: it begins with the start of the run, and its numbers have no gap.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;

#[derive(Default)]
pub(super) struct Sequence {
    last: u64,
}

impl Check for Sequence {
    fn name(&self) -> &'static str {
        "ledger"
    }

    fn rule(&self) -> &'static str {
        "the ledger begins with the start of the run, and its sequence numbers have no gap"
    }

    fn see(&mut self, record: &Record, _waves: &WaveFiles, found: &mut Findings) {
        if record.line == 1 && record.event != "run_started" {
            found.at(
                record,
                &record.event,
                "the first event is not `run_started`",
            );
        }
        if record.line > 1 && record.event == "run_started" {
            found.at(record, &record.event, "the run starts a second time");
        }
        let seq = record.seq.unwrap_or_default();
        if seq != self.last + 1 {
            found.at(
                record,
                &record.event,
                format!("its number is {seq} after {}", self.last),
            );
        }
        self.last = seq;
    }
}
