//! One imported answer: what it says, checked like that of a local worker, and the events that record it.

use super::imported_answers::{Answers, ImportedAnswer};
use crate::job::{Failure, JobError, ReadText, ResultCheck};
use crate::ledger::Lines;
use crate::model::{AttemptEnd, AttemptFinished, AttemptKey, Event, ReportVia, RowId, WaveNo};
use crate::platform::clock;
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::table::{Mark, ReadOptions, Reader, TableError};
use crate::verdict::{Object, extract};
use serde_json::Value;

/// A checked result, or `code: text`.
pub(super) type Outcome = Result<Object, String>;

/// Reads and checks what [`Answers`] say of single rows.
pub(super) struct Outcomes<'a> {
    answers: &'a Answers,
    check: &'a ResultCheck,
    prose: Option<ReadText>,
    /// The file of a slice that was read last. Rows of a slice mostly follow each other.
    open: Option<(u32, Lines)>,
    /// The table, where it was read last.
    table: Option<Reader>,
}

impl<'a> Outcomes<'a> {
    pub fn new(answers: &'a Answers, check: &'a ResultCheck, prose: Option<ReadText>) -> Self {
        Self {
            answers,
            check,
            prose,
            open: None,
            table: None,
        }
    }

    /// The number of attempts, at least 1, and the outcome of the last one; `None` without an answer.
    pub fn read(
        &mut self,
        id: &RowId,
        imported: &ImportedAnswer,
    ) -> Result<Option<(u32, Outcome)>, RunError> {
        let error_text = |(failure, text): (Failure, String)| format!("{failure}: {text}");
        let (attempts, outcome) = match imported {
            ImportedAnswer::Nothing => return Ok(None),
            ImportedAnswer::Written(file) => {
                let path = self.answers.path(id, *file);
                let bytes = std::fs::read(&path).map_err(RunError::io(&path))?;
                let picked = self.check.pick(&bytes, self.prose);
                let checked = picked.and_then(|picked| self.check.check_picked(picked));
                (1, checked.map_err(error_text))
            }
            ImportedAnswer::Result { json, attempts } => (*attempts, self.check_text(json)),
            ImportedAnswer::InTable { mark, attempts } => {
                let text = self.cell(*mark)?;
                (*attempts, self.check_text(&text))
            }
            ImportedAnswer::InSlice {
                file,
                place,
                attempts,
            } => {
                let result = place.read(self.lines(*file)?)?;
                (*attempts, self.check.check(result).map_err(error_text))
            }
            ImportedAnswer::Failed { error, attempts } => (*attempts, Err(error.to_string())),
        };
        Ok(Some((attempts.max(1), outcome)))
    }

    /// The result in the cell of a table.
    fn check_text(&self, text: &str) -> Outcome {
        let picked = extract::object(text.as_bytes());
        let picked = picked.map_err(|error| format!("no_response: {error}"))?;
        let checked = self.check.check(picked);
        checked.map_err(|(failure, text)| format!("{failure}: {text}"))
    }

    /// The cell with the result of the row at `mark`. Rows mostly follow each other.
    fn cell(&mut self, mark: Mark) -> Result<String, RunError> {
        let Some((path, result_at)) = self.answers.table() else {
            return Ok(String::new());
        };
        let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
        let changed = || {
            let why = "it was changed while its answers were collected; collect them again";
            RunError::BadAnswers(vec![Refusal::new(path, why)])
        };
        let open = || Reader::open(path, path, &ReadOptions::default()).map_err(table);
        let mut reader = match self.table.take() {
            Some(reader) => reader,
            None => open()?,
        };
        let mut fields = reader.next_row().map_err(table)?;
        if fields.is_none() || reader.mark() != Some(mark) {
            if !reader.seek(mark).map_err(table)? {
                return Err(changed());
            }
            fields = reader.next_row().map_err(table)?;
        }
        self.table = Some(reader);
        let cell = fields.and_then(|fields| fields.into_iter().nth(result_at));
        cell.ok_or_else(changed)
    }

    fn lines(&mut self, file: u32) -> Result<&Lines, RunError> {
        let lines = match self.open.take() {
            Some((open, lines)) if open == file => lines,
            _ => Lines::open(&self.answers.slice_files[file as usize])?,
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
