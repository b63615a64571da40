//! How a job ended, for the summary and the exit code.

use super::policy::Shut;
use super::stop::{Stop, StopSource};
use crate::platform::clock;
use jiff::Timestamp;
use serde_json::Number;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Every row completed or failed.
    Finished,
    /// A worker asked to stop the job.
    StoppedByWorker,
    /// A halt rule ended it, with its reason.
    Halted(String),
    /// A budget is used up.
    BudgetReached {
        /// The option that sets it, with underscores.
        budget: String,
        /// Its value.
        limit: Number,
        /// Whether running rows were cancelled because of it.
        is_hard: bool,
    },
    /// The breaker ended it: a limit beyond the maximum wait, no credit, or no log-in.
    Shut(Shut),
    /// Rows have no answer for a reason that is not their fault.
    Unanswered(String),
    /// `mesh cancel` ended it.
    Cancelled,
    /// A signal ended it.
    Interrupted(i32),
}

impl JobStatus {
    /// The status of a job that was asked to stop.
    pub fn of(stop: &Stop) -> Self {
        match stop.source() {
            Some(StopSource::Signal(signal)) => JobStatus::Interrupted(signal),
            Some(StopSource::Cancel) => JobStatus::Cancelled,
            None => JobStatus::StoppedByWorker,
        }
    }

    /// The exit code of an early end (CONTRACT, "Exit codes"); `None` if the rows decide.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            JobStatus::Finished => None,
            JobStatus::StoppedByWorker
            | JobStatus::Halted(_)
            | JobStatus::Shut(_)
            | JobStatus::Unanswered(_)
            | JobStatus::BudgetReached { .. }
            | JobStatus::Cancelled => Some(4),
            JobStatus::Interrupted(signal) => Some(u8::try_from(128 + signal).unwrap_or(130)),
        }
    }

    /// The summary's `job_error`.
    pub fn job_error(&self) -> Option<String> {
        match self {
            JobStatus::Finished => None,
            JobStatus::StoppedByWorker => Some("cancelled by worker request".to_owned()),
            JobStatus::Halted(reason) | JobStatus::Unanswered(reason) => Some(reason.clone()),
            JobStatus::Shut(shut) => Some(shut_text(shut)),
            JobStatus::BudgetReached {
                budget,
                limit,
                is_hard,
            } => {
                let running = match (budget.as_str(), is_hard) {
                    ("max_wall_seconds", false) => "; running rows ended by themselves",
                    ("max_wall_seconds", true) => "; running rows were ended",
                    _ => "",
                };
                Some(format!("{budget} of {limit} reached{running}"))
            }
            JobStatus::Cancelled => Some("cancelled by mesh cancel".to_owned()),
            JobStatus::Interrupted(signal) => Some(format!("interrupted by signal {signal}")),
        }
    }

    /// When to resume, if a limit names a time.
    pub fn resume_at(&self) -> Option<Timestamp> {
        match self {
            JobStatus::Shut(Shut::TooLong { until, .. }) => *until,
            _ => None,
        }
    }

    /// What to do before resuming.
    pub fn advice(&self) -> Option<&str> {
        match self {
            JobStatus::Shut(Shut::LogIn { advice, .. }) => Some(advice),
            JobStatus::Shut(Shut::Credit { .. }) => {
                Some("add credit to the account or raise its spending limit, then resume")
            }
            _ => None,
        }
    }

    /// The option to raise before resuming, since a used-up budget stays used up. The time budget starts anew in each
    /// run.
    pub fn option_to_raise(&self) -> Option<String> {
        match self {
            JobStatus::BudgetReached { budget, .. } if !budget.ends_with("max_wall_seconds") => {
                Some(format!("--{}", budget.replace('_', "-")))
            }
            _ => None,
        }
    }
}

/// Why a job ended early, as text.
fn shut_text(shut: &Shut) -> String {
    match shut {
        Shut::TooLong {
            until: Some(until),
            text,
        } => format!(
            "a rate limit holds until {}, longer than rate_limit_wait_max allows: {text}",
            clock::utc_time_of_day(*until)
        ),
        Shut::TooLong { until: None, text } => format!(
            "a rate limit of unknown end was waited for as long as rate_limit_wait_max allows: {text}"
        ),
        Shut::Credit { text } => format!("the account has no credit left: {text}"),
        Shut::LogIn { text, .. } => format!("the agent is not logged in: {text}"),
    }
}
