//! The options of `mesh eval`.

use super::values::at_least_one;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `mesh eval`.
#[derive(Clone, Debug, Args)]
pub struct EvalArgs {
    /// The folder of tasks: each has eval.yaml, repo/ and hidden/, and answers/ for the adapter replay
    #[arg(value_name = "TASKS")]
    pub tasks: PathBuf,
    /// Protocols: names, or protocol files
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', required = true)]
    pub protocols: Vec<String>,
    /// Adapters; each works every protocol [default: the default adapter]
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        conflicts_with = "command"
    )]
    pub adapters: Vec<String>,
    /// Only these tasks
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Folder of the results and of all runs; the same command continues in it
    #[arg(long, value_name = "DIR", default_value = "mesh-eval")]
    pub dir: PathBuf,
    /// Rows of a run at once; runs are one after another
    #[arg(short = 'j', long, value_name = "N", default_value = "16", value_parser = at_least_one)]
    pub max_concurrency: u64,
    /// Time limit of a hidden test, in seconds
    #[arg(long, value_name = "S", default_value = "600", value_parser = at_least_one)]
    pub hidden_timeout_seconds: u64,
    /// A setting of mesh run, for all runs; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The worker's command, instead of adapters
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
