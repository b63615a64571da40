//! Options about workers and their budgets, shared by `run`, `spawn` and `resume`.

use super::super::context::Context;
use super::super::error::CliError;
use super::values::{at_least_one, dollars, variable};
use crate::adapter::Choice;
use crate::executor::slurm;
use crate::job::{
    Backoff, Bounds, Budget, ExecutorChoice, RATE_LIMIT_WAIT_MAX_SECONDS, SlurmOptions,
};
use crate::platform::sandbox::Choice as Sandboxing;
use crate::run::{SandboxRequest, TaskBudget};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The name that stands for the default adapter.
const AUTO: &str = "auto";

/// Which agent program works, and what it is passed; shared with `mcp`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Workers")]
pub struct AgentProgramArgs {
    /// Adapter: codex, claude, gemini, opencode, one from mesh.yaml, another that `mesh adapters` lists, or auto: the default
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Model of the agent
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Reasoning effort, in the agent's own terms: low, medium, high, ...
    #[arg(long, value_name = "EFFORT")]
    pub effort: Option<String>,
    /// Pass this environment variable to workers; may be repeated, or A,B
    #[arg(long = "env", value_name = "NAME", value_delimiter = ',', value_parser = variable)]
    pub env_names: Vec<String>,
    /// The agent's program and arguments
    #[arg(last = true, value_name = "COMMAND", help_heading = None::<&'static str>)]
    pub command: Vec<String>,
}

/// Which agent answers the rows.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Workers")]
pub struct AgentArgs {
    #[command(flatten)]
    pub program: AgentProgramArgs,
    /// Folder of recorded answers for the adapter `replay`
    #[arg(long, value_name = "DIR")]
    pub answers: Option<PathBuf>,
    #[command(flatten)]
    pub sandbox: SandboxArgs,
}

impl AgentArgs {
    /// Which adapter and which command.
    pub fn choice(&self) -> Choice {
        let program = &self.program;
        Choice {
            name: program.adapter.clone().filter(|name| name != AUTO),
            command: program.command.clone(),
            answers: self.answers.clone(),
            env_names: program.env_names.clone(),
            model: program.model.clone(),
            effort: program.effort.clone(),
        }
    }
}

/// Which worker runs the rows, how many at once, and for how long.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkerArgs {
    #[command(flatten)]
    pub agent: AgentArgs,
    /// Record every answer in a folder, for `--adapter replay --answers DIR`
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Maximum number of concurrent workers
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", default_value = "16", value_parser = at_least_one)]
    pub max_concurrency: u64,
    /// Remaining five-hour quota of the agent; fewer workers at 33 and below, one at 10
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub remaining_five_hour: Option<u8>,
    /// Remaining weekly quota of the agent; fewer workers at 33 and below, one at 10
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub remaining_weekly: Option<u8>,
    #[command(flatten)]
    pub attempts: AttemptArgs,
    #[command(flatten)]
    pub executor: ExecutorArgs,
}

/// Where the rows run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Where rows run")]
pub struct ExecutorArgs {
    /// local: as processes on this machine; slurm: as tasks of Slurm job arrays
    ///
    /// With slurm, this process submits arrays of slices, follows them and records their results; it may be killed and resumed.
    /// Runs and repository must be on a file system that all nodes share.
    #[arg(long, value_name = "WHERE", default_value = "local")]
    pub executor: ExecutorKind,
    #[command(flatten)]
    pub slurm: SlurmArgs,
    /// Maximum number of tasks of an array [default: 1000, or less if the cluster takes fewer]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub slurm_array_max: Option<u64>,
    /// Rows of a task [default: as many as make at most --slurm-array-max tasks]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub rows_per_task: Option<u64>,
    /// Rows of a task that run at once; so many fewer tasks run at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub rows_at_once: u64,
}

/// What each task of Slurm gets; may be changed when a run is resumed.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Where rows run")]
pub struct SlurmArgs {
    /// Partition [default: that of the cluster]
    #[arg(long, value_name = "NAME")]
    pub slurm_partition: Option<String>,
    /// Time limit of a task, as for sbatch: minutes, or hours:minutes:seconds [default: that of the partition]
    #[arg(long, value_name = "TIME")]
    pub slurm_time: Option<String>,
    /// Memory of a task, as for sbatch: 4G [default: that of the cluster]
    #[arg(long, value_name = "SIZE")]
    pub slurm_memory: Option<String>,
    /// Processors of a task [default: one for each row at once]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub slurm_cpus: Option<u64>,
    /// Further argument of sbatch, such as --account=lab; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub slurm_args: Vec<String>,
}

impl SlurmArgs {
    /// The options, without those of the division into tasks.
    pub fn options(&self) -> SlurmOptions {
        SlurmOptions {
            partition: self.slurm_partition.clone(),
            time: self.slurm_time.clone(),
            memory: self.slurm_memory.clone(),
            cpus: self.slurm_cpus,
            args: self.slurm_args.clone(),
            ..SlurmOptions::default()
        }
    }
}

/// `--executor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExecutorKind {
    /// As processes on this machine
    #[default]
    Local,
    /// As tasks of Slurm job arrays
    Slurm,
}

impl ExecutorArgs {
    /// The executor and its options.
    ///
    /// # Errors
    /// The executor can't be used here.
    pub fn choice(&self) -> Result<ExecutorChoice, CliError> {
        if self.executor == ExecutorKind::Local {
            return Ok(ExecutorChoice::Local);
        }
        slurm::find()?;
        Ok(ExecutorChoice::Slurm(SlurmOptions {
            array_max: self.slurm_array_max,
            rows_per_task: self.rows_per_task,
            rows_at_once: usize::try_from(self.rows_at_once).unwrap_or(usize::MAX),
            ..self.slurm.options()
        }))
    }
}

