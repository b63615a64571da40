//! Single rows of a run: the failed ones, and the history of one row. Folds over a ledger, for spawned CSVs and the waves of a
//! plan alike.

use crate::ledger::{LedgerError, Record};
use crate::model::{AttemptEnd, AttemptFinished, Event, RowId, Usage, VerdictRecord, WaveNo};
use crate::run::RunFolder;
use crate::{job, ledger};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A row that failed for good.
#[derive(Clone, Debug, Serialize)]
pub struct FailedRow {
    /// The id.
    pub item_id: RowId,
    /// The wave; 1 for a spawned CSV.
    pub wave: WaveNo,
    /// The number of its last attempt.
    pub attempt: u32,
    /// `code: text`.
    pub last_error: String,
    /// The log of that attempt, if kept.
    pub log_path: Option<PathBuf>,
}

/// The rows that failed and were not retried since, by wave and in input order.
#[derive(Clone, Debug, Default)]
pub struct FailedRows {
    rows: BTreeMap<(WaveNo, u64), FailedRow>,
}

impl FailedRows {
    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::AttemptStarted(body) => {
                self.rows.remove(&(body.wave, body.row_index));
            }
            Event::RowsReopened(body) => self.rows.retain(|(wave, _), _| *wave != body.wave),
            Event::AttemptFinished(body) if body.end == AttemptEnd::Failed => {
                let row = FailedRow {
                    item_id: body.item_id.clone(),
                    wave: body.wave,
                    attempt: body.attempt,
                    last_error: body.error.clone().unwrap_or_default(),
                    log_path: None,
                };
                self.rows.insert((body.wave, body.row_index), row);
            }
            _ => {}
        }
    }

    /// The rows, each with the log of its last attempt.
    pub fn with_logs(self, folder: &RunFolder) -> Vec<FailedRow> {
        let rows = self.rows.into_values().map(|mut row| {
            let logs = folder.kept_logs(row.wave, &row.item_id, row.attempt);
            row.log_path = logs.into_iter().next();
            row
        });
        rows.collect()
    }
}

/// The history of a row in the ledger.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RowHistory {
    /// The id.
    pub item_id: String,
    /// The wave.
    pub wave: WaveNo,
    /// 0-based index of the row in its wave or input.
    pub row_index: u64,
    /// `pending`, `running`, `completed` or `failed`.
    pub status: &'static str,
    /// Every attempt that started, in order.
    pub attempts: Vec<AttemptHistory>,
    /// The reported result.
    pub result: Option<Value>,
    /// The verdict on the result, for rows of a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictRecord>,
    /// The feedback on the last attempt, for the next one.
    #[serde(skip)]
    next_feedback: Option<Feedback>,
}

/// Feedback on the attempt before.
#[derive(Clone, Debug, Serialize)]
pub struct Feedback {
    /// The text that the worker got.
    pub text: String,
    /// Whether the worker got it in the session of the attempt before, without the row's prompt.
    pub instead_of_prompt: bool,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptHistory {
    /// The number, from 1; 0 for a result that was reused from another run.
    pub attempt: u32,
    /// The feedback on the attempt before; none for the first one.
    pub told: Option<Feedback>,
    /// How it ended; none while it runs, or if `mesh` was killed.
    pub end: Option<AttemptEnd>,
    /// `code: text`.
    pub error: Option<String>,
    /// The worker's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// From start to reaping.
    pub duration_ms: u64,
    /// Tokens and cost, if reported.
    pub usage: Option<Usage>,
    /// Its logs, if kept; filled in by a caller that knows the run's folder.
    pub log_paths: Vec<PathBuf>,
}

/// The history of row `id`; `None` if it has no attempt.
pub fn read_row_history(ledger: &Path, id: &str) -> Result<Option<RowHistory>, LedgerError> {
    let mut story: Option<RowHistory> = None;
    ledger::scan(ledger, |record, _| match record.event {
        Event::AttemptStarted(body) if body.item_id.as_str() == id => {
            let story = story.get_or_insert_with(|| RowHistory {
                item_id: id.to_owned(),
                wave: body.wave,
                row_index: body.row_index,
                ..RowHistory::default()
            });
            story.status = "running";
            story.attempts.push(AttemptHistory {
                told: story.next_feedback.clone(),
                ..AttemptHistory::new(body.attempt)
            });
        }
        Event::AttemptReported(body) if body.item_id.as_str() == id => {
            let story = story.get_or_insert_with(|| RowHistory {
                item_id: id.to_owned(),
                wave: body.wave,
                row_index: body.row_index,
                ..RowHistory::default()
            });
            story.result = Some(body.result);
        }
        Event::Verdict(body) if body.item_id.as_str() == id => {
            if let Some(story) = &mut story {
                story.verdict = Some(body);
            }
        }
        Event::AttemptFinished(body) if body.item_id.as_str() == id => {
            if let Some(story) = &mut story {
                story.finish(body);
            }
        }
        _ => {}
    })?;
    Ok(story)
}

impl RowHistory {
    fn finish(&mut self, body: AttemptFinished) {
        self.status = match body.end {
            AttemptEnd::Completed => "completed",
            AttemptEnd::Failed => "failed",
            _ => "pending",
        };
        let number = body.attempt;
        if body.end == AttemptEnd::Withdrawn {
            self.attempts
                .retain(|one| one.attempt != number || one.end.is_some());
            return;
        }
        let open = |one: &&mut AttemptHistory| one.attempt == number && one.end.is_none();
        let attempt = match self.attempts.iter_mut().rev().find(open) {
            Some(attempt) => attempt,
            None => {
                self.attempts.push(AttemptHistory::new(number));
                let last = self.attempts.len() - 1;
                &mut self.attempts[last]
            }
        };
        self.next_feedback = match (body.end, &body.error) {
            (AttemptEnd::Retry, Some(error)) => Some(Feedback {
                text: job::retry_prompt(error, body.session.is_some()),
                instead_of_prompt: body.session.is_some(),
            }),
            // A rate limit gives no feedback, so that on the attempt before is still current.
            (AttemptEnd::RateLimited, _) => attempt.told.clone(),
            _ => None,
        };
        attempt.end = Some(body.end);
        attempt.error = body.error;
        attempt.exit_code = body.exit_code;
        attempt.signal = body.signal;
        attempt.duration_ms = body.duration_ms;
        attempt.usage = body.usage;
    }
}

impl AttemptHistory {
    fn new(attempt: u32) -> Self {
        Self {
            attempt,
            told: None,
            end: None,
            error: None,
            exit_code: None,
            signal: None,
            duration_ms: 0,
            usage: None,
            log_paths: Vec::new(),
        }
    }
}
