//! The arguments of `mesh run`, and of what else begins a plan run.

use super::values::{PlaceArgs, at_least_one};
use super::worker::{BudgetArgs, TaskBudgetArgs, WorkerArgs};
use crate::integrate::{Delivery, Isolation};
use crate::patch::PATCH_BYTES_MAX;
use crate::schedule::{Deps, Dispatch};
use crate::scope::SHARED_PATHS;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `mesh run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Any option of this command as key=value
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    #[command(flatten)]
    pub options: RunOptions,
}

/// Arguments of `mesh invoke`.
#[derive(Clone, Debug, Args)]
pub struct InvokeArgs {
    /// What the person wrote, or - for standard input
    #[arg(value_name = "MESSAGE")]
    pub message: String,
    #[command(flatten)]
    pub options: RunOptions,
}

/// How to run tasks of a plan; the same for `run` and `invoke`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Only these tasks and what they depend on
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    pub ids: Vec<String>,
    /// How many tasks to take up
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tasks: u32,
    /// How many tasks in flight at once; only tasks with disjoint scopes run together
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel_tasks: u32,
    /// When a task in flight goes on: `rolling`, as soon as its own rows are done, or `barrier`, in lock step with all others
    /// [default: rolling; barrier where you work the waves yourself]
    #[arg(long, value_name = "HOW")]
    pub dispatch: Option<Dispatch>,
    /// What open dependencies mean: `strict`, wait for them, or `advisory`
    ///
    /// With `advisory`, places that no ready task wants go to tasks whose dependencies are open, as long as their scopes share no
    /// path with any task that they wait for. Only their rows go ahead: a patch is integrated and validated when the
    /// dependencies are completed.
    #[arg(long, value_name = "HOW", default_value = "strict")]
    pub deps: Deps,
    /// Only one task at a time may touch any of these; may be repeated [default: manifests and lock files at the root]
    #[arg(long, value_name = "GLOB", default_values = SHARED_PATHS, hide_default_value = true)]
    pub shared_paths: Vec<String>,
    /// The plan [default: the one that exists of .codex/st-plan.jsonl and .step/st-plan.jsonl]
    #[arg(long, value_name = "F")]
    pub plan_file: Option<PathBuf>,
    /// A built-in protocol (swarm, swarm3, tiered, duo, solo) or a protocol file
    #[arg(long, value_name = "NAME|F", default_value = "swarm")]
    pub protocol: String,
    /// How many roles work on a task; goes before what the task says
    #[arg(long, value_name = "N")]
    pub swarm_roles: Option<u32>,
    /// How many votes must agree; goes before what the task says
    #[arg(long, value_name = "N")]
    pub consensus_threshold: Option<u32>,
    /// How often critique, synthesis and vote are repeated without consensus; goes before what the task says
    #[arg(long, value_name = "N")]
    pub consensus_retries: Option<u32>,
    /// What a validation command that a worker proposes may begin with [default: common test runners]
    ///
    /// For tasks without metadata, which a worker proposes first, and for commands that come with a patch, which are added to
    /// those of the task. Other commands are left out; a task that is left without any is blocked.
    #[arg(long, value_name = "TEXT,TEXT", value_delimiter = ',')]
    pub validation_allow: Vec<String>,
    /// Take over every validation command that a worker proposes
    #[arg(long)]
    pub trust_proposed_validation: bool,
    /// Take only JSON for an answer, no prose with the same headings
    #[arg(long)]
    pub strict: bool,
    /// Let patches change binary files
    #[arg(long)]
    pub allow_binary: bool,
    /// Bound on one patch; of a binary file, also on what it unpacks to
    ///
    /// A whole answer may have 1048576 bytes, whatever stands here.
    #[arg(long, value_name = "BYTES", default_value_t = PATCH_BYTES_MAX, value_parser = at_least_one)]
    pub patch_bytes_max: u64,
    /// Wall-clock limit of one validation command
    #[arg(long, value_name = "S", default_value = "1800", value_parser = at_least_one)]
    pub validation_timeout_seconds: u64,
    /// Show preflight line and first wave, start nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub task_budget: TaskBudgetArgs,
    #[command(flatten)]
    pub integrate: IntegrateArgs,
    #[command(flatten)]
    pub report: ReportFiles,
    #[command(flatten)]
    pub worker: WorkerArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Where else the report goes.
#[derive(Clone, Debug, Default, Args)]
pub struct ReportFiles {
    /// Write the report as JUnit XML as well: a test case for each task and each validation command
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the report as Markdown as well, for the summary page of a CI service
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// What to do with patches.
#[derive(Clone, Debug, Args)]
pub struct IntegrateArgs {
    /// Run the validation commands before the vote as well, and show voters how they ended
    ///
    /// With the patch, and once without it, in a scratch copy of the tree that has what git does not ignore. A failure is
    /// shown; the voters decide.
    #[arg(long)]
    pub prevalidate: bool,
    /// Where a patch is applied and validated: tree, or worktree for a scratch copy first
    ///
    /// With worktree only a patch that has passed touches your tree. The copy has what git does not ignore: no installed
    /// packages, no build results.
    #[arg(long, value_name = "WHERE", default_value = "tree")]
    pub isolation: Isolation,
    /// What becomes of a validated patch: patch leaves it in the tree, commit, or branch
    ///
    /// commit: a commit on the branch that is checked out, of the patch's paths alone. branch: commits on mesh/RUN, made from HEAD
    /// in a tree of its own; your tree stays as it is. Nothing is ever pushed or merged.
    #[arg(long, value_name = "HOW", default_value = "patch")]
    pub delivery: Delivery,
    /// Further branches that get no commits, beside main and master; globs, may be repeated
    #[arg(long, value_name = "NAME")]
    pub protected_branches: Vec<String>,
    /// Commit to a protected branch all the same
    #[arg(long)]
    pub allow_protected: bool,
    /// Commit without the repository's pre-commit and commit-msg hooks
    #[arg(long)]
    pub no_verify: bool,
    /// Add nothing to .learnings.jsonl
    #[arg(long)]
    pub no_learnings: bool,
}
