//! The arguments of `mesh spawn`.

use super::values::{PlaceArgs, at_least_one, encoding, pair, separator};
use super::worker::{BudgetArgs, WorkerArgs};
use crate::job::{FormulaCells, Halt, Logs, Rows};
use crate::run::InputChanged;
use clap::Args;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

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
    /// The separator of the input: a character, or tab, comma, semicolon, pipe, space [default: what a first line sep= says, else a comma]
    #[arg(long, value_name = "C", value_parser = separator)]
    pub delimiter: Option<char>,
    /// The encoding of an input without a byte-order mark, such as windows-1252 or utf-16le [default: UTF-8]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub encoding: Option<String>,
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
    ///
    /// Options of the first call may be repeated. What does not change what a row is asked may also change, and holds from then
    /// on: -j, retries, delays, limits on time, size and output, halt, budgets, logs, --flatten, -o. Variables and mesh.yaml
    /// change nothing.
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub resume: Option<String>,
    /// With --resume: work the failed rows once more as well
    #[arg(long, requires = "resume")]
    pub retry_failed: bool,
    /// With --resume, when the input has changed: refuse, or ignore, to go on with the run's own copy [default: refuse]
    #[arg(long, value_name = "HOW", requires = "resume")]
    pub input_changed: Option<InputChanged>,
    /// Show the first prompt and the number of rows, start nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The options that stand on the command line, by their names here
    #[arg(skip)]
    pub typed: Vec<String>,
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
