//! The budget of one task.

use crate::job::Budget;
use serde::{Deserialize, Serialize};

/// The budget of each task of a run; an absent value is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskBudget {
    /// Cost, tokens and rows, over all calls of the run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Wall-clock time, counted in each call from the first round of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wall_seconds: Option<u64>,
}

impl TaskBudget {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The values of this budget, and those of `other` where this one has none.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            budget: self.budget.or(other.budget),
            max_wall_seconds: self.max_wall_seconds.or(other.max_wall_seconds),
        }
    }
}
