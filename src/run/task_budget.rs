//! Budgets of single tasks: what the rows of one task may use up. A round is begun as a whole or not at all: half of the
//! votes are no vote. The task keeps its place, as the plan says `in_progress` of it; tasks in other places go on. The run then
//! ends resumable.

use super::RunError;
use super::drive::{PlanRun, Watcher};
use super::state::Unit;
use crate::job::{Budget, Journal, Purse};
use crate::model::{BudgetReached, Event, UnitId};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            budget: self.budget.or(other.budget),
            max_wall_seconds: self.max_wall_seconds.or(other.max_wall_seconds),
        }
    }
}

/// What this call knows of its tasks' budgets.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    began: BTreeMap<UnitId, Instant>,
    /// The budgets that were reached, by task.
    reached: BTreeMap<UnitId, (String, Number)>,
}

impl Accounts {
    /// Whether nothing more of the task starts in this call.
    pub fn is_closed(&self, unit: &UnitId) -> bool {
        self.reached.contains_key(unit)
    }

    /// The budget that a task reached, where one did.
    pub fn first_reached(&self) -> Option<&(String, Number)> {
        self.reached.values().next()
    }
}

impl PlanRun {
    /// Whether a round of so many rows fits into what is left of the task's budget. If not, nothing more of the task starts
    /// in this call.
    pub(super) fn has_room(
        &mut self,
        unit: &Unit,
        rows: usize,
        watcher: &mut dyn Watcher,
    ) -> Result<bool, RunError> {
        if self.accounts.is_closed(&unit.id) {
            return Ok(false);
        }
        let Some((name, limit)) = self.lacking(unit, rows) else {
            return Ok(true);
        };
        let budget = format!("task_{name}");
        watcher.say(&format!("{}: {budget} of {limit} reached", unit.id));
        self.recorder.record(&[Event::from(BudgetReached {
            budget: budget.clone(),
            limit: limit.clone(),
            unit: Some(unit.id.clone()),
        })])?;
        self.accounts
            .reached
            .insert(unit.id.clone(), (budget, limit));
        Ok(false)
    }

    /// The budget without room for so many more rows, and its value.
    fn lacking(&mut self, unit: &Unit, rows: usize) -> Option<(&'static str, Number)> {
        let TaskBudget {
            budget,
            max_wall_seconds,
        } = self.settings.task_budget;
        let began = self.accounts.began.entry(unit.id.clone());
        let elapsed = began.or_insert_with(Instant::now).elapsed();
        let is_over = |seconds: &u64| elapsed >= Duration::from_secs(*seconds);
        if let Some(seconds) = max_wall_seconds.filter(is_over) {
            return Some(("max_wall_seconds", seconds.into()));
        }
        Purse::new(budget, unit.spent).lacking(rows as u64)
    }
}
