//! What a simulation is given: the plan, the protocol, the slots, and how long things take.

use crate::model::{BlockReason, RowKey, UnitId};
use crate::plan::{ItemId, Metadata, Plan};
use crate::protocol::Protocol;
use crate::schedule::Concurrency;
use crate::scope::Reach;
use std::collections::BTreeSet;

/// How long things take, in milliseconds.
pub trait Times: Sync {
    /// One row, from the start of its worker to its result.
    fn row_ms(&self, row: &RowKey) -> u64;
    /// Applying a task's patch and validating it.
    fn integration_ms(&self, unit: &UnitId) -> u64;
    /// The whole task, alone and with a slot for every row; where it is known, rows and integration are stretched to fit.
    fn task_ms(&self, unit: &UnitId) -> Option<u64>;
}

/// The protocol of a task, by its metadata and the protocol that it went over to.
pub type ProtocolOf<'s> =
    dyn Fn(&ItemId, Option<&Metadata>, Option<&str>) -> Result<Protocol, String> + Sync + 's;

/// What is simulated.
pub struct Setup<'s> {
    /// The plan as it is now.
    pub plan: &'s Plan,
    /// The tasks that `ids=` lets in; `None` is no restriction.
    pub closure: Option<&'s BTreeSet<ItemId>>,
    /// Of these paths only one task at a time may touch any.
    pub shared: Reach,
    /// How many rows at once.
    pub slots: Concurrency,
    /// How many tasks in flight at once.
    pub parallel_tasks: usize,
    /// How many tasks in all.
    pub max_tasks: usize,
    /// Which rounds a task goes through.
    pub protocol_of: &'s ProtocolOf<'s>,
    /// How many votes of each task find no consensus, at most as many as it has retries.
    pub lost_votes: u32,
    /// How long things take.
    pub times: &'s dyn Times,
    /// How long the dispatch believes that they take; it does not see `times`.
    pub estimates: &'s dyn Times,
}

/// How a task ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Its patch stands.
    Completed,
    /// It is blocked, and nothing that waits for it begins.
    Blocked(BlockReason, String),
}
