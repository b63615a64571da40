//! What a unit needs next.

use crate::model::{BlockReason, Role, RoundName};

/// Rows to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// The round.
    pub round: RoundName,
    /// Its number in the row ids.
    pub attempt: u32,
    /// The roles that answer, one row each.
    pub roles: Vec<Role>,
}

/// A change to another protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolChange {
    /// The name of the new protocol.
    pub to: String,
    /// Whether accepted answers are kept; otherwise the unit starts over.
    pub keeps_answers: bool,
    /// The cause, as a failure code or block reason.
    pub code: String,
    /// The cause in words.
    pub detail: String,
}

/// The next step of a unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Wait for the verdicts of the rows that are running.
    Await,
    /// Run rows.
    Emit(Emission),
    /// Store the answer of this round, the hydration, as the task's metadata.
    Hydrate(RoundName),
    /// Count the votes: all are in.
    Tally,
    /// Continue under another protocol.
    Change(ProtocolChange),
    /// Apply the accepted patch and validate it.
    Integrate,
    /// Mark the task as completed in the plan.
    Complete,
    /// Mark the task as blocked in the plan.
    Block(BlockReason, String),
    /// Stop for now: for this reason, roles could not be asked.
    Halt(String),
}

impl Action {
    /// Whether it is taken now and without rows.
    pub fn is_step(&self) -> bool {
        !matches!(self, Action::Await | Action::Emit(_) | Action::Halt(_))
    }
}
