//! The status of a run in one word, the same in every list and report.

use crate::run::State;

/// A process drives it.
pub const RUNNING: &str = "running";
/// It waits for answers from outside.
pub const WAITING: &str = "waiting";
/// No process drives it, and it has not ended: it was killed.
pub const NOT_ENDED: &str = "not ended";

/// The status of a run: [`RUNNING`] also if it had ended and was resumed; else how it ended, or why it has not.
pub fn run_status(state: &State, is_driven: bool) -> &str {
    match &state.finished {
        _ if is_driven => RUNNING,
        Some(finished) => &finished.status,
        None if state.is_external() => WAITING,
        None => NOT_ENDED,
    }
}
