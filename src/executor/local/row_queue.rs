//! The rows of a job that have not started, in the order in which they start.
//!
//! Retries that are due come first, then rows that were put back for want of room, then the input. Rows for which an
//! earlier run found nobody logged in or no credit come last: by then it is known whether other rows are answered.

use crate::job::{Input, JobError, Row, RowRecord, State, Status, read_record};
use crate::ledger::Lines;
use crate::model::{Fault, Session};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// With this many rows waiting for a retry, no further row of the input starts.
const RETRIES_MAX: usize = 4096;

/// A row that has not started its next attempt.
pub(crate) struct PendingRow {
    pub row: Row,
    /// What the prompt says about earlier attempts.
    pub feedback: Option<String>,
    /// The conversation that the attempt continues.
    pub session: Option<Session>,
    pub faults: FaultCounts,
    /// An earlier run found nobody logged in, or no credit, for this row.
    pub was_locked_out: bool,
}

/// Faults that a row met in this run without being their cause.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultCounts {
    /// Consecutive rate limits.
    pub rate_limits: u32,
    /// How many rows were answered before the first of them.
    pub answers_before: u64,
    /// Failures of the network or the machine.
    pub outages: u32,
}

/// The rows of a job that have not started.
pub(crate) struct RowQueue<'p> {
    input: Input<'p>,
    lines: Lines,
    put_back: VecDeque<PendingRow>,
    locked_out: VecDeque<PendingRow>,
    /// Rows to try again, by due time and row number.
    retries: BTreeMap<(Instant, u64), PendingRow>,
}

impl<'p> RowQueue<'p> {
    /// `lines` reads what the ledger says about rows of an earlier run.
    pub fn new(input: Input<'p>, lines: Lines) -> Self {
        Self {
            input,
            lines,
            put_back: VecDeque::new(),
            locked_out: VecDeque::new(),
            retries: BTreeMap::new(),
        }
    }

    /// Takes the next row to start. Skips rows that a resumed job has already completed.
    pub fn take_next(&mut self, state: &State) -> Result<Option<PendingRow>, JobError> {
        if let Some(first) = self.retries.first_entry()
            && first.key().0 <= Instant::now()
        {
            return Ok(Some(first.remove()));
        }
        if let Some(row) = self.put_back.pop_front() {
            return Ok(Some(row));
        }
        if self.retries.len() >= RETRIES_MAX {
            return Ok(None);
        }
        while let Some(row) = self.input.next_row()? {
            let item = state.item(row.index).copied().unwrap_or_default();
            if item.status != Status::Pending {
                continue;
            }
            // Only a row of an earlier run has a finished attempt here.
            let record = match item.finished {
                Some(_) => read_record(&item, &self.lines)?,
                None => RowRecord::default(),
            };
            let next = PendingRow {
                row,
                feedback: record.feedback,
                session: record.session,
                faults: FaultCounts::default(),
                was_locked_out: matches!(record.fault, Some(Fault::LogIn | Fault::Credit)),
            };
            match next.was_locked_out {
                true => self.locked_out.push_back(next),
                false => return Ok(Some(next)),
            }
        }
        Ok(self.locked_out.pop_front())
    }

    /// Puts a row back in front, because it has no room yet.
    pub fn put_back(&mut self, row: PendingRow) {
        self.put_back.push_front(row);
    }

    /// Tries `row` again after `delay`.
    pub fn retry_after(&mut self, delay: Duration, row: PendingRow) {
        let index = row.row.index;
        self.retries.insert((Instant::now() + delay, index), row);
    }

    /// The first retry and its due time.
    pub fn first_retry(&self) -> Option<(Instant, &PendingRow)> {
        let ((due, _), row) = self.retries.first_key_value()?;
        Some((*due, row))
    }

    pub fn has_retries(&self) -> bool {
        !self.retries.is_empty()
    }

    pub fn has_put_back(&self) -> bool {
        !self.put_back.is_empty()
    }
}
