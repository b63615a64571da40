//! The texts of a row, read from the ledger at the offsets in the state: its result, its error, its times.

use super::state::{Item, LedgerOffset, Status};
use crate::ledger::{LedgerError, Lines};
use crate::model::{AttemptEnd, AttemptFault, Fault, Session};
use crate::platform::clock;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the ledger holds about a row beyond its state.
#[derive(Clone, Debug, Default)]
pub struct RowRecord {
    /// The result as reported, as compact JSON.
    pub result: Option<String>,
    /// When the result was accepted.
    pub reported_at: String,
    /// `code: text` of the last failed attempt, or what the row waits for; `None` with a result.
    pub last_error: Option<String>,
    /// What the next prompt says about earlier attempts.
    pub feedback: Option<String>,
    /// Why the last attempt gave no answer, if that was not the row's fault.
    pub fault: Option<Fault>,
    /// The conversation of that attempt, if a retry can continue it.
    pub session: Option<Session>,
    /// When the row got its final status.
    pub completed_at: String,
}

/// Reads the texts of a row.
///
/// # Errors
/// The ledger can't be read, or is not the one that the state was folded from.
pub fn read_record(item: &Item, lines: &Lines) -> Result<RowRecord, LedgerError> {
    let mut record = RowRecord::default();
    if let Some(place) = item.reported {
        let line = lines.line_at(place.get())?;
        let reported: Reported = parse(lines, place, &line)?;
        record.result = Some(reported.result.get().to_owned());
        record.reported_at = reported.reported_at;
    }
    if let Some(place) = item.finished {
        let line = lines.line_at(place.get())?;
        let finished: Finished = parse(lines, place, &line)?;
        let error = finished.error.filter(|_| item.reported.is_none());
        let waits = finished.fault.filter(|_| item.status == Status::Pending);
        record.fault = waits.as_ref().map(|fault| fault.kind);
        (record.last_error, record.feedback) = match waits {
            Some(fault) => (error.map(|error| waiting(&error, &fault)), fault.feedback),
            None => (error.clone(), error),
        };
        record.session = finished.session;
        if matches!(item.status, Status::Completed | Status::Failed) {
            record.completed_at = finished.completed_at;
        }
    }
    Ok(record)
}

/// The last failure of a row: `code: text`, and the fault of the service or the machine, if that was the cause. `None` if it has not
/// failed, or was tried again since.
///
/// # Errors
/// The ledger can't be read, or is not the one that the state was folded from.
pub fn read_failure(
    item: &Item,
    lines: &Lines,
) -> Result<Option<(String, Option<Fault>)>, LedgerError> {
    let Some(place) = item
        .finished
        .filter(|_| matches!(item.status, Status::Failed | Status::Pending))
    else {
        return Ok(None);
    };
    let line = lines.line_at(place.get())?;
    let finished: Finished = parse(lines, place, &line)?;
    let is_failure = matches!(finished.end, AttemptEnd::Failed | AttemptEnd::Retry);
    let fault = finished.fault.map(|fault| fault.kind);
    Ok(finished
        .error
        .filter(|_| is_failure)
        .map(|error| (error, fault)))
}

/// `rate_limited: waiting for a rate limit until 14:05 UTC on 2026-02-13: exit code 1: …`.
fn waiting(error: &str, fault: &AttemptFault) -> String {
    match (
        fault.until.as_deref().and_then(clock::read),
        error.split_once(": "),
    ) {
        (Some(until), Some((code, text))) => {
            let until = clock::utc_time_of_day(until);
            format!("{code}: waiting for a rate limit until {until}: {text}")
        }
        _ => error.to_owned(),
    }
}

fn parse<'l, T: Deserialize<'l>>(
    lines: &Lines,
    place: LedgerOffset,
    line: &'l str,
) -> Result<T, LedgerError> {
    serde_json::from_str(line).map_err(|error| lines.invalid_record(place.get(), &error))
}

/// The fields of `attempt_reported` with texts of its row.
#[derive(Deserialize)]
struct Reported<'l> {
    #[serde(borrow)]
    result: &'l RawValue,
    reported_at: String,
}

/// The fields of `attempt_finished` with texts of its row.
#[derive(Deserialize)]
struct Finished {
    end: AttemptEnd,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    fault: Option<AttemptFault>,
    #[serde(default)]
    session: Option<Session>,
    completed_at: String,
}
