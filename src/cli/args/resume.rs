//! The arguments of `mesh resume`.

use super::values::{OneRun, at_least_one};
use super::worker::{BudgetArgs, TaskBudgetArgs};
use crate::job::{Backoff, Halt, Logs};
use crate::run::{BudgetOverrides, InputChanged};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `mesh resume`.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Of a spawned CSV, work the failed rows once more as well
    #[arg(long)]
    pub retry_failed: bool,
    /// Ask the service although a limit that the run met still holds, as after a change of the plan
    #[arg(long)]
    pub ask_now: bool,
    /// Give up the restore of an interrupted integration: the tree stays as it is, what stood before is laid out in the
    /// run's folder, and the task is blocked; nothing else is done
    #[arg(long, conflicts_with = "retry_failed")]
    pub abandon: bool,
    /// When the input of a spawned CSV has changed: refuse, or ignore, to go on with the run's own copy
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub input_changed: InputChanged,
    /// Which run
    #[command(flatten)]
    pub run: OneRun,
    /// Slots, time and tries
    #[command(flatten)]
    pub terms: TermsArgs,
    /// How a spawned CSV ends and what it leaves
    #[command(flatten)]
    pub spawned: SpawnedArgs,
    /// Other budgets
    #[command(flatten)]
    pub budget: BudgetArgs,
    /// The same for each task of a plan
    #[command(flatten)]
    pub task_budget: TaskBudgetArgs,
}

/// Slots, time and tries, where they are to be others than before.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Other settings from now on [default: as before]")]
pub struct TermsArgs {
    /// How many workers may run at once
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", value_parser = at_least_one)]
    pub max_concurrency: Option<u64>,
    /// Wall-clock limit of one attempt
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_runtime_seconds: Option<u64>,
    /// Further attempts after no_response, timeout or invalid_output_schema
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Before a further attempt; doubles each time
    #[arg(long, value_name = "S")]
    pub retry_delay: Option<Backoff>,
    /// End a worker that prints nothing for so long
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_idle_seconds: Option<u64>,
    /// Seconds between TERM and KILL when a worker is ended
    #[arg(long, value_name = "S")]
    pub grace_seconds: Option<u64>,
}

/// Of a spawned CSV, how it ends and what it leaves, where that is to be otherwise than before.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Of a spawned CSV [default: as before]")]
pub struct SpawnedArgs {
    /// Where to write the rows with their results
    #[arg(short = 'o', long, value_name = "P")]
    pub output_csv_path: Option<PathBuf>,
    /// Replace what stands there
    #[arg(long, requires = "output_csv_path")]
    pub force: bool,
    /// End early: never, or soon|now,fail|success|done=N or N%
    #[arg(long, value_name = "RULE")]
    pub halt: Option<Halt>,
    /// Keep what attempts print: all, failed or none
    #[arg(long, value_name = "WHICH")]
    pub logs: Option<Logs>,
}

impl ResumeArgs {
    /// What is to be otherwise than before, of a run of either kind.
    pub fn raised(&self) -> BudgetOverrides {
        let TermsArgs {
            max_concurrency,
            max_runtime_seconds,
            retries,
            retry_delay,
            max_idle_seconds,
            grace_seconds,
        } = self.terms;
        BudgetOverrides {
            budget: self.budget.budget(),
            max_wall_seconds: self.budget.max_wall_seconds,
            wall_hard: self.budget.wall_hard.then_some(true),
            rate_limit_wait_max_seconds: self.budget.rate_limit_wait_max,
            ask_now: self.ask_now,
            task_budget: self.task_budget.budget(),
            max_concurrency: max_concurrency.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            max_runtime_seconds,
            retries,
            retry_delay,
            max_idle_seconds,
            grace_seconds,
        }
    }

    /// Whether something is given that only a spawned CSV has: the option.
    pub fn of_spawned(&self) -> Option<&'static str> {
        let SpawnedArgs {
            output_csv_path,
            force: _,
            halt,
            logs,
        } = &self.spawned;
        let given = [
            ("--retry-failed", self.retry_failed),
            ("--output-csv-path", output_csv_path.is_some()),
            ("--halt", halt.is_some()),
            ("--logs", logs.is_some()),
        ];
        given.into_iter().find(|it| it.1).map(|it| it.0)
    }
}
