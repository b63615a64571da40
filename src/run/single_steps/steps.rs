//! A run one step at a time, each in a process of its own: hand out waves, collect their answers ([`intake`](super::import)),
//! integrate.
//!
//! The steps are those of [`PlanRun::drive`] in the same order, over the same ledger; only who works the rows is
//! somebody else, who brings back an output CSV or a folder of answers.

use super::import::is_answered;
use crate::adapter::EXTERNAL;
use crate::executor::Slots;
use crate::job::Stop;
use crate::model::{UnitId, WaveCompiled, WaveNo};
use crate::run::error::RunError;
use crate::run::plan_run::{Phase, PlanRun, WavesInFlight};
use crate::run::settings::Settings;
use crate::run::store::Wave;
use crate::run::watcher::Watcher;
use crate::schedule::Dispatch;
use crate::workspace::checkout;
use std::path::PathBuf;

/// What somebody may work now.
#[derive(Clone, Debug, Default)]
pub struct NextWaves {
    /// Waves without answers.
    pub waves: Vec<WaveCompiled>,
    /// The copy of the repository that their workers are to see.
    pub snapshot: Option<PathBuf>,
    /// Tasks that wait for the integrator.
    pub to_integrate: Vec<UnitId>,
    /// The run has nothing left to do.
    pub is_done: bool,
}

impl Settings {
    /// Whether somebody else works the rows.
    pub fn is_external(&self) -> bool {
        self.adapter == EXTERNAL
    }
}

impl PlanRun {
    /// Compiles what the units need next; gives the waves that have no answers yet, those of before too.
    pub fn next_waves(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<NextWaves, RunError> {
        self.roll_back(watcher, stop)?;
        self.release_changed_units(watcher)?;
        self.with_waves_in_flight(watcher, stop, |run, in_flight, watcher| {
            run.judge_answered_waves(in_flight, watcher, stop)?;
            let is_rolling = run.settings.dispatch == Dispatch::Rolling;
            if is_rolling || run.open_waves().next().is_none() {
                run.advance_units(Phase::Decide, in_flight, watcher, stop)?;
                run.fill_free_slots(Phase::Decide, in_flight, watcher, stop)?;
                run.emit(watcher)?;
            }
            Ok(())
        })?;
        let waves: Vec<WaveCompiled> = self
            .open_waves()
            .map(|wave| wave.compiled.clone())
            .collect();
        let snapshot = (!waves.is_empty()).then(|| self.folder.snapshot(1));
        if let Some(snapshot) = &snapshot {
            checkout::make(&self.checkout()?, snapshot)?;
        }
        Ok(NextWaves {
            to_integrate: self.to_integrate()?,
            is_done: waves.is_empty() && self.end_if_done(watcher)?,
            waves,
            snapshot,
        })
    }

    /// Integrates and persists every unit that is ready for it; gives their number.
    pub fn integrate_ready(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<usize, RunError> {
        self.roll_back(watcher, stop)?;
        let before = self.state().in_flight().count();
        self.with_waves_in_flight(watcher, stop, |run, in_flight, watcher| {
            run.advance_units(Phase::Decide, in_flight, watcher, stop)?;
            run.advance_units(Phase::Commit, in_flight, watcher, stop)
        })?;
        let ended = before - self.state().in_flight().count();
        if self.open_waves().next().is_none() {
            self.end_if_done(watcher)?;
        }
        Ok(ended)
    }

    /// A kill may have left a wave with all of its answers and without verdicts.
    fn judge_answered_waves(
        &mut self,
        in_flight: &mut WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let answered = self.open_waves().filter(|wave| is_answered(wave));
        let waves: Vec<WaveNo> = answered.map(|wave| wave.compiled.wave).collect();
        for wave in waves {
            self.judge(wave, in_flight, watcher, stop)?;
        }
        Ok(())
    }

    pub(crate) fn with_waves_in_flight(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
        step: impl FnOnce(
            &mut Self,
            &mut WavesInFlight<'_, '_>,
            &mut dyn Watcher,
        ) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let slots = Slots::new(self.concurrency());
        std::thread::scope(|scope| {
            step(self, &mut WavesInFlight::new(scope, &slots, stop), watcher)
        })
    }

    /// Whether somebody else has rows of this run to work.
    pub fn awaits_answers(&self) -> bool {
        self.settings.is_external() && self.open_waves().next().is_some()
    }

    pub(crate) fn open_waves(&self) -> impl Iterator<Item = &Wave> {
        self.state().waves.iter().filter(|wave| wave.is_open())
    }

    /// Tasks whose next step is the integrator's.
    fn to_integrate(&self) -> Result<Vec<UnitId>, RunError> {
        let plan = self.store.read()?;
        let mut found = Vec::new();
        for unit in self.state().in_flight() {
            let action = self.task(&plan, &unit.id)?.next(&unit.state);
            if Phase::Commit.include(&action) && !self.has_to_wait(&plan, unit)? {
                found.push(unit.id.clone());
            }
        }
        Ok(found)
    }

    /// Records the end of the run when no task is in flight and none can be taken up.
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
