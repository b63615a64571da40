//! `--follow`: a run that does not end when nothing is ready, but waits for the plan.
//!
//! The file of the plan is looked at twice a second, which works on every file system, also where another machine changes it.

use super::begin::PlanRun;
use super::context::Context;
use super::follow_state::Reload;
use crate::job::Journal;
use crate::model::{Event, RunResumed};
use crate::plan::Plan;
use crate::platform::pace;
use crate::run::budget_overrides::BudgetOverrides;
use crate::run::error::RunError;
use crate::run::notice::Standing;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the plan is looked at while nothing is ready.
const TICK: Duration = Duration::from_millis(500);
/// How often changed limits are asked for while rows run.
const RUNNING_TICK: Duration = Duration::from_secs(10);

impl PlanRun {
    /// Whether the run waits for its plan.
    pub fn follows(&self) -> bool {
        self.settings.options.follow
    }

    /// Asks `reload` for changed limits while the run goes on.
    pub fn reload_with(&mut self, reload: Reload) {
        self.follow.reload = Some(reload);
    }

    /// To be called before a turn looks for ready tasks.
    pub(super) fn note_plan(&mut self) {
        self.follow.looked_at = self.follows().then(|| self.store.current().ok()).flatten();
    }

    /// Returns when the plan is another one than at [`note_plan`](Self::note_plan), the run is asked to stop, or its wall-clock budget is used up.
    pub(super) fn wait_for_tasks(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let known = self.follow.looked_at.take();
        let ended = self.state().units.len();
        if self.follow.said_at != Some(ended) {
            self.follow.said_at = Some(ended);
            context.watcher.say(&format!(
                "nothing is ready; waiting for the plan, until: mesh cancel {}",
                self.id()
            ));
            self.tell_nothing_ready(context.watcher);
        }
        loop {
            std::thread::sleep(pace::interval(TICK));
            if context.is_stopping() || self.is_wall_over() {
                return Ok(());
            }
            self.heed_follow(context)?;
            // A plan that is being replaced, or can't be read now, is looked at again.
            let now = self.store.current().ok();
            let is_same = |now: &Arc<Plan>| known.as_ref().is_some_and(|old| Arc::ptr_eq(old, now));
            if now.is_some_and(|now| !is_same(&now)) {
                return Ok(());
            }
        }
    }

    /// Applies changed limits, and sums up the run once an hour.
    pub(super) fn heed_follow(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let reloaded = self.follow.reload.as_ref().and_then(|reload| reload());
        match reloaded {
            Some(Ok(overrides)) => self.change_limits(&overrides, context)?,
            Some(Err(why)) => context
                .watcher
                .warn(&format!("the limits stay as they are: {why}")),
            None => {}
        }
        if self.settings.options.follow && self.follow.summed_up.elapsed() >= pace::hour() {
            self.follow.summed_up = Instant::now();
            let standing = Standing::of(self.state());
            context.watcher.say(&format!("so far: {standing}"));
        }
        Ok(())
    }

    /// How long the loop may wait before [`heed_follow`](Self::heed_follow) is due.
    pub(super) fn follow_tick(&self) -> Option<Duration> {
        self.settings
            .options
            .follow
            .then_some(pace::interval(RUNNING_TICK))
    }

    fn change_limits(
        &mut self,
        overrides: &BudgetOverrides,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let before = serde_json::to_value(&self.settings).unwrap_or_default();
        self.settings.apply(overrides);
        let options = &self.settings.options;
        self.run_limits.limits.set_budget(options.budget);
        let now = serde_json::to_value(&self.settings).unwrap_or_default();
        let Some(changed) = RunResumed::between(&before, &now) else {
            context
                .watcher
                .say("mesh.yaml was read again: no limit has changed");
            return Ok(());
        };
        self.recorder.record(&[Event::from(changed)])?;
        context.in_flight.set_concurrency(self.concurrency());
        context
            .watcher
            .say("mesh.yaml was read again: its limits hold for rows that start now");
        Ok(())
    }
}
