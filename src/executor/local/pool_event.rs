//! What reaches the pool's loop: reports, ended attempts, free slots.

use super::attempt::Heartbeat;
use crate::job::{Outcome, Row};
use crate::model::{Fault, ReportToken, RowId, Session, Usage};
use crate::verdict::Object;
use crossbeam_channel::Sender;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// What the threads tell the loop.
pub(crate) enum PoolEvent {
    /// A result came over the report channel; the worker waits until it is safe.
    Reported {
        attempt: Open,
        result: Object,
        /// What was taken out of it.
        redacted: Vec<String>,
        stop: bool,
        acknowledge: Sender<()>,
    },
    /// A report was refused because its sender may not give it.
    Refused {
        item_id: String,
        attempt: u32,
        reason: String,
    },
    /// A thread did not begin this attempt, because the job is to stop.
    Declined(Box<Task>),
    /// An attempt is over.
    Finished(Box<Finished>),
    /// The thread of this row met a defect of `mesh`.
    Panicked(RowId),
    /// One of the places that jobs share is free.
    PlaceFree,
}

/// An attempt that may report.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub item_id: RowId,
    pub row_index: u64,
    pub attempt: u32,
    /// The result, once it was taken.
    pub taken: Option<Object>,
}

/// One attempt to see through.
pub(crate) struct Task {
    pub row: Row,
    pub attempt: u32,
    pub token: ReportToken,
    pub feedback: Option<String>,
    /// The conversation that the attempt goes on with.
    pub session: Option<Session>,
    pub heartbeat: Arc<Heartbeat>,
    /// It is to find out whether a limit of the account still holds.
    pub asks: bool,
    /// An earlier call took its row for one that nobody was logged in for, or that nobody paid for.
    pub was_locked_out: bool,
}

/// One attempt that was seen through.
pub(crate) struct Finished {
    pub row: Row,
    pub attempt: u32,
    pub outcome: Outcome,
    /// What was taken out of a result.
    pub redacted: Vec<String>,
    /// What kept the worker from an answer, where that was not the row's.
    pub fault: Option<Fault>,
    /// When it is worth asking again, as far as the worker said.
    pub until: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub leaked: Vec<String>,
    pub duration: Duration,
    pub usage: Option<Usage>,
    pub session: Option<Session>,
}
