//! The answers in the files of slices.

use super::error::SliceError;
use super::slice_file::{JobMark, SliceFile};
use super::slicing::SliceName;
use crate::ledger::{self, LedgerError, Lines};
use crate::model::{AttemptEnd, Event, RowId};
use crate::platform::look;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The answer to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceAnswer {
    /// The row.
    pub id: RowId,
    /// 0-based, over the kept rows of the input.
    pub row_index: u64,
    /// The attempts that it took.
    pub attempts: u32,
    /// Where its result is, or `code: text`.
    pub outcome: Result<ResultPlace, String>,
}

/// The offset of the record with a row's result, an object, in the file of its slice. Results stay there, because those of all rows
/// may not fit into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultPlace(u64);

impl ResultPlace {
    /// Reads the result, from the lines of the same file.
    ///
    /// # Errors
    /// The file can't be read, or was changed.
    pub fn read(self, lines: &Lines) -> Result<Map<String, Value>, SliceError> {
        #[derive(Deserialize)]
        struct Reported {
            result: Map<String, Value>,
        }
        let line = lines.line_at(self.0)?;
        let reported: Result<Reported, _> = serde_json::from_str(&line);
        Ok(reported
            .map_err(|error| lines.invalid_record(self.0, &error))?
            .result)
    }
}

/// A file with what happened to a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceSource {
    /// The file.
    pub path: PathBuf,
    /// The slice.
    pub slice: SliceName,
    /// The job that it is of, if the file says so.
    pub mark: Option<JobMark>,
}

/// The files of slices that were found, and those that are none, with why.
pub type Sources = (Vec<SliceSource>, Vec<(PathBuf, String)>);

/// The files of slices in the folder at `path`, or the one that it is: of each slice that was worked there, the newest; and every file
/// of results, whatever its name. A file without a whole record is left out.
///
/// # Errors
/// The folder or a file can't be read.
pub fn find_sources(path: &Path) -> Result<Sources, SliceError> {
    let candidates = match look::is_folder(path).map_err(SliceError::io(path))? {
        true => SliceFile::list_with_others(path)?,
        false => vec![path.to_owned()],
    };
    let mut found = Sources::default();
    for path in candidates {
        match source(&path) {
            Ok(Some(source)) => found.0.push(source),
            Ok(None) => {}
            Err(error) => found.1.push((path, damage(error)?)),
        }
    }
    Ok(found)
}

fn source(path: &Path) -> Result<Option<SliceSource>, LedgerError> {
    let Some(record) = ledger::first(path)? else {
        return Ok(None);
    };
    let none = || LedgerError::Broken {
        path: path.to_owned(),
        line: 1,
        message: "it is not a file of results of a slice".to_owned(),
    };
    let Event::SliceTaken(taken) = record.event else {
        return Err(none());
    };
    Ok(Some(SliceSource {
        path: path.to_owned(),
        slice: taken.slice.parse().map_err(|()| none())?,
        mark: taken.job_id.map(|job_id| JobMark {
            job_id,
            label: taken.label,
        }),
    }))
}

/// What is wrong with a file, unless it can't be read at all.
fn damage(error: LedgerError) -> Result<String, SliceError> {
    match error {
        LedgerError::Io { .. } => Err(error.into()),
        LedgerError::Broken { line, message, .. } => Ok(format!("line {line}: {message}")),
        error => Ok(error.to_string()),
    }
}

/// How many rows have ended in a file; of several copies of a slice, that with the most counts.
///
/// # Errors
/// [`read_answers`].
pub fn count_answers(path: &Path) -> Result<Result<usize, String>, SliceError> {
    Ok(read_answers(path)?.map(|answers| answers.len()))
}

/// The answers in the file of a slice, or why it is refused as a whole.
///
/// # Errors
/// It can't be read.
pub fn read_answers(path: &Path) -> Result<Result<Vec<SliceAnswer>, String>, SliceError> {
    let mut answers = Vec::new();
    // `None` for a result that is no object, which is no answer.
    let mut results: HashMap<u64, Option<ResultPlace>> = HashMap::new();
    let scanned = ledger::scan(path, |record, place| match record.event {
        Event::AttemptReported(reported) => {
            let place = reported.result.is_object().then_some(ResultPlace(place));
            results.insert(reported.row_index, place);
        }
        Event::AttemptFinished(finished) => {
            let outcome = match finished.end {
                AttemptEnd::Completed => results.remove(&finished.row_index).flatten().map(Ok),
                AttemptEnd::Failed => Some(Err(finished.error.unwrap_or_default())),
                _ => None,
            };
            if let Some(outcome) = outcome {
                answers.push(SliceAnswer {
                    id: finished.item_id,
                    row_index: finished.row_index,
                    attempts: finished.attempt,
                    outcome,
                });
            }
        }
        _ => {}
    });
    match scanned {
        Ok(_) => Ok(Ok(answers)),
        Err(error) => damage(error).map(Err),
    }
}
