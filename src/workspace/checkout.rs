//! Copies of the repository for workers, and the fingerprint of the user's tree.
//!
//! Workers of a plan never run in the user's tree. They get a copy: `HEAD`, uncommitted changes, and untracked files that
//! git does not ignore. After a wave the tree and the plan file are compared with their state before.

use super::error::SnapshotError;
use super::kept_copy::refresh;
use crate::learnings;
use crate::platform::{Change, Repo};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Makes `target` an exact copy of the work tree. Removes everything that an earlier wave left there.
pub fn create_copy(repo: &Repo, target: &Path) -> Result<(), SnapshotError> {
    refresh(repo, target, &BTreeSet::new())
}

/// The fingerprint of the user's tree: the commit that is checked out, every changed path with its content, and the plan
/// file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    files: BTreeMap<PathBuf, Option<[u8; 32]>>,
}

/// The key of the commit among the paths. A commit or a checkout changes which paths count as changed.
const COMMIT: &str = "HEAD";

impl Fingerprint {
    /// Takes the fingerprint of `repo`, always with the `watched` files. Without the learnings, to which anyone may append
    /// at any time.
    pub fn take(repo: &Repo, watched: &[&Path]) -> Result<Self, SnapshotError> {
        Self::of(repo, repo.changes()?, watched)
    }

    /// The same, with the changes of the tree as git reported them.
    pub fn of(repo: &Repo, changes: Vec<Change>, watched: &[&Path]) -> Result<Self, SnapshotError> {
        let changed = changes.into_iter().map(|change| change.path);
        let watched = watched
            .iter()
            .map(|path| path.strip_prefix(repo.root()).unwrap_or(path).to_owned());
        let paths: BTreeSet<PathBuf> = changed
            .chain(watched)
            .filter(|path| path != Path::new(learnings::FILE_NAME))
            .collect();
        let mut files: BTreeMap<_, _> = paths
            .into_par_iter()
            .map(|path| {
                let digest = digest_content(&repo.root().join(&path));
                (path, digest)
            })
            .collect();
        let commit = Sha256::digest(repo.head()?.as_bytes());
        files.insert(COMMIT.into(), Some(commit.into()));
        Ok(Self { files })
    }

    /// The same without the commit.
    pub fn changed_files(&self, other: &Self) -> Vec<PathBuf> {
        let mut paths = self.differences(other);
        paths.retain(|path| path != Path::new(COMMIT));
        paths
    }

    /// The paths that differ between the two.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let paths: BTreeSet<&PathBuf> = self.files.keys().chain(other.files.keys()).collect();
        let differing = paths
            .into_iter()
            .filter(|path| self.files.get(*path) != other.files.get(*path));
        differing.cloned().collect()
    }
}

/// The digest of the file at `path`, or of the target of a link. `None` if it can't be read.
fn digest_content(path: &Path) -> Option<[u8; 32]> {
    use std::os::unix::ffi::OsStrExt;
    let found = std::fs::symlink_metadata(path).ok()?;
    let bytes = match found.is_symlink() {
        true => std::fs::read_link(path)
            .ok()?
            .as_os_str()
            .as_bytes()
            .to_vec(),
        // Reading a pipe could block forever.
        false if !found.is_file() => return None,
        false => std::fs::read(path).ok()?,
    };
    Some(Sha256::digest(&bytes).into())
}
