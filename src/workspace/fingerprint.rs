//! The fingerprint of the user's tree, by which a change is noticed. It keeps the content of small files, by which the change
//! is shown.

use super::error::SnapshotError;
use super::file_copy::{FileStamp, open};
use crate::learnings;
use crate::platform::{
    Change, FileClock, Repo, clock, machine_fault, sha256_of_bytes, sha256_of_reader,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The fingerprint of the user's tree: the commit that is checked out, every changed path with its content, and the plan
/// file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub(super) commit: String,
    pub(super) files: Arc<BTreeMap<OsString, Content>>,
}

/// The path that stands for the commit. A commit or a checkout changes which paths count as changed.
pub(super) const COMMIT: &str = "HEAD";
/// Larger files are not kept.
pub(super) const KEPT_BYTES: u64 = 256 * 1024;
/// Larger files are told apart by their stamps instead of their digests: reading them takes seconds.
const DIGEST_BYTES: u64 = 256 * 1024 * 1024;
/// All files that are kept are no larger, in the order of their paths.
const KEPT_BYTES_IN_ALL: u64 = 16 * 1024 * 1024;

impl Fingerprint {
    /// Takes the fingerprint of `repo`, always with the `watched` files. Without the learnings, to which anyone may append
    /// at any time.
    pub fn take(repo: &Repo, watched: &[&Path]) -> Result<Self, SnapshotError> {
        Self::of(repo, &repo.changes()?, watched, None)
    }

    /// The same, with the changes of the tree as git reported them. A file that did not change since it was `known` is not
    /// read again.
    pub fn of(
        repo: &Repo,
        changes: &[Change],
        watched: &[&Path],
        known: Option<&Self>,
    ) -> Result<Self, SnapshotError> {
        let changed = changes
            .iter()
            .map(|change| change.path.as_os_str().to_owned());
        let watched = watched
            .iter()
            .map(|path| path.strip_prefix(repo.root()).unwrap_or(path).into());
        let mut paths: Vec<OsString> = changed
            .chain(watched)
            .filter(|path| path != learnings::FILE_NAME)
            .collect();
        paths.sort_unstable();
        paths.dedup();
        let (clock, now_ns) = (FileClock::of(repo.root()), clock::now().as_nanosecond());
        let found = paths.into_par_iter().map(|path| {
            let full = repo.root().join(&path);
            let stamp = unless_machine_fails(&full, FileStamp::of(&full))?.flatten();
            Ok((path, stamp, false))
        });
        let mut room = KEPT_BYTES_IN_ALL;
        let mut found: Vec<(OsString, Option<FileStamp>, bool)> =
            found.collect::<Result<_, SnapshotError>>()?;
        for (_, stamp, is_kept) in &mut found {
            let bytes = stamp.map_or(0, |stamp| stamp.size);
            *is_kept = bytes <= KEPT_BYTES.min(room);
            room -= if *is_kept { bytes } else { 0 };
        }
        let read = found.into_par_iter().map(|(path, stamp, is_kept)| {
            let before = known.and_then(|known| known.files.get(&path));
            let content = match before {
                Some(before) if before.settled.is_some() && before.settled == stamp => {
                    before.clone()
                }
                _ => {
                    let is_settled = |stamp: &FileStamp| clock.is_settled(stamp.changed_ns, now_ns);
                    Content::read(
                        &repo.root().join(&path),
                        stamp,
                        stamp.filter(is_settled),
                        is_kept,
                    )?
                }
            };
            Ok((path, content))
        });
        let files: Vec<_> = read.collect::<Result<_, SnapshotError>>()?;
        Ok(Self {
            commit: repo.head()?,
            files: Arc::new(files.into_iter().collect()),
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
        let differs = |(path, content): (&OsString, &Content)| {
            (other.files.get(path) != Some(content)).then(|| path.into())
        };
        let new = other.files.keys();
        let new = new.filter(|path| !self.files.contains_key(*path));
        let known = self.files.iter().filter_map(differs);
        known.chain(new.map(PathBuf::from)).collect()
    }
}

/// What a path holds.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// `None` if nothing is there.
    pub stamp: Option<FileStamp>,
    /// The owner's part of the mode, and the digest of the file or of the target of the link. `None` if it can't be read.
    pub digest: Option<(u32, Arc<str>)>,
    /// The file, if no later change can leave its stamp as it is.
    pub settled: Option<FileStamp>,
    /// What has this digest, if it is kept.
    pub bytes: Option<Arc<[u8]>>,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (&self.digest, &other.digest) {
            (None, None) => self.kind() == other.kind(),
            (one, other) => one == other,
        }
    }
}

