//! What is left of an attempt when its process has ended.

use std::fmt;
use std::time::Duration;

/// Why the attempt was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The worker ended by itself.
    Exited,
    /// It ran out of time.
    TimedOut,
    /// It was silent for too long.
    Idle,
    /// It printed too much.
    OutputTooLarge,
    /// `mesh` was asked to stop at once.
    Stopped,
}

/// What is left of an attempt.
#[derive(Debug)]
pub struct Ended {
    /// Why it was over.
    pub cause: Cause,
    /// Exit code, when it exited.
    pub code: Option<i32>,
    /// Signal, when one ended it.
    pub signal: Option<i32>,
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// From start to reaping.
    pub duration: Duration,
    /// Processes that a worker left running in its group when it ended by itself, the first 16 of them; they were ended
    /// too. Only Linux can name them: elsewhere they are ended all the same, and this is empty.
    pub leaked: Vec<Leaked>,
}

/// A process that outlived its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaked {
    /// Its id.
    pub pid: u32,
    /// The name of its program, at most 15 bytes of it.
    pub name: String,
}

impl fmt::Display for Leaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}
