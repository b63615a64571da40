//! The rows that are queued for a thread or running, and how long attempts take.

use super::heartbeat::Heartbeat;
use super::row_queue::FaultCounts;
use super::slots::SlotPermit;
use crate::job::{Reserve, RunningRow};
use crate::model::{RowId, Session};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A row that is queued for a thread or running.
pub(crate) struct ActiveRow<'p> {
    pub id: RowId,
    pub heartbeat: Arc<Heartbeat>,
    /// What its prompt says about earlier attempts.
    pub feedback: Option<String>,
    /// The conversation that it continues.
    pub session: Option<Session>,
    /// The budget reserved for it.
    pub reserve: Reserve,
    /// Faults that it met before this attempt.
    pub faults: FaultCounts,
    /// Its slot, if several jobs share them.
    pub permit: Option<SlotPermit<'p>>,
    /// It probes whether a limit of the account still holds.
    pub is_probe: bool,
}

/// All of them, by row number.
#[derive(Default)]
pub(crate) struct ActiveRows<'p> {
    rows: HashMap<u64, ActiveRow<'p>>,
    /// Slots of rows whose end is not durable yet.
    ended_permits: Vec<SlotPermit<'p>>,
    average: Option<Duration>,
}

impl<'p> ActiveRows<'p> {
    pub fn insert(&mut self, index: u64, row: ActiveRow<'p>) {
        self.rows.insert(index, row);
    }

    /// Removes a row that ended. Its slot stays taken until [`release_slots`](Self::release_slots).
    pub fn remove(&mut self, index: u64) -> Option<ActiveRow<'p>> {
        let mut row = self.rows.remove(&index)?;
        self.ended_permits.extend(row.permit.take());
        Some(row)
    }

    /// Frees the slots of removed rows, once their ends are durable.
    pub fn release_slots(&mut self) {
        self.ended_permits.clear();
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds an attempt's duration to the moving average.
    pub fn record_duration(&mut self, duration: Duration) {
        let average = self.average.unwrap_or(duration);
        self.average = Some((average * 7 + duration) / 8);
    }

    /// The moving average of attempt durations, of which the latest weighs an eighth.
    pub fn average_duration(&self) -> Option<Duration> {
        self.average
    }

    /// The `most` longest-running rows, longest first.
    pub fn longest_running(&self, most: usize) -> Vec<RunningRow> {
        let started = |row: &ActiveRow<'p>| {
            Some(RunningRow {
                id: row.id.clone(),
                age: row.heartbeat.running_for()?,
                quiet: row.heartbeat.quiet_for()?,
            })
        };
        let mut running: Vec<_> = self.rows.values().filter_map(started).collect();
        running.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.id.cmp(&b.id)));
        running.truncate(most);
        running
    }
}
