//! A scratch tree: the user's tree once more, in a folder of the run, with a repository of its own. A patch can be applied
//! and commands can be run there without the user's files, index or branches being touched.
//!
//! It holds HEAD, the uncommitted changes, and untracked files that git does not ignore. What git ignores stays in the
//! scratch tree from one use to the next, as it does in a work tree, so that a build need not begin from nothing.

use super::error::IntegrateError;
use crate::platform::Repo;
use std::path::Path;

/// A scratch tree that is like the user's.
#[derive(Debug)]
pub struct Scratch {
    repo: Repo,
}

impl Scratch {
    /// Brings the scratch tree in `folder` to the state of `real`; makes it when it is not there.
    pub fn of(real: &Repo, folder: &Path) -> Result<Self, IntegrateError> {
        let keep = match folder.is_dir() {
            true => real.ignored_in(folder)?,
            false => Default::default(),
        };
        crate::workspace::refresh(real, folder, &keep)?;
        // Anew each time: a command may have committed, or set a hook.
        let repo = real.borrowed(folder, &real.head()?)?;
        Ok(Self { repo })
    }

    /// Where commands run.
    pub fn root(&self) -> &Path {
        self.repo.root()
    }

    /// Applies a patch that was checked against the user's tree.
    pub fn apply(&self, patch: &Path) -> Result<(), IntegrateError> {
        Ok(self.repo.apply(patch)?)
    }
}
