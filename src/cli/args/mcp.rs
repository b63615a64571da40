//! Arguments of `mesh mcp`.

use super::values::{RunHomeArgs, at_least_one};
use super::worker::AgentProgramArgs;
use crate::job::DEPTH_MAX_DEFAULT;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `mesh mcp`.
#[derive(Clone, Debug, Args)]
pub struct McpArgs {
    /// Serve only the report tool, for the attempt that this process belongs to
    #[arg(long)]
    pub worker: bool,
    /// Folder that the paths of callers are confined to; jobs work in it [default: the working folder]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Serve run_ready_tasks as well, which changes the work tree
    #[arg(long)]
    pub allow_run: bool,
    /// How long a call waits for its job before it returns the state, in seconds; below the limit of the client
    #[arg(long, value_name = "S", default_value = "50")]
    pub block_seconds: u64,
    /// Maximum size of an answer, in characters; the rest is in files that the answer names
    #[arg(long, value_name = "N", default_value = "20000", value_parser = clap::value_parser!(u64).range(1000..))]
    pub result_chars: u64,
    /// How deep jobs may be nested; with 1, workers can't start jobs
    #[arg(long, value_name = "N", default_value_t = DEPTH_MAX_DEFAULT)]
    pub max_depth: u32,
    #[command(flatten)]
    pub agent: AgentProgramArgs,
    /// Maximum number of concurrent workers of one job, whatever its caller asks for [default: 64]
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", value_parser = at_least_one)]
    pub max_concurrency: Option<u64>,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

impl McpArgs {
    /// The options of a job that choose its worker.
    pub fn worker_options(&self) -> Vec<String> {
        let named = [
            ("adapter", &self.agent.adapter),
            ("model", &self.agent.model),
            ("effort", &self.agent.effort),
        ];
        let chosen = named.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("--{name}={value}"))
        });
        let variables = self
            .agent
            .env_names
            .iter()
            .map(|name| format!("--env={name}"));
        chosen.chain(variables).collect()
    }
}
