//! Budgets of single tasks: what the rows of one task may use up. A round is begun as a whole or not at all: half of the
//! votes are no vote. The task keeps its place, as the plan says `in_progress` of it; tasks in other places go on. The run then
//! ends resumable.

use super::begin::PlanRun;
use crate::job::{BudgetTracker, Journal};
use crate::model::{BudgetReached, Event};
use crate::run::error::RunError;
use crate::run::store::Unit;
use crate::run::task_budget::TaskBudget;
use crate::run::watcher::Watcher;
use serde_json::Number;
use std::time::{Duration, Instant};

impl PlanRun {
    /// Whether a round of so many rows fits into what is left of the task's budget. If not, nothing more of the task starts
    /// in this call.
    pub(crate) fn has_room(
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
        BudgetTracker::new(budget, unit.spent).lacking(rows as u64)
    }
}
