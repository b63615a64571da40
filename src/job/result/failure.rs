//! The failure codes of a row (CONTRACT, section 2).

use crate::model::Fault;
use std::fmt;

/// Why an attempt failed; `last_error` starts with the code (CONTRACT, section 2, "Failures").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The worker exited with 0 but returned nothing.
    NoResponse,
    /// It exceeded a time limit.
    Timeout,
    /// Its result is not an object, or breaks the schema.
    InvalidOutputSchema,
    /// It exited with a code other than 0, or by a signal.
    WorkerExit,
    /// It met a rate limit, which is not the row's fault and consumes no attempt.
    RateLimited,
    /// It could not be started; the fault, unless it is the row's.
    SpawnFailed(Option<Fault>),
    /// Its output or its result exceeds the limit.
    OutputTooLarge,
    /// The memory of its place on a cluster was used up.
    OutOfMemory,
    /// The time of its place on a cluster was used up.
    TimeLimit,
    /// The job stopped while it ran.
    Cancelled,
}

impl Failure {
    /// The code.
    pub fn code(self) -> &'static str {
        match self {
            Failure::NoResponse => "no_response",
            Failure::Timeout => "timeout",
            Failure::InvalidOutputSchema => "invalid_output_schema",
            Failure::WorkerExit => "worker_exit",
            Failure::RateLimited => "rate_limited",
            Failure::SpawnFailed(_) => "spawn_failed",
            Failure::OutputTooLarge => "output_too_large",
            Failure::OutOfMemory => "out_of_memory",
            Failure::TimeLimit => "time_limit",
            Failure::Cancelled => "cancelled",
        }
    }

    /// Whether `--retries` applies.
    pub fn may_be_retried(self) -> bool {
        matches!(
            self,
            Failure::NoResponse | Failure::Timeout | Failure::InvalidOutputSchema
        )
    }

    /// Whether the worker gave an answer that a retry in the same session can correct.
    pub(crate) fn can_be_corrected(self) -> bool {
        matches!(self, Failure::NoResponse | Failure::InvalidOutputSchema)
    }

    /// Whether a `last_error` text is a timeout.
    pub(crate) fn is_timeout_text(text: &str) -> bool {
        text.starts_with("timeout: ")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
