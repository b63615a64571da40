//! The command line as clap parses it. Options that several commands share are groups, embedded in each of them.

mod eval;
mod examples;
mod inspect;
mod learnings;
mod mcp;
mod plan;
mod resume;
mod run;
mod simulate;
mod spawn;
mod stats;
mod values;
mod wave;
mod worker;

pub use eval::EvalArgs;
pub use examples::{Help, help};
pub use inspect::{InspectArgs, TableFormat, WatchArgs};
pub use learnings::LearningsArgs;
pub(crate) use learnings::{AppendArgs, LearningsCommand, RecallArgs};
pub use mcp::McpArgs;
pub use resume::ResumeArgs;
pub use run::{
    InvokeArgs, JobReportFiles, NoticeArgs, ReportFiles, RunExtras, RunOptions, RunOutput,
};
pub use simulate::SimulateArgs;
pub use spawn::SpawnArgs;
pub use stats::StatsArgs;
pub use values::OneRun;
pub use wave::{
    CollectArgs, ExecArgs, ExportArgs, IntegrateRunArgs, LintArgs, NextArgs, RowWorkArgs,
    WaveCommand,
};

use super::st::StArgs;
use super::terminal::{GLOBAL, ShowArgs};
use clap::{Args, Parser, Subcommand, ValueEnum};
use run::RunArgs;
use std::path::PathBuf;
use values::RunHomeArgs;

