//! The options about a worker and its limits, as settings.

use super::args::{BudgetArgs, WorkerArgs};
use crate::adapter::Choice;
use crate::job::{Bounds, RATE_LIMIT_WAIT_MAX_SECONDS};

/// How much at once, how long, how often.
pub fn bounds(args: &WorkerArgs, budget: &BudgetArgs) -> Bounds {
    Bounds {
        max_concurrency: usize::try_from(args.max_concurrency).unwrap_or(usize::MAX),
        max_runtime_seconds: args.max_runtime_seconds,
        retries: args.retries,
        grace_seconds: args.grace_seconds,
        max_idle_seconds: args.max_idle_seconds,
        retry_delay: args.retry_delay,
        rate_limit_wait_max_seconds: budget
            .rate_limit_wait_max
            .unwrap_or(RATE_LIMIT_WAIT_MAX_SECONDS),
    }
}

/// What is left of the budget with the agent's service.
pub fn remaining(args: &WorkerArgs) -> [Option<f64>; 2] {
    let percent = |left: Option<u8>| left.map(f64::from);
    [
        percent(args.remaining_five_hour),
        percent(args.remaining_weekly),
    ]
}

/// Who works the rows.
pub fn choice(args: &WorkerArgs) -> Choice {
    Choice {
        name: args.adapter.clone(),
        command: args.command.clone(),
        answers: args.answers.clone(),
        env_names: args.env_names.clone(),
        model: args.model.clone(),
        effort: args.effort.clone(),
    }
}
