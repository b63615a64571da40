//! The substrate: one worker process per row of a CSV, under one concurrency number.
//!
//! It could run any table: it knows rows, attempts, results and failures, and nothing of plans, units,
//! roles or rounds (those reach it as columns and prompt text). The order in which things happen:
//! the input is checked to its end; an attempt is in the ledger before its process exists; a result is in
//! the ledger before it counts; the output CSV is a fold over the ledger.

mod aftermath;
mod attempt;
mod backoff;
mod breaker;
mod budget;
mod cells;
pub mod delimiter;
mod details;
mod dialect;
mod ending;
mod halt;
mod input;
mod limits;
mod logs;
mod measure;
mod orphans;
mod outcome;
mod output;
mod placement;
mod pool;
mod ration;
mod report;
mod secrets;
mod selection;
mod slots;
mod state;
mod stop;
mod thread;
mod throttle;
mod worker;

pub use backoff::Backoff;
pub use budget::{Budget, FIRST_ROW_TOKENS, FIRST_ROW_USD, Purse, Spent};
pub use cells::FormulaCells;
pub use details::{Details, details};
pub use dialect::{Call, Dialect, Invocation, Printed, PromptBy, Reading, SharedFile, Trouble};
pub use ending::Ending;
pub use halt::Halt;
pub use input::{Input, Row, Survey};
pub use logs::Logs;
pub use measure::Measure;
pub use outcome::Failure;
pub use output::{COLUMNS, ItemError, Summary, stage_csv, summarize, write_csv};
pub use placement::{Placed, Placement, fingerprint, place};
pub use pool::run;
pub use ration::{Patience, Ration};
pub use report::{Answer, Request, send};
pub use secrets::{hide_in, redactor};
pub use selection::{Rows, Selection};
pub use slots::{Rank, Share, Slots};
pub use state::{AttemptCounts, Counts, Item, Place, State, Status};
pub use stop::{Asker, Stop, Urgency};
pub use worker::{Worker, once_more};

use crate::collect::extract::Object;
use crate::collect::schema::SchemaError;
use crate::durable::Readers;
use crate::ledger::{LedgerError, Lines};
use crate::model::{Event, JobId, RowId, RunId, Usage, WaveNo};
use crate::table::{self, ReadOptions, TableError};
use crate::template::{Braces, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cells::ResultColumns;
use pool::PoolEvent;

/// Default bound on one result, in bytes.
pub const RESULT_BYTES_MAX: usize = 1024 * 1024;
/// Bound on the standard output of one attempt, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Standard error is kept to its end; more than this of it helps nobody.
const STDERR_BYTES_MAX: usize = 64 * 1024;

/// How much at once, how long, how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Slots of the pool.
    pub max_concurrency: usize,
    /// Wall-clock limit of an attempt.
    pub max_runtime_seconds: u64,
    /// Further attempts after a failure that may pass.
    pub retries: u32,
    /// Between TERM and KILL.
    pub grace_seconds: u64,
    /// Until a worker that prints nothing is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_idle_seconds: Option<u64>,
    /// Before the second attempt; doubles with each further one.
    #[serde(default)]
    pub retry_delay: Backoff,
    /// A limit of the service that holds for longer ends the job.
    #[serde(default = "rate_limit_wait_max_seconds")]
    pub rate_limit_wait_max_seconds: u64,
}

/// Default of `--rate-limit-wait-max`, in seconds.
pub const RATE_LIMIT_WAIT_MAX_SECONDS: u64 = 3600;

fn rate_limit_wait_max_seconds() -> u64 {
    RATE_LIMIT_WAIT_MAX_SECONDS
}

impl Bounds {
    /// How long a limit is waited for.
    pub fn rate_limit_wait_max(&self) -> Duration {
        Duration::from_secs(self.rate_limit_wait_max_seconds)
    }
}

/// Text -> the result that it stands for.
pub type ReadText = fn(&str) -> Option<Object>;