/// A CSV-driven batch wave executor for coding agents.
///
/// `mesh run` takes ready tasks of a plan through proposal, critique, synthesis and vote, then integrates the accepted
/// patch and validates it. `mesh spawn` runs an agent command for every row of a CSV, with schema-checked results and
/// resume.
#[derive(Debug, Parser)]
#[command(name = "mesh", version)]
pub struct Cli {
    /// Run as if started in this folder
    #[arg(
        short = 'C',
        global = true,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true,
        help_heading = GLOBAL
    )]
    pub folder: PathBuf,
    #[command(flatten)]
    pub show: ShowArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run ready tasks of the plan, integrate and validate the result
    ///
    /// Selects an in_progress task if there is one, else the first ready task, and runs it wave by wave: proposal, critiques,
    /// synthesis, votes. Only mesh applies the accepted patch, within the scope of the task, and keeps it only if the
    /// validation commands of the task pass; otherwise the tree is restored byte for byte.
    Run(RunArgs),
    /// Start a run if a message contains a `$mesh` command
    ///
    /// A message with the token `$mesh` as a command, such as `$mesh ids=st-003 max_tasks=2`, does what `mesh run` does
    /// with these settings. Any other message is skipped: nothing starts, and mesh prints
    /// mesh_execution_skipped_reason=REASON: no_token, pasted_skill, pasted_text, meta_request, no_instruction,
    /// several_invocations or misplaced_argument. Messages in doubt are skipped. A message can set ids, plan_file, max_tasks,
    /// parallel_tasks and integrate, but never the worker.
    Invoke(InvokeArgs),
    /// Run an agent command for every row of a CSV
    ///
    /// Starts one worker process per row. The worker reads its prompt on standard input; {column} in the instruction and in
    /// COMMAND is replaced by a cell. It returns its answer, one JSON object, with `mesh report-result`, in the file named by
    /// MESH_RESULT_FILE, or on standard output.
    Spawn(SpawnArgs),
    /// Compile, check, predict and export waves
    #[command(subcommand)]
    Wave(WaveCommand),
    /// Collect the answers of waves that were run elsewhere
    ///
    /// ANSWERS is an output CSV as written by `mesh spawn`, or a folder with `<row id>.json` for each row: what the worker
    /// printed. Each answer is checked like one from a worker of mesh, and the rows of a wave are judged when all are present.
    /// Without ANSWERS, collects every wave that has its .out.csv and names the waves that have none.
    ///
    /// A file is refused as a whole if it contains a row that the waves do not have, or a row whose run_id, base_sha, prompt or
    /// other cell differs from the wave; a folder, if the label written by `mesh wave export` names another run or wave. The
    /// other files are still collected. Answers that were collected before change nothing; files in a folder that belong to no
    /// row are named.
    ///
    /// Exit codes: 0 if all collected answers are accepted, even while other waves wait; 1 if a row of a collected wave is
    /// missing, or an answer or file is refused; 2 if nothing was collected.
    Collect(CollectArgs),
    /// Apply, validate and record the accepted patches of a run
    ///
    /// For runs with integrate=false, which keep their patches, and for those that are driven one command at a time with `mesh
    /// wave next` and `mesh collect`.
    ///
    /// A kept patch is compared with the plan and the tree as they are now. It is refused, and nothing changes, if it no longer
    /// applies, if the status or the text of its task has changed, or if a dependency is not completed. Several are integrated
    /// in the order of the plan.
    Integrate(IntegrateRunArgs),
    /// Resume a run that was interrupted or ended early
    ///
    /// Options given here replace the settings of the run and hold for later resumes as well. They can't change the prompt of
    /// a row.
    Resume(ResumeArgs),
    /// Stop a run from another terminal
    ///
    /// No further rows start; running rows finish, or are terminated with --now. The run ends with exit code 4 and can be
    /// resumed.
    ///
    /// A run of a plan that waits between two steps, or whose process was killed, ends at once and releases its tasks. They
    /// stay in_progress in the plan, so that the next run selects them first.
    Cancel(CancelArgs),
    /// Take the patches of a run back from the work tree
    ///
    /// Applies the reverse of each patch, the last one first, and makes the tasks pending in the plan, with a comment. All patches are
    /// checked before anything changes: where a later edit touches the same lines, the conflicts are printed, and nothing is
    /// changed. An undo that was killed is completed or rolled back by the same command.
    ///
    /// For a run with delivery=branch or delivery=commit nothing is changed either: prints the git command that takes its commits back.
    Undo(UndoArgs),
    /// Show the rows of a wave, an output or a run as a table
    ///
    /// On a terminal, prints a table that fits its width, and a summary by status, failure code, role and adapter. In a pipe,
    /// prints tab-separated values; with --json, one object per row. A run can be inspected while it is running, after it was
    /// killed, and on another machine: pass its folder.
    Inspect(InspectArgs),
    /// Install or check the skill that teaches agents to use mesh
    Skill(SkillArgs),
    /// Judge a run against the guardrails from its files alone
    ///
    /// Checks ledger, waves and git: order of dependencies, the single writer, the one concurrency number, backpressure, portable
    /// waves, answers against their schemas, consensus and validation of completed tasks, ended workers, and that every file is there.
    /// Uses no code of the run itself. Exit code 1 if a rule is broken. RUN may be the folder of a run, also one from another
    /// machine or one that is going on.
    Audit(OneRun),
    /// Serve the page of a run, live
    ///
    /// Prints an address on this machine with a random port and a secret path. The page is the one that `mesh inspect --html` writes
    /// and follows the run while it is running. The server only reads: stopping it, or closing the browser, changes nothing for the
    /// run.
    Watch(WatchArgs),
    /// List runs, or show the report of one
    Runs(RunsArgs),
    /// Sum up what runs took, and what came of it
    ///
    /// From ledgers alone: tasks done and blocked, what a task took, how often what a role objected to changed the patch, how well
    /// votes predict the validation, what each failure code cost, and for each run how many rows ran at once and why not more. A run that
    /// is damaged is named and left out. With --json, one object.
    Stats(StatsArgs),
    /// Compare protocols and adapters by hidden tests
    ///
    /// Each task is a small repository with a plan, and tests that its validation does not run. For each protocol and adapter, mesh
    /// copies the repository, runs its plan with `mesh run`, and then runs the hidden tests on a copy of the result. Prints how
    /// many passed, rows, cost and makespan of each, and for every two how many tasks only one of them passed. Runs are one after
    /// another. Outcomes are appended to DIR/results.jsonl; after a stop or a kill, the same command continues.
    Eval(EvalArgs),
    /// Read and change the $st plan
    St(StArgs),
    /// Record what was learned, and look it up
    ///
    /// Learnings are JSON Lines in .learnings.jsonl at the root of the repository. The file is append-only; several programs
    /// may append at the same time.
    Learnings(LearningsArgs),
    /// Report the result of a row (for workers)
    ///
    /// Reads the identity of the worker from the environment that mesh set. Prints {"accepted":true}, or
    /// {"accepted":false,"reason":...} with exit code 1. A result is accepted once; one that does not match the schema can be
    /// corrected and reported again.
    ReportResult(ReportResultArgs),
    /// Serve jobs and runs as tools for agents (Model Context Protocol)
    ///
    /// Serves on standard input and output: spawn_agents_on_csv, which runs an agent for every row of a CSV, tools that show, retry and
    /// cancel jobs, tools for the waves of a plan, and the reports of runs as resources. A job is a process of its own: a call
    /// returns after --block-seconds with its state, and the same call attaches to it again, also after the server has ended.
    ///
    /// Which agent works the rows is chosen here or in mesh.yaml, never by a caller. With --worker, serves only the tool
    /// report_agent_job_result, with which an agent reports the result of its row; mesh configures it for codex and claude.
    Mcp(McpArgs),
    /// List adapters with their versions and capabilities
    ///
    /// codex, claude, gemini and opencode are built in and use their own programs and log-ins; mesh.yaml can add others and
    /// change how the built-in ones are called. Also prints the default adapter.
    Adapters,
    /// Check the setup and suggest fixes
    ///
    /// Checks the repository, the plan, the metadata of open tasks, the protocol and its templates, the agent's program, and
    /// whether an interrupted integration is left. Changes nothing. Takes the options of `mesh run`. Exit code 1 if a check
    /// fails.
    Doctor(RunOptions),
    /// Run a demo in a throw-away repository
    ///
    /// Creates a small repository with a plan of six tasks in a temporary folder and runs it from end to end with recorded
    /// answers: parallel tasks, a vote that fails twice, a validation that fails and is rolled back. No key, no network.
    Demo(DemoArgs),
    /// Print the script that completes commands in a shell
    ///
    /// The script asks mesh itself, so ids of runs and tasks, columns of the CSV on the line and adapters are completed too.
    Completions(CompletionsArgs),
    /// Print the manual page of a command
    Man(ManArgs),
}

