//! Arguments of `mesh spawn`.

use super::run::{JobReportFiles, NoticeArgs};
use super::values::{RunHomeArgs, at_least_one, encoding, pair, separator};
use super::worker::{BudgetArgs, WorkerArgs};
use crate::job::{FormulaCells, Halt, Logs, Rows};
use crate::run::InputChanged;
use clap::Args;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// Arguments of `mesh spawn`.
#[derive(Clone, Debug, Args)]
pub struct SpawnArgs {
    /// The input: a CSV with a header, or a workbook (.xlsx, .xlsb, .xls, .ods)
    #[arg(value_name = "INPUT", required_unless_present_any = ["resume", "call"], conflicts_with = "call")]
    pub csv_path: Option<PathBuf>,
    /// What to do with each row; {column} is replaced by the cell, {{ and }} by braces
    #[arg(long, value_name = "TEXT")]
    pub instruction: Option<String>,
    /// Read the instruction from a file
    #[arg(long, value_name = "FILE")]
    pub instruction_file: Option<PathBuf>,
    /// Read all arguments from the call file of a wave: input, instruction, id column, output, schema, concurrency, time limit
    #[arg(long, value_name = "FILE.call.json", conflicts_with_all = ["instruction", "instruction_file", "id_column", "output_schema"])]
    pub call: Option<PathBuf>,
    /// Column that identifies a row [default: row-1, row-2, ...]
    #[arg(long, value_name = "COLUMN")]
    pub id_column: Option<String>,
    /// Output CSV: the rows with their results [default: INPUT.agent-job-XXXXXXXX.csv]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output_csv_path: Option<PathBuf>,
    /// Replace an existing output or workbook
    #[arg(long)]
    pub force: bool,
    /// JSON Schema that every result must match
    #[arg(long, value_name = "FILE")]
    pub output_schema: Option<PathBuf>,
    /// Separator of the input: a character, or tab, comma, semicolon, pipe, space [default: that of a first line sep=, else
    /// comma]
    #[arg(long, value_name = "CHAR", value_parser = separator)]
    pub delimiter: Option<char>,
    /// Encoding of an input without a byte-order mark, such as windows-1252 or utf-16le [default: UTF-8]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub encoding: Option<String>,
    /// Sheet of a workbook to read [default: the first that is visible]
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Rename a column of the input; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    pub rename: Vec<(String, String)>,
    /// Run only these rows, counted from 1: 1-10,15,40-
    #[arg(long, value_name = "LIST")]
    pub rows: Option<Rows>,
    /// Run only N rows, spread evenly over the input
    #[arg(long, value_name = "N")]
    pub sample: Option<NonZeroU64>,
    /// When to halt the job early: never, or soon|now,fail|success|done=N or N%
    ///
    /// `soon` lets running rows finish, `now` terminates them, as in GNU parallel.
    #[arg(long, value_name = "RULE", default_value = "never")]
    pub halt: Halt,
    /// Write the top-level properties of the schema as columns result.NAME
    #[arg(long)]
    pub flatten: bool,
    /// What to do with a result cell that a spreadsheet would execute: keep, quote or reject
    #[arg(long, value_name = "HOW", default_value = "quote")]
    pub formula_cells: FormulaCells,
    /// Whose output to keep as logs: all, failed or none
    #[arg(long, value_name = "WHICH", default_value = "failed")]
    pub logs: Logs,
    /// Maximum size of one result
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = at_least_one)]
    pub result_bytes_max: u64,
    /// Maximum size of the standard output of one attempt, and of its standard error
    #[arg(long, value_name = "BYTES", default_value = "8388608", value_parser = at_least_one)]
    pub output_bytes_max: u64,
    /// Reuse the results of an earlier run for identical rows
    ///
    /// Rows are identical if instruction, schema, worker command, commit and all cells of the row are the same.
    #[arg(long, value_name = "RUN")]
    pub reuse: Option<String>,
    /// Resume this run, or the last run of INPUT
    ///
    /// Options of the first call may be repeated. Options that do not change the prompt of a row may be changed and hold from
    /// then on: -j, retries, delays, limits on time, size and output, halt, budgets, logs, --flatten, -o. Environment variables
    /// and mesh.yaml change nothing.
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub resume: Option<String>,
    /// With --resume: retry the failed rows as well
    #[arg(long, requires = "resume")]
    pub retry_failed: bool,
    /// With --resume, if the input has changed: refuse, or ignore to resume with the copy that the run keeps [default: refuse]
    #[arg(long, value_name = "HOW", requires = "resume")]
    pub input_changed: Option<InputChanged>,
    /// Serve the live page of the run; on a terminal, open it in a browser
    ///
    /// The page is that of `mesh watch`, on an address of this machine with a secret path, which is printed. Closing the browser
    /// changes nothing for the run; the page ends with it.
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub notices: NoticeArgs,
    /// Print the first prompt and the number of rows, and start nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The options on the command line, by their field names
    #[arg(skip)]
    pub typed: Vec<String>,
    #[command(flatten)]
    pub report: JobReportFiles,
    #[command(flatten)]
    pub worker: WorkerArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

impl SpawnArgs {
    /// The input; clap requires it unless a run is resumed.
    pub fn input(&self) -> &Path {
        self.csv_path.as_deref().unwrap_or(Path::new(""))
    }

    /// Whether the option with this field name is on the command line.
    pub fn is_typed(&self, id: &str) -> bool {
        self.typed.iter().any(|typed| typed == id)
    }
}
