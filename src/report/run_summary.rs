//! A run in one line of a list: what became of it, what it cost, how long it took, and how much disk it uses.
//!
//! Summing up means reading a whole ledger, so the summary of a run that no process drives is kept beside its ledger, in
//! `summary.json`, and is valid as long as the ledger has the same size. The file is a copy and may be lost at any time.

use crate::job::Counts;
use crate::ledger;
use crate::ledger::LedgerError;
use crate::model::RunKind;
use crate::platform::{clock, private};
use crate::report::view::run_status;
use crate::run::{ACCEPTED, REJECTED, RunFolder, State};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// The file that keeps a summary.
const FILE_NAME: &str = "summary.json";
/// Raised when a field changes its meaning.
const VERSION: u32 = 2;

/// The summary of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// `plan` or `spawn`; `-` for a run that was killed before it began.
    pub kind: String,
    /// As [`run_status`] names it.
    pub status: String,
    /// Its exit code, if it ended.
    pub exit_code: Option<u8>,
    /// `198 ok, 2 failed` or `3 completed, 1 blocked`.
    pub work: String,
    /// The working folder.
    pub root: String,
    /// Dollars, if reported.
    pub cost_usd: Option<f64>,
    /// When it started and when its last event was, in milliseconds since 1970.
    pub span_ms: (i64, i64),
    /// The bytes of its folder.
    pub disk_bytes: u64,
    /// Whether it can be continued; also a cancelled run can be resumed, but does not count here.
    pub is_open: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    ledger_bytes: u64,
    summary: RunSummary,
}

impl RunSummary {
    /// The summary of a run, from its copy if that is current.
    pub fn of(folder: &RunFolder) -> Result<Self, LedgerError> {
        let is_driven = ledger::is_in_use(&folder.ledger()).unwrap_or(false);
        let ledger_bytes = fs::metadata(folder.ledger()).map_or(0, |metadata| metadata.len());
        let path = folder.path().join(FILE_NAME);
        if let Some(kept) =
            read_kept(&path).filter(|kept| kept.ledger_bytes == ledger_bytes && !is_driven)
        {
            return Ok(kept.summary);
        }
        let summary = Self::read(folder, is_driven)?;
        if !is_driven {
            let kept = Kept {
                v: VERSION,
                ledger_bytes,
                summary: summary.clone(),
            };
            // Without the copy, the next list takes longer. A torn one is not valid JSON.
            let _ = private::write(
                &path,
                serde_json::to_string(&kept).unwrap_or_default().as_bytes(),
            );
        }
        Ok(summary)
    }

    /// `850 B`, `1.2 MB`: the size of its folder.
    pub fn disk(&self) -> String {
        size(self.disk_bytes)
    }

    fn read(folder: &RunFolder, is_driven: bool) -> Result<Self, LedgerError> {
        let mut state = State::default();
        let mut last = String::new();
        ledger::scan(&folder.ledger(), |record, place| {
            last.clone_from(&record.ts);
            state.apply_record(&record, place);
        })?;
        let started = state.started.as_ref();
        let finished = state.finished.as_ref();
        let usage = match &state.spawned {
            Some(job) => job.spent.usage,
            None => state.spent().usage,
        };
        let ms = |time: &str| clock::read(time).map_or(0, |time| time.as_millisecond());
        let kind = match started.map(|started| started.kind) {
            Some(RunKind::Plan) => "plan",
            Some(RunKind::Spawn) => "spawn",
            None => "-",
        };
        Ok(Self {
            kind: kind.to_owned(),
            status: run_status(&state, is_driven).to_owned(),
            exit_code: finished.map(|finished| finished.exit_code),
            work: work(&state, is_driven),
            root: started.map_or_else(String::new, |started| started.root.display().to_string()),
            cost_usd: usage.cost_usd,
            span_ms: (ms(&state.started_at), ms(&last)),
            disk_bytes: disk_bytes(folder.path()).unwrap_or(0),
            is_open: is_driven || state.can_continue() || finished.is_none(),
        })
    }
}

/// `850 B`, `1.2 MB`.
pub fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

fn read_kept(path: &Path) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (kept.v == VERSION).then_some(kept)
}

/// The bytes of the files below `folder`; links are not followed.
fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += match metadata.is_dir() {
            // A folder that a worker closed has no known size.
            true => disk_bytes(&entry.path()).unwrap_or(0),
            false => metadata.len(),
        };
    }
    Ok(sum)
}

fn work(state: &State, is_driven: bool) -> String {
    let is_plan = state
        .started
        .as_ref()
        .is_some_and(|started| started.kind == RunKind::Plan);
    match &state.spawned {
        _ if is_plan => tasks_done(state, is_driven),
        Some(job) => rows_done(job.counts(), is_driven),
        None => "no rows".to_owned(),
    }
}

/// `198 ok, 2 failed, 3 running, 7 pending`, without zeros.
fn rows_done(counts: Counts, is_driven: bool) -> String {
    // The running rows of a killed run are pending.
    let (running, pending) = match is_driven {
        true => (counts.running, counts.pending()),
        false => (0, counts.pending() + counts.running),
    };
    counted(&[
        (counts.completed, "ok"),
        (counts.failed, "failed"),
        (running, "running"),
        (pending, "pending"),
    ])
    .unwrap_or_else(|| "no rows".to_owned())
}

/// `3 completed, 1 blocked, 1 undone, 1 running`; of tasks whose patches are kept, `3 accepted, 1 rejected`.
fn tasks_done(state: &State, is_driven: bool) -> String {
    let (mut completed, mut blocked, mut undone, mut open) = (0, 0, 0, 0);
    let (mut accepted, mut rejected) = (0, 0);
    for unit in &state.units {
        *match &unit.ended {
            _ if unit.undone.is_some() => &mut undone,
            None => &mut open,
            Some(ended) if ended.status == ACCEPTED => &mut accepted,
            Some(ended) if ended.status == REJECTED => &mut rejected,
            Some(ended) if ended.reason.is_some() => &mut blocked,
            Some(_) => &mut completed,
        } += 1;
    }
    let word = if is_driven { "running" } else { "in progress" };
    let parts = [
        (completed, "completed"),
        (blocked, "blocked"),
        (accepted, ACCEPTED),
        (rejected, REJECTED),
        (undone, "undone"),
        (open, word),
    ];
    counted(&parts).unwrap_or_else(|| "no tasks".to_owned())
}

fn counted(parts: &[(u64, &str)]) -> Option<String> {
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts = parts.map(|(count, word)| format!("{count} {word}"));
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
