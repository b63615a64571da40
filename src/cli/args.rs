//! The arguments, as clap reads them, and what every command gets beside its own.

use super::learnings::LearningsArgs;
use super::simulate::SimulateArgs;
use super::st::StArgs;
use super::terminal::{GLOBAL, ShowArgs, Terminal};
use crate::config::Config;
use crate::integrate::{Delivery, Isolation};
use crate::job::{Backoff, Budget, FormulaCells, Halt, Logs, Rows};
use crate::model::RunId;
use crate::patch::PATCH_BYTES_MAX;
use crate::schedule::{Deps, Dispatch};
use crate::scope::SHARED_PATHS;
use crate::wave::Runner;
use clap::{Args, Parser, Subcommand};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

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
    /// Take the answers of a wave back into its run
    ///
    /// ANSWERS is an output CSV as `mesh spawn` writes it, or a folder with `<row id>.json` for each row: what the worker
    /// printed. Every answer is measured like one of mesh's own workers', and the rows are judged when all are there. Exit
    /// code 1 when an answer is missing or refused.
    #[command(
        after_help = "Example:\n  mesh wave next                      writes 001-proposal.csv and says where\n  mesh spawn --call 001-proposal.call.json -- my-agent\n  mesh collect 20260213T015500Z\n  mesh wave next --run 20260213T015500Z"
    )]
    Collect(CollectArgs),
    /// Apply, validate and persist what a run has accepted
    ///
    /// The single writer's step of a run that is driven one command at a time.
    #[command(after_help = "Example:\n  mesh integrate 20260213T015500Z")]
    Integrate(OneRun),
    /// Go on with a run where it stopped
    #[command(after_help = "Example:\n  mesh runs list\n  mesh resume 20260213T015500Z")]
    Resume(ResumeArgs),
    /// Ask a run under way to stop: no further rows start, running ones end
    ///
    /// Works from another terminal. The run ends with exit code 4 and can be resumed.
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
    #[command(name = crate::adapter::replay::WORKER_COMMAND, hide = true)]
    ReplayWorker(ReplayWorkerArgs),
}

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
    /// Wall-clock time of one call
    #[arg(long, value_name = "S", value_parser = at_least_one)]
    pub max_wall_seconds: Option<u64>,
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

/// What to do with waves.
#[derive(Debug, Subcommand)]
pub enum WaveCommand {
    /// Compile what comes next, for somebody else to work
    ///
    /// Begins a run and writes its first wave, or goes on with one: takes up tasks, counts votes and writes the wave CSV
    /// and call file of what its tasks need next. The same as `mesh run` does between two waves. Whoever works the rows
    /// brings the answers back with `mesh collect`; `mesh integrate` applies what was accepted.
    #[command(
        after_help = "Examples:\n  mesh wave next ids=st-003          begins a run\n  mesh wave next --run 20260213T015500Z\n\nKEY=VALUE is any option of this command, with underscores, as for mesh run."
    )]
    Next(Box<NextArgs>),
    /// Write a wave as a folder that another runner can work: GNU parallel, xargs, Slurm, Kubernetes
    ///
    /// The folder has a prompt, the row and the schema for each row, `run-row N`, which works one row with COMMAND, and a
    /// script or manifest for the runner. Answers end up in `results/`, which `mesh collect` reads. A row with a result is not
    /// worked again.
    #[command(
        after_help = "Examples:\n  mesh wave export 001-proposal.csv --to parallel work -- my-agent --json\n  ./work/run && mesh collect 20260213T015500Z work/results\n  mesh wave export 001-proposal.csv --to slurm work -- my-agent    then: sbatch work/job.sbatch"
    )]
    Export(ExportArgs),
    /// Check wave CSVs, and the call files beside them
    ///
    /// The columns and their order, the ids, one round and one concurrency number throughout, a lane in every row with one author
    /// per unit, and that no two units may touch the same path. Exit code 1 when something is wrong.
    #[command(
        after_help = "Example:\n  mesh wave lint ~/.local/state/mesh/runs/20260213T015500Z/waves/001-proposal.csv"
    )]
    Lint(LintArgs),
    /// Predict waves, rows, makespan and cost of a run, before any worker is started
    ///
    /// Plays the plan through with made-up answers: the protocol's own rounds, the same selection, dependencies and scopes as
    /// `mesh run`, and every vote agreed. The two dispatches stand beside what no dispatch could be faster than. Refused answers,
    /// retries and backpressure are left out, so a real run takes longer.
    #[command(
        after_help = "Examples:\n  mesh wave simulate parallel_tasks=4 -j 16\n  mesh wave simulate parallel_tasks=4 --learn --cost-per-row 0.12\n  mesh wave simulate --protocol tiered --durations times.csv --waves\n\ntimes.csv: task,round,role,seconds\n           ,critique,,90        each row of the round\n           ,critique,skeptic,120\n           st-003,,,900         the whole task\n           ,integrate,,30       applying and validating\n\nKEY=VALUE is any option of this command, with underscores, as for mesh run."
    )]
    Simulate(Box<SimulateArgs>),
}

