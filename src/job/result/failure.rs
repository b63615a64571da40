//! The failure codes of a row (CONTRACT, section 2).

use std::fmt;

/// Why an attempt failed; `last_error` starts with the code (CONTRACT, section 2, "Failures").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The worker ended well and handed nothing back.
    NoResponse,
    /// It ran out of time.
    Timeout,
    /// Its result is no object, or breaks the schema.
    InvalidOutputSchema,
    /// It exited with another code than 0, or by a signal.
    WorkerExit,
    /// It met a rate limit; this says nothing of the row and consumes no attempt.
    RateLimited,
    /// It could not be started.
    SpawnFailed,
    /// Its output or its result is over the bound.
    OutputTooLarge,
    /// The job was stopped while it ran.
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
            Failure::SpawnFailed => "spawn_failed",
            Failure::OutputTooLarge => "output_too_large",
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

    /// Whether the worker ended by itself and can be told what was wrong with its answer.
    pub(crate) fn is_mendable(self) -> bool {
        matches!(self, Failure::NoResponse | Failure::InvalidOutputSchema)
    }

    /// Whether a `last_error` text is a time-out.
    pub(crate) fn is_timeout_text(text: &str) -> bool {
        text.starts_with("timeout: ")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
