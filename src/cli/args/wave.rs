//! Arguments of `mesh wave` and `mesh collect`.

use super::run::RunOptions;
use super::simulate::SimulateArgs;
use super::values::{OneRun, at_least_one, bytes};
use super::worker::{AgentArgs, AttemptArgs};
use crate::job::Rows;
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
    /// Export a wave for Slurm, Kubernetes, GNU parallel, xargs, HyperQueue or a shell, or as one file
    ///
    /// DIR becomes the folder of a job: the wave, its settings, the workspace of its rows, and a script or manifest for the
    /// engine, which starts `mesh wave exec DIR` once for each slice of rows. The same program must be installed where the
    /// slices run, and DIR must be shared by all of these hosts. `mesh collect RUN DIR` reads the results.
    ///
    /// --bundle writes one file for hosts that share no folder: the wave, its settings, the workspace with the history of the
    /// commit that is checked out, and the program `mesh`. `mesh wave exec --bundle FILE` runs a slice of it.
    Export(Box<ExportArgs>),
    /// Run one slice of an exported wave, on any host that shares its folder
    ///
    /// Rows are run as by `mesh spawn`: with the same prompt, limits, retries and checks. Results go to one file for each
    /// slice, `JOB/slices/N.GENERATION.jsonl`, row by row. A slice that was stopped continues behind its last result, and
    /// one that is finished does nothing. Without --index and --slice the index is that of the task of Slurm
    /// (SLURM_ARRAY_TASK_ID), Kubernetes (JOB_COMPLETION_INDEX), AWS Batch (AWS_BATCH_JOB_ARRAY_INDEX), HyperQueue (HQ_TASK_ID)
    /// or GNU parallel (PARALLEL_SEQ).
    ///
    /// Instead of the folder of an export, the wave CSV itself may be given, with the agent's command; the folder is then
    /// WAVE.exec beside it, with one row a slice.
    ///
    /// With --bundle, the slice of a bundle is run without a shared folder: its files are checked and unpacked into a private
    /// temporary folder, which is removed at the end, and the results go to the one file RESULTS.jsonl, which
    /// `mesh collect RUN DIR` takes from any folder. Run again with the same file, it continues behind the last result.
    Exec(Box<ExecArgs>),
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
    #[arg(
        value_name = "DIR",
        required_unless_present = "bundle",
        requires = "to"
    )]
    pub into: Option<PathBuf>,
    /// Engine: slurm, kubernetes, parallel, xargs, hyperqueue or shell
    #[arg(
        long,
        value_name = "ENGINE",
        required_unless_present = "bundle",
        requires = "into"
    )]
    pub to: Option<Runner>,
    /// Rows of one task of the engine [default: as many as make at most 1000 tasks]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub rows_per_task: Option<u64>,
    /// Rows of one task that run at once; the engine starts so many fewer tasks at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub rows_at_once: u64,
    #[command(flatten)]
    pub bundle: BundleArgs,
    #[command(flatten)]
    pub work: RowWorkArgs,
}

/// Arguments of `mesh wave exec`.
#[derive(Clone, Debug, Args)]
pub struct ExecArgs {
    /// The folder of an exported wave, or a wave CSV with its call file
    #[arg(value_name = "JOB|WAVE.csv", required_unless_present = "bundle")]
    pub job: Option<PathBuf>,
    /// Slice to run, counted from 1 [default: that of the engine's task]
    #[arg(long, value_name = "N", conflicts_with = "slice")]
    pub index: Option<u64>,
    /// Run these rows instead, counted from 1: 1-100
    #[arg(long, value_name = "ROWS")]
    pub slice: Option<Rows>,
    /// Rows at once in this slice [default: as exported]
    #[arg(short = 'j', long, value_name = "K", value_parser = at_least_one)]
    pub rows_at_once: Option<u64>,
    #[command(flatten)]
    pub bundle: ExecBundleArgs,
    #[command(flatten)]
    pub work: RowWorkArgs,
    /// The options on the command line, as `max_idle_seconds`
    #[arg(skip)]
    pub typed: Vec<String>,
}

/// How the rows of an exported wave are worked; shared by `export` and `exec`.
#[derive(Clone, Debug, Args)]
pub struct RowWorkArgs {
    /// Folder where workers start [default: a copy of the repository for a wave of a plan, else the current folder]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    #[command(flatten)]
    pub agent: AgentArgs,
    #[command(flatten)]
    pub attempts: AttemptArgs,
}

/// Arguments of `mesh wave export` for a bundle.
#[derive(Clone, Debug, Args)]
pub struct BundleArgs {
    /// Write the wave with everything that it needs to this file, for hosts without a shared folder
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Program to pack as mesh, such as a static one [default: this one]
    #[arg(long, value_name = "PATH", requires = "bundle")]
    pub bundle_program: Option<PathBuf>,
    /// Most bytes of content of a bundle, such as 512M or 8G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = bytes)]
    pub bundle_max: u64,
    /// Replace the bundle if it exists
    #[arg(long, requires = "bundle")]
    pub force: bool,
}

/// Arguments of `mesh wave exec` for a bundle.
#[derive(Clone, Debug, Args)]
pub struct ExecBundleArgs {
    /// Run a slice of this bundle of `mesh wave export --bundle`
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with_all = ["job", "command", "adapter", "workspace"])]
    pub bundle: Option<PathBuf>,
    /// File of the results of a bundle's slice; created, or continued
    #[arg(short = 'o', long, value_name = "RESULTS.jsonl", requires = "bundle")]
    pub output: Option<PathBuf>,
    /// Folder where the bundle is unpacked [default: the temporary folder]
    #[arg(long, value_name = "DIR", requires = "bundle")]
    pub workdir: Option<PathBuf>,
    /// Most bytes of content of a bundle, such as 512M or 8G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = bytes)]
    pub bundle_max: u64,
}

/// Arguments of `mesh collect`.
#[derive(Clone, Debug, Args)]
pub struct CollectArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Output CSV, folder of an exported wave, of answers or of results of bundles, of one or several waves [default: the .out.csv next to each wave]
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

/// Arguments of `mesh integrate`.
#[derive(Clone, Debug, Args)]
pub struct IntegrateRunArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Integrate the kept patch of this task; may be repeated [default: all accepted ones]
    #[arg(long = "task", value_name = "ID")]
    pub tasks: Vec<String>,
}
