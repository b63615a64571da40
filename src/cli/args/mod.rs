//! The arguments, as clap reads them, and what every command gets beside its own.

mod learnings;
mod resume;
mod run;
mod spawn;
mod values;
mod wave;
mod worker;

pub use learnings::LearningsArgs;
pub(crate) use learnings::{AppendArgs, LearningsCommand, RecallArgs};
pub use resume::ResumeArgs;
pub use run::{IntegrateArgs, InvokeArgs, ReportFiles, RunOptions};
pub use spawn::SpawnArgs;
pub use values::{OneRun, PlaceArgs, at_least_one};
pub use wave::{CollectArgs, ExportArgs, LintArgs, NextArgs, WaveCommand};
pub use worker::{BudgetArgs, WorkerArgs};

use super::st::StArgs;
use super::terminal::{GLOBAL, ShowArgs};
use clap::{Args, Parser, Subcommand};
use run::RunArgs;
use std::path::PathBuf;

/// A CSV-driven batch wave executor for coding agents.
///
/// `mesh run` takes ready tasks of a plan through propose, critique, synthesize and vote, integrates the accepted
/// patch and validates it. `mesh spawn` runs one agent command over every row of a CSV, checked and resumable.
#[derive(Debug, Parser)]
#[command(
    name = "mesh",
    version,
    after_help = "\
Start here:
  mesh demo        a whole run on a throw-away repository; no key, no network
  mesh spawn rows.csv --instruction 'Summarize {path}' -- my-agent
  mesh run max_tasks=2 -- my-agent

Options of run and spawn are also read from MESH_<OPTION> and from mesh.yaml.

