//! What a run that follows its plan keeps between two turns of the loop.

use crate::run::budget_overrides::BudgetOverrides;
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
}

impl Default for Follow {
    fn default() -> Self {
        Self {
            reload: None,
            summed_up: Instant::now(),
            said_at: None,
        }
    }
}
