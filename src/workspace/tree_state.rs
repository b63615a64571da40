//! What a work tree holds at one time, so that two times can be told apart without reading a file.
//!
//! Git's index says what the unchanged files hold, the fingerprint what the changed ones hold. Only files that git does
//! not look at are told apart by their stamps.

use super::error::SnapshotError;
use super::file_copy::FileStamp;
use super::fingerprint::Fingerprint;
use crate::learnings;
use crate::platform::{IndexListing, Repo};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a work tree holds.
#[derive(Clone, Debug)]
pub struct TreeState {
    index: Arc<IndexListing>,
    changed: Fingerprint,
    /// Files that git does not check for changes, and the learnings, which a fingerprint leaves out.
    unchecked: Arc<BTreeMap<PathBuf, Option<FileStamp>>>,
    /// Every file was looked at after this time.
    pub(super) since_ns: i128,
}

impl TreeState {
    /// The state of `repo` with the fingerprint `changed`, for which git began to look at the tree after `since_ns`.
    pub fn of(repo: &Repo, changed: Fingerprint, since_ns: i128) -> Result<Self, SnapshotError> {
        let index = repo.index()?;
        let unsure = index.tracked.iter().filter(|entry| entry.is_unsure);
        let mut unchecked: Vec<&Path> = unsure.map(|entry| entry.path.as_path()).collect();
        unchecked.push(Path::new(learnings::FILE_NAME));
        let stamped = unchecked.into_par_iter().map(|path| {
            let stamp = FileStamp::of(&repo.root().join(path));
            Ok((path.to_owned(), stamp.map_err(SnapshotError::copy(path))?))
        });
        Ok(Self {
            unchecked: Arc::new(stamped.collect::<Result<_, SnapshotError>>()?),
            index,
            changed,
            since_ns,
        })
    }

    /// The paths that the tree may hold other content at, in the other state.
    pub(super) fn differences(&self, other: &Self) -> BTreeSet<PathBuf> {
        let mut paths = self.changed.changed_files(&other.changed);
        if !Arc::ptr_eq(&self.index, &other.index) {
            paths.extend(differing_entries(&self.index.bytes, &other.index.bytes));
        }
        for (one, two) in [(self, other), (other, self)] {
            let differing = one.unchecked.iter();
            let differing =
                differing.filter(|(path, stamp)| two.unchecked.get(*path) != Some(*stamp));
            paths.extend(differing.map(|(path, _)| path.clone()));
        }
        paths
    }
}

/// The paths whose entries differ between two listings of an index.
fn differing_entries(one: &[u8], two: &[u8]) -> BTreeSet<PathBuf> {
    let records = |bytes| {
        let records: HashSet<&[u8]> = <[u8]>::split(bytes, |byte| *byte == 0).collect();
        records
    };
    let (one, two) = (records(one), records(two));
    let differing = one.symmetric_difference(&two);
    let paths = differing.filter_map(|record| {
        let at = record.iter().position(|byte| *byte == b'\t')?;
        Some(crate::platform::git::path_of(&record[at + 1..]))
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_differ_in_entries_that_only_one_has() {
        let one = b"H 100644 aa 0\ta b\0H 100644 bb 0\tc\0H 100644 cc 0\td\0";
        let two = b"H 100644 aa 0\ta b\0H 100755 bb 0\tc\0H 100644 dd 0\te\0";
        let paths = ["c", "d", "e"].map(PathBuf::from);
        assert_eq!(differing_entries(one, two), paths.into());
        assert_eq!(differing_entries(one, one), BTreeSet::new());
    }
}