Exit codes: 0 done, 1 a row failed or a task was blocked, 2 bad input,
3 preflight refused, 4 ended early and resumable, 70 a defect, 128+n signal n."
)]
pub struct Cli {
    /// Work as if started in this folder
    #[arg(
        short = 'C',
        global = true,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true,
        help_heading = GLOBAL
    )]
    pub folder: PathBuf,
    /// How to print
    #[command(flatten)]
    pub show: ShowArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take ready tasks of the plan through the protocol, integrate and validate
    ///
    /// Selects an in_progress task first, else the first ready one, and drives it wave by wave: proposal, critiques,
    /// synthesis, votes. An accepted patch is applied by mesh alone, inside the task's scope, and kept only when the
    /// task's validation commands pass; otherwise the tree is as before, byte for byte.
    #[command(
        after_help = "Examples:\n  mesh run -- my-agent --json       the next ready task\n  mesh run ids=st-003 max_tasks=3 -- my-agent\n  mesh run --dry-run -- my-agent    preflight and first wave; starts nothing\n\nKEY=VALUE is any option of this command, with underscores: max_tasks=2 is --max-tasks 2."
    )]
    Run(RunArgs),
    /// Start a run when a person's message says so: the `$mesh` token gate
    ///
    /// A message with the token `$mesh` as a command, such as `$mesh ids=st-003 max_tasks=2`, does what `mesh run` does
    /// with these settings. Any other message starts nothing and prints mesh_execution_skipped_reason=REASON: no_token,
    /// pasted_skill, pasted_text, meta_request, no_instruction, several_invocations or misplaced_argument. When in
    /// doubt it is skipped. A message can set ids, plan_file, max_tasks and parallel_tasks, and never the worker.
    #[command(
        after_help = "Examples:\n  mesh invoke '$mesh max_tasks=2' -- my-agent\n  printf '%s' \"$message\" | mesh invoke - --dry-run -- my-agent\n\nSingle quotes keep the shell from replacing $mesh. A message that somebody else wrote is best\ngiven on standard input, where it can't be mistaken for an option.\n\nExit codes: those of mesh run; 0 when skipped, 2 when an argument in the message is wrong."
    )]
    Invoke(InvokeArgs),
    /// Run one agent command over every row of a CSV, schema-checked and resumable
    ///
    /// One worker process per row. It reads its prompt on standard input; {column} in the instruction and in COMMAND
    /// stands for a cell. Its answer, one JSON object, comes back by `mesh report-result`, in the file named by
    /// MESH_RESULT_FILE, or on standard output.
    #[command(
        after_help = "Example:\n  mesh spawn files.csv --id-column path --instruction 'Review {path}' \\\n    --output-schema review.json -j 8 -- my-agent --json\n\nThe output CSV has the input's columns and then: job_id, item_id, row_index, source_id,\nstatus, attempt_count, last_error, result_json, reported_at, completed_at."
    )]
    Spawn(SpawnArgs),
    /// Hand out the next wave of a run, check wave CSVs, predict a run, write a wave for another runner
    #[command(subcommand)]
    Wave(WaveCommand),
    /// Take the answers of waves back into their run
    ///
    /// ANSWERS is an output CSV as `mesh spawn` writes it, or a folder with `<row id>.json` for each row: what the worker
    /// printed. Every answer is measured like one of mesh's own workers', and the rows of a wave are judged when all are
    /// there. Without ANSWERS every wave whose .out.csv is there is taken, and those that are missing are named.
    ///
    /// A file is refused as a whole when it has a row that the waves do not have, or one with another run_id, base_sha, prompt
    /// or other cell than the wave that was sent out; a folder when the label that `mesh wave export` put there is of another
    /// run or wave. The other files are taken all the same. Answers that were taken before change nothing; files of a folder
    /// that no row has are named.
    ///
    /// Exit codes: 0 when all that came is accepted, also while other waves wait; 1 when a row of a wave that came is missing,
    /// or an answer or a file is refused; 2 when nothing was taken.
    #[command(
        after_help = "Example:\n  mesh wave next                      writes 001-proposal.csv and says where\n  mesh spawn --call 001-proposal.call.json -- my-agent\n  mesh collect 20260213T015500Z\n  mesh wave next --run 20260213T015500Z\n\n  mesh collect 20260213T015500Z work/results\n  mesh collect 20260213T015500Z --wave 1 --give-up"
    )]
    Collect(CollectArgs),
    /// Apply, validate and persist what a run has accepted
    ///
    /// The single writer's step of a run that is driven one command at a time.
    #[command(after_help = "Example:\n  mesh integrate 20260213T015500Z")]
    Integrate(OneRun),
    /// Go on with a run where it stopped
    ///
    /// What is given here holds from now on, for later calls as well. It can't change what a row is asked.
    #[command(
        after_help = "Examples:\n  mesh runs list\n  mesh resume 20260213T015500Z\n  mesh resume 20260213T015500Z --retry-failed -j 4"
    )]
    Resume(ResumeArgs),
    /// Ask a run under way to stop: no further rows start, running ones end
    ///
    /// Works from another terminal. The run ends with exit code 4 and can be resumed.
    ///
    /// A run of a plan that waits between two steps, or whose process was killed, ends at once, and no longer holds its tasks.
    /// They stay in_progress in the plan, so that the next run takes them up first.
    #[command(
        after_help = "Example:\n  mesh cancel 20260213T015500Z\n  mesh cancel --now 20260213T015500Z"
    )]
    Cancel(CancelArgs),
    /// List runs, or show the report of one
    Runs(RunsArgs),
    /// Read and change the $st plan: a list of tasks with statuses and dependencies
    ///
    /// Every change happens under a lock, is checked as a whole and replaces the file in one step.
    St(StArgs),
    /// Capture what was learned, and find it again
    ///
    /// One JSON object a line in .learnings.jsonl at the repository's root. The file only grows; several programs may
    /// append at once.
    #[command(
        after_help = "Example:\n  mesh learnings append --status do_more --learning 'Run the focused test first'\n  mesh learnings recall --query 'slow tests'"
    )]
    Learnings(LearningsArgs),
    /// Hand back one result, exactly once (for workers)
    ///
    /// Reads its identity from the environment that mesh gave to the worker. Prints {"accepted":true}, or
    /// {"accepted":false,"reason":...} and exits with 1; a result that breaks the schema may be mended and reported again.
    #[command(
        after_help = "Example:\n  mesh report-result --result '{\"answer\": 42}'\n  my-tool | mesh report-result --result -"
    )]
    ReportResult(ReportResultArgs),
    /// Serve tools to an agent over standard input and output (Model Context Protocol)
    ///
    /// With --worker: the tool report_agent_job_result, by which an agent that works a row hands back its result. mesh gives it to
    /// codex and claude by itself; any other agent that takes such servers can be given it the same way. It knows the
    /// attempt by the variables that mesh set for the agent, which have to be passed on.
    #[command(
        after_help = "Example, in the configuration of an agent:\n  {\"command\": \"mesh\", \"args\": [\"mcp\", \"--worker\"]}"
    )]
    Mcp(McpArgs),
    /// List what can work rows here, with its version and what it can do
    ///
    /// Built in are codex, claude, gemini and opencode, by their own programs and log-ins; mesh.yaml adds others and says
    /// how these are called. Also the first one that a run takes when nobody says.
    #[command(
        after_help = "Example:\n  mesh adapters\n  mesh spawn rows.csv --instruction 'Review {path}' --adapter claude --model opus"
    )]
    Adapters,
    /// Say what is wrong here and how to mend it, before a run does
    ///
    /// Looks at repository, plan, metadata of open tasks, protocol and its templates, the agent's program, and an integration
    /// that a kill interrupted. Changes nothing. Takes the options of `mesh run`. Exit code 1 when something is wrong.
    #[command(
        after_help = "Example:\n  mesh doctor -- my-agent --json\n  mesh doctor --protocol my-protocol.yaml --plan-file .step/st-plan.jsonl"
    )]
    Doctor(RunOptions),
    /// A whole run on a throw-away repository, with recorded answers
    ///
    /// Makes a small repository with a plan of six tasks in a temporary folder and runs it end to end with the built-in
    /// replay worker: parallel tasks, a vote that fails twice, a validation that fails and is rolled back. No key, no
    /// network.
    Demo(DemoArgs),
    /// Print one recorded answer (the replay adapter's worker)
    #[command(name = crate::adapter::WORKER_COMMAND, hide = true)]
    ReplayWorker(ReplayWorkerArgs),
}

