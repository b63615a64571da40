//! What a killed process left of waves, ended before the first wave starts.
//!
//! Waves of tasks that were released while no process drove the run do not start again, since their rows have verdicts. The executor is
//! called for them as for any resumed wave, but asked to stop at once, so that it ends what else is left and starts nothing.

use super::begin::PlanRun;
use crate::executor;
use crate::job::{Journal, Observer, Progress, Stop, write_csv};
use crate::platform::look;
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
    /// Ends the workers that a killed process left running, and the waves of tasks that the run no longer has. Call it before the
    /// first wave starts: the rows of one must not run beside what is left of another.
    pub(super) fn end_left_waves(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let is_left = |wave: &&Wave| {
            let attempts = wave.job.attempts;
            wave.job_id.is_some() && attempts.spawned != attempts.closed
        };
        let left = self.state().waves.iter().filter(is_left);
        let left = left.map(|wave| {
            let settings = self.job_settings(&wave.compiled, wave.job_id.clone())?;
            Ok((settings, wave.job.clone()))
        });
        let left: Vec<_> = left.collect::<Result<_, RunError>>()?;
        executor::end_left(&left, &mut self.recorder, &mut Warnings(watcher), stop)?;
        self.end_released_waves(watcher)
    }

    fn end_released_waves(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        self.release_changed_units(watcher)?;
        let mut left = Vec::new();
        for wave in &self.state().waves {
            let attempts = wave.job.attempts;
            let output = self.folder.path().join(&wave.compiled.csv_path);
            let output = output.with_extension("out.csv");
            if wave.job_id.is_some()
                && !wave.is_open()
                && !(attempts.spawned == attempts.closed
                    && look::is_file(&output).map_err(RunError::io(&output))?)
            {
                left.push(wave.clone());
            }
        }
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