/// Arguments of `mesh completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

/// A shell with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

impl Shell {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }
}

/// Arguments of `mesh man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// The command, such as `wave next`; by default, mesh itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `mesh cancel`.
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// Terminate the running rows
    #[arg(long)]
    pub now: bool,
    #[command(flatten)]
    pub run: OneRun,
}

/// Arguments of `mesh undo`.
#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Undo only these tasks, separated by commas [default: all that the run completed]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub task: Vec<String>,
    /// Check, and print what would be undone; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `mesh runs`.
#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub command: RunsCommand,
}

/// The commands of `mesh runs`.
#[derive(Clone, Debug, Subcommand)]
pub enum RunsCommand {
    /// List all runs, oldest first; with --json, one object per line for each run
    List(ListRunsArgs),
    /// Show the report of a run
    Show(ShowRunArgs),
    /// Remove old runs that have ended
    ///
    /// Runs that have not ended or wait for answers are kept: they can be resumed. Cancelled runs are removed. Nothing is removed
    /// without this command.
    Gc(GcArgs),
    /// Write a run as one file for elsewhere, without secrets
    ///
    /// FILE is a tar archive, compressed with zstd: what `mesh inspect FILE` and `mesh audit FILE` need, with a manifest of SHA-256
    /// hashes. The values of secret variables in this environment and texts in the form of well-known tokens are removed.
    Export(ExportRunArgs),
}

/// Arguments of `mesh runs list`.
#[derive(Clone, Debug, Args)]
pub struct ListRunsArgs {
    /// Only the runs that a process drives now, from any terminal
    #[arg(long)]
    pub active: bool,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// Arguments of `mesh runs export`.
#[derive(Clone, Debug, Args)]
pub struct ExportRunArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// The archive, such as run.tar.zst
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `mesh runs gc`.
#[derive(Clone, Debug, Args)]
pub struct GcArgs {
    /// Only runs whose last event is older than this, such as 30d, 12h or 2w
    #[arg(long, value_name = "AGE", value_parser = values::age)]
    pub older_than: std::time::Duration,
    /// Keep runs that did not end with exit code 0
    #[arg(long)]
    pub keep_failed: bool,
    /// Print what would be removed; remove nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// Arguments of `mesh runs show`.
#[derive(Clone, Debug, Args)]
pub struct ShowRunArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// List all failed rows, not only the first ones
    #[arg(long)]
    pub failed: bool,
    /// Show one row in full: its prompt, attempts and answer, and the last lines of its log
    ///
    /// ID is the item id, or the id as it is shown. For a spawned CSV also the number of the row, from 1 on, if no row has that
    /// id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["failed", "junit", "markdown", "xlsx"])]
    pub row: Option<String>,
    #[command(flatten)]
    pub files: ReportFiles,
}

/// Arguments of `mesh report-result`.
#[derive(Clone, Debug, Args)]
pub struct ReportResultArgs {
    /// The result object, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "-")]
    pub result: String,
    /// Stop the whole job: no further rows start
    #[arg(long)]
    pub stop: bool,
}

/// Arguments of `mesh demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Folder for the repository [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// Arguments of `mesh skill`.
#[derive(Clone, Debug, Args)]
pub struct SkillArgs {
    /// What to do
    #[command(subcommand)]
    pub command: SkillCommand,
}

/// The commands of `mesh skill`.
#[derive(Clone, Debug, Subcommand)]
pub enum SkillCommand {
    /// Write SKILL.md, and the policy beside it, where agents look for skills
    ///
    /// Prints each file with the lines that change. A copy that somebody edited is not replaced.
    Install {
        #[command(flatten)]
        place: SkillPlace,
        /// Replace a copy that was edited
        #[arg(long)]
        force: bool,
    },
    /// Compare the installed copies with what this mesh would write; exit code 1 if one differs
    Check(SkillPlace),
}

/// Which copies of the skill.
#[derive(Clone, Debug, Default, Args)]
pub struct SkillPlace {
    /// The agent [default: to install, those that are found, else all; to check, all]
    #[arg(long = "for", value_name = "AGENT")]
    pub agent: Option<SkillAgent>,
    /// For the user, in every project
    #[arg(long, conflicts_with = "project")]
    pub user: bool,
    /// For everybody who works in this repository [default to install, in a repository]
    #[arg(long)]
    pub project: bool,
}

/// An agent that reads skills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SkillAgent {
    /// .agents/skills
    Codex,
    /// .claude/skills
    Claude,
    /// .gemini/skills
    Gemini,
    /// .opencode/skills; for the user .config/opencode/skills
    Opencode,
    /// All of them
    All,
}
