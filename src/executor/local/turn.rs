//! One turn of the pool's loop: the events to record, and what happens once they are durable.

use super::pool_event::Task;
use super::row_queue::PendingRow;
use crate::model::Event;
use crossbeam_channel::Sender;
use std::time::{Duration, Instant};

/// What one turn of the loop records and then does.
#[derive(Default)]
pub(crate) struct Turn {
    pub events: Vec<Event>,
    /// Ledger offsets of the events that are already written, a prefix of `events`.
    pub offsets: Vec<u64>,
    /// When the first of them was written.
    pub written_since: Option<Instant>,
    /// Workers that wait until their result is durable.
    pub acknowledge: Vec<Sender<()>>,
    pub start: Vec<Task>,
    /// Rows to try again, each after a delay.
    pub retries: Vec<(Duration, PendingRow)>,
    pub completed: u64,
    pub failed: u64,
}

impl Turn {
    pub fn record(&mut self, event: impl Into<Event>) {
        self.events.push(event.into());
    }
}
