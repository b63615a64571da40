//! What a run that follows its plan keeps between two turns of the loop.

use crate::plan::Plan;
use crate::run::budget_overrides::BudgetOverrides;
use std::sync::Arc;
use std::time::Instant;

/// Limits that were changed outside since the last call; the error says why they can't be used.
pub type Reload = Box<dyn Fn() -> Option<Result<BudgetOverrides, String>> + Send + Sync>;

/// What a run that follows its plan needs beside its settings.
pub(super) struct Follow {
    /// Asked for changed limits.
    pub reload: Option<Reload>,
    /// When the run was last summed up.
    pub summed_up: Instant,
    /// How many tasks had ended when the run last said that it waits.
    pub said_at: Option<usize>,
    /// The plan as it was before this turn looked for ready tasks. A change since then is not to be waited for.
    pub looked_at: Option<Arc<Plan>>,
}

impl Default for Follow {
    fn default() -> Self {
        Self {
            reload: None,
            summed_up: Instant::now(),
            said_at: None,
            looked_at: None,
        }
    }
}
