//! When a job starts no further rows: on request, by a halt rule, over a budget, at a limit of the account.

use super::turn::Turn;
use crate::job::{Counts, JobStatus, Settings, SharedLimits, Stop, Urgency, When};
use crate::model::BudgetReached;
use serde_json::Number;
use std::sync::Arc;
use std::time::Duration;

/// Why a job starts no further rows, if so.
#[derive(Default)]
pub(crate) struct EarlyEnd {
    /// Rows by status at the start of this run: a resumed job must not halt over what it halted over before.
    before: Counts,
    /// A worker asked to stop the job; perhaps not durable yet.
    stop_requested: bool,
    halted: Option<JobStatus>,
}

impl EarlyEnd {
    pub fn begin(&mut self, counts: Counts) {
        self.before = counts;
    }

    pub fn ended_before(&self) -> u64 {
        self.before.ended()
    }

    pub fn request_stop(&mut self) {
        self.stop_requested = true;
    }

    pub fn may_start(&self, stop: &Stop) -> bool {
        stop.urgency() == Urgency::None && !self.stop_requested && self.halted.is_none()
    }

    /// Checks the job's rules for ending early; the results of this turn count already.
    pub fn check(
        &mut self,
        settings: &Settings,
        counts: Counts,
        accounts: &[Arc<SharedLimits>],
        stop: &Stop,
        turn: &mut Turn,
    ) {
        let Some(limits) = accounts.first() else {
            return;
        };
        self.check_time(settings, limits, stop, turn);
        if self.halted.is_some() {
            return;
        }
        let total = counts.total;
        let completed = counts.completed + turn.completed - self.before.completed;
        let failed = counts.failed + turn.failed - self.before.failed;
        if let Some(when) = settings.halt.due(completed, failed, total) {
            let reason = settings.halt.reason(completed, failed, total);
            self.halted = Some(JobStatus::Halted(reason));
            if when == When::Now {
                stop.end_now();
            }
        }
        for limits in accounts {
            limits.give_up_waiting();
            if let Some(shut) = limits.shut() {
                self.halted = Some(JobStatus::Shut(shut));
            }
        }
    }

    /// Checks the time budget. A hard one also cancels rows that another rule lets finish.
    fn check_time(
        &mut self,
        settings: &Settings,
        limits: &SharedLimits,
        stop: &Stop,
        turn: &mut Turn,
    ) {
        let is_over = |seconds: &u64| limits.elapsed() >= Duration::from_secs(*seconds);
        let Some(seconds) = settings.max_wall_seconds.filter(is_over) else {
            return;
        };
        if self.halted.is_none() {
            self.reach_budget("max_wall_seconds", seconds.into(), settings, turn);
        }
        if settings.wall_hard && stop.urgency() != Urgency::Now {
            stop.end_now();
        }
    }

    /// Ends the job because `budget` is used up.
    pub fn reach_budget(
        &mut self,
        budget: &str,
        limit: Number,
        settings: &Settings,
        turn: &mut Turn,
    ) {
        self.halted = Some(JobStatus::BudgetReached {
            budget: budget.to_owned(),
            limit: limit.clone(),
            is_hard: budget == "max_wall_seconds" && settings.wall_hard,
        });
        turn.record(BudgetReached {
            budget: budget.to_owned(),
            limit,
            unit: None,
        });
    }

    pub fn status(&self, counts: Counts, stop: &Stop) -> JobStatus {
        if counts.ended() == counts.total {
            return JobStatus::Finished;
        }
        match &self.halted {
            Some(halted) => halted.clone(),
            None => JobStatus::of(stop),
        }
    }
}
