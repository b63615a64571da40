//! What a job tells while it runs: events to its journal, counts to its observer.

use super::policy::Capacity;
use super::state::Counts;
use crate::ledger::{LedgerError, Lines};
use crate::model::{Event, RowId, Usage};
use std::time::Duration;

/// Where events go: durable when [`Journal::record`] returns.
pub trait Journal {
    /// Writes down what occurred: the death of this process can't lose it any more, a power failure still can. Gives the
    /// place of each record.
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError>;

    /// Returns when all that was written is on disk.
    fn sync(&mut self) -> Result<(), LedgerError>;

    /// Both.
    fn record(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        let places = self.write(events)?;
        self.sync()?;
        Ok(places)
    }

    /// A reader of what was recorded, by place.
    fn lines(&self) -> Result<Lines, LedgerError>;
}

/// What the pool shows while it works.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Rows by status.
    pub counts: Counts,
    /// Rows that ended since this call of the pool began; what the rate is made of.
    pub ended_here: u64,
    /// The rows under way, longest first, at most eight.
    pub running: Vec<RunningRow>,
    /// Time since this call of the pool began.
    pub elapsed: Duration,
    /// What the run used up so far, as far as workers say.
    pub usage: Usage,
    /// How many rows may run at once.
    pub capacity: Capacity,
}

/// A row under way.
#[derive(Clone, Debug)]
pub struct RunningRow {
    /// The row.
    pub id: RowId,
    /// Since its attempt began.
    pub age: Duration,
    /// Since its worker last printed something, or began.
    pub quiet: Duration,
}

impl Progress {
    /// Rows that ended in a second, on average.
    pub fn rate(&self) -> f64 {
        self.ended_here as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Time left at the present rate; nothing until a row has ended, nor while a limit is waited for.
    pub fn eta(&self) -> Option<Duration> {
        if self.capacity.waits_until.is_some() {
            return None;
        }
        let left = self.counts.total - self.counts.ended();
        let per_row = self.elapsed.as_secs_f64() / self.ended_here as f64;
        Duration::try_from_secs_f64(per_row * left as f64).ok()
    }
}

/// Somebody who watches a job.
pub trait Observer {
    /// Called often; cheap to ignore.
    fn progress(&mut self, snapshot: &Progress);

    /// One line that something is wrong, though the job goes on.
    fn warn(&mut self, text: &str);
}
