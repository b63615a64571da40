//! `mesh run --follow`: what it changes of the options, and SIGHUP -> `mesh.yaml` as it is then.

use super::args::{Command, RunOptions};
use super::context::Context;
use super::error::{CliError, with_causes};
use super::{defaults, resume_csv, stop};
use crate::run::{BudgetOverrides, PlanOptions, Reload};
use crate::schedule::TaskLimit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How long a run that follows its plan waits for a limit of the service when no other time is given: the longest limits are
/// those of a week.
const WAIT_MAX_SECONDS: u64 = 8 * 24 * 60 * 60;

/// No limit of tasks or time unless one is given, and a wait for a service that has reached its limit.
pub fn set_options(options: &mut PlanOptions, args: &RunOptions) {
    options.follow = true;
    options.max_tasks = args.max_tasks.unwrap_or(TaskLimit::Auto);
    options.max_wall_seconds = args.budget.max_wall_seconds;
    if args.budget.rate_limit_wait_max.is_none() {
        options.bounds.rate_limit_wait_max_seconds = WAIT_MAX_SECONDS;
    }
}

/// After a SIGHUP, gives the limits of this command line with what `mesh.yaml` says then.
pub fn reload(args: &RunOptions, adapter: &str, context: &Context) -> Result<Reload, CliError> {
    let asked = stop::reload_signal()?;
    let most = resume_csv::capabilities(adapter, context).fanout;
    // Preflight may have lowered the number, so only a new one replaces it.
    let known = AtomicUsize::new(args.worker.bounds(&args.budget).max_concurrency);
    Ok(Box::new(move || {
        if !asked.swap(false, Ordering::SeqCst) {
            return None;
        }
        let read = defaults::parse(std::env::args_os().collect());
        Some(match read.map(|(cli, _)| cli.command) {
            Ok(Command::Run(now)) => {
                let mut limits = limits(&now.options);
                let given = limits.max_concurrency.unwrap_or_default();
                let is_new = known.swap(given, Ordering::SeqCst) != given;
                let given = given.min(most.unwrap_or(usize::MAX));
                limits.max_concurrency = is_new.then_some(given);
                Ok(limits)
            }
            Ok(_) => unreachable!("the command line is the same"),
            Err(error) => Err(with_causes(&error)),
        })
    }))
}

fn limits(args: &RunOptions) -> BudgetOverrides {
    let bounds = args.worker.bounds(&args.budget);
    BudgetOverrides {
        budget: args.budget.budget(),
        max_wall_seconds: args.budget.max_wall_seconds,
        wall_hard: Some(args.budget.wall_hard),
        rate_limit_wait_max_seconds: args.budget.rate_limit_wait_max,
        task_budget: args.task_budget.budget(),
        max_concurrency: Some(bounds.max_concurrency),
        max_runtime_seconds: Some(bounds.max_runtime_seconds),
        retries: Some(bounds.retries),
        retry_delay: Some(bounds.retry_delay),
        max_idle_seconds: bounds.max_idle_seconds,
        grace_seconds: Some(bounds.grace_seconds),
        validation_parallel: usize::try_from(args.integrate.validation_parallel).ok(),
        strict_validation: Some(args.integrate.strict_validation),
        ..BudgetOverrides::default()
    }
}
