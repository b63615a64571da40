//! Arguments of `mesh wave simulate`.

use super::plan::PlanArgs;
use super::values::{
    RunHomeArgs, at_least_one, failure_rate, not_negative_dollars, row_seconds, row_spread,
    simulated_nodes, simulated_rows, start_rate,
};
use crate::schedule::{Dispatch, TaskLimit};
use crate::simulate::ROW_SECONDS_DEFAULT;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `mesh wave simulate`.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// Any option of this command as key=value
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Maximum number of tasks to run, or auto: all
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    pub max_tasks: TaskLimit,
    /// Maximum number of concurrent workers [default: 16; on a cluster, as many as its nodes run]
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", value_parser = at_least_one)]
    pub max_concurrency: Option<u64>,
    /// Which dispatch to predict: both, rolling or barrier
    #[arg(
        long,
        value_name = "HOW",
        default_value = "both",
        hide_possible_values = true
    )]
    pub dispatch: PredictedDispatch,
    /// Number of votes of each task that reach no consensus; at most its consensus retries
    #[arg(long, value_name = "N", default_value = "0")]
    pub lost_votes: u32,
    /// Durations: a CSV with the column seconds, and task, round or role; overrides all other sources
    ///
    /// A row with a round (and perhaps a role or a task) gives the seconds of each row of that round; the round `integrate`
    /// means applying and validating. A row with only a task gives the seconds of that whole task when nothing delays it.
    #[arg(long, value_name = "FILE.csv")]
    pub durations: Option<PathBuf>,
    /// Learn from this run how long each round and role takes (medians); may be repeated
    #[arg(long, value_name = "RUN")]
    pub from_run: Vec<String>,
    /// Learn from all runs in the folder of runs
    #[arg(long)]
    pub learn: bool,
    /// Seconds of a row whose duration is unknown; on a cluster, the mean of all rows
    #[arg(long, value_name = "S", default_value_t = ROW_SECONDS_DEFAULT, value_parser = row_seconds)]
    pub row_seconds: u64,
    /// Average cost of one row, in US dollars
    #[arg(long, value_name = "USD", value_parser = not_negative_dollars)]
    pub cost_per_row: Option<f64>,
    /// List every wave
    #[arg(long)]
    pub waves: bool,
    #[command(flatten)]
    pub home: RunHomeArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// A job on a cluster, instead of a plan.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Simulated cluster")]
pub struct ClusterArgs {
    /// slurm: simulate a job on a Slurm cluster instead of the plan
    ///
    /// The job of --rows is divided into slices, submitted, followed and repaired by the rules of `--executor slurm`, under a
    /// virtual clock. A node runs one task at a time; a failed one is noticed after 5 minutes and back after 10, and its task
    /// is not requeued by Slurm. Shows the makespan with a lower bound, and what the failures cost.
    #[arg(id = "simulated_executor", long = "executor", value_name = "WHERE", requires_all = ["simulated_rows", "nodes"],
          conflicts_with_all = ["ids", "durations", "from_run", "learn", "waves"])]
    pub executor: Option<SimulatedExecutor>,
    /// Rows of the job
    #[arg(id = "simulated_rows", long = "rows", value_name = "N", requires = "simulated_executor", value_parser = simulated_rows)]
    pub rows: Option<u64>,
    /// Nodes of the cluster
    #[arg(long, value_name = "N", value_parser = simulated_nodes)]
    pub nodes: Option<u64>,
    /// Tasks that the controller starts each second
    #[arg(long, value_name = "R", default_value = "10", allow_negative_numbers = true, value_parser = start_rate)]
    pub submit_rate: f64,
    /// Failures of each node in an hour
    #[arg(long, value_name = "F", default_value = "0", allow_negative_numbers = true, value_parser = failure_rate)]
    pub node_failure_rate: f64,
    /// Spread of the durations: sigma of their logarithm; 0.5 is usual, with 0 all rows take the same time
    #[arg(long, value_name = "SIGMA", default_value = "0", allow_negative_numbers = true, value_parser = row_spread)]
    pub row_spread: f64,
    /// Maximum number of tasks of an array [default: 1000]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub slurm_array_max: Option<u64>,
    /// Rows of a task [default: as many as make at most --slurm-array-max tasks]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub rows_per_task: Option<u64>,
    /// Rows of a task that run at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub rows_at_once: u64,
    /// Number of the random durations and failures; the same number gives the same outcome
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
}

/// The cluster that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SimulatedExecutor {
    /// Slurm.
    Slurm,
}

/// Which dispatches are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PredictedDispatch {
    /// Side by side.
    Both,
    /// Rolling alone.
    Rolling,
    /// Lock step alone.
    Barrier,
}

impl PredictedDispatch {
    /// In the order in which they are shown.
    pub fn dispatches(self) -> &'static [Dispatch] {
        match self {
            PredictedDispatch::Both => &Dispatch::ALL,
            PredictedDispatch::Rolling => &[Dispatch::Rolling],
            PredictedDispatch::Barrier => &[Dispatch::Barrier],
        }
    }
}