/// Arguments of `mesh wave next`.
#[derive(Clone, Debug, Args)]
pub struct NextArgs {
    /// Any option of this command as key=value
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Go on with this run; without it a new one begins
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub options: RunOptions,
}

/// Arguments of `mesh wave export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The wave CSV; its call file stands beside it
    #[arg(value_name = "WAVE.csv")]
    pub wave: PathBuf,
    /// The folder to write
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    /// Who is to work it: parallel, xargs, slurm or kubernetes
    #[arg(long, value_name = "RUNNER")]
    pub to: Runner,
    /// The agent's program and arguments
    #[arg(last = true, value_name = "COMMAND", required = true)]
    pub command: Vec<String>,
}

/// Arguments of `mesh collect`.
#[derive(Clone, Debug, Args)]
pub struct CollectArgs {
    /// Which run
    #[command(flatten)]
    pub run: OneRun,
    /// An output CSV, or a folder of answers [default: the wave's own .out.csv]
    #[arg(value_name = "ANSWERS")]
    pub answers: Option<PathBuf>,
    /// Which wave [default: the only one that waits]
    #[arg(long, value_name = "N")]
    pub wave: Option<u32>,
    /// Judge rows without an answer as no_response instead of waiting for them
    #[arg(long)]
    pub give_up: bool,
}

/// Arguments of `mesh wave lint`.
#[derive(Clone, Debug, Args)]
pub struct LintArgs {
    /// The wave CSVs
    #[arg(value_name = "WAVE.csv", required = true)]
    pub waves: Vec<PathBuf>,
}

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
    #[arg(long, value_name = "HOW", default_value = "rolling")]
    pub dispatch: Dispatch,
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

