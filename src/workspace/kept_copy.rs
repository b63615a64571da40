//! A persistent copy of the work tree, which is updated instead of created again.
//!
//! An index beside the copy has a [`FileStamp`] of every file and of its copy. A file that changed on neither side is not read
//! again. Everything that a worker changed, added, removed or moved in the copy is undone before the next worker sees it. No
//! contents are compared: inode, size, mode and both times must be those that this module recorded, and only the kernel
//! can set the time of the last status change.
//!
//! Rejected: hard links (a worker would write through them to the user's file), and an index in memory (each step of a run
//! may be a separate process). [`std::fs::copy`] shares blocks if the file system can.

use super::error::SnapshotError;
use super::file_copy::{
    FileStamp, RACE_NS, copy_file, is_absent, list_folders, remove_tree, restore_access,
};
use super::git_view::{self, GitView};
use super::shared_tree::{Copied, list_present};
use crate::platform::{Repo, durable, look, private};
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Makes `target` an exact copy of the work tree: `HEAD`, uncommitted changes, and untracked files that git does not ignore.
/// Removes everything else. Its `.git` is a [`GitView`].
pub fn create_copy(repo: &Repo, target: &Path) -> Result<(), SnapshotError> {
    refresh(repo, target, &BTreeSet::new())?;
    let settings = git_view::read_settings(repo)?;
    GitView::of(repo, &settings)?.write(repo, target)
}

/// Makes `target` a copy of the work tree of `repo`, and removes everything else except the files and folders in `keep`,
/// relative to `target`.
pub fn refresh(repo: &Repo, target: &Path, keep: &BTreeSet<PathBuf>) -> Result<(), SnapshotError> {
    let updated = update(repo, target, keep);
    updated.map_err(|error| error.in_folder(crate::platform::parent(target)))
}

fn update(repo: &Repo, target: &Path, keep: &BTreeSet<PathBuf>) -> Result<(), SnapshotError> {
    let failed = || SnapshotError::copy(target);
    let index_path = index_path(target);
    let is_there = look::is_folder(target).map_err(failed())?;
    let index = Index::read(&index_path, repo.root()).filter(|_| is_there);
    if index.is_none() {
        remove_tree(target).map_err(failed())?;
    }
    private::make_folders(target).map_err(failed())?;
    let began_ns = file_system_time(target).map_err(failed())?;
    let files = list_present(repo.root(), &repo.files()?)?;
    let folders = list_folders(files.iter().map(|(path, _)| path.as_path()));
    if index.is_some() {
        let contents = CopyContents::new(&files, &folders, keep);
        contents.clear(target, Path::new("")).map_err(failed())?;
    }
    for folder in &folders {
        match private::make_folder(&target.join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(SnapshotError::copy(folder)(error));
            }
            _ => {}
        }
    }
    let pass = CopyPass {
        root: repo.root(),
        target,
        old: index.as_ref(),
    };
    let entries = files
        .par_iter()
        .map(|(path, source)| match pass.copy_file(path, *source) {
            // It was removed while it was copied.
            Err(error) if is_absent(&error) => Ok(None),
            brought => brought.map_err(SnapshotError::copy(path)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let ended_ns = file_system_time(target).map_err(failed())?;
    let index = Index {
        began_ns,
        ended_ns,
        entries: files
            .into_iter()
            .zip(entries)
            .filter_map(|((path, _), entry)| Some((path, entry?)))
            .collect(),
    };
    index.write(&index_path, repo.root()).map_err(failed())
}

/// Removes the copy at `target` with its index, which goes first: a copy without one is found again by its folder, and is no copy.
pub fn remove(target: &Path) -> io::Result<()> {
    let removed = durable::remove(&index_path(target));
    remove_tree(target).and(removed)
}

/// The index is beside the copy, outside of the worker's folder.
fn index_path(target: &Path) -> PathBuf {
    target.with_extension("index")
}

/// The time by the clock of the file system that `target` is on.
fn file_system_time(target: &Path) -> io::Result<i128> {
    let probe = tempfile::tempfile_in(crate::platform::parent(target))?;
    Ok(FileStamp::from(&probe.metadata()?).changed_ns)
}

/// The stamps of a file and its copy, right after copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    source: FileStamp,
    copy: FileStamp,
}

/// Updates files.
struct CopyPass<'p> {
    root: &'p Path,
    target: &'p Path,
    /// `None` if the target is empty.
    old: Option<&'p Index>,
}

impl CopyPass<'_> {
    /// Copies one file; `None` if it is a folder, which is a repository of its own.
    fn copy_file(&self, path: &Path, source: FileStamp) -> io::Result<Option<Entry>> {
        let (from, to) = (self.root.join(path), self.target.join(path));
        if let Some(index) = self.old
            && let Some(old) = index.entries.get(path)
            && index.is_settled(old, source, FileStamp::of(&to)?)
        {
            return Ok(Some(*old));
        }
        if self.old.is_some() {
            // It may be a link to anywhere, so it is replaced, never written to.
            remove_tree(&to)?;
        }
        let copy = copy_file(&from, &to, &source)?;
        Ok(copy.map(|copy| Entry { source, copy }))
    }
}

/// The result of an update.
#[derive(Debug, PartialEq)]
struct Index {
    began_ns: i128,
    ended_ns: i128,
    entries: HashMap<PathBuf, Entry>,
}

const HEAD: &[u8] = b"mesh copy 1";

impl Index {
    /// Whether neither side changed, and no change could go unnoticed.
    fn is_settled(&self, old: &Entry, source: FileStamp, copy: Option<FileStamp>) -> bool {
        old.source == source
            && Some(old.copy) == copy
            && old.source.changed_ns < self.began_ns - RACE_NS
            // A worker starts after the end of the pass: within the same tick it could change what was copied last.
            && old.copy.changed_ns < self.ended_ns
    }

