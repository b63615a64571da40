//! A scratch tree: a copy of the user's tree in a folder of the run, with its own repository. Patches are applied and commands
//! run there without touching the user's files, index or branches.
//!
//! It contains `HEAD`, the uncommitted changes, and the untracked files that git does not ignore. Ignored files stay in it
//! from one use to the next, so that builds are incremental.

use super::error::IntegrateError;
use crate::platform::{Repo, look};
use std::path::Path;

/// A scratch tree.
#[derive(Debug)]
pub struct Scratch {
    repo: Repo,
}

impl Scratch {
    /// Creates the scratch tree in `folder`, or updates it to the state of `real`.
    pub fn of(real: &Repo, folder: &Path) -> Result<Self, IntegrateError> {
        let keep = match look::is_folder(folder).map_err(IntegrateError::io(folder))? {
            true => real.ignored_in(folder)?,
            false => Default::default(),
        };
        crate::workspace::refresh(real, folder, &keep)?;
        // Recreate the repository, because a command may have committed or installed a hook.
        let repo = real.borrowed(folder, &real.head()?)?;
        Ok(Self { repo })
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        self.repo.root()
    }

    /// Applies a patch that was checked against the user's tree.
    pub fn apply(&self, patch: &Path) -> Result<(), IntegrateError> {
        Ok(self.repo.apply(patch)?)
    }
}
