//! What a run tells somebody who is away, while it goes on.

use super::store::State;
use crate::model::{BlockReason, UnitId, counted};
use crate::plan::Status;
use serde::Serialize;
use std::fmt;

/// Something that a person may want to act on.
#[derive(Clone, Debug)]
pub enum Notice<'a> {
    /// A task was blocked, or its patch rejected.
    Blocked {
        /// The task.
        task: &'a UnitId,
        /// Why.
        reason: BlockReason,
        /// What is known beside; may contain text of a worker.
        detail: &'a str,
    },
    /// No task is ready, and the run waits for its plan.
    NothingReady,
}

/// How far a run of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Tasks that were completed.
    pub completed: u64,
    /// Tasks that were blocked.
    pub blocked: u64,
    /// Tasks in flight.
    pub in_flight: u64,
    /// Workers that were started.
    pub workers: u64,
}

impl Standing {
    /// That of a run with this state.
    pub fn of(state: &State) -> Self {
        let ended = |status: Status| {
            let units = state.units.iter().filter(|unit| {
                unit.ended.as_ref().is_some_and(|ended| {
                    ended.reason.is_some() == (status == Status::Blocked) && !ended.is_conflict
                })
            });
            units.count() as u64
        };
        Self {
            completed: ended(Status::Completed),
            blocked: ended(Status::Blocked),
            in_flight: state.in_flight().count() as u64,
            workers: state.attempts().spawned,
        }
    }
}

/// `12 tasks completed, 1 blocked, 2 in flight; 140 workers started`
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} completed, {} blocked, {} in flight; {} started",
            counted(self.completed, "task"),
            self.blocked,
            self.in_flight,
            counted(self.workers, "worker"),
        )
    }
}
