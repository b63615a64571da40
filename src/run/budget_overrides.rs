//! Limits that a call changes when it resumes a run.

use super::task_budget::TaskBudget;
use crate::job::{Backoff, Bounds, Budget, SlurmOptions};
use crate::platform::sandbox::Choice;

/// Limits that a call changes when it resumes a run; they hold for later calls as well. An absent value leaves the limit as it
/// is. None of them changes the prompt of a row.
#[derive(Clone, Debug, Default)]
pub struct BudgetOverrides {
    /// Cost, tokens and rows.
    pub budget: Budget,
    /// Wall-clock budget of one call.
    pub max_wall_seconds: Option<u64>,
    /// The longest wait for a rate limit of the service.
    pub rate_limit_wait_max_seconds: Option<u64>,
    /// Whether running rows are ended at the wall-clock budget.
    pub wall_hard: Option<bool>,
    /// Budget of each task of a plan.
    pub task_budget: TaskBudget,
    /// Whether to call the service in spite of a limit that an earlier call reached.
    pub ask_now: bool,
    /// How the workers of a plan are confined.
    pub sandbox: Option<Choice>,
    /// Slots of the pool.
    pub max_concurrency: Option<usize>,
    /// Wall-clock limit of an attempt.
    pub max_runtime_seconds: Option<u64>,
    /// Retries of a row.
    pub retries: Option<u32>,
    /// Delay before a retry.
    pub retry_delay: Option<Backoff>,
    /// Idle limit of a worker.
    pub max_idle_seconds: Option<u64>,
    /// Time between TERM and KILL.
    pub grace_seconds: Option<u64>,
    /// Patches of a plan that are validated at once.
    pub validation_parallel: Option<usize>,
    /// What tasks of Slurm get.
    pub slurm: SlurmOptions,
    /// Whether a patch of a plan is validated again whenever the tree has changed.
    pub strict_validation: Option<bool>,
}

impl BudgetOverrides {
    /// Those that `earlier` does not have.
    pub fn since(self, earlier: &Self) -> Self {
        fn new<T: PartialEq>(now: Option<T>, earlier: &Option<T>) -> Option<T> {
            now.filter(|now| earlier.as_ref() != Some(now))
        }
        let budget = |now: Budget, earlier: &Budget| Budget {
            max_cost_usd: new(now.max_cost_usd, &earlier.max_cost_usd),
            max_tokens: new(now.max_tokens, &earlier.max_tokens),
            max_rows: new(now.max_rows, &earlier.max_rows),
        };
        let (task, task_earlier) = (self.task_budget, &earlier.task_budget);
        Self {
            budget: budget(self.budget, &earlier.budget),
            task_budget: TaskBudget {
                budget: budget(task.budget, &task_earlier.budget),
                max_wall_seconds: new(task.max_wall_seconds, &task_earlier.max_wall_seconds),
            },
            max_wall_seconds: new(self.max_wall_seconds, &earlier.max_wall_seconds),
            rate_limit_wait_max_seconds: new(
                self.rate_limit_wait_max_seconds,
                &earlier.rate_limit_wait_max_seconds,
            ),
            wall_hard: new(self.wall_hard, &earlier.wall_hard),
            max_concurrency: new(self.max_concurrency, &earlier.max_concurrency),
            max_runtime_seconds: new(self.max_runtime_seconds, &earlier.max_runtime_seconds),
            retries: new(self.retries, &earlier.retries),
            retry_delay: new(self.retry_delay, &earlier.retry_delay),
            max_idle_seconds: new(self.max_idle_seconds, &earlier.max_idle_seconds),
            grace_seconds: new(self.grace_seconds, &earlier.grace_seconds),
            validation_parallel: new(self.validation_parallel, &earlier.validation_parallel),
            strict_validation: new(self.strict_validation, &earlier.strict_validation),
            ..self
        }
    }

    /// Applies the overrides to the limits of a job or a run.
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
