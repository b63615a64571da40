//! What one task may use up.

use crate::job::Budget;
use serde::{Deserialize, Serialize};

/// What each task may use up; nothing is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskBudget {
    /// Money, tokens, rows; over all calls of the run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// From its first round in a call on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wall_seconds: Option<u64>,
}

impl TaskBudget {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// This one where it says something, else `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            budget: self.budget.or(other.budget),
            max_wall_seconds: self.max_wall_seconds.or(other.max_wall_seconds),
        }
    }
}
