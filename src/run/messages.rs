//! Texts that several commands print.

use crate::model::RunId;

/// The last line of a report to a person (seed, "Ergonomics").
pub const CLOSING_LINE: &str = "Reply with $mesh to run the next ready task from the $st plan.";

/// The command that resumes a run.
pub fn resume_command(run_id: &RunId) -> String {
    format!("mesh resume {run_id}")
}
