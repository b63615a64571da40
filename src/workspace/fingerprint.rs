//! The fingerprint of the user's tree, by which a change is noticed.

use super::error::SnapshotError;
use super::file_copy::{FileStamp, RACE_NS};
use crate::learnings;
use crate::platform::{Change, Repo, clock, sha256_of_bytes, sha256_of_file};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The fingerprint of the user's tree: the commit that is checked out, every changed path with its content, and the plan
/// file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    commit: String,
    files: Arc<BTreeMap<PathBuf, Content>>,
}

/// The path that stands for the commit. A commit or a checkout changes which paths count as changed.
const COMMIT: &str = "HEAD";

impl Fingerprint {
    /// Takes the fingerprint of `repo`, always with the `watched` files. Without the learnings, to which anyone may append
    /// at any time.
    pub fn take(repo: &Repo, watched: &[&Path]) -> Result<Self, SnapshotError> {
        Self::of(repo, repo.changes()?, watched, None)
    }

    /// The same, with the changes of the tree as git reported them. A file that did not change since it was `known` is not
    /// read again.
    pub fn of(
        repo: &Repo,
        changes: Vec<Change>,
        watched: &[&Path],
        known: Option<&Self>,
    ) -> Result<Self, SnapshotError> {
        let changed = changes.into_iter().map(|change| change.path);
        let watched = watched
            .iter()
            .map(|path| path.strip_prefix(repo.root()).unwrap_or(path).to_owned());
        let paths: BTreeSet<PathBuf> = changed
            .chain(watched)
            .filter(|path| path != Path::new(learnings::FILE_NAME))
            .collect();
        let now_ns = clock::now().as_nanosecond();
        let files: BTreeMap<_, _> = paths
            .into_par_iter()
            .map(|path| {
                let before = known.and_then(|known| known.files.get(&path));
                let content = Content::read(&repo.root().join(&path), now_ns, before);
                (path, content)
            })
            .collect();
        Ok(Self {
            commit: repo.head()?,
            files: Arc::new(files),
        })
    }

    /// The paths that differ between the two, and `HEAD` if another commit is checked out.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let mut paths = self.changed_files(other);
        if self.commit != other.commit {
            paths.insert(COMMIT.into());
        }
        paths.into_iter().collect()
    }

    /// The same without the commit.
    pub fn changed_files(&self, other: &Self) -> BTreeSet<PathBuf> {
        let differs = |(path, content): (&PathBuf, &Content)| {
            (other.files.get(path) != Some(content)).then(|| path.clone())
        };
        let new = other.files.keys();
        let new = new.filter(|path| !self.files.contains_key(*path)).cloned();
        self.files.iter().filter_map(differs).chain(new).collect()
    }
}

/// What a path holds.
#[derive(Clone, Debug)]
struct Content {
    /// The owner's part of the mode, and the digest of the file or of the target of the link. `None` if it can't be read.
    digest: Option<(u32, String)>,
    /// The file, if no later change can leave its stamp as it is.
    settled: Option<FileStamp>,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Content {}

impl Content {
    /// Reads it, unless it is as it was `before`.
    fn read(path: &Path, now_ns: i128, before: Option<&Self>) -> Self {
        let stamp = FileStamp::of(path).ok().flatten();
        if let Some(before) = before
            && before.settled.is_some()
            && before.settled == stamp
        {
            return before.clone();
        }
        Self {
            digest: stamp.and_then(|stamp| digest(path, &stamp)),
            settled: stamp.filter(|stamp| stamp.changed_ns < now_ns - RACE_NS),
        }
    }
}

/// Of anything but a file or a link there is none: reading a pipe could block forever.
fn digest(path: &Path, stamp: &FileStamp) -> Option<(u32, String)> {
    let digest = match stamp.mode & 0o170_000 {
        0o120_000 => sha256_of_bytes(std::fs::read_link(path).ok()?.as_os_str().as_bytes()),
        0o100_000 => sha256_of_file(path).ok()?,
        _ => return None,
    };
    Some((stamp.mode & 0o170_700, digest))
}
