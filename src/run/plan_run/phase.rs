//! Whether a step only decides or also writes, in a run that is driven one command at a time.

use crate::model::BlockReason;
use crate::protocol::Action;

/// Which steps of a unit that need no rows are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All.
    All,
    /// Those that lead to the next rows: metadata, votes, changes of protocol; and the end of a task that nothing can come of.
    Decide,
    /// Those that end a task: integrate, and say so in the plan.
    Commit,
}

impl Phase {
    /// Whether `action` is one of them.
    pub fn include(self, action: &Action) -> bool {
        // Of a task without a way to prove a patch no row is worth its price, whoever works it.
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
