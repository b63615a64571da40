//! What a check is, and what it finds.

use super::record::Record;
use super::wave_files::WaveFiles;
use serde::Serialize;

/// One rule, which sees every event once, in order.
pub(super) trait Check {
    /// Its name in the output.
    fn name(&self) -> &'static str;
    /// What must hold.
    fn rule(&self) -> &'static str;
    /// Looks at an event. The files of a wave are there from its `wave_compiled` on.
    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings);
    /// Looks at what remains after the last event.
    fn end(&mut self, _is_finished: bool, _waves: &WaveFiles, _found: &mut Findings) {}
}

/// Where a rule does not hold.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The line of the ledger, from 1, if one event shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The row, task, wave or file.
    pub place: String,
    /// What is wrong.
    pub detail: String,
}

/// The findings of one check.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Where its rule does not hold.
    pub list: Vec<Finding>,
    /// What it could not look at.
    pub unchecked: Vec<String>,
}

/// More findings of one check than these tell nothing new.
const FINDINGS_MAX: usize = 1000;

impl Findings {
    /// Adds one.
    pub fn add(&mut self, line: Option<u64>, place: impl Into<String>, detail: impl Into<String>) {
        if self.list.len() < FINDINGS_MAX {
            self.list.push(Finding {
                line,
                place: place.into(),
                detail: detail.into(),
            });
        }
    }

    /// Says that something could not be looked at.
    pub fn unchecked(&mut self, what: impl Into<String>) {
        self.unchecked.push(what.into());
    }

    /// Adds one that an event shows.
    pub fn at(&mut self, record: &Record, place: impl Into<String>, detail: impl Into<String>) {
        self.add(Some(record.line), place, detail);
    }
}
