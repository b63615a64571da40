//! The texts of a row, read back from the ledger: its result, its error, its times. The state knows where they are.

use super::state::{Item, Place, Status};
use crate::ledger::{LedgerError, Lines};
use crate::model::Session;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the ledger has of a row beyond its state.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The result, compact, as it was reported.
    pub result: Option<String>,
    /// When the result was taken.
    pub reported_at: String,
    /// `code: text` of the last failed attempt, unless there is a result.
    pub last_error: Option<String>,
    /// The conversation of that attempt, where a further one can go on with it.
    pub session: Option<Session>,
    /// When the row got its final status.
    pub completed_at: String,
}

/// Reads the texts of a row.
///
/// # Errors
/// The ledger can't be read, or is not the one that the state was folded from.
pub fn details(item: &Item, lines: &Lines) -> Result<Details, LedgerError> {
    let mut details = Details::default();
    if let Some(place) = item.reported {
        let line = lines.line_at(place.get())?;
        let reported: Reported = parse(lines, place, &line)?;
        details.result = Some(reported.result.get().to_owned());
        details.reported_at = reported.reported_at;
    }
    if let Some(place) = item.finished {
        let line = lines.line_at(place.get())?;
        let finished: Finished = parse(lines, place, &line)?;
        details.last_error = finished.error.filter(|_| item.reported.is_none());
        details.session = finished.session;
        if matches!(item.status, Status::Completed | Status::Failed) {
            details.completed_at = finished.completed_at;
        }
    }
    Ok(details)
}

fn parse<'l, T: Deserialize<'l>>(
    lines: &Lines,
    place: Place,
    line: &'l str,
) -> Result<T, LedgerError> {
    serde_json::from_str(line).map_err(|error| lines.broken(place.get(), &error))
}

/// The fields of `attempt_reported` that are texts of its row.
#[derive(Deserialize)]
struct Reported<'l> {
    #[serde(borrow)]
    result: &'l RawValue,
    reported_at: String,
}

/// The fields of `attempt_finished` that are texts of its row.
#[derive(Deserialize)]
struct Finished {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    session: Option<Session>,
    completed_at: String,
}
