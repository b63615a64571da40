//! The options of `mesh inspect`.

use super::values::RunHomeArgs;
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// The heading of the options that write a run to a file.
const FILES: &str = "Files";

/// Arguments of `mesh inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// A wave CSV, an output CSV, the id of a run, the folder of a run, or an archive of `mesh runs export`
    #[arg(
        value_name = "PATH|RUN",
        required_unless_present = "diff",
        conflicts_with = "diff"
    )]
    pub what: Option<String>,
    /// Only rows that failed, or whose answer was refused
    #[arg(long)]
    pub failed: bool,
    /// Only rows that fulfil a condition, such as status=failed, seconds>60 or error~timeout; repeatable
    ///
    /// The operators are =, !=, <, <=, >, >=, ~ (a regular expression matches) and !~. Values that are numbers are compared as
    /// numbers.
    #[arg(long = "where", value_name = "CONDITION")]
    pub conditions: Vec<String>,
    /// The columns to show, separated by commas
    ///
    /// item, number, wave, unit, round, role, adapter, status, attempts, seconds, tokens, cost, started, ended, code, error,
    /// verdict, what (the failure, or the first property of the result), result, result.NAME, and every column of the input;
    /// input.NAME if it has the name of one of these.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Sort by a column; -COLUMN is descending
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Do not cut cells to the width of the terminal
    #[arg(long)]
    pub wide: bool,
    /// A table, or tab-separated values: auto, table or tsv
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub format: TableFormat,
    /// Show one row in full: prompt, attempts, answer, violations, and how to retry it
    #[arg(long, value_name = "ID", conflicts_with_all = ["failed", "conditions", "columns", "sort", "watch", "diff"])]
    pub row: Option<String>,
    /// Redraw every second until the run ends
    #[arg(long, conflicts_with = "diff")]
    pub watch: bool,
    /// Show the rows whose status or result differs between two runs or outputs
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with_all = ["failed", "conditions", "columns", "sort"])]
    pub diff: Vec<String>,
    /// Write the run as a web page: one file that loads nothing else
    ///
    /// With the plan as a graph, a timeline, the votes, a table with filters and search, and every row and task in full.
    #[arg(long, value_name = "FILE", help_heading = FILES, group = "written", conflicts_with_all = ["diff", "row", "watch", "failed", "conditions", "columns", "sort"])]
    pub html: Option<PathBuf>,
    /// Write a workbook for a spreadsheet: summary, results, failures, cost, and for a plan its tasks, votes and waves
    #[arg(long, value_name = "FILE", help_heading = FILES, group = "written", conflicts_with_all = ["row", "watch", "diff", "failed", "conditions", "columns", "sort"])]
    pub xlsx: Option<PathBuf>,
    /// Write a picture of the run as SVG: its timeline, or the graph of its tasks
    ///
    /// timeline: rows over slots and time, with running and waiting rows, retries, integrations and limits. graph: the tasks of a
    /// plan by their dependencies, coloured by state. The file has no script and no links.
    #[arg(long, num_args = 2, value_names = ["timeline|graph", "FILE"], help_heading = FILES, group = "written", conflicts_with_all = ["diff", "row", "watch", "failed", "conditions", "columns", "sort"])]
    pub svg: Vec<PathBuf>,
    /// Write the run as a trace of OpenTelemetry: OTLP in JSON, which collectors and viewers of traces read
    ///
    /// With a span for the run, each wave, row, attempt, integration and validation. Attempts have the attributes of the semantic
    /// conventions for generative AI: provider, model and tokens. Prompts, answers and commands are left out.
    #[arg(long, value_name = "FILE", help_heading = FILES, group = "written", conflicts_with_all = ["diff", "row", "watch", "failed", "conditions", "columns", "sort"])]
    pub otel: Option<PathBuf>,
    /// Write the run as JUnit XML: a test case for each row of a spawned CSV, or for each task and each validation of a plan
    #[arg(long, value_name = "FILE", help_heading = FILES, group = "written", conflicts_with_all = ["diff", "row", "watch", "failed", "conditions", "columns", "sort"])]
    pub junit: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, help_heading = FILES, requires = "written")]
    pub force: bool,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// Arguments of `mesh watch`.
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// The run; by default, the list of all runs
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Listen on this address instead of 127.0.0.1
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<IpAddr>,
    /// Listen on this port [default: a free one]
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub port: u16,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// How to print rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A table on a terminal, tab-separated values elsewhere
    Auto,
    /// Aligned columns with a summary
    Table,
    /// One row per line; tabs, line breaks and backslashes in cells are escaped as \t, \n, \r and \\
    Tsv,
}
