//! What is known of a repository from earlier git calls, each with the mark by which it is seen to be out of date.

use super::GitError;
use super::records::{Change, Conversion, PatchReport, Tracked};
use crate::platform::look;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The parts that are remembered. Clones of a repository share them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The git folder of a work tree whose `.git` is a file, and the folder that it shares with others.
    pub folders: OnceLock<(PathBuf, PathBuf)>,
    /// What a repository that borrows from this one needs.
    pub lent: OnceLock<Lent>,
    /// The index with its mark.
    pub index: Mutex<Option<(IndexMark, Arc<IndexListing>)>>,
    /// The settings for attributes, with the marks of the files with settings.
    pub attributes: Mutex<Option<(SettingsMark, AttributeSettings)>>,
    /// The last answer about conversions.
    pub converted: Mutex<Option<(ConvertedKey, Arc<Conversions>)>>,
    /// Patches that applied.
    pub checked: Mutex<VecDeque<(String, PatchReport)>>,
    /// The changes of the tree, for the next who needs them.
    pub changes: Mutex<Option<KnownChanges>>,
}

impl Memory {
    /// A memory of what does not change with the tree.
    pub fn of_places(&self) -> Self {
        Self {
            folders: self.folders.clone(),
            lent: self.lent.clone(),
            ..Self::default()
        }
    }
}

/// What a repository that borrows from another one needs of it.
#[derive(Clone, Debug)]
pub(super) struct Lent {
    /// `sha1` or `sha256`.
    pub object_format: String,
    /// The folder of its objects.
    pub objects: PathBuf,
    /// The list of commits whose parents it does not have.
    pub shallow: PathBuf,
    /// The file with its settings.
    pub config: PathBuf,
}

/// The changes of a tree as git reported them.
#[derive(Clone, Debug)]
pub struct KnownChanges {
    /// The changes.
    pub all: Arc<Vec<Change>>,
    /// When git began to look, in nanoseconds since 1970.
    pub since_ns: i128,
}

/// The settings that decide how git converts files.
#[derive(Clone, Debug)]
pub(super) struct AttributeSettings {
    /// Whether `core.autocrlf` converts line ends.
    pub converts_line_ends: bool,
    /// The files with attributes of the user and the system; `None` if git does not tell them, or reads attributes from a tree.
    pub files: Option<Vec<PathBuf>>,
}

/// The files that git converts.
pub(super) type Conversions = BTreeMap<PathBuf, Conversion>;

/// What an answer about conversions depends on.
pub(super) type ConvertedKey = (Arc<IndexListing>, bool, Vec<FileMark>);

/// The files with settings at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsMark(pub(super) Vec<FileMark>);

/// The index, as git lists it.
#[derive(Debug)]
pub struct IndexListing {
    /// The list with all fields.
    pub bytes: Vec<u8>,
    /// Its entries.
    pub tracked: Vec<Tracked>,
}

/// The checksum at the end of an index, with its size.
pub(super) type IndexMark = (u64, [u8; 32]);

/// Device, inode, size, and the times of the last writing and status change; `None` where there is no file.
pub type FileMark = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// The part, also after a panic: each is replaced as a whole.
pub(super) fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mark of an index; `None` if the index can't be read, or git wrote it without a checksum (`index.skipHash`).
pub(super) fn index_mark(path: &Path) -> Option<IndexMark> {
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut end = [0; 32];
    file.seek(SeekFrom::End(-32)).ok()?;
    file.read_exact(&mut end).ok()?;
    end[12..]
        .iter()
        .any(|byte| *byte != 0)
        .then_some((size, end))
}

/// The mark of a file with settings.
///
/// # Errors
/// A fault of the machine: two such files have nothing in common.
pub fn file_mark(path: &Path) -> io::Result<FileMark> {
    let found = look::reach(path)?;
    Ok(found.map(|found| {
        (
            found.dev(),
            found.ino(),
            found.size(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        )
    }))
}

/// The marks of files with settings.
pub(super) fn file_marks(files: &[PathBuf]) -> Result<Vec<FileMark>, GitError> {
    let mark = |path: &PathBuf| file_mark(path).map_err(GitError::unreadable(path));
    files.iter().map(mark).collect()
}
