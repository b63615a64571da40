//! The arguments of `mesh wave` and `mesh collect`.

use super::run::RunOptions;
use super::values::OneRun;
use crate::cli::simulate::SimulateArgs;
use crate::wave::Runner;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with waves.
#[derive(Debug, Subcommand)]
pub enum WaveCommand {
    /// Compile what comes next, for somebody else to work
    ///
    /// Begins a run and writes its first wave, or goes on with one: takes up tasks, counts votes and writes the wave CSV
    /// and call file of what its tasks need next. The same as `mesh run` does between two waves. Whoever works the rows
    /// brings the answers back with `mesh collect`; `mesh integrate` applies what was accepted.
    ///
    /// Several tasks go in lock step: a wave has the rows of all tasks that are in the same round, and while a wave waits for
    /// answers nothing further is handed out; waves that wait are shown again. With `dispatch=rolling` each task has waves of
    /// its own and goes on as soon as they are collected. The run holds its tasks until they are done, it ends or is
    /// cancelled: no other run takes them up.
    #[command(
        after_help = "Examples:\n  mesh wave next ids=st-003          begins a run\n  mesh wave next max_tasks=2 parallel_tasks=2    two tasks in one wave\n  mesh wave next --run 20260213T015500Z\n\nKEY=VALUE is any option of this command, with underscores, as for mesh run."
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
    /// per unit, a row for every role of the round, that no two units may touch the same path, and that the call file says
    /// the same and leads to this wave. Exit code 1 when something is wrong.
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
    /// Go on with this run, which has its settings from its beginning; without it a new one begins
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub options: RunOptions,
    /// What stands on the command line, as `max_tasks`
    #[arg(skip)]
    pub typed: Vec<String>,
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
    /// An output CSV, or a folder of answers, of any of the waves [default: the .out.csv beside each wave]
    #[arg(value_name = "ANSWERS")]
    pub answers: Option<PathBuf>,
    /// Only this wave [default: all that wait]
    #[arg(long, value_name = "N")]
    pub wave: Option<u32>,
    /// Judge rows without an answer as no_response instead of waiting for them, also when nothing came back
    #[arg(long)]
    pub give_up: bool,
}

/// Arguments of `mesh wave lint`.
#[derive(Clone, Debug, Args)]
pub struct LintArgs {
    /// The wave CSVs
    #[arg(value_name = "WAVE.csv", required = true)]
    pub waves: Vec<PathBuf>,
    /// The protocol whose roles must be there [default: that of the run the wave is in, else any that is known]
    #[arg(long, value_name = "NAME|FILE")]
    pub protocol: Option<String>,
}
