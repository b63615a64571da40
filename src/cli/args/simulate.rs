//! Arguments of `mesh wave simulate`.

use super::plan::PlanArgs;
use super::values::{RunHomeArgs, at_least_one, not_negative_dollars};
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
    /// Maximum number of concurrent workers
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", default_value = "16", value_parser = at_least_one)]
    pub max_concurrency: u64,
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
    /// Seconds of a row whose duration is unknown
    #[arg(long, value_name = "S", default_value_t = ROW_SECONDS_DEFAULT)]
    pub row_seconds: u64,
    /// Average cost of one row, in US dollars
    #[arg(long, value_name = "USD", value_parser = not_negative_dollars)]
    pub cost_per_row: Option<f64>,
    /// List every wave
    #[arg(long)]
    pub waves: bool,
    #[command(flatten)]
    pub home: RunHomeArgs,
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
