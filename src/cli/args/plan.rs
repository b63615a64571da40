//! Options about plan and protocol, shared by `run` and `wave simulate`.

use crate::plan::SwarmOverrides;
use crate::schedule::TaskLimit;
use crate::scope::SHARED_PATHS;
use clap::Args;
use std::path::PathBuf;

/// Which tasks of which plan, and the protocol that they go through.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// Run only these tasks and their dependencies
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    pub ids: Vec<String>,
    /// Maximum number of concurrent tasks, or auto; only tasks with disjoint scopes run together
    ///
    /// With auto, as many as the concurrent workers can serve, less two workers for other agents: max(1, floor((workers - 2)
    /// / rows of a task at once)). If that is less than one task, the protocol's smaller team is used.
    #[arg(long, value_name = "N", default_value = "1")]
    pub parallel_tasks: TaskLimit,
    /// Paths that only one task at a time may touch; may be repeated [default: manifests and lock files at the root]
    #[arg(long, value_name = "GLOB", default_values = SHARED_PATHS, hide_default_value = true)]
    pub shared_paths: Vec<String>,
    /// The plan [default: .codex/st-plan.jsonl or .step/st-plan.jsonl, whichever exists]
    #[arg(long, value_name = "FILE")]
    pub plan_file: Option<PathBuf>,
    /// Which workers look at a task: the name of a protocol, or a protocol file
    ///
    /// Built in are swarm, swarm3, tiered, duo, solo, race, best and repro.
    #[arg(long, value_name = "NAME|FILE", default_value = "swarm")]
    pub protocol: String,
    /// Number of roles that work on a task; overrides the task's own setting
    #[arg(long, value_name = "N")]
    swarm_roles: Option<u32>,
    /// Number of votes that must agree; overrides the task's own setting
    #[arg(long, value_name = "N")]
    consensus_threshold: Option<u32>,
    /// Number of times critique, synthesis and vote are repeated without consensus; overrides the task's own setting
    #[arg(long, value_name = "N")]
    consensus_retries: Option<u32>,
    /// Ask voters only until the outcome is settled: first as many as must agree
    #[arg(long)]
    early_vote: bool,
}

impl PlanArgs {
    /// What overrides the settings of tasks.
    pub fn overrides(&self) -> SwarmOverrides {
        SwarmOverrides {
            roles: self.swarm_roles,
            consensus_threshold: self.consensus_threshold,
            consensus_retries: self.consensus_retries,
            early_vote: self.early_vote.then_some(true),
        }
    }
}
