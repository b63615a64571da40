//! A simulation: the tasks of a plan, the waves they are worked in, and what each row took.

use super::script::Script;
use super::setup::{End, Setup};
use crate::model::{Role, RoundName, UnitId};
use crate::plan::ItemId;
use crate::schedule::{Priority, Selected, SkipReason};
use crate::scope::{Claims, Reach};
use std::collections::{BTreeSet, HashMap};

/// A task as far as it matters here.
pub(crate) struct Task {
    pub(super) unit: UnitId,
    pub(super) selected: Selected,
    pub(super) reach: Reach,
    pub(super) script: Script,
    /// Estimated milliseconds from the beginning of each step to the end of the task.
    pub(super) rest_ms: Vec<u64>,
}

/// A plan, made ready for predictions.
pub struct Simulation<'s> {
    pub(super) setup: Setup<'s>,
    /// The unfinished tasks by place in the plan; `Err` says why one can't be worked.
    pub(super) tasks: Vec<Option<Result<Task, SkipReason>>>,
    pub(super) places: HashMap<ItemId, usize>,
    pub(super) no_claims: Claims,
    /// By the estimates, as it is before the run; paths behind a task stay as they are while it is in flight.
    pub(super) priority: Priority,
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Its round.
    pub round: RoundName,
    /// How many rows.
    pub rows: usize,
    /// When its rows are due.
    pub begins_ms: u64,
    /// When the last one has ended.
    pub ends_ms: u64,
}

/// One round over all tasks that were taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Its name.
    pub name: RoundName,
    /// Who answers in it.
    pub roles: BTreeSet<Role>,
    /// How many rows.
    pub rows: usize,
    /// The sum of their times.
    pub work_ms: u64,
}

impl Round {
    pub(crate) fn new(name: &RoundName) -> Self {
        Self {
            name: name.clone(),
            roles: BTreeSet::new(),
            rows: 0,
            work_ms: 0,
        }
    }
}

/// One task that was taken up.
#[derive(Clone, Debug, PartialEq)]
pub struct Worked {
    /// The plan item.
    pub id: ItemId,
    /// When it was taken up.
    pub begins_ms: u64,
    /// When its outcome stood.
    pub ends_ms: u64,
    /// The outcome.
    pub end: End,
}
