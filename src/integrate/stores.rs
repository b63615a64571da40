//! The location of the plan and the learnings, and of the states that a run saves.

use crate::platform::Repo;
use std::path::{Path, PathBuf};

/// The location of the plan and the learnings.
#[derive(Clone, Copy, Debug)]
pub struct Stores<'s> {
    /// The repository of the run.
    pub repo: &'s Repo,
    /// The plan.
    pub plan_file: &'s Path,
}

/// The folder of saved states in a run's folder.
pub(super) fn kept_in(run_folder: &Path) -> PathBuf {
    run_folder.join("kept")
}
