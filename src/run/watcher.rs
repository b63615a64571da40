//! The progress of a run.

use super::notice::{Notice, Standing};
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
    /// Something that a person may want to act on, said before or after by [`say`](Self::say); `standing` is how far the run is.
    fn notice(&mut self, notice: &Notice<'_>, standing: Standing);
    /// The plan has changed to `plan`.
    fn mirror(&mut self, plan: &Plan);
}
