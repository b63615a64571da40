//! Arguments of `mesh resume`.

use super::run::{JobReportFiles, NoticeArgs};
use super::values::{OneRun, at_least_one, up_to_256};
use super::worker::{BudgetArgs, SlurmArgs, TaskBudgetArgs};
use crate::job::{Backoff, Halt, Logs};
use crate::platform::sandbox::Choice;
use crate::run::{BudgetOverrides, InputChanged};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `mesh resume`.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Retry the failed rows as well (spawned CSVs only)
    #[arg(long)]
    pub retry_failed: bool,
    /// Ignore a limit of the service that is recorded as still in force, for example after an upgrade of the subscription
    #[arg(long)]
    pub ask_now: bool,
    /// Give up restoring the tree after an interrupted integration
    ///
    /// The tree stays as it is, the saved files are copied into the folder of the run, and the task is blocked. Nothing else
    /// is done.
    #[arg(long, conflicts_with = "retry_failed")]
    pub abandon: bool,
    /// Confine the workers in another way than before: auto, namespace, landlock or none
    #[arg(long, value_name = "HOW")]
    pub sandbox: Option<Choice>,
    /// Validate this many patches at once (plans only)
    #[arg(long, value_name = "N", value_parser = up_to_256)]
    pub validation_parallel: Option<u64>,
    /// Validate a patch again if anything in the tree has changed since (plans only)
    #[arg(long)]
    pub strict_validation: bool,
    /// If the input of a spawned CSV has changed: refuse, or ignore to resume with the copy that the run keeps
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub input_changed: InputChanged,
    #[command(flatten)]
    pub notices: NoticeArgs,
    #[command(flatten)]
    pub report: JobReportFiles,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub slurm: SlurmArgs,
    #[command(flatten)]
    pub spawned: SpawnedArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub task_budget: TaskBudgetArgs,
}

/// Concurrency, time limits and retries that replace those of the run.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Limits [default: unchanged]")]
pub struct LimitArgs {
    /// Maximum number of concurrent workers
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", value_parser = at_least_one)]
    pub max_concurrency: Option<u64>,
    /// Time limit of one attempt, in seconds
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_runtime_seconds: Option<u64>,
    /// Number of retries after no_response, timeout or invalid_output_schema
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Delay before a retry, in seconds; doubles with each retry
    #[arg(long, value_name = "S")]
    pub retry_delay: Option<Backoff>,
    /// Terminate a worker that prints nothing for this many seconds
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_idle_seconds: Option<u64>,
    /// Seconds between TERM and KILL when a worker is terminated
    #[arg(long, value_name = "S")]
    pub grace_seconds: Option<u64>,
}

/// Output, halt rule and logs that replace those of a spawned CSV.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Spawned CSVs only [default: unchanged]")]
pub struct SpawnedArgs {
    /// Output CSV: the rows with their results
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output_csv_path: Option<PathBuf>,
    /// Replace an existing output or workbook
    #[arg(long)]
    pub force: bool,
    /// When to halt the job early: never, or soon|now,fail|success|done=N or N%
    #[arg(long, value_name = "RULE")]
    pub halt: Option<Halt>,
    /// Whose output to keep as logs: all, failed or none
    #[arg(long, value_name = "WHICH")]
    pub logs: Option<Logs>,
}

impl ResumeArgs {
    /// The settings that replace those of the run, whichever kind it is.
    pub fn overrides(&self) -> BudgetOverrides {
        let LimitArgs {
            max_concurrency,
            max_runtime_seconds,
            retries,
            retry_delay,
            max_idle_seconds,
            grace_seconds,
        } = self.limits;
        BudgetOverrides {
            sandbox: self.sandbox,
            slurm: self.slurm.options(),
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
            validation_parallel: self
                .validation_parallel
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            strict_validation: self.strict_validation.then_some(true),
        }
    }

    /// The first given option that only a spawned CSV has.
    pub fn spawned_option(&self) -> Option<&'static str> {
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
        given
            .into_iter()
            .find(|(_, is_given)| *is_given)
            .map(|(option, _)| option)
    }
}
