//! The answers in the files of slices.

use super::error::SliceError;
use super::slice_file::SliceFile;
use crate::ledger;
use crate::model::{AttemptEnd, Event, RowId};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// The answer to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceAnswer {
    /// The row.
    pub id: RowId,
    /// 0-based, over the kept rows of the input.
    pub row_index: u64,
    /// The attempts that it took.
    pub attempts: u32,
    /// The result, or `code: text`.
    pub outcome: Result<Value, String>,
}

/// Passes the answers of all slices of the folder `slices` to `visit`; only those of one slice are in memory at a time.
///
/// # Errors
/// A file can't be read, or is damaged before its last line.
pub fn read_answers(slices: &Path, mut visit: impl FnMut(SliceAnswer)) -> Result<(), SliceError> {
    for file in SliceFile::list(slices)? {
        let mut results: HashMap<u64, Value> = HashMap::new();
        ledger::scan(&file.path, |record, _| match record.event {
            Event::AttemptReported(reported) => {
                results.insert(reported.row_index, reported.result);
            }
            Event::AttemptFinished(finished) => {
                let outcome = match finished.end {
                    AttemptEnd::Completed => results.remove(&finished.row_index).map(Ok),
                    AttemptEnd::Failed => Some(Err(finished.error.unwrap_or_default())),
                    _ => None,
                };
                if let Some(outcome) = outcome {
                    visit(SliceAnswer {
                        id: finished.item_id,
                        row_index: finished.row_index,
                        attempts: finished.attempt,
                        outcome,
                    });
                }
            }
            _ => {}
        })?;
    }
    Ok(())
}
