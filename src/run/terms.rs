//! What all waves of a run share: how its worker is spoken to, its budget, and the patience of the service behind it.

use super::{RunError, Settings, State, TaskBudget};
use crate::adapter;
use crate::job::{Bounds, Budget, Dialect, Ration};
use std::sync::Arc;

/// Shared by every wave of a run.
pub(super) struct Terms {
    pub dialect: Option<Arc<dyn Dialect>>,
    pub ration: Arc<Ration>,
}

impl Terms {
    /// Those of a run that has got as far as `state`.
    pub fn of(settings: &Settings, state: &State) -> Result<Self, RunError> {
        let dialect = adapter::dialect(&settings.worker)?;
        let has_service = dialect.as_ref().is_some_and(|it| it.has_service());
        let most = settings.bounds.max_concurrency;
        let wait_max = settings.bounds.rate_limit_wait_max();
        let ration = Ration::new(settings.budget, state.spent(), most, has_service, wait_max);
        ration.remember(state.account_until);
        Ok(Self {
            dialect,
            ration: Arc::new(ration),
        })
    }
}

/// Budgets that a call which goes on with a run sets anew; nothing leaves them as they were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raised {
    /// Money, tokens, rows.
    pub budget: Budget,
    /// Time.
    pub max_wall_seconds: Option<u64>,
    /// How long a limit of the service is waited for.
    pub rate_limit_wait_max_seconds: Option<u64>,
    /// Those of each task of a plan.
    pub task_budget: TaskBudget,
    /// A limit that was met before counts for nothing.
    pub ask_now: bool,
}

impl Raised {
    /// The budgets of this call.
    pub(super) fn apply(&self, budget: &mut Budget, max_wall_seconds: &mut Option<u64>) {
        *budget = self.budget.or(*budget);
        *max_wall_seconds = self.max_wall_seconds.or(*max_wall_seconds);
    }

    /// The bounds of this call.
    pub(super) fn bound(&self, bounds: &mut Bounds) {
        if let Some(seconds) = self.rate_limit_wait_max_seconds {
            bounds.rate_limit_wait_max_seconds = seconds;
        }
    }
}
