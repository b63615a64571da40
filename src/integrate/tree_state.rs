//! The state of the user's tree that a patch was validated on, and what has changed since.

use super::error::IntegrateError;
use crate::platform::Repo;
use crate::workspace::Fingerprint;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The state of a tree.
#[derive(Clone, Debug)]
pub(super) struct TreeState {
    fingerprint: Fingerprint,
    head: String,
}

impl TreeState {
    /// The state of the tree of `repo`.
    pub fn take(repo: &Repo) -> Result<Self, IntegrateError> {
        repo.forget_changes();
        Ok(Self {
            head: repo.head()?,
            fingerprint: Fingerprint::take(repo, &[])?,
        })
    }

    /// The paths whose content has changed since, by an uncommitted change or by a commit.
    pub fn changed_since(&self, repo: &Repo) -> Result<Vec<PathBuf>, IntegrateError> {
        // The changes are remembered: the patch is applied next.
        repo.forget_changes();
        let now = Self {
            head: repo.head()?,
            fingerprint: Fingerprint::of(repo, &repo.known_changes()?.all, &[], None)?,
        };
        let changed = self.fingerprint.changed_files(&now.fingerprint);
        let mut changed: BTreeSet<PathBuf> = changed.into_iter().collect();
        if self.head != now.head {
            let committed = repo.differing_paths(&self.head, &now.head)?;
            changed.extend(committed.into_iter().map(PathBuf::from));
        }
        Ok(changed.into_iter().collect())
    }
}
