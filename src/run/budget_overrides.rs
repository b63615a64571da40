//! Budgets that were raised when a run was resumed.

use super::task_budget::TaskBudget;
use crate::job::{Backoff, Bounds, Budget};

/// What a call that goes on with a run sets anew, and what holds from then on; nothing leaves it as it was. None of it changes
/// what a row is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct BudgetOverrides {
    /// Money, tokens, rows.
    pub budget: Budget,
    /// Time.
    pub max_wall_seconds: Option<u64>,
    /// How long a limit of the service is waited for.
    pub rate_limit_wait_max_seconds: Option<u64>,
    /// Whether running rows are ended then.
    pub wall_hard: Option<bool>,
    /// Those of each task of a plan.
    pub task_budget: TaskBudget,
    /// A limit that was met before counts for nothing.
    pub ask_now: bool,
    /// Slots of the pool.
    pub max_concurrency: Option<usize>,
    /// Wall-clock limit of an attempt.
    pub max_runtime_seconds: Option<u64>,
    /// Further attempts.
    pub retries: Option<u32>,
    /// Before the second attempt.
    pub retry_delay: Option<Backoff>,
    /// Until a worker that prints nothing is ended.
    pub max_idle_seconds: Option<u64>,
    /// Between TERM and KILL.
    pub grace_seconds: Option<u64>,
}

impl BudgetOverrides {
    /// The terms of a job or a run with what is set anew.
    pub fn apply(
        &self,
        budget: &mut Budget,
        max_wall_seconds: &mut Option<u64>,
        wall_hard: &mut bool,
        bounds: &mut Bounds,
    ) {
        *budget = self.budget.or(*budget);
        *max_wall_seconds = self.max_wall_seconds.or(*max_wall_seconds);
        *wall_hard = self.wall_hard.unwrap_or(*wall_hard);
        *bounds = Bounds {
            max_concurrency: self.max_concurrency.unwrap_or(bounds.max_concurrency),
            max_runtime_seconds: self
                .max_runtime_seconds
                .unwrap_or(bounds.max_runtime_seconds),
            retries: self.retries.unwrap_or(bounds.retries),
            grace_seconds: self.grace_seconds.unwrap_or(bounds.grace_seconds),
            max_idle_seconds: self.max_idle_seconds.or(bounds.max_idle_seconds),
            retry_delay: self.retry_delay.unwrap_or(bounds.retry_delay),
            rate_limit_wait_max_seconds: self
                .rate_limit_wait_max_seconds
                .unwrap_or(bounds.rate_limit_wait_max_seconds),
        };
    }
}
