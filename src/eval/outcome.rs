//! What came of one task under one arm.

use crate::report::stats::Spend;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A protocol with the adapter that works its rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arm {
    /// The protocol, as given: a name, or the path of a file.
    pub protocol: String,
    /// The adapter; `command` for a command of its own.
    pub adapter: String,
}

impl Arm {
    /// `swarm codex`
    pub fn name(&self) -> String {
        format!("{} {}", self.protocol, self.adapter)
    }
}

/// What the hidden tests said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// Every command exited with 0.
    Passed,
    /// A command did not.
    Failed,
    /// A command exceeded the time limit.
    TimedOut,
}

/// A line of the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The task.
    pub task: String,
    /// Protocol and adapter.
    pub arm: Arm,
    /// SHA-256 of the task's files and of the protocol's file.
    pub digest: String,
    /// The exit code of `mesh run`: 0 or 1.
    pub exit_code: u8,
    /// Tasks of the plan that are completed.
    pub completed: u64,
    /// Why the others are not: the reason in one word, or `open`.
    pub not_completed: Vec<String>,
    /// The hidden tests.
    pub hidden: Hidden,
    /// The last line that the failed command printed; empty if all passed.
    pub key_line: String,
    /// Rows of all tasks.
    pub rows: u64,
    /// Attempts of these rows.
    pub attempts: u64,
    /// The time of workers, in milliseconds.
    pub worker_ms: u64,
    /// From the start of `mesh run` to its end, in milliseconds.
    pub makespan_ms: u64,
    /// Tokens; null if no agent reported any.
    pub tokens: Option<u64>,
    /// US dollars; null if no agent reported any.
    pub cost_usd: Option<f64>,
    /// Where everything about this run is.
    pub folder: PathBuf,
}

impl Outcome {
    /// Whether `mesh run` completed every task of the plan.
    pub fn is_accepted(&self) -> bool {
        self.completed > 0 && self.not_completed.is_empty()
    }

    /// Whether the hidden tests passed.
    pub fn is_passed(&self) -> bool {
        self.hidden == Hidden::Passed
    }

    /// What it took.
    pub fn spend(&self) -> Spend {
        Spend {
            rows: self.rows,
            attempts: self.attempts,
            worker_ms: self.worker_ms,
            tokens: self.tokens,
            cost_usd: self.cost_usd,
        }
    }

    /// `pass`, or why not: the wrong patch was accepted (`WRONG`), or none was (`blocked`).
    pub fn word(&self) -> &'static str {
        match (self.hidden, self.is_accepted()) {
            (Hidden::Passed, true) => "pass",
            (Hidden::Passed, false) => "pass, blocked",
            (Hidden::TimedOut, true) => "WRONG, timed out",
            (Hidden::Failed, true) => "WRONG",
            (_, false) => "blocked",
        }
    }
}
