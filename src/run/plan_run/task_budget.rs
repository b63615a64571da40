//! Enforces the budget of each task. A round starts whole or not at all, since half of the votes are no vote. A task that
//! reached its budget keeps its slot, as it is `in_progress` in the plan; other tasks go on, and the run ends resumable.

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
    /// Whether a round of `rows` fits into the task's budget. If not, no further row of the task starts in this call.
    pub(crate) fn fits_budget(
        &mut self,
        unit: &Unit,
        rows: usize,
        watcher: &mut dyn Watcher,
    ) -> Result<bool, RunError> {
        if self.accounts.is_closed(&unit.id) {
            return Ok(false);
        }
        let Some((name, limit)) = self.find_exceeded(unit, rows) else {
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

    /// The budget that `rows` more would exceed, and its value.
    fn find_exceeded(&mut self, unit: &Unit, rows: usize) -> Option<(&'static str, Number)> {
        let TaskBudget {
            budget,
            max_wall_seconds,
        } = self.settings.options.task_budget;
        let began = self.accounts.began.entry(unit.id.clone());
        let elapsed = began.or_insert_with(Instant::now).elapsed();
        let is_over = |seconds: &u64| elapsed >= Duration::from_secs(*seconds);
        if let Some(seconds) = max_wall_seconds.filter(is_over) {
            return Some(("max_wall_seconds", seconds.into()));
        }
        BudgetTracker::new(budget, unit.spent).lacking(rows as u64)
    }
}
