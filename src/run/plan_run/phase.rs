//! Whether a step only decides or also writes, in a run that is driven one command at a time.

use crate::model::BlockReason;
use crate::protocol::Action;

/// Which steps of a unit that need no rows are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steps {
    /// All.
    All,
    /// Those that lead to the next rows: metadata, votes, changes of protocol; and the end of a task that nothing can come of.
    Thinking,
    /// Those that end a task: integrate, and say so in the plan.
    Writing,
}

impl Steps {
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
            Steps::All => true,
            Steps::Thinking => !writes,
            Steps::Writing => writes,
        }
    }
}
