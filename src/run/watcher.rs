//! What a run reports while it is driven.

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
    /// One line about a task or the run.
    fn say(&mut self, text: &str);
    /// The plan has changed to `plan`.
    fn mirror(&mut self, plan: &Plan);
}
