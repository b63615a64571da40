//! Waves of tasks that were released while no process drove the run, with rows that a kill left open.
//!
//! Their rows have verdicts, so no wave of them starts again. The executor is called as for any resumed wave, but asked to stop at
//! once: it ends the workers that are left and records the end of their attempts, and starts none.

use super::begin::PlanRun;
use crate::executor;
use crate::job::{Journal, Observer, Progress, Stop, write_csv};
use crate::run::error::RunError;
use crate::run::store::Wave;
use crate::run::watcher::Watcher;

/// Passes on warnings only.
struct Warnings<'w>(&'w mut dyn Watcher);

impl Observer for Warnings<'_> {
    fn progress(&mut self, _snapshot: &Progress) {}

    fn warn(&mut self, text: &str) {
        self.0.warn(text);
    }
}

impl PlanRun {
    /// Ends what a killed process left of tasks that the run no longer has. Call it before the first wave starts.
    pub(super) fn end_released_waves(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        self.release_changed_units(watcher)?;
        let is_left = |wave: &&Wave| {
            let attempts = wave.job.attempts;
            let output = self.folder.path().join(&wave.compiled.csv_path);
            let is_whole =
                attempts.spawned == attempts.closed && output.with_extension("out.csv").is_file();
            wave.job_id.is_some() && !wave.is_open() && !is_whole
        };
        let left: Vec<Wave> = self.state().waves.iter().filter(is_left).cloned().collect();
        for wave in left {
            let settings = self.job_settings(&wave.compiled, wave.job_id)?;
            let stop = Stop::new().map_err(RunError::io(&settings.csv_path))?;
            stop.drain();
            let (mut state, mut warnings) = (wave.job, Warnings(watcher));
            let journal = &mut self.recorder;
            let (_, survey) =
                executor::run(&settings, &mut state, journal, &mut warnings, &stop, None)?;
            write_csv(&settings, &survey, &state, &self.recorder.lines()?)?;
        }
        Ok(())
    }
}
