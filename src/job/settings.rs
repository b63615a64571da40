//! The settings of a job: resolved before it starts, kept in the ledger, the same after a resume.

use super::agent_protocol::{AgentProtocol, ReadText};
use super::policy::{Backoff, Budget, Halt, SharedLimits};
use super::result::{FormulaCells, Logs};
use super::selection::Selection;
use super::worker_command::Worker;
use crate::model::{JobId, RunId, WaveNo};
use crate::platform::Readers;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Default bound on one result, in bytes.
pub const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// Bound on the standard output of one attempt, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Standard error is kept to its end; more than this of it helps nobody.
pub(crate) const STDERR_BYTES_MAX: usize = 64 * 1024;

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
    /// The separator, where it is named; see `ReadOptions`.
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
    pub agent_protocol: Option<Arc<dyn AgentProtocol>>,
    /// What the jobs of one run share; a job alone makes its own.
    #[serde(skip)]
    pub limits: Option<Arc<SharedLimits>>,
    /// The command that works a row.
    pub worker: Worker,
    /// A folder for the job's short-lived files.
    pub scratch: PathBuf,
    /// A folder for the output of failed attempts.
    pub logs: PathBuf,
}
