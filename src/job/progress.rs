//! The outputs of a running job: events to its journal, progress to its observer.

use super::policy::Capacity;
use super::state::Counts;
use crate::ledger::{LedgerError, Lines};
use crate::model::{Event, RowId, Usage};
use std::time::Duration;

/// The destination of events: durable when [`Journal::record`] returns.
pub trait Journal {
    /// Writes events. They survive the death of this process, but not a power failure. Returns the offset of each
    /// record.
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError>;

    /// Syncs all written events to disk.
    fn sync(&mut self) -> Result<(), LedgerError>;

    /// Writes and syncs.
    fn record(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        let places = self.write(events)?;
        self.sync()?;
        Ok(places)
    }

    /// A reader of the recorded events, by offset.
    fn lines(&self) -> Result<Lines, LedgerError>;
}

/// The progress of a running pool.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Rows by status.
    pub counts: Counts,
    /// Rows that ended in this run, for the rate.
    pub ended_here: u64,
    /// The running rows, longest first, at most eight.
    pub running: Vec<RunningRow>,
    /// Time since the start of this run.
    pub elapsed: Duration,
    /// The usage of the run so far, as reported by workers.
    pub usage: Usage,
    /// How many rows may run at once.
    pub capacity: Capacity,
}

/// A running row.
#[derive(Clone, Debug)]
pub struct RunningRow {
    /// The row.
    pub id: RowId,
    /// Time since its attempt started.
    pub age: Duration,
    /// Time since its worker last printed something, or started.
    pub quiet: Duration,
}

impl Progress {
    /// Rows that end per second, on average.
    pub fn rate(&self) -> f64 {
        self.ended_here as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Time left at the current rate; `None` until a row has ended, and while waiting for a limit.
    pub fn eta(&self) -> Option<Duration> {
        if self.capacity.waits_until.is_some() {
            return None;
        }
        let left = self.counts.total - self.counts.ended();
        let per_row = self.elapsed.as_secs_f64() / self.ended_here as f64;
        Duration::try_from_secs_f64(per_row * left as f64).ok()
    }
}

/// Receives the progress and the warnings of a job.
pub trait Observer {
    /// Called often; must return quickly.
    fn progress(&mut self, snapshot: &Progress);

    /// A one-line warning; the job continues.
    fn warn(&mut self, text: &str);
}
