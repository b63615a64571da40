//! One imported answer: what it says, checked like that of a local worker, and the events that record it.

use super::imported_answers::{Answers, ImportedAnswer};
use crate::job::{Failure, ReadText, ResultCheck};
use crate::ledger::Lines;
use crate::model::{AttemptEnd, AttemptFinished, AttemptKey, Event, ReportVia, RowId, WaveNo};
use crate::platform::clock;
use crate::run::error::RunError;
use crate::verdict::Object;
use serde_json::Value;

/// A checked result, or `code: text`.
pub(super) type Outcome = Result<Object, String>;

/// Reads and checks what [`Answers`] say of single rows.
pub(super) struct Outcomes<'a> {
    answers: &'a Answers,
    check: &'a ResultCheck,
    prose: Option<ReadText>,
    /// The file of a slice that was read last. Rows of a slice mostly follow each other.
    open: Option<(usize, Lines)>,
}

impl<'a> Outcomes<'a> {
    pub fn new(answers: &'a Answers, check: &'a ResultCheck, prose: Option<ReadText>) -> Self {
        Self {
            answers,
            check,
            prose,
            open: None,
        }
    }

    /// The number of attempts, at least 1, and the outcome of the last one; `None` without an answer.
    pub fn read(&mut self, imported: &ImportedAnswer) -> Result<Option<(u32, Outcome)>, RunError> {
        let error_text = |(failure, text): (Failure, String)| format!("{failure}: {text}");
        let (attempts, outcome) = match imported {
            ImportedAnswer::Nothing => return Ok(None),
            ImportedAnswer::Written(path) => {
                let bytes = std::fs::read(path).map_err(RunError::io(path))?;
                let picked = self.check.pick(&bytes, self.prose);
                let checked = picked.and_then(|picked| self.check.check_picked(picked));
                (1, checked.map_err(error_text))
            }
            ImportedAnswer::Result { result, attempts } => {
                let checked = self.check.check(result.clone());
                (*attempts, checked.map_err(error_text))
            }
            ImportedAnswer::InSlice {
                file,
                place,
                attempts,
            } => {
                let result = place.read(self.lines(*file)?)?;
                (*attempts, self.check.check(result).map_err(error_text))
            }
            ImportedAnswer::Failed { error, attempts } => (*attempts, Err(error.clone())),
        };
        Ok(Some((attempts.max(1), outcome)))
    }

    fn lines(&mut self, file: usize) -> Result<&Lines, RunError> {
        let lines = match self.open.take() {
            Some((open, lines)) if open == file => lines,
            _ => Lines::open(&self.answers.slice_files[file])?,
        };
        Ok(&self.open.insert((file, lines)).1)
    }
}

/// A row whose answer is imported.
pub(super) struct ImportedRow<'t> {
    pub wave: WaveNo,
    pub id: &'t RowId,
    pub index: u64,
}

impl ImportedRow<'_> {
    /// The events of the attempts elsewhere, as far as the answer tells.
    pub fn events(&self, attempts: u32, outcome: Outcome, events: &mut Vec<Event>) {
        for attempt in 1..=attempts {
            events.push(Event::from(self.key(attempt).started()));
            if attempt < attempts {
                events.push(self.finished(attempt, AttemptEnd::Retry, None));
            }
        }
        match outcome {
            Ok(result) => {
                let now = clock::csv_time(clock::now());
                let key = self.key(attempts);
                let reported = key.reported(ReportVia::Collect, Value::Object(result), now);
                events.push(Event::from(reported));
                events.push(self.finished(attempts, AttemptEnd::Completed, None));
            }
            Err(error) => events.push(self.finished(attempts, AttemptEnd::Failed, Some(error))),
        }
    }

    fn key(&self, attempt: u32) -> AttemptKey {
        AttemptKey {
            wave: self.wave,
            item_id: self.id.clone(),
            row_index: self.index,
            attempt,
        }
    }

    fn finished(&self, attempt: u32, end: AttemptEnd, error: Option<String>) -> Event {
        let now = clock::csv_time(clock::now());
        Event::from(AttemptFinished {
            error,
            ..self.key(attempt).finished(end, now)
        })
    }
}
