//! Fields of the events about one attempt of a row.

use super::super::id::{RowId, WaveNo};
use super::super::row::Fault;
use super::super::usage::{Session, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One attempt of one row; makes the events about it.
#[derive(Clone, Debug)]
pub struct AttemptKey {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based, over the kept rows.
    pub row_index: u64,
    /// 1-based, over all started attempts of the row.
    pub attempt: u32,
}

impl AttemptKey {
    /// The attempt is about to start.
    pub fn started(self) -> AttemptStarted {
        AttemptStarted {
            wave: self.wave,
            item_id: self.item_id,
            row_index: self.row_index,
            attempt: self.attempt,
            places: None,
            adapter: None,
        }
    }

    /// The attempt returned `result`. Nothing was redacted, and the worker did not ask to stop.
    pub fn reported(self, via: ReportVia, result: Value, reported_at: String) -> AttemptReported {
        AttemptReported {
            wave: self.wave,
            item_id: self.item_id,
            row_index: self.row_index,
            attempt: self.attempt,
            via,
            result,
            redacted: Vec::new(),
            stop: false,
            reported_at,
        }
    }

    /// The attempt ended. Every field about a process is empty, as if none had run.
    pub fn finished(self, end: AttemptEnd, completed_at: String) -> AttemptFinished {
        AttemptFinished {
            wave: self.wave,
            item_id: self.item_id,
            row_index: self.row_index,
            attempt: self.attempt,
            end,
            error: None,
            exit_code: None,
            signal: None,
            leaked: Vec::new(),
            duration_ms: 0,
            usage: None,
            session: None,
            fault: None,
            completed_at,
        }
    }
}

/// Fields of `attempt_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based, over the kept rows.
    pub row_index: u64,
    /// 1-based, over all started attempts of the row.
    pub attempt: u32,
    /// How many rows the service allows at once, if that is below the slots of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<usize>,
    /// The adapter of its worker, if it is not that of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
}

/// How a result was returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportVia {
    /// `mesh report-result`.
    Report,
    /// The file named by `MESH_RESULT_FILE`.
    ResultFile,
    /// Standard output.
    Stdout,
    /// Standard output without a JSON object, read as prose.
    Text,
    /// An earlier run with the same row.
    Reuse,
    /// `mesh collect`, from the runner that worked the wave.
    Collect,
}

/// Fields of `attempt_reported`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptReported {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based, over the kept rows.
    pub row_index: u64,
    /// The attempt.
    pub attempt: u32,
    /// How the result was returned.
    pub via: ReportVia,
    /// The result object, keys in the reported order.
    pub result: Value,
    /// Names of the secrets redacted from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
    /// The worker asked to stop the job.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// Whole-second UTC time for the output CSV.
    pub reported_at: String,
}

/// What the end of an attempt means for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// The row has its result.
    Completed,
    /// The row failed for good.
    Failed,
    /// The row is retried.
    Retry,
    /// The attempt was cancelled; the row is pending again.
    Interrupted,
    /// The attempt met a rate limit and does not count; the row is pending again.
    RateLimited,
    /// The agent could not be reached and the attempt does not count; the row is pending again.
    Unavailable,
    /// The attempt was queued but never started, because the job stopped first. It does not count.
    Withdrawn,
}

/// Fields of `attempt_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptFinished {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based, over the kept rows.
    pub row_index: u64,
    /// The attempt.
    pub attempt: u32,
    /// What follows for the row.
    pub end: AttemptEnd,
    /// `code: text` if the attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The worker's exit code, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the worker, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Processes that outlived the worker and were killed with its group, as `name (pid)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaked: Vec<String>,
    /// Wall-clock milliseconds from start to reaping.
    pub duration_ms: u64,
    /// Tokens and cost, if the worker reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The conversation that the next attempt continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Why the worker gave no answer, if that was not the row's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<AttemptFault>,
    /// Whole-second UTC time for the output CSV.
    pub completed_at: String,
}

/// Why a worker gave no answer, though the row was not at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFault {
    /// The kind of fault.
    pub kind: Fault,
    /// The row waits until this time, in the ledger's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The feedback of an earlier attempt, kept for the next prompt; this attempt adds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
}

/// Fields of `report_refused`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportRefused {
    /// The wave.
    pub wave: WaveNo,
    /// The row that the sender named.
    pub item_id: String,
    /// The attempt that the sender named.
    pub attempt: u32,
    /// The reason given to the sender.
    pub reason: String,
}

/// Fields of `rate_limited`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateLimited {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based, over the kept rows.
    pub row_index: u64,
    /// Milliseconds until the row is tried again.
    pub delay_ms: u64,
    /// How many rows may run at once from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<usize>,
    /// The account's quota is used up: no row starts before this time, in the ledger's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_until: Option<String>,
}