/// The limits of an attempt, and its retries.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Workers")]
pub struct AttemptArgs {
    /// Time limit of one attempt, in seconds
    #[arg(long, value_name = "S", default_value = "1800", value_parser = at_least_one)]
    pub max_runtime_seconds: u64,
    /// Number of retries after no_response, timeout or invalid_output_schema
    #[arg(long, value_name = "N", default_value = "1")]
    pub retries: u32,
    /// Delay before a retry, in seconds; doubles with each retry, with jitter, at most 300
    #[arg(long, value_name = "S", default_value = "0")]
    pub retry_delay: Backoff,
    /// Terminate a worker that prints nothing for this many seconds [default: never]
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_idle_seconds: Option<u64>,
    /// Seconds between TERM and KILL when a worker is terminated
    #[arg(long, value_name = "S", default_value = "5")]
    pub grace_seconds: u64,
}

impl AttemptArgs {
    /// The bounds of a pool with these limits.
    pub fn bounds(&self, max_concurrency: usize, rate_limit_wait_max: Option<u64>) -> Bounds {
        Bounds {
            max_concurrency,
            max_runtime_seconds: self.max_runtime_seconds,
            retries: self.retries,
            grace_seconds: self.grace_seconds,
            max_idle_seconds: self.max_idle_seconds,
            retry_delay: self.retry_delay,
            rate_limit_wait_max_seconds: rate_limit_wait_max.unwrap_or(RATE_LIMIT_WAIT_MAX_SECONDS),
        }
    }
}

impl WorkerArgs {
    /// Concurrency, time limits and retries.
    pub fn bounds(&self, budget: &BudgetArgs) -> Bounds {
        let at_once = usize::try_from(self.max_concurrency).unwrap_or(usize::MAX);
        self.attempts.bounds(at_once, budget.rate_limit_wait_max)
    }

    /// What remains of the agent's quotas.
    pub fn remaining(&self) -> [Option<f64>; 2] {
        [self.remaining_five_hour, self.remaining_weekly].map(|left| left.map(f64::from))
    }
}

/// What workers can't write.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Workers")]
pub struct SandboxArgs {
    /// How the kernel keeps workers from writing to the repository, the plan and the runs: auto, namespace, landlock or none
    /// [default: auto for a plan, none for a CSV]
    ///
    /// namespace: read-only mounts; landlock: nothing can be written but temporary files and the agent's own folders. auto
    /// takes the first that holds here. With none, changes by workers are only noticed.
    #[arg(long, value_name = "HOW")]
    pub sandbox: Option<Sandboxing>,
    /// Folder that workers may write to all the same; may be repeated
    #[arg(long, value_name = "DIR")]
    pub writable: Vec<PathBuf>,
}

impl SandboxArgs {
    /// The request, with paths relative to the folder of the command.
    pub fn request(&self, context: &Context) -> SandboxRequest {
        let writable = self.writable.iter();
        SandboxRequest {
            choice: self.sandbox,
            writable: writable.map(|path| context.folder.join(path)).collect(),
        }
    }
}

/// What a run may use; shared by `run`, `spawn` and `resume`.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(
    next_help_heading = "Budgets (when one is used up, no further row starts; exit code 4, resumable)"
)]
pub struct BudgetArgs {
    /// US dollars, as reported by the agent or computed from the price table of mesh.yaml
    ///
    /// Before a row starts, its estimated cost is reserved: the mean of the rows that have ended; for the first row 0.10, or
    /// all of a smaller budget.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub max_cost_usd: Option<f64>,
    /// Tokens, input and output
    ///
    /// Before a row starts, its estimated use is reserved: the mean of the rows that have ended; for the first row 20000, or
    /// all of a smaller budget.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_tokens: Option<u64>,
    /// Rows started, not counting retries
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_rows: Option<u64>,
    /// Wall-clock time of one call, in seconds; running rows then finish, unless --wall-hard is given
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_wall_seconds: Option<u64>,
    /// At --max-wall-seconds, terminate running rows as well: they get at most --grace-seconds more
    #[arg(long)]
    pub wall_hard: bool,
    /// Maximum wait for a limit of the service, in seconds; a later reset ends the run [default: 3600]
    ///
    /// All waits since the last answer count together. The message says when to resume. 0: never wait.
    #[arg(long, value_name = "S")]
    pub rate_limit_wait_max: Option<u64>,
}

impl BudgetArgs {
    /// Cost, tokens and rows, without the time.
    pub fn budget(&self) -> Budget {
        Budget {
            max_cost_usd: self.max_cost_usd,
            max_tokens: self.max_tokens,
            max_rows: self.max_rows,
        }
    }
}

/// What each task of a plan may use; shared by `run` and `resume`.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(
    next_help_heading = "Budgets of each task (when one is used up, no further round of it starts)"
)]
pub struct TaskBudgetArgs {
    /// US dollars; a round starts only if the estimates of all its rows fit
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub task_max_cost_usd: Option<f64>,
    /// Tokens, input and output
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub task_max_tokens: Option<u64>,
    /// Rows started
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub task_max_rows: Option<u64>,
    /// Wall-clock time in one call, in seconds
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub task_max_wall_seconds: Option<u64>,
}

impl TaskBudgetArgs {
    /// All of it.
    pub fn budget(&self) -> TaskBudget {
        TaskBudget {
            budget: Budget {
                max_cost_usd: self.task_max_cost_usd,
                max_tokens: self.task_max_tokens,
                max_rows: self.task_max_rows,
            },
            max_wall_seconds: self.task_max_wall_seconds,
        }
    }
}
