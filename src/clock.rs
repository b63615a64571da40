//! The only reader of the clock, and the three ways a time is written.

use crate::model::RunId;
use jiff::Timestamp;

/// The current time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// As the ledger writes it: `2026-02-13T01:55:00.123Z`.
pub fn ledger_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// As the output CSV writes it: `2026-02-13T01:55:00+00:00`, whole seconds.
pub fn csv_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// UTC compact, as run ids are made: `20260213T015500Z`.
pub fn run_id(time: Timestamp) -> RunId {
    RunId::new(time.strftime("%Y%m%dT%H%M%SZ").to_string())
}
