//! The end of an attempt's process: why it ended, its output, its leaked children.

use std::fmt;
use std::time::Duration;

/// Why the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It exited.
    Exited,
    /// It exceeded its time limit.
    TimedOut,
    /// It exceeded its idle limit.
    Idle,
    /// It exceeded its output limit.
    OutputTooLarge,
    /// `mesh` was asked to stop now.
    Stopped,
}

/// The end of an attempt's process.
#[derive(Debug)]
pub struct Ended {
    /// Why it ended.
    pub cause: Cause,
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// From start to reaping.
    pub duration: Duration,
    /// Processes that an exited worker left running in its group, the first 16 of them; they were killed. Only Linux
    /// can name them: elsewhere they are killed as well, and this is empty.
    pub leaked: Vec<Leaked>,
}

impl Ended {
    /// The end of an attempt for which no process is started: the answer `{}`.
    pub(crate) fn in_process() -> Self {
        Self {
            cause: Cause::Exited,
            code: Some(0),
            signal: None,
            stdout: b"{}".to_vec(),
            stderr: Vec::new(),
            duration: Duration::ZERO,
            leaked: Vec::new(),
        }
    }
}

/// A process that outlived its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaked {
    /// Its id.
    pub pid: u32,
    /// The name of its program, at most 15 bytes.
    pub name: String,
}

impl fmt::Display for Leaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}
