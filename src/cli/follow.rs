//! `mesh run --follow`: what it changes of the options, and SIGHUP -> `mesh.yaml` as it is then.

use super::args::{Command, RunOptions};
use super::context::Context;
use super::error::{CliError, with_causes};
use super::{defaults, resume_csv, stop};
use crate::run::{BudgetOverrides, PlanOptions, Reload};
use crate::schedule::TaskLimit;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

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

/// After a SIGHUP, gives the limits that differ from those of the last time: of this command line if it is `mesh run`, else of
/// one without options, with what `mesh.yaml` says then.
pub fn reload(adapter: &str, folder: &Path, context: &Context) -> Result<Reload, CliError> {
    let asked = stop::reload_signal()?;
    let most = resume_csv::capabilities(adapter, context).fanout;
    let folder = folder.to_owned();
    let known = Mutex::new(read_limits(&folder)?);
    Ok(Box::new(move || {
        if !asked.swap(false, Ordering::SeqCst) {
            return None;
        }
        Some(match read_limits(&folder) {
            Ok(now) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                let earlier = std::mem::replace(&mut *known, now.clone());
                let mut changed = now.since(&earlier);
                let most = most.unwrap_or(usize::MAX);
                changed.max_concurrency = changed.max_concurrency.map(|given| given.min(most));
                Ok(changed)
            }
            Err(error) => Err(with_causes(&error)),
        })
    }))
}

fn read_limits(folder: &Path) -> Result<BudgetOverrides, CliError> {
    let (cli, _) = defaults::parse(std::env::args_os().collect())?;
    let command = match cli.command {
        Command::Run(args) => Command::Run(args),
        _ => {
            let bare = [
                "mesh".as_ref(),
                "-C".as_ref(),
                folder.as_os_str(),
                "run".as_ref(),
            ];
            defaults::parse(bare.map(OsStr::to_owned).to_vec())?
                .0
                .command
        }
    };
    match command {
        Command::Run(args) => Ok(limits(&args.options)),
        _ => unreachable!("the command line of a run"),
    }
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
