//! A process that drives a run.

use super::id::RunId;
use serde::{Deserialize, Serialize};

/// A process that drives a run, on some machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProcess {
    /// The run.
    pub run: RunId,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When the process started, in hundredths of a second since boot; 0 if unknown.
    pub start_ticks: u64,
}