/// Everything a job needs, resolved; written into the ledger, so that a job can be resumed from it alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The run that the job belongs to.
    pub run_id: RunId,
    /// The job.
    pub job_id: JobId,
    /// The wave; 1 for a spawned CSV.
    pub wave: WaveNo,
    /// The input as the user named it, for messages.
    pub csv_path: PathBuf,
    /// The file that is read: the run's own copy, or the wave CSV.
    pub input_path: PathBuf,
    /// The separator, where it is named; see [`ReadOptions`].
    pub delimiter: Option<char>,
    /// The encoding of the input, where it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Header names to change while reading.
    pub rename: Vec<(String, String)>,
    /// The instruction with its `{column}` placeholders.
    pub instruction: String,
    /// The column of the item id.
    pub id_column: Option<String>,
    /// Where the rows go.
    pub output_csv_path: PathBuf,
    /// Who may read them there.
    #[serde(skip)]
    pub output_readers: Readers,
    /// JSON Schema of a result.
    pub output_schema: Option<Value>,
    /// Which rows of the input.
    pub selection: Selection,
    /// Slots, time and tries.
    pub bounds: Bounds,
    /// When to end early.
    pub halt: Halt,
    /// Wall-clock budget of one call.
    pub max_wall_seconds: Option<u64>,
    /// Whether running rows are ended then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wall_hard: bool,
    /// The other budgets of the run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// The result's properties as columns.
    pub flatten: bool,
    /// What to do with a result that a spreadsheet would execute.
    pub formula_cells: FormulaCells,
    /// Whose output is kept.
    pub keep_logs: Logs,
    /// Bound on one result.
    pub result_bytes_max: usize,
    /// Bound on one attempt's standard output, and on its standard error.
    pub output_bytes_max: usize,
    /// How standard output without a JSON object is read, where the job knows another shape of answers.
    #[serde(skip)]
    pub read_text: Option<ReadText>,
    /// How the worker is spoken to, where that needs knowledge of it; see [`Worker::speaks`].
    #[serde(skip)]
    pub dialect: Option<Arc<dyn Dialect>>,
    /// What the jobs of one run share; a job alone makes its own.
    #[serde(skip)]
    pub ration: Option<Arc<Ration>>,
    /// The command that works a row.
    pub worker: Worker,
    /// A folder for the job's short-lived files.
    pub scratch: PathBuf,
    /// A folder for the output of failed attempts.
    pub logs: PathBuf,
}

impl Settings {
    /// How the input is read.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions {
            delimiter: self.delimiter.and_then(|c| u8::try_from(c).ok()),
            encoding: self.encoding.as_deref().and_then(table::encoding_named),
            rename: self.rename.clone(),
        }
    }

    /// Placeholders of the instruction that are no column; they stay as they are.
    pub fn unknown_placeholders(&self, header: &[String]) -> Vec<String> {
        Template::parse(&self.instruction, Braces::Escaped)
            .names()
            .into_iter()
            .filter(|name| !header.iter().any(|column| column == name))
            .map(str::to_owned)
            .collect()
    }

    /// The prompt that the first worker would read, without starting anything.
    pub fn first_prompt(&self, survey: &Survey) -> Result<Option<String>, JobError> {
        self.prompt_of(survey, |_| true)
    }

    /// The prompt of the first row that is wanted, as its first attempt reads it.
    pub fn prompt_of(
        &self,
        survey: &Survey,
        is_wanted: impl Fn(&Row) -> bool,
    ) -> Result<Option<String>, JobError> {
        let mut rows = survey.rows(self)?;
        while let Some(row) = rows.next_row()? {
            if is_wanted(&row) {
                let header = survey.header().to_vec();
                let launcher = worker::Launcher::new(self, header, PathBuf::new());
                return Ok(Some(launcher.prompt(&row, None, false)));
            }
        }
        Ok(None)
    }

    /// Whether the input is probably separated by something else than it was read with: the instruction has placeholders, none is a
    /// column, and another separator stands in the header.
    ///
    /// # Errors
    /// [`JobError::Delimiter`] names that separator.
    pub fn check_delimiter(&self, survey: &Survey) -> Result<(), JobError> {
        let header = survey.header();
        let instruction = Template::parse(&self.instruction, Braces::Escaped);
        let names = instruction.names();
        let is_column = |name: &&str| header.iter().any(|column| column == name);
        if names.is_empty() || names.iter().any(is_column) {
            return Ok(());
        }
        match delimiter::probable(header, survey.delimiter(), &names) {
            Some(found) => Err(JobError::Delimiter {
                path: self.csv_path.clone(),
                columns: header.to_vec(),
                other: found.separator,
            }),
            None => Ok(()),
        }
    }

    /// The columns of `--flatten`, where it is wanted.
    pub fn result_columns(&self) -> Result<Option<ResultColumns>, JobError> {
        match &self.output_schema {
            Some(schema) if self.flatten => Ok(Some(ResultColumns::of(schema)?)),
            _ => Ok(None),
        }
    }

    fn limits(&self) -> attempt::Limits {
        attempt::Limits {
            max_runtime: Duration::from_secs(self.bounds.max_runtime_seconds),
            max_idle: self.bounds.max_idle_seconds.map(Duration::from_secs),
            grace: Duration::from_secs(self.bounds.grace_seconds),
            stdout_bytes_max: self.output_bytes_max,
            stderr_bytes_max: self.output_bytes_max.min(STDERR_BYTES_MAX),
        }
    }
}

/// Where events go: durable when [`Journal::record`] returns.
pub trait Journal {
    /// Writes down what occurred: the death of this process can't lose it any more, a power failure still can. Gives the
    /// place of each record.
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError>;

    /// Returns when all that was written is on disk.
    fn sync(&mut self) -> Result<(), LedgerError>;

    /// Both.
    fn record(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        let places = self.write(events)?;
        self.sync()?;
        Ok(places)
    }

    /// A reader of what was recorded, by place.
    fn lines(&self) -> Result<Lines, LedgerError>;
}

/// What the pool shows while it works.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Rows by status.
    pub counts: Counts,
    /// Rows that ended since this call of the pool began; what the rate is made of.
    pub ended_here: u64,
    /// The rows under way, longest first, at most eight.
    pub running: Vec<RunningRow>,
    /// Time since this call of the pool began.
    pub elapsed: Duration,
    /// What the run used up so far, as far as workers say.
    pub usage: Usage,
    /// How many rows may run at once.
    pub patience: Patience,
}

