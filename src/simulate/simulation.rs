//! The tasks of a simulated plan, and the waves, rounds and outcomes of a prediction.

use super::script::Script;
use super::setup::{End, Setup};
use crate::model::{Role, RoundName};
use crate::plan::ItemId;
use crate::schedule::{Priority, Selected, SkipReason};
use crate::scope::{Claims, Reach};
use std::collections::{BTreeSet, HashMap};

/// A task of a simulation.
pub(crate) struct Task {
    pub(super) selected: Selected,
    pub(super) reach: Reach,
    pub(super) script: Script,
    /// The estimated remaining duration at the start of each step.
    pub(super) remaining_ms: Vec<u64>,
}

/// A plan, prepared for predictions.
pub struct Simulation<'s> {
    pub(super) setup: Setup<'s>,
    /// The unfinished tasks by index in the plan; `Err` says why one can't be run.
    pub(super) tasks: Vec<Option<Result<Task, SkipReason>>>,
    pub(super) indexes: HashMap<ItemId, usize>,
    pub(super) no_claims: Claims,
    /// By the estimates before the run. The paths of a task's dependents do not change while it is in flight.
    pub(super) priority: Priority,
}

/// A wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// The round.
    pub round: RoundName,
    /// The number of rows.
    pub rows: usize,
    /// When it is compiled.
    pub begins_ms: u64,
    /// When the last row has ended.
    pub ends_ms: u64,
}

/// A round, over all admitted tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The name.
    pub name: RoundName,
    /// The roles.
    pub roles: BTreeSet<Role>,
    /// The number of rows.
    pub rows: usize,
    /// The sum of their durations.
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

/// An admitted task.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedTask {
    /// The plan item.
    pub id: ItemId,
    /// When it was admitted.
    pub begins_ms: u64,
    /// When it ended.
    pub ends_ms: u64,
    /// The outcome.
    pub end: End,
}
