//! The progress of a run.

use crate::job;
use crate::job::Observer;
use crate::model::WaveCompiled;
use crate::plan::Plan;

/// Receives the progress of a run.
pub trait Watcher: Observer {
    /// A wave starts.
    fn wave_begins(&mut self, wave: &WaveCompiled);
    /// All rows of a wave have ended.
    fn wave_ends(&mut self, wave: &WaveCompiled, counts: job::Counts);
    /// A message about a task or the run, on one line.
    fn say(&mut self, text: &str);
    /// The plan has changed to `plan`.
    fn mirror(&mut self, plan: &Plan);
}
