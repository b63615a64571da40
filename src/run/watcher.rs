//! What a run tells while it goes on.

use crate::job;
use crate::job::Observer;
use crate::model::WaveCompiled;
use crate::plan::Plan;

/// Somebody who watches a run.
pub trait Watcher: Observer {
    /// A wave is about to be worked.
    fn wave_begins(&mut self, wave: &WaveCompiled);
    /// Its rows have ended.
    fn wave_ends(&mut self, wave: &WaveCompiled, counts: job::Counts);
    /// One line about a task or the run.
    fn say(&mut self, text: &str);
    /// The plan was changed, and is like this now.
    fn mirror(&mut self, plan: &Plan);
}
