//! The limits of one attempt: time, silence, output.

use std::time::Duration;

/// What one attempt may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time until TERM.
    pub max_runtime: Duration,
    /// Time without a byte on standard output or standard error until TERM.
    pub max_idle: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Bytes of standard output; beyond, the worker is ended.
    pub stdout_bytes_max: usize,
    /// Bytes of standard error that are kept; the rest is read and dropped.
    pub stderr_bytes_max: usize,
}