/// Arguments of `mesh cancel`.
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// End the running rows as well
    #[arg(long)]
    pub now: bool,
    /// Which run
    #[command(flatten)]
    pub run: OneRun,
}

/// Arguments of `mesh runs`.
#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: RunsCommand,
}

/// The commands of `mesh runs`.
#[derive(Clone, Debug, Subcommand)]
pub enum RunsCommand {
    /// All runs, oldest first
    List(PlaceArgs),
    /// The report of one run
    #[command(
        after_help = "Example:\n  mesh runs show 20260213T015500Z --junit mesh.xml --markdown \"$GITHUB_STEP_SUMMARY\""
    )]
    Show(ShowRunArgs),
}

/// Arguments of `mesh runs show`.
#[derive(Clone, Debug, Args)]
pub struct ShowRunArgs {
    /// Which run
    #[command(flatten)]
    pub run: OneRun,
    /// Name every row that failed, not only the first ones
    #[arg(long)]
    pub failed: bool,
    /// Show one row in full: its prompt, each attempt, its answer, and the end of what it printed
    #[arg(long, value_name = "ID", conflicts_with_all = ["failed", "junit", "markdown"])]
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
    /// End the whole job: no further rows start
    #[arg(long)]
    pub stop: bool,
}

/// Arguments of `mesh mcp`.
#[derive(Clone, Debug, Args)]
pub struct McpArgs {
    /// The worker's side: hand back the result of the one attempt that this process belongs to
    #[arg(long, required = true)]
    pub worker: bool,
}

/// Arguments of `mesh demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Where to make the repository [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Arguments of the replay worker.
#[derive(Clone, Debug, Args)]
pub struct ReplayWorkerArgs {
    /// The folder of recorded answers
    pub answers: PathBuf,
}