/// A row under way.
#[derive(Clone, Debug)]
pub struct RunningRow {
    /// The row.
    pub id: RowId,
    /// Since its attempt began.
    pub age: Duration,
    /// Since its worker last printed something, or began.
    pub quiet: Duration,
}

impl Snapshot {
    /// Rows that ended in a second, on average.
    pub fn rate(&self) -> f64 {
        self.ended_here as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Time left at the present rate; nothing until a row has ended, nor while a limit is waited for.
    pub fn eta(&self) -> Option<Duration> {
        if self.patience.waits_until.is_some() {
            return None;
        }
        let left = self.counts.total - self.counts.ended();
        let per_row = self.elapsed.as_secs_f64() / self.ended_here as f64;
        Duration::try_from_secs_f64(per_row * left as f64).ok()
    }
}

/// Somebody who watches a job.
pub trait Observer {
    /// Called often; cheap to ignore.
    fn progress(&mut self, snapshot: &Snapshot);

    /// One line that something is wrong, though the job goes on.
    fn warn(&mut self, text: &str);
}

/// Why a job can't be done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The input is not a usable table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The schema is not one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// No columns to flatten a result into.
    #[error(transparent)]
    NoProperties(#[from] cells::NoProperties),
    /// The ledger can't be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A row that was asked for is not there.
    #[error("row {row} is not there; the input has {rows} {}", if *rows == 1 { "row" } else { "rows" })]
    NoSuchRow {
        /// 1-based, as asked for.
        row: u64,
        /// How many rows are kept.
        rows: u64,
    },
    /// The id column is not in the header.
    #[error("`{}` has no column `{name}`; its columns are: {}", path.display(), columns.join(", "))]
    NoIdColumn {
        /// The input.
        path: PathBuf,
        /// The column asked for.
        name: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// The header was read with the wrong separator.
    #[error("`{}`: no placeholder is a column, and the header holds `{}`: it is read as {}", path.display(), delimiter::shown(*other), columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    Delimiter {
        /// The input.
        path: PathBuf,
        /// The columns as they were read.
        columns: Vec<String>,
        /// The separator that it probably has.
        other: char,
    },
    /// A cell that can't be handed to a worker's process.
    #[error("`{}`, line {line}, column {column} (`{name}`): row {row} has a NUL byte there, which can't be part of {what}", path.display())]
    NulCell {
        /// The input.
        path: PathBuf,
        /// The line on which the row begins.
        line: u64,
        /// The field, 1-based.
        column: usize,
        /// Its name.
        name: String,
        /// The row, 1-based over kept rows.
        row: u64,
        /// What the cell would become.
        what: &'static str,
    },
    /// No worker command.
    #[error("no worker command")]
    NoCommand,
    /// The worker program is not there.
    #[error("worker program `{name}` {}", if *exists { "is not executable" } else { "does not exist" })]
    NoProgram {
        /// As given.
        name: String,
        /// A file of that name is there, but can't be executed.
        exists: bool,
    },
    /// The output CSV can't be written.
    #[error("output `{}` can't be written", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// Not enough file descriptors for so many workers.
    #[error("{slots} workers at once need {needed} open files; this process may have {allowed}")]
    Descriptors {
        /// Workers at once.
        slots: usize,
        /// Descriptors that they need.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// `mesh` itself went wrong while it worked a row; the run is resumable.
    #[error("a defect of mesh while it worked item `{item}`")]
    Defect {
        /// The row.
        item: RowId,
    },
    /// The run's folder can't be used.
    #[error("the run's folder can't be used")]
    Scratch(#[source] io::Error),
}

impl JobError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            JobError::Table(error) => error.hint(),
            JobError::Delimiter { other, .. } => Some(delimiter::option(*other)),
            JobError::NulCell { .. } => Some(
                "take the NUL byte out of the cell, or hand it over in the instruction, which travels by standard input"
                    .to_owned(),
            ),
            JobError::NoIdColumn { name, columns, .. }
                if let Some(found) = delimiter::probable(columns, 0, &[name])
                    && found.gives_column =>
            {
                Some(delimiter::option(found.separator))
            }
            JobError::NoIdColumn { .. } => {
                Some("names are case-sensitive; leave --id-column out to number the rows".to_owned())
            }
            JobError::Descriptors { .. } => Some("lower -j, or raise the limit: ulimit -n".to_owned()),
            JobError::NoCommand => Some(
                "say what works a row after `--`, for example: mesh spawn rows.csv --instruction 'Read {path}' -- my-agent"
                    .to_owned(),
            ),
            JobError::NoProgram { name, exists: true } => Some(format!("chmod +x '{name}'")),
            JobError::NoProgram { name, exists: false } if name.contains('/') => {
                Some("relative paths count from the folder of the command, or of -C".to_owned())
            }
            JobError::NoProgram { .. } => {
                Some("install it, put its folder on PATH, or give its path".to_owned())
            }
            _ => None,
        }
    }
}
