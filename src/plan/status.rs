//! The two states of an item: [`Status`], which is set, and [`DepState`], which follows from the dependencies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PlanError;

/// The status of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not started. Only such items may be selected.
    Pending,
    /// In progress; all its dependencies are completed.
    InProgress,
    /// Done; all its dependencies are completed.
    Completed,
    /// Stopped by a cause outside the plan's dependencies.
    Blocked,
    /// Postponed.
    Deferred,
    /// Abandoned. Never satisfies a dependency.
    Canceled,
}

impl Status {
    /// The spelling in plan files.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Blocked => "blocked",
            Status::Deferred => "deferred",
            Status::Canceled => "canceled",
        }
    }

    /// Whether the status is final: completed or canceled.
    pub fn is_terminal(self) -> bool {
        matches!(self, Status::Completed | Status::Canceled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = PlanError;

    /// Accepts the six names and their aliases in any case: `open`, `queued`, `active`, `doing`,
    /// `in-progress`, `done`, `closed`, `cancelled`.
    fn from_str(text: &str) -> Result<Status, PlanError> {
        match text.trim().to_lowercase().as_str() {
            "pending" | "open" | "queued" => Ok(Status::Pending),
            "in_progress" | "in-progress" | "active" | "doing" => Ok(Status::InProgress),
            "completed" | "done" | "closed" => Ok(Status::Completed),
            "blocked" => Ok(Status::Blocked),
            "deferred" => Ok(Status::Deferred),
            "canceled" | "cancelled" => Ok(Status::Canceled),
            _ => Err(PlanError::InvalidStatus {
                found: text.to_owned(),
            }),
        }
    }
}

/// Whether an item may start, by its status and its dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DepState {
    /// Every dependency is completed; the status is pending or in progress.
    Ready,
    /// At least one dependency is not completed, or not in the plan.
    WaitingOnDeps,
    /// The status is `blocked`, with any dependencies.
    BlockedManual,
    /// The status is `completed`, `deferred` or `canceled`.
    NotApplicable,
}

impl DepState {
    /// The state of an item with this status; `is_waiting` if a dependency is not completed.
    pub(super) fn new(status: Status, is_waiting: bool) -> DepState {
        match status {
            Status::Blocked => DepState::BlockedManual,
            Status::Completed | Status::Deferred | Status::Canceled => DepState::NotApplicable,
            Status::Pending | Status::InProgress if is_waiting => DepState::WaitingOnDeps,
            Status::Pending | Status::InProgress => DepState::Ready,
        }
    }

    /// The spelling in views.
    pub fn as_str(self) -> &'static str {
        match self {
            DepState::Ready => "ready",
            DepState::WaitingOnDeps => "waiting_on_deps",
            DepState::BlockedManual => "blocked_manual",
            DepState::NotApplicable => "n/a",
        }
    }
}

impl fmt::Display for DepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_in_any_case_name_the_six_statuses() {
        for (text, status) in [
            ("open", Status::Pending),
            ("Queued", Status::Pending),
            ("DOING", Status::InProgress),
            ("in-progress", Status::InProgress),
            ("done", Status::Completed),
            ("closed", Status::Completed),
            ("cancelled", Status::Canceled),
            (" deferred ", Status::Deferred),
        ] {
            assert_eq!(text.parse::<Status>().ok(), Some(status), "{text}");
        }
    }

    #[test]
    fn an_unknown_status_lists_the_known_ones() {
        let error = "later".parse::<Status>().expect_err("not a status");
        assert_eq!(
            error.to_string(),
            "invalid status 'later'; expected one of: blocked, canceled, completed, deferred, in_progress, pending"
        );
    }
}
