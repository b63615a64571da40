//! Where plan and learnings stand, and where a run keeps what it saved of them.

use crate::platform::Repo;
use std::path::{Path, PathBuf};

/// Where plan and learnings stand.
#[derive(Clone, Copy, Debug)]
pub struct Stores<'s> {
    /// The repository of the run.
    pub repo: &'s Repo,
    /// The plan.
    pub plan_file: &'s Path,
}

/// The folder of saved states in the folder of a run.
pub(super) fn kept_in(run_folder: &Path) -> PathBuf {
    run_folder.join("kept")
}