    /// Not durable: a damaged or missing index only costs a full copy.
    fn write(&self, path: &Path, root: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.entries.len() * 160);
        for record in [HEAD, root.as_os_str().as_bytes()] {
            bytes.extend_from_slice(record);
            bytes.push(0);
        }
        let times = format!("{} {}\0", self.began_ns, self.ended_ns);
        bytes.extend_from_slice(times.as_bytes());
        for (path, entry) in &self.entries {
            for stamp in [&entry.source, &entry.copy] {
                let FileStamp {
                    inode,
                    size,
                    mode,
                    written_ns,
                    changed_ns,
                } = stamp;
                let text = format!("{inode} {size} {mode} {written_ns} {changed_ns} ");
                bytes.extend_from_slice(text.as_bytes());
            }
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(HEAD);
        private::write(path, &bytes)
    }

    /// `None` if the index is missing, damaged, or of another tree.
    fn read(path: &Path, root: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let mut records = bytes.strip_suffix(HEAD)?.split(|byte| *byte == 0);
        if records.next()? != HEAD || records.next()? != root.as_os_str().as_bytes() {
            return None;
        }
        let times = std::str::from_utf8(records.next()?).ok()?;
        let (began, ended) = times.split_once(' ')?;
        let entries = records.filter(|record| !record.is_empty()).map(parse_entry);
        Some(Self {
            began_ns: began.parse().ok()?,
            ended_ns: ended.parse().ok()?,
            entries: entries.collect::<Option<_>>()?,
        })
    }
}

/// Parses ten numbers and a path, which may contain any byte.
fn parse_entry(record: &[u8]) -> Option<(PathBuf, Entry)> {
    let mut words = record.splitn(11, |byte| *byte == b' ');
    let mut stamp = || {
        let mut number = || {
            std::str::from_utf8(words.next()?)
                .ok()?
                .parse::<i128>()
                .ok()
        };
        Some(FileStamp {
            inode: number()?.try_into().ok()?,
            size: number()?.try_into().ok()?,
            mode: number()?.try_into().ok()?,
            written_ns: number()?,
            changed_ns: number()?,
        })
    };
    let (source, copy) = (stamp()?, stamp()?);
    let path = OsStr::from_bytes(words.next()?).into();
    Some((path, Entry { source, copy }))
}

/// The paths that belong to the copy.
struct CopyContents<'w> {
    files: HashSet<&'w OsStr>,
    folders: HashSet<&'w OsStr>,
    keep: &'w BTreeSet<PathBuf>,
}

impl<'w> CopyContents<'w> {
    fn new(
        files: &'w [Copied],
        folders: &'w BTreeSet<PathBuf>,
        keep: &'w BTreeSet<PathBuf>,
    ) -> Self {
        Self {
            files: files.iter().map(|(path, _)| path.as_os_str()).collect(),
            folders: folders.iter().map(|path| path.as_os_str()).collect(),
            keep,
        }
    }

    /// Removes everything else below `folder`. Only real folders are entered.
    fn clear(&self, target: &Path, folder: &Path) -> io::Result<()> {
        let here = target.join(folder);
        restore_access(&here)?;
        for entry in fs::read_dir(&here)? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let is_folder = entry.file_type()?.is_dir();
            if self.keep.contains(&path) {
                continue;
            }
            if is_folder && self.has_contents(&path) {
                self.clear(target, &path)?;
            } else if is_folder || !self.files.contains(path.as_os_str()) {
                remove_tree(&target.join(path))?;
            }
        }
        Ok(())
    }

    fn has_contents(&self, folder: &Path) -> bool {
        let is_below = |path: &&PathBuf| path.starts_with(folder);
        self.folders.contains(folder.as_os_str())
            || self
                .keep
                .range(folder.to_owned()..)
                .next()
                .filter(is_below)
                .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> FileStamp {
        FileStamp {
            inode: number,
            size: 3,
            mode: 0o100_644,
            written_ns: -5,
            changed_ns: i128::from(number) * 1_000_000_007,
        }
    }

    #[test]
    fn an_index_round_trips_and_is_rejected_if_torn_or_of_another_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.index");
        let entry = Entry {
            source: stamp(1),
            copy: stamp(2),
        };
        let odd = PathBuf::from(OsStr::from_bytes(b"a b/\xff \n1 2"));
        let index = Index {
            began_ns: 7,
            ended_ns: 8,
            entries: HashMap::from([(odd, entry), ("plain".into(), entry)]),
        };
        let root = Path::new("/some/root");
        index.write(&path, root).expect("written");
        assert_eq!(Index::read(&path, root).as_ref(), Some(&index));
        assert_eq!(Index::read(&path, Path::new("/other")), None);
        let bytes = fs::read(&path).expect("read");
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("written");
            assert_eq!(Index::read(&path, root), None, "{cut}");
        }
    }

    #[test]
    fn a_file_changed_within_a_clock_tick_is_not_settled() {
        let entry = Entry {
            source: stamp(1),
            copy: stamp(100),
        };
        let index = |began_ns, ended_ns| Index {
            began_ns,
            ended_ns,
            entries: HashMap::new(),
        };
        let long_ago = entry.source.changed_ns + RACE_NS + 1;
        let later = entry.copy.changed_ns + 1;
        let is_settled = |index: Index, copy| index.is_settled(&entry, entry.source, Some(copy));
        assert!(is_settled(index(long_ago, later), entry.copy));
        assert!(!is_settled(index(long_ago - 1, later), entry.copy));
        assert!(!is_settled(index(long_ago, later - 1), entry.copy));
        assert!(!is_settled(index(long_ago, later), stamp(101)));
    }
}
