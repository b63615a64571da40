//! Arguments of `mesh run` and of the other commands that start a run of a plan.

use super::plan::PlanArgs;
use super::values::{RunHomeArgs, at_least_one, up_to_256};
use super::worker::{BudgetArgs, TaskBudgetArgs, WorkerArgs};
use crate::integrate::{Delivery, Isolation};
use crate::model::{Role, RoleBinding};
use crate::patch::PATCH_BYTES_MAX;
use crate::schedule::{Deps, Dispatch, TaskLimit};
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments of `mesh run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Any option of this command as key=value
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    #[command(flatten)]
    pub extras: RunExtras,
    #[command(flatten)]
    pub options: RunOptions,
}

/// What a run does beside its work.
#[derive(Clone, Debug, Default, Args)]
pub struct RunExtras {
    /// Serve the live page of the run; on a terminal, open it in a browser
    ///
    /// The page is that of `mesh watch`, on an address of this machine with a secret path, which is printed. Closing the browser
    /// changes nothing for the run; the page ends with it.
    #[arg(long)]
    pub watch: bool,
    /// Judge the run from its files when it has ended, as `mesh audit` does; exit code 1 if a rule is broken
    #[arg(long)]
    pub audit: bool,
    /// Do not end when nothing is ready: wait for the plan, and for the limits of the agent's service
    ///
    /// A line sums up the run every hour. SIGHUP reads mesh.yaml again: its budgets, time limits and number of workers hold for
    /// rows that start then. `mesh cancel RUN` ends it.
    #[arg(long)]
    pub follow: bool,
    /// Work tasks of the plan beside other runs with --join, on this machine or on others that share its files
    ///
    /// Each task is leased to one run. The scopes of all tasks in flight are disjoint, in all runs together, and one run at a
    /// time integrates. If a run ends or hangs, another one takes its tasks over when their leases have expired, after 60 s at
    /// most; what the former run still answers for them is refused. When nothing is ready, the run waits for the others.
    #[arg(long)]
    pub join: bool,
    #[command(flatten)]
    pub notices: NoticeArgs,
    #[command(flatten)]
    pub headless: HeadlessArgs,
    /// What to print on standard output: report, or patch, the patch of the only task as one fenced diff
    ///
    /// With patch, standard output has the lines from ```diff to ```, or one line `NO_DIFF: reason`, and nothing else. Only for
    /// one task.
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "report",
        hide_possible_values = true,
        conflicts_with_all = ["dry_run", "follow"]
    )]
    pub output: RunOutput,
}

/// How somebody who is away is told about the run.
#[derive(Clone, Debug, Default, Args)]
pub struct NoticeArgs {
    /// Run this with the shell when the run ends, a task is blocked, or a wait is long
    ///
    /// Its standard input is one JSON object: notice (ended, blocked or waiting), text, run_id, kind, folder, and with ended
    /// status, exit_code and summary, the object that --json prints. It has 30 s, works in the folder of the run, and changes
    /// nothing for it: that it failed is a warning. A wait is long from a minute on.
    #[arg(long, value_name = "COMMAND")]
    pub notify: Option<String>,
    /// Ring the bell of the terminal on the same occasions
    #[arg(long)]
    pub bell: bool,
}

/// Whether somebody watches.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct HeadlessArgs {
    /// Run without a person [default: on when CI is set and standard input is no terminal]
    ///
    /// What would keep every task from running ends the command with exit code 3 and a line on standard output,
    /// mesh_headless_stop_reason=plan_missing, ambiguous_plan_file, adapter_missing_capability, no_adapter or lock_held. A task
    /// that can't be run is left out, also one that is in progress, and the others run. Where no worker was started, a line
    /// says delegation_did_not_run=true.
    #[arg(long)]
    pub headless: bool,
}

impl HeadlessArgs {
    /// Whether nobody can answer.
    pub fn is_headless(self) -> bool {
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        self.headless || is_ci && !std::io::stdin().is_terminal()
    }
}

/// What a run prints on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RunOutput {
    /// The report.
    #[default]
    Report,
    /// The patch of its task.
    Patch,
}

/// Arguments of `mesh invoke`.
#[derive(Clone, Debug, Args)]
pub struct InvokeArgs {
    /// The message, or - to read it from standard input
    #[arg(value_name = "MESSAGE")]
    pub message: String,
    #[command(flatten)]
    pub notices: NoticeArgs,
    #[command(flatten)]
    pub headless: HeadlessArgs,
    #[command(flatten)]
    pub options: RunOptions,
}

fn role_binding(text: &str) -> Result<(Role, RoleBinding), String> {
    RoleBinding::parse(text)
}

/// How to run tasks of a plan; shared by `run`, `invoke`, `wave next` and `doctor`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Maximum number of tasks to run, or auto: until none is ready, at most 45 minutes [default: 1; auto with --follow]
    ///
    /// Tasks that become ready meanwhile are run as well. Another --max-wall-seconds replaces the 45 minutes.
    #[arg(long, value_name = "N")]
    pub max_tasks: Option<TaskLimit>,
    /// When a task goes to its next wave: `rolling`, as soon as its own rows are done, or `barrier`, in lock step with all
    /// other tasks [default: rolling; barrier with the adapter external]
    #[arg(long, value_name = "HOW")]
    pub dispatch: Option<Dispatch>,
    /// How to treat open dependencies: `strict`, wait for them, or `advisory`
    ///
    /// With `advisory`, slots that no ready task needs go to tasks whose dependencies are open, provided that their scopes
    /// share no path with a task that they wait for. Only their rows run early: a patch is integrated and validated when the
    /// dependencies are completed.
    #[arg(long, value_name = "HOW", default_value = "strict")]
    pub deps: Deps,
    /// Prefixes that a validation command proposed by a worker may have [default: common test runners]
    ///
    /// Applies to tasks without metadata, for which a worker proposes it, and to commands that come with a patch, which are
    /// added to those of the task. Other commands are dropped; a task that is left without any is blocked.
    #[arg(long, value_name = "TEXT,TEXT", value_delimiter = ',')]
    pub validation_allow: Vec<String>,
    /// Accept every validation command that a worker proposes
    #[arg(long)]
    pub trust_proposed_validation: bool,
    /// Accept only JSON answers, not prose with the same headings
    #[arg(long)]
    pub strict: bool,
    /// Print the preflight line and the first wave, and start nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// Adapter, model and effort of the rows of a role; may be repeated, or A=codex,B=claude
    ///
    /// What is left out is that of the run: `skeptic=:opus` is another model only. Takes precedence over `roles` of mesh.yaml,
    /// and that over the protocol file. `author` binds all candidates of a round, `author_2` one of them.
    #[arg(long = "role", value_name = "ROLE=ADAPTER[:MODEL[:EFFORT]]", value_delimiter = ',', value_parser = role_binding, help_heading = "Workers")]
    pub role: Vec<(Role, RoleBinding)>,
    #[command(flatten)]
    pub integrate: IntegrateArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub task_budget: TaskBudgetArgs,
    #[command(flatten)]
    pub report: ReportFiles,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// Further files to write the report of a plan to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reports")]
pub struct ReportFiles {
    #[command(flatten)]
    pub files: JobReportFiles,
    /// Replace an existing file of --xlsx
    #[arg(long)]
    pub force: bool,
}

/// Further files to write the report of any run to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reports")]
pub struct JobReportFiles {
    /// Also write the report as JUnit XML, with a test case for each row, or for each task and each validation command
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Also write the report as Markdown, for the summary page of a CI service
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Also write a workbook for a spreadsheet: summary, results, failures and cost; of a plan also tasks, votes and waves
    #[arg(long, value_name = "FILE")]
    pub xlsx: Option<PathBuf>,
}

/// How patches are checked, applied and delivered.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Integration")]
pub struct IntegrateArgs {
    /// Whether to integrate accepted patches; with false they are kept in the folder of the run, and your tree and the plan
    /// stay as they are
    ///
    /// Each task goes up to its vote, and its patch is validated in a scratch copy of the tree. units/ID/ in the folder of the
    /// run has the patch, the decision log, the votes and the results of the commands; results.csv has one row a task. mesh
    /// integrate takes the patches that you choose.
    #[arg(long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set, hide_possible_values = true)]
    pub integrate: bool,
    /// With integrate=false, add a comment with the result to each task in the plan
    #[arg(long)]
    pub comment: bool,
    /// Run the validation commands before the vote as well, and show the voters the results
    ///
    /// They run with the patch and once without it, in a scratch copy of the tree that contains everything that git does not
    /// ignore. A failure is shown; the voters decide. Rows of other tasks are started and judged meanwhile.
    #[arg(long)]
    pub prevalidate: bool,
    /// Where to apply and validate a patch: tree, or worktree for a scratch copy first
    ///
    /// With worktree, only a patch that passed validation touches your tree. The copy contains everything that git does not
    /// ignore: no installed packages, no build results.
    #[arg(long, value_name = "WHERE", default_value = "tree")]
    pub isolation: Isolation,
    /// Maximum number of patches validated at once, each in a scratch copy of its own; with isolation=worktree or prevalidate
    ///
    /// Patches are applied in the order in which they were accepted. A patch is validated again if paths that its task may
    /// touch have changed since.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to_256)]
    pub validation_parallel: u64,
    /// Validate a patch again if anything in the tree has changed since, also outside its scope; with isolation=worktree
    #[arg(long)]
    pub strict_validation: bool,
    /// What to do with a validated patch: patch leaves it in the tree, commit, or branch
    ///
    /// commit: a commit on the current branch, with only the paths of the patch. branch: commits on mesh/RUN, made from HEAD in
    /// a separate tree; your tree stays as it is. Nothing is ever pushed or merged.
    #[arg(long, value_name = "HOW", default_value = "patch")]
    pub delivery: Delivery,
    /// Further branches that must not receive commits, besides main and master; globs, may be repeated
    #[arg(long, value_name = "NAME")]
    pub protected_branches: Vec<String>,
    /// Commit even to a protected branch
    #[arg(long)]
    pub allow_protected: bool,
    /// Commit without the pre-commit and commit-msg hooks of the repository
    #[arg(long)]
    pub no_verify: bool,
    /// Append nothing to .learnings.jsonl
    #[arg(long)]
    pub no_learnings: bool,
    /// Allow patches to change binary files
    #[arg(long)]
    pub allow_binary: bool,
    /// Maximum size of a patch; for a binary file, also of its unpacked content
    ///
    /// An answer as a whole is limited to 1048576 bytes, whatever this value.
    #[arg(long, value_name = "BYTES", default_value_t = PATCH_BYTES_MAX, value_parser = at_least_one)]
    pub patch_bytes_max: u64,
    /// Time limit of one validation command, in seconds
    #[arg(long, value_name = "S", default_value = "1800", value_parser = at_least_one)]
    pub validation_timeout_seconds: u64,
}
