//! The input of a simulation: plan, protocol, slots and durations.

use crate::model::{BlockReason, RowKey, UnitId};
use crate::plan::{ItemId, Metadata, Plan};
use crate::protocol::Protocol;
use crate::schedule::Concurrency;
use crate::scope::Reach;
use std::collections::BTreeSet;

/// Durations, in milliseconds.
pub trait Times: Sync {
    /// A row, from the start of its worker to its result.
    fn row_ms(&self, row: &RowKey) -> u64;
    /// Applying and validating the patch of a task.
    fn integration_ms(&self, unit: &UnitId) -> u64;
    /// The whole task with a slot for every row, if known; rows and integration are scaled to it.
    fn task_ms(&self, unit: &UnitId) -> Option<u64>;
}

/// The protocol of a task, by its metadata and the protocol that it changed to.
pub type ProtocolOf<'s> =
    dyn Fn(&ItemId, Option<&Metadata>, Option<&str>) -> Result<Protocol, String> + Sync + 's;

/// The input of a simulation.
pub struct Setup<'s> {
    /// The current plan.
    pub plan: &'s Plan,
    /// The tasks that `ids=` selects; `None` is no restriction.
    pub closure: Option<&'s BTreeSet<ItemId>>,
    /// Paths that only one task at a time may touch.
    pub shared: Reach,
    /// The maximum number of concurrent rows.
    pub slots: Concurrency,
    /// The maximum number of tasks in flight.
    pub parallel_tasks: usize,
    /// The maximum number of tasks.
    pub max_tasks: usize,
    /// The protocol of each task.
    pub protocol_of: &'s ProtocolOf<'s>,
    /// The number of votes of each task without consensus, up to its number of retries.
    pub lost_votes: u32,
    /// The durations.
    pub times: &'s dyn Times,
    /// The durations that the dispatch expects, for its priorities.
    pub estimates: &'s dyn Times,
}

/// How a task ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Its patch is integrated.
    Completed,
    /// It is blocked, and its dependents never start.
    Blocked(BlockReason, String),
}
