//! The steps that one command takes in a run that is driven one command at a time.

use crate::model::BlockReason;
use crate::protocol::Action;

/// Which of the steps that need no rows a unit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All of them.
    All,
    /// Those before the next rows: metadata, votes, changes of protocol; and blocking a task that can only fail.
    Decide,
    /// Those that end a task: integrate it, and persist its outcome in the plan.
    Commit,
}

impl Phase {
    /// Whether the phase includes `action`.
    pub fn include(self, action: &Action) -> bool {
        // Rows of a task without validation would be paid for in vain, also by an external runner.
        let is_hopeless = matches!(action, Action::Block(BlockReason::MissingValidation, _));
        let ends = matches!(
            action,
            Action::Integrate | Action::Complete | Action::Block(..)
        );
        let writes = ends && !is_hopeless;
        match self {
            Phase::All => true,
            Phase::Decide => !writes,
            Phase::Commit => writes,
        }
    }
}
