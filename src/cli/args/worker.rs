//! Who works the rows and what they may use up; the same for `run` and `spawn`.

use super::values::{at_least_one, dollars, variable};
use crate::job::{Backoff, Budget};
use crate::run::TaskBudget;
use clap::Args;
use std::path::PathBuf;

/// Who works the rows; the same for `run` and `spawn`.
#[derive(Clone, Debug, Default, Args)]
pub struct WorkerArgs {
    /// codex, claude, gemini, opencode, replay, or one of mesh.yaml; `mesh adapters` lists them
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// The agent's model
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// How hard the agent is to think, in its own words: low, medium, high, …
    #[arg(long, value_name = "EFFORT")]
    pub effort: Option<String>,
    /// Recorded answers for the adapter `replay`
    #[arg(long, value_name = "DIR")]
    pub answers: Option<PathBuf>,
    /// Record every answer, for `--adapter replay --answers DIR`
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Let workers see this variable as well; may be repeated, or A,B
    #[arg(long = "env", value_name = "NAME", value_delimiter = ',', value_parser = variable)]
    pub env_names: Vec<String>,
    /// How many workers may run at once
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", default_value = "16", value_parser = at_least_one)]
    pub max_concurrency: u64,
    /// What is left of the agent's five-hour budget; fewer workers at 33 and below, one at 10
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub remaining_five_hour: Option<u8>,
    /// The same for its weekly budget
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub remaining_weekly: Option<u8>,
    /// Wall-clock limit of one attempt
    #[arg(long, value_name = "S", default_value = "1800", value_parser = at_least_one)]
    pub max_runtime_seconds: u64,
    /// Further attempts after no_response, timeout or invalid_output_schema
    #[arg(long, value_name = "N", default_value = "1")]
    pub retries: u32,
    /// Before a further attempt; doubles each time, with jitter, at most 300
    #[arg(long, value_name = "S", default_value = "0")]
    pub retry_delay: Backoff,
    /// End a worker that prints nothing for so long [default: never]
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_idle_seconds: Option<u64>,
    /// Seconds between TERM and KILL when a worker is ended
    #[arg(long, value_name = "S", default_value = "5")]
    pub grace_seconds: u64,
    /// The agent's program and arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What may be used up; the same for `run`, `spawn` and `resume`.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Budgets (reached: no further row starts, exit code 4, resumable)")]
pub struct BudgetArgs {
    /// US dollars, as the agent or the price table of mesh.yaml says
    ///
    /// Before a row starts, what it may cost is put aside: the mean of those that ended; 0.10, or
    /// all of a smaller budget, for the first.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub max_cost_usd: Option<f64>,
    /// Tokens, in and out
    ///
    /// Before a row starts, what it may use is put aside: the mean of those that ended; 20000, or
    /// all of a smaller budget, for the first.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_tokens: Option<u64>,
    /// Rows that are begun, further attempts not counted
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_rows: Option<u64>,
    /// Wall-clock time of one call; running rows then end by themselves, unless --wall-hard is given
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_wall_seconds: Option<u64>,
    /// At --max-wall-seconds, end running rows as well: they get at most --grace-seconds more
    #[arg(long)]
    pub wall_hard: bool,
    /// How long a limit of the service is waited for; a reset farther away ends the run [default: 3600]
    ///
    /// The message says when to go on. 0: never wait for a used-up quota.
    #[arg(long, value_name = "S")]
    pub rate_limit_wait_max: Option<u64>,
}

impl BudgetArgs {
    /// Without the time.
    pub fn budget(&self) -> Budget {
        Budget {
            max_cost_usd: self.max_cost_usd,
            max_tokens: self.max_tokens,
            max_rows: self.max_rows,
        }
    }
}

/// What each task of a plan may use up; for `run` and `resume`.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Budgets of each task (reached: no further round of it starts)")]
pub struct TaskBudgetArgs {
    /// US dollars; a round starts when all of its rows fit
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub task_max_cost_usd: Option<f64>,
    /// Tokens, in and out
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub task_max_tokens: Option<u64>,
    /// Rows that are begun
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub task_max_rows: Option<u64>,
    /// Wall-clock time in one call
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
