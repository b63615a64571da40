//! The messages between the pool's loop and its threads: attempts to run, and events of reports, ends and free slots.

use super::heartbeat::Heartbeat;
use crate::job::{Outcome, Row};
use crate::model::{Fault, ReportToken, RowId, Session, Usage};
use crate::verdict::Object;
use crossbeam_channel::Sender;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// An event that the loop handles.
pub(crate) enum PoolEvent {
    /// A result came through the report socket; the worker waits until it is durable.
    Reported {
        attempt: OpenAttempt,
        result: Object,
        /// Names of the secrets redacted from it.
        redacted: Vec<String>,
        stop: bool,
        acknowledge: Sender<()>,
    },
    /// A report was refused because its sender is not a running attempt.
    Refused {
        item_id: String,
        attempt: u32,
        reason: String,
    },
    /// A thread did not begin this attempt, because the job stops or a limit was met.
    Declined(Box<Task>),
    /// An attempt ended.
    Finished(Box<FinishedAttempt>),
    /// The thread of this row panicked.
    Panicked(RowId),
    /// A slot that several jobs share is free.
    SlotFree,
}

/// An attempt that may report.
#[derive(Clone, Debug)]
pub(crate) struct OpenAttempt {
    pub item_id: RowId,
    pub row_index: u64,
    pub attempt: u32,
    /// The accepted result.
    pub accepted: Option<Object>,
}

/// An attempt to run.
pub(crate) struct Task {
    pub row: Row,
    pub attempt: u32,
    pub token: ReportToken,
    /// What the prompt says about earlier attempts.
    pub feedback: Option<String>,
    /// The conversation that the attempt continues.
    pub session: Option<Session>,
    pub heartbeat: Arc<Heartbeat>,
    /// It probes whether a limit of the account still holds.
    pub is_probe: bool,
    /// An earlier run ended at this row for lack of a log-in or of credit.
    pub was_locked_out: bool,
}

/// An attempt that ended.
pub(crate) struct FinishedAttempt {
    pub row: Row,
    pub attempt: u32,
    pub outcome: Outcome,
    /// Names of the secrets redacted from the result.
    pub redacted: Vec<String>,
    /// Why the worker gave no answer, if that was not the row's fault.
    pub fault: Option<Fault>,
    /// When to try again, if the worker printed a time.
    pub until: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub leaked: Vec<String>,
    pub duration: Duration,
    pub usage: Option<Usage>,
    pub session: Option<Session>,
}
