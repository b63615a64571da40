//! The steps of a plan run, each in a process of its own: compile waves, collect their answers ([`import`](super::import)),
//! integrate.
//!
//! They are the steps of [`PlanRun::drive`] in the same order, over the same ledger. An external runner runs the rows and returns
//! an output CSV or a folder of answers.

use super::import::is_answered;
use crate::job::{Stop, Urgency};
use crate::model::{UnitId, WaveCompiled, WaveNo};
use crate::run::error::RunError;
use crate::run::plan_run::{Context, Phase, PlanRun};
use crate::run::watcher::Watcher;
use crate::workspace::create_copy;
use std::path::PathBuf;

/// The result of `mesh wave next`.
#[derive(Clone, Debug, Default)]
pub struct NextWaves {
    /// Waves that await answers.
    pub waves: Vec<WaveCompiled>,
    /// The copy of the repository for their workers.
    pub snapshot: Option<PathBuf>,
    /// Tasks that are ready for integration.
    pub to_integrate: Vec<UnitId>,
    /// Whether the run has nothing left to do.
    pub is_done: bool,
    /// Whether it was asked to stop before all waves were compiled.
    pub is_stopped: bool,
}

impl PlanRun {
    /// Compiles the next waves. Returns all waves that await answers, including those of earlier calls.
    pub fn next_waves(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<NextWaves, RunError> {
        self.with_context(watcher, stop, |run, context| {
            run.roll_back(context)?;
            run.release_changed_units(context.watcher)?;
            run.judge_answered_waves(context)?;
            run.advance(Phase::Decide, context)?;
            // Patches that are kept are validated with the votes; their tasks then make room for others.
            while !context.integrations.is_empty() && !context.is_stopping() {
                run.finish_integrations(Phase::Decide, context)?;
                run.advance(Phase::Decide, context)?;
            }
            Ok(())
        })?;
        if stop.urgency() != Urgency::None {
            return Ok(NextWaves {
                is_stopped: true,
                ..NextWaves::default()
            });
        }
        let waves: Vec<WaveCompiled> = self
            .open_waves()
            .map(|wave| wave.compiled.clone())
            .collect();
        let snapshot = (!waves.is_empty()).then(|| self.folder.snapshot(1));
        if let Some(snapshot) = &snapshot {
            create_copy(&self.checkout()?, snapshot)?;
        }
        Ok(NextWaves {
            to_integrate: self.to_integrate()?,
            is_done: waves.is_empty() && self.end_if_done(watcher)?,
            waves,
            snapshot,
            is_stopped: false,
        })
    }

    /// Integrates and persists every unit that is ready for it. Returns how many tasks have ended.
    pub fn integrate_ready(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<usize, RunError> {
        let before = self.state().in_flight().count();
        self.with_context(watcher, stop, |run, context| {
            run.roll_back(context)?;
            run.advance_units(Phase::Decide, context)?;
            run.advance_units(Phase::Commit, context)?;
            run.finish_integrations(Phase::Commit, context)
        })?;
        let ended = before - self.state().in_flight().count();
        if self.open_waves().next().is_none() {
            self.end_if_done(watcher)?;
        }
        Ok(ended)
    }

    /// Judges the waves that have all answers and no verdicts, as a kill may leave them.
    fn judge_answered_waves(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let answered = self.open_waves().filter(|wave| is_answered(wave));
        let waves: Vec<WaveNo> = answered.map(|wave| wave.compiled.wave).collect();
        for wave in waves {
            self.judge(wave, context)?;
        }
        self.finish_previews(context)
    }

    /// The tasks in flight that are ready for integration.
    fn to_integrate(&self) -> Result<Vec<UnitId>, RunError> {
        let plan = self.store.current()?;
        let mut found = Vec::new();
        for unit in self.state().in_flight().filter(|unit| !unit.is_held()) {
            let action = self.task(&plan, &unit.id)?.next(&unit.state);
            if Phase::Commit.include(&action) && !self.has_to_wait(&plan, unit)? {
                found.push(unit.id.clone());
            }
        }
        Ok(found)
    }

    /// Records the end of the run when no task is in flight and none can be admitted.
    fn end_if_done(&mut self, watcher: &mut dyn Watcher) -> Result<bool, RunError> {
        if self.has_more()? {
            return Ok(false);
        }
        if self.state().finished.is_none() {
            let end = self.final_status();
            self.end(&end, watcher)?;
        }
        Ok(true)
    }
}
