//! Arguments of `mesh wave` and `mesh collect`.

use super::run::RunOptions;
use super::simulate::SimulateArgs;
use super::values::OneRun;
use crate::wave::Runner;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands of `mesh wave`.
#[derive(Debug, Subcommand)]
pub enum WaveCommand {
    /// Compile the next waves of a run, to be run elsewhere
    ///
    /// Starts a run and writes its first wave, or continues one: selects tasks, counts votes and writes the wave CSV and call
    /// file that its tasks need next, as `mesh run` does between two waves. Import the answers with `mesh collect`, and apply
    /// accepted patches with `mesh integrate`.
    ///
    /// By default, tasks run in lock step: a wave contains the rows of all tasks in the same round, and no further wave is
    /// compiled while one waits for answers; waiting waves are listed again. With `dispatch=rolling`, each task has its own
    /// waves and continues as soon as they are collected. The run holds its tasks until they are done, or until it ends or is
    /// cancelled: no other run selects them.
    Next(Box<NextArgs>),
    /// Export a wave for GNU parallel, xargs, Slurm or Kubernetes
    ///
    /// The folder contains the prompt, the row and the schema of each row, `run-row N`, which runs one row with COMMAND, and a
    /// script or manifest for the runner. Answers are written to `results/`, which `mesh collect` reads. A row that has a
    /// result is not run again.
    Export(ExportArgs),
    /// Check wave CSVs and their call files
    ///
    /// Checks the columns and their order, the ids, that all rows have one round and one concurrency, the lane of every row with
    /// one author per unit, a row for every role of the round and for no other, that no two units may touch the same path, and that the call
    /// file agrees and points to this wave. Exit code 1 if a check fails.
    Lint(LintArgs),
    /// Predict waves, rows, makespan and cost of a run
    ///
    /// Simulates the plan with made-up answers: the rounds of the protocol, the same selection, dependencies and scopes as
    /// `mesh run`, and every vote agreed. Shows both dispatches and a lower bound that no dispatch can beat. Refused answers,
    /// retries and backpressure are left out, so a real run takes longer.
    Simulate(Box<SimulateArgs>),
}

/// Arguments of `mesh wave next`.
#[derive(Clone, Debug, Args)]
pub struct NextArgs {
    /// Any option of this command as key=value
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Continue this run, with the settings it was started with [default: start a new run]
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub options: RunOptions,
    /// The options on the command line, as `max_tasks`
    #[arg(skip)]
    pub typed: Vec<String>,
}

/// Arguments of `mesh wave export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The wave CSV; its call file must be in the same folder
    #[arg(value_name = "WAVE.csv")]
    pub wave: PathBuf,
    /// Folder to create
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    /// Runner: parallel, xargs, slurm or kubernetes
    #[arg(long, value_name = "RUNNER")]
    pub to: Runner,
    /// The agent's program and arguments
    #[arg(last = true, value_name = "COMMAND", required = true)]
    pub command: Vec<String>,
}

/// Arguments of `mesh collect`.
#[derive(Clone, Debug, Args)]
pub struct CollectArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Output CSV or folder of answers, of one or several waves [default: the .out.csv next to each wave]
    #[arg(value_name = "ANSWERS")]
    pub answers: Option<PathBuf>,
    /// Collect only this wave [default: all waiting waves]
    #[arg(long, value_name = "N")]
    pub wave: Option<u32>,
    /// Judge rows without an answer as no_response instead of waiting for them, even if there are no answers at all
    #[arg(long)]
    pub give_up: bool,
}

/// Arguments of `mesh wave lint`.
#[derive(Clone, Debug, Args)]
pub struct LintArgs {
    /// The wave CSVs
    #[arg(value_name = "WAVE.csv", required = true)]
    pub waves: Vec<PathBuf>,
    /// Protocol whose roles must be present [default: that of the wave's run, else any known protocol]
    #[arg(long, value_name = "NAME|FILE")]
    pub protocol: Option<String>,
}