/// Arguments of `mesh spawn`.
#[derive(Clone, Debug, Args)]
pub struct SpawnArgs {
    /// The rows: a CSV with a header
    #[arg(value_name = "INPUT.csv", required_unless_present_any = ["resume", "call"], conflicts_with = "call")]
    pub csv_path: Option<PathBuf>,
    /// What to do with a row; {column} stands for a cell, {{ and }} for braces
    #[arg(long, value_name = "TEXT")]
    pub instruction: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "F")]
    pub instruction_file: Option<PathBuf>,
    /// Everything from a wave's call file: input, instruction, id column, output, schema, concurrency, time limit
    #[arg(long, value_name = "F.call.json", conflicts_with_all = ["instruction", "instruction_file", "id_column", "output_schema"])]
    pub call: Option<PathBuf>,
    /// The column that identifies a row [default: row-1, row-2, ...]
    #[arg(long, value_name = "C")]
    pub id_column: Option<String>,
    /// Where to write the rows with their results [default: INPUT.agent-job-XXXXXXXX.csv]
    #[arg(short = 'o', long, value_name = "P")]
    pub output_csv_path: Option<PathBuf>,
    /// Replace an existing output
    #[arg(long)]
    pub force: bool,
    /// JSON Schema that every result must fit
    #[arg(long, value_name = "F")]
    pub output_schema: Option<PathBuf>,
    /// The separator of the input
    #[arg(long, value_name = "C", default_value = ",", value_parser = one_byte)]
    pub delimiter: char,
    /// Rename an input column; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    pub rename: Vec<(String, String)>,
    /// Bound on one result
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = at_least_one)]
    pub result_bytes_max: u64,
    /// Only these rows, counted from 1: 1-10,15,40-
    #[arg(long, value_name = "LIST")]
    pub rows: Option<Rows>,
    /// Only N rows, spread evenly over the input
    #[arg(long, value_name = "N")]
    pub sample: Option<NonZeroU64>,
    /// End early: never, or soon|now,fail|success|done=N or N%
    ///
    /// `soon` lets running rows end, `now` ends them. As in GNU parallel.
    #[arg(long, value_name = "RULE", default_value = "never")]
    pub halt: Halt,
    /// The schema's top-level properties as columns result.NAME
    #[arg(long)]
    pub flatten: bool,
    /// What to do with a result cell that a spreadsheet would execute: keep, quote or reject
    #[arg(long, value_name = "HOW", default_value = "quote")]
    pub formula_cells: FormulaCells,
    /// Keep what attempts print: all, failed or none
    #[arg(long, value_name = "WHICH", default_value = "failed")]
    pub logs: Logs,
    /// Bound on the standard output of one attempt, and on its standard error
    #[arg(long, value_name = "BYTES", default_value = "8388608", value_parser = at_least_one)]
    pub output_bytes_max: u64,
    /// Take over results of this run for rows that ask the same
    ///
    /// The same: instruction, schema, worker command, commit, and all cells of the row.
    #[arg(long, value_name = "RUN")]
    pub reuse: Option<String>,
    /// Go on with this run, or with the last one of INPUT.csv
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub resume: Option<String>,
    /// With --resume: work the failed rows once more as well
    #[arg(long, requires = "resume")]
    pub retry_failed: bool,
    /// Show the first prompt and the number of rows, start nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub worker: WorkerArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
}

impl SpawnArgs {
    /// The input; clap sees to it that it is there unless a run goes on.
    pub fn input(&self) -> &Path {
        self.csv_path.as_deref().unwrap_or(Path::new(""))
    }
}

/// Where runs live.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// The folder that holds runs [default: $MESH_HOME, else the state folder of the user]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// The id of the new run [default: the time, as 20260213T015500Z]
    #[arg(long, value_name = "ID", hide = true)]
    pub run_id: Option<String>,
}

/// Arguments of `mesh resume`.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Of a spawned CSV, work the failed rows once more as well
    #[arg(long)]
    pub retry_failed: bool,
    /// Which run
    #[command(flatten)]
    pub run: OneRun,
    /// Other budgets than the run began with, for this call
    #[command(flatten)]
    pub budget: BudgetArgs,
}

/// One run that is there.
#[derive(Clone, Debug, Args)]
pub struct OneRun {
    /// The run, as `mesh runs list` names it
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub place: PlaceArgs,
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

/// What every command gets beside its own arguments.
pub struct Context {
    /// Where the command works, absolute.
    pub folder: PathBuf,
    /// `mesh.yaml`.
    pub config: Config,
    /// What was given on the command line of `run`, as `key=value`.
    pub overrides: Vec<String>,
    /// Where and how to print.
    pub terminal: Terminal,
}

impl PlaceArgs {
    /// The folder that holds runs.
    pub fn home(&self, context: &Context) -> Result<PathBuf, crate::run::RunError> {
        match &self.artifacts {
            Some(folder) => Ok(context.folder.join(folder)),
            None => crate::run::home(),
        }
    }

    /// The id that a new run is to have.
    pub fn wanted(&self) -> Option<RunId> {
        self.run_id.clone().map(RunId::new)
    }
}

pub fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

fn dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if dollars.is_finite() && dollars > 0.0 => Ok(dollars),
        _ => Err("must be a number of dollars above 0".to_owned()),
    }
}

fn one_byte(text: &str) -> Result<char, String> {
    let text = if text == "\\t" { "\t" } else { text };
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(char::from(*byte)),
        _ => Err("must be one ASCII character (\\t for a tab)".to_owned()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must be the name of a variable".to_owned()),
        text if text.contains('=') => {
            Err("must be a name alone; the value comes from the environment".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("must be OLD=NEW".to_owned()),
    }
}