impl Eq for Content {}

impl Content {
    fn read(
        path: &Path,
        stamp: Option<FileStamp>,
        settled: Option<FileStamp>,
        is_kept: bool,
    ) -> Result<Self, SnapshotError> {
        let read = match &stamp {
            Some(stamp) => unless_machine_fails(path, digest(path, stamp, is_kept))?,
            None => None,
        };
        let read = stamp
            .zip(read)
            .map(|(stamp, (digest, bytes))| ((stamp.mode & 0o170_700, digest.into()), bytes));
        let (digest, bytes) = read.unzip();
        Ok(Self {
            stamp,
            digest,
            settled,
            bytes: bytes.flatten(),
        })
    }

    /// Whether it is a file, a link, a folder or something else.
    pub fn kind(&self) -> Option<u32> {
        self.stamp.map(|stamp| stamp.mode & 0o170_000)
    }
}

/// What was found at `path`; `None` if it can't be looked at. A fault of the machine is an error: it says nothing about the file.
fn unless_machine_fails<T>(path: &Path, looked: io::Result<T>) -> Result<Option<T>, SnapshotError> {
    let looked = machine_fault::apart(looked).map_err(SnapshotError::read(path))?;
    Ok(looked.ok())
}

/// The digest, or what stands for it, and the bytes of small content if it `is_kept`. Of anything but a file or a link there is none: reading a pipe
/// could block forever.
fn digest(
    path: &Path,
    stamp: &FileStamp,
    is_kept: bool,
) -> io::Result<(String, Option<Arc<[u8]>>)> {
    let bytes = match stamp.mode & 0o170_000 {
        0o120_000 => std::fs::read_link(path)?.into_os_string().into_vec(),
        0o100_000 if is_kept => {
            let mut bytes = Vec::with_capacity(stamp.size as usize + 1);
            let mut file = open(path)?;
            file.by_ref().take(KEPT_BYTES + 1).read_to_end(&mut bytes)?;
            // It grows.
            if bytes.len() as u64 > KEPT_BYTES {
                return Ok((sha256_of_reader(bytes.as_slice().chain(file))?, None));
            }
            bytes
        }
        0o100_000 if stamp.size > DIGEST_BYTES => return Ok((format!("{stamp:?}"), None)),
        0o100_000 => return Ok((sha256_of_reader(open(path)?)?, None)),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    Ok((sha256_of_bytes(&bytes), Some(bytes.into())))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// A read of its first page fails with EIO.
    const UNREADABLE: &str = "/proc/self/mem";

    #[test]
    fn a_file_that_the_machine_can_not_read_is_not_one_that_is_closed() {
        let path = Path::new(UNREADABLE);
        let stamp = FileStamp::from(&path.symlink_metadata().expect("a file"));
        for is_kept in [false, true] {
            let read = Content::read(path, Some(stamp), None, is_kept);
            let error = read.expect_err("a fault of the machine");
            assert_eq!(machine_fault::find(&error), Some(rustix::io::Errno::IO));
        }
        let missing = Content::read(Path::new("/proc/self/none"), Some(stamp), None, false);
        assert_eq!(missing.expect("unreadable").digest, None);
    }
}
