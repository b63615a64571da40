//! Fields of the events about one wave, or one spawned CSV.

use super::super::id::{JobId, RoundName, RowId, UnitId, WaveNo};
use super::super::path_text;
use super::super::row::{Lane, Risk};
use super::super::text::visible;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Fields of `output_written`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutputWritten {
    /// The file; not the one in the settings if that path was taken.
    pub path: PathBuf,
    /// SHA-256 of its content, in hexadecimal; a resume compares it to detect edits.
    pub sha256: String,
}

/// Fields of `wave_compiled`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaveCompiled {
    /// Its number.
    pub wave: WaveNo,
    /// The round that all its rows share.
    pub round: RoundName,
    /// What its rows may return.
    pub lane: Lane,
    /// The row ids, in file order.
    pub rows: Vec<RowId>,
    /// The wave CSV, relative to the run's folder.
    pub csv_path: PathBuf,
    /// The call file, relative to the run's folder.
    pub call_path: PathBuf,
    /// SHA-256 of the wave CSV, in hexadecimal.
    pub csv_sha256: String,
    /// The run's concurrency limit.
    pub max_concurrency: usize,
    /// The protocol of its tasks; not in ledgers of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The risk of its tasks, unless medium, the default; not in ledgers of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub risks: BTreeMap<UnitId, Risk>,
}

/// Fields of `wave_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaveStarted {
    /// The wave (1 for a spawned CSV).
    pub wave: WaveNo,
    /// The job.
    pub job_id: JobId,
    /// Rows kept from the input.
    pub items: u64,
    /// Slots of the pool.
    pub max_concurrency: usize,
}

/// Fields of `slice_taken`, the first event of a slice's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SliceTaken {
    /// The name of the slice.
    pub slice: String,
    /// How often it was taken, with this time; a higher number ends the claim of every lower one.
    pub generation: u32,
    /// The machine that works it.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// The job that the slice is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The label of its wave, as in `wave.json`, if it is a wave of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Value>,
}

/// Fields of `slice_finished`: no more rows of the slice start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SliceFinished {
    /// The name of the slice.
    pub slice: String,
    /// Rows with a result.
    pub completed: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Rows that are left, because the process was stopped or met a limit.
    pub pending: u64,
    /// Why rows are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Fields of `rows_reopened`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowsReopened {
    /// The wave.
    pub wave: WaveNo,
    /// The number of failed rows.
    pub rows: u64,
}

/// Fields of `backpressure`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backpressure {
    /// The wave after which it changed.
    pub wave: WaveNo,
    /// What went wrong in it; empty for a clean wave.
    pub causes: Vec<String>,
    /// The previous concurrency limit.
    pub from: usize,
    /// The new concurrency limit.
    pub to: usize,
}

/// Fields of `violation`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// The wave that was running.
    pub wave: WaveNo,
    /// The paths that changed.
    #[serde(with = "path_text::list")]
    pub paths: Vec<PathBuf>,
    /// What it means.
    pub detail: String,
    /// The file that shows what changed, relative to the run's folder; `None` if it could not be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<PathBuf>,
}

/// How many paths a message names.
const NAMED_MAX: usize = 20;

impl Violation {
    /// The violation as a message.
    pub fn message(&self) -> String {
        let named = self.paths.iter().take(NAMED_MAX);
        let mut named: Vec<String> = named
            .map(|path| visible(&path_text::path_to_text(path)))
            .collect();
        let beyond = self.paths.len().saturating_sub(NAMED_MAX);
        if beyond > 0 {
            named.push(format!("and {beyond} more"));
        }
        format!("{}: {}", self.detail, named.join(", "))
    }

    /// The message, with the file that shows what changed.
    pub fn report(&self) -> String {
        match &self.diff {
            Some(diff) => format!("{} (see {})", self.message(), diff.display()),
            None => self.message(),
        }
    }
}
