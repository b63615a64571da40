//! The settings of a job: resolved before it starts, recorded in the ledger, unchanged by a resume.

use super::agent_protocol::{AgentProtocol, ReadText};
use super::executor_choice::ExecutorChoice;
use super::policy::{Backoff, Budget, Halt, SharedLimits};
use super::result::{FormulaCells, Logs};
use super::row_worker::OtherWorkers;
use super::selection::Selection;
use super::worker_command::Worker;
use crate::model::{JobId, RunId, WaveNo};
use crate::platform::{Readers, Sandbox};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The default limit on one result, in bytes.
pub const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// The limit on the standard output of one attempt, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much of the end of standard error is kept, in bytes.
pub(crate) const STDERR_BYTES_MAX: usize = 64 * 1024;

/// Concurrency, time limits and retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Slots of the pool.
    pub max_concurrency: usize,
    /// Wall-clock time limit of an attempt.
    pub max_runtime_seconds: u64,
    /// Retries after a failure that may be temporary.
    pub retries: u32,
    /// Between TERM and KILL.
    pub grace_seconds: u64,
    /// Idle limit: a worker that prints nothing for this long is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_idle_seconds: Option<u64>,
    /// Delay before the first retry; doubles with each further one.
    #[serde(default)]
    pub retry_delay: Backoff,
    /// A service limit that lasts longer ends the job.
    #[serde(default = "rate_limit_wait_max_seconds")]
    pub rate_limit_wait_max_seconds: u64,
}

/// Default of `--rate-limit-wait-max`, in seconds.
pub const RATE_LIMIT_WAIT_MAX_SECONDS: u64 = 3600;

fn rate_limit_wait_max_seconds() -> u64 {
    RATE_LIMIT_WAIT_MAX_SECONDS
}

impl Bounds {
    /// The longest wait for a service limit.
    pub fn rate_limit_wait_max(&self) -> Duration {
        Duration::from_secs(self.rate_limit_wait_max_seconds)
    }
}

/// All settings of a job, resolved. The ledger records them, so that a job can be resumed from it alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The run that the job belongs to.
    pub run_id: RunId,
    /// The job.
    pub job_id: JobId,
    /// The wave; 1 for a spawned CSV.
    pub wave: WaveNo,
    /// The input as given, for messages.
    pub csv_path: PathBuf,
    /// The file that is read: the run's own copy, or the wave CSV.
    pub input_path: PathBuf,
    /// The index of the input, for a job in slices, so that a slice reads its own rows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_index: Option<PathBuf>,
    /// The delimiter, if given; see `ReadOptions`.
    pub delimiter: Option<char>,
    /// The encoding of the input, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The sheet of a workbook; the file that is read has it as a CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Header names to change while reading.
    pub rename: Vec<(String, String)>,
    /// The instruction with its `{column}` placeholders.
    pub instruction: String,
    /// The column of the item id.
    pub id_column: Option<String>,
    /// The output CSV.
    pub output_csv_path: PathBuf,
    /// Who may read the output CSV.
    #[serde(skip)]
    pub output_readers: Readers,
    /// The JSON Schema of a result.
    pub output_schema: Option<Value>,
    /// Which rows of the input.
    pub selection: Selection,
    /// Concurrency, time limits and retries.
    pub bounds: Bounds,
    /// When to end early.
    pub halt: Halt,
    /// Wall-clock budget of one run.
    pub max_wall_seconds: Option<u64>,
    /// Whether running rows are cancelled when it is used up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wall_hard: bool,
    /// The other budgets of the run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Whether the result's properties become columns.
    pub flatten: bool,
    /// What to do with a result that a spreadsheet would execute.
    pub formula_cells: FormulaCells,
    /// Whose output is kept.
    pub keep_logs: Logs,
    /// The limit on one result.
    pub result_bytes_max: usize,
    /// The limit on one attempt's standard output.
    pub output_bytes_max: usize,
    /// How to read standard output without a JSON object, if the job accepts answers in prose.
    #[serde(skip)]
    pub read_text: Option<ReadText>,
    /// The agent protocol of the worker, if it has one; see [`Worker::speaks`].
    #[serde(skip)]
    pub agent_protocol: Option<Arc<dyn AgentProtocol>>,
    /// Limits shared by the jobs of a run; a single job creates its own.
    #[serde(skip)]
    pub limits: Option<Arc<SharedLimits>>,
    /// Where its rows run.
    #[serde(default, skip_serializing_if = "ExecutorChoice::is_local")]
    pub executor: ExecutorChoice,
    /// The worker command.
    pub worker: Worker,
    /// What its processes can't write; `None`: nothing keeps them from it.
    #[serde(skip)]
    pub sandbox: Option<Arc<Sandbox>>,
    /// Further workers, for some of its rows. Whoever makes a job of a wave sets them.
    #[serde(skip)]
    pub others: OtherWorkers,
    /// A folder for the job's short-lived files.
    pub scratch: PathBuf,
    /// A folder for the output of failed attempts.
    pub logs: PathBuf,
}
