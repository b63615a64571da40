//! The state of a tree on disk, for a resume: a census, and a log with a record for each integration since, of what the saved
//! state differs in from the one before.
//!
//! A record is durable, and its checksum fits, before the tree changes. So a torn one at the end of the log is of an integration
//! that changed nothing. The log names the census that it continues, so that it is never read with another one.

use super::census::{Census, CensusFile, Line, REMOVED, write_folder};
use super::content_store::ContentStore;
use super::guard::Guard;
use crate::model::{BeforeState, TouchedPath};
use crate::platform::{durable, fault, look, private, sha256_of_bytes};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CENSUS: &str = "census";
const LOG: &str = "census.log";
/// A log that is larger than this and than its census is replaced by a new census.
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The saved paths outside of the patch, with their states.
pub(super) type Saved = BTreeMap<PathBuf, BeforeState>;

/// What a saved state differs in from the one before.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<u8>);

impl Record {
    /// Where the census writes the lines that differ.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// The folders that differ.
    pub fn folders(&mut self, before: &BTreeMap<OsString, u32>, now: &BTreeMap<OsString, u32>) {
        for gone in before.keys().filter(|path| !now.contains_key(*path)) {
            self.line(b"y ", gone.as_bytes());
        }
        for (path, mode) in now
            .iter()
            .filter(|(path, mode)| before.get(*path) != Some(*mode))
        {
            write_folder(&mut self.0, path, *mode);
        }
    }

    /// The saved paths that differ.
    pub fn saved(&mut self, before: &Saved, now: &Saved) -> io::Result<()> {
        for gone in before.keys().filter(|path| !now.contains_key(*path)) {
            self.line(b"r ", gone.as_os_str().as_bytes());
        }
        let differing = now.iter();
        for (path, state) in differing.filter(|(path, state)| before.get(*path) != Some(*state)) {
            let (path, before) = (path.clone(), state.clone());
            let saved = serde_json::to_vec(&TouchedPath { path, before })?;
            self.line(b"s ", &saved);
        }
        Ok(())
    }

    /// The guard as a whole.
    pub fn guard(&mut self, guard: &Guard) -> io::Result<()> {
        let guard = serde_json::to_vec(guard)?;
        self.line(b"g ", &guard);
        Ok(())
    }

    fn line(&mut self, kind: &[u8], text: &[u8]) {
        self.0.extend_from_slice(kind);
        self.0.extend_from_slice(text);
        self.0.push(0);
    }

    /// The record with its checksum, which ends it.
    fn sealed(mut self) -> Vec<u8> {
        let sum = sha256_of_bytes(&self.0);
        self.line(b"= ", sum.as_bytes());
        self.0
    }
}

/// A log that records are appended to.
#[derive(Debug)]
pub(super) struct SavedLog {
    file: File,
    bytes: u64,
    census_bytes: u64,
}

impl SavedLog {
    /// Writes `census` and a log with `first`, which does not repeat the census. Both are durable when this returns.
    pub fn begin(store: &ContentStore, census: &Census, first: Record) -> io::Result<Self> {
        let census = census.to_bytes();
        let mut bytes = head(&census);
        bytes.extend(first.sealed());
        let path = store.file(LOG);
        durable::write_private(&store.file(CENSUS), &census)?;
        durable::write_private(&path, &bytes)?;
        Ok(Self {
            file: private::options().append(true).open(path)?,
            bytes: bytes.len() as u64,
            census_bytes: census.len() as u64,
        })
    }

    /// Appends a record, which is durable when this returns. After an error, no record may follow.
    pub fn append(&mut self, record: Record) -> io::Result<()> {
        let bytes = record.sealed();
        fault::write_point();
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        fault::write_point();
        self.file.sync_data()?;
        fault::write_point();
        Ok(())
    }

    /// Whether the log is where it was written, and as long.
    pub fn is_intact(&self, store: &ContentStore) -> bool {
        let found = std::fs::symlink_metadata(store.file(LOG));
        let own = self.file.metadata();
        let is_same = |found: &Metadata, own: &Metadata| {
            (found.dev(), found.ino(), found.len()) == (own.dev(), own.ino(), self.bytes)
        };
        found.is_ok_and(|found| own.is_ok_and(|own| is_same(&found, &own)))
    }

    /// Whether a new census is due.
    pub fn is_long(&self) -> bool {
        self.bytes > LOG_BYTES_MAX.max(self.census_bytes)
    }
}

/// The state that an earlier process saved last. What is missing or damaged is empty.
///
/// # Errors
/// It can't be read, which does not mean that nothing was saved.
pub(super) fn load(store: &ContentStore) -> io::Result<(Census, Saved, Guard)> {
    let read = |name| look::found(std::fs::read(store.file(name))).map(Option::unwrap_or_default);
    let (census, log) = (read(CENSUS)?, read(LOG)?);
    let mut state = Loaded::default();
    let Census { files, folders } = Census::from_bytes(&census).unwrap_or_default();
    let files = files.into_iter();
    state.files = files.map(|file| (file.path.clone().into(), file)).collect();
    state.folders = folders;
    let mut rest = log
        .strip_prefix(head(&census).as_slice())
        .unwrap_or_default();
    while let Some(record) = next_record(&mut rest) {
        for line in record.split(|byte| *byte == 0) {
            state.apply(line);
        }
    }
    let census = Census {
        files: state.files.into_values().collect(),
        folders: state.folders,
    };
    Ok((census, state.saved, state.guard))
}

fn head(census: &[u8]) -> Vec<u8> {
    format!("mesh census log 1 {}\0", sha256_of_bytes(census)).into_bytes()
}

/// The next whole record, without its checksum.
fn next_record<'l>(rest: &mut &'l [u8]) -> Option<&'l [u8]> {
    let mut at = 0;
    loop {
        let line = rest[at..].split(|byte| *byte == 0).next()?;
        let end = at + line.len() + 1;
        if end > rest.len() {
            return None;
        }
        if let Some(sum) = line.strip_prefix(b"= ") {
            let record = &rest[..at];
            *rest = &rest[end..];
            return (sha256_of_bytes(record).as_bytes() == sum).then_some(record);
        }
        at = end;
    }
}

#[derive(Default)]
struct Loaded {
    files: BTreeMap<OsString, CensusFile>,
    folders: BTreeMap<OsString, u32>,
    saved: Saved,
    guard: Guard,
}

impl Loaded {
    fn apply(&mut self, line: &[u8]) {
        let Some((kind, text)) = line.split_at_checked(2) else {
            return;
        };
        let path = OsStr::from_bytes(text);
        match kind {
            REMOVED => drop(self.files.remove(path)),
            b"y " => drop(self.folders.remove(path)),
            b"r " => drop(self.saved.remove(Path::new(path))),
            b"s " => {
                if let Ok(saved) = serde_json::from_slice::<TouchedPath>(text) {
                    self.saved.insert(saved.path, saved.before);
                }
            }
            b"g " => self.guard = serde_json::from_slice(text).unwrap_or_default(),
            _ => match Line::parse(line) {
                Some(Line::File(file)) => {
                    self.files.insert(file.path.clone().into(), file);
                }
                Some(Line::Folder(path, mode)) => drop(self.folders.insert(path, mode)),
                None => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::census::Content;
    use super::super::scan::Stamp;
    use super::*;

    fn census(files: &[(&str, u64)], folders: &[(&str, u32)]) -> Census {
        let file = |(path, size): &(&str, u64)| CensusFile {
            path: path.into(),
            stamp: Stamp {
                device: 1,
                inode: 2,
                size: *size,
                mode: 0o100_644,
                written_ns: 3,
                changed_ns: 4,
            },
            content: Content::Object("aa".to_owned()),
        };
        let folders = folders.iter().map(|(path, mode)| (path.into(), *mode));
        Census {
            files: files.iter().map(file).collect(),
            folders: folders.collect(),
        }
    }

    fn saved(paths: &[&str]) -> Saved {
        let absent = paths.iter().map(|path| (path.into(), BeforeState::Absent));
        absent.collect()
    }

    #[test]
    fn a_state_is_its_census_with_all_whole_records_and_no_torn_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ContentStore::open(&folder.path().join("kept")).expect("made");
        let before = census(
            &[("a", 1), ("b", 1), ("c d", 1)],
            &[("x", 0o755), ("y", 0o755)],
        );
        let mut first = Record::default();
        first
            .saved(&Saved::new(), &saved(&["m", "n"]))
            .expect("encoded");
        let mut log = SavedLog::begin(&store, &before, first).expect("begun");
        let state = || {
            let (census, saved, _) = load(&store).expect("read");
            (census, saved)
        };
        assert_eq!(state(), (before.clone(), saved(&["m", "n"])));
        let now = census(
            &[("b", 2), ("c d", 1), ("e", 1)],
            &[("x", 0o700), ("z", 0o755)],
        );
        let mut second = Record::default();
        second.line(REMOVED, b"a");
        now.files[0].write(second.bytes());
        now.files[2].write(second.bytes());
        second.folders(&before.folders, &now.folders);
        second
            .saved(&saved(&["m", "n"]), &saved(&["n", "o"]))
            .expect("encoded");
        let path = store.file(LOG);
        let first_end = std::fs::read(&path).expect("read").len();
        log.append(second).expect("appended");
        assert_eq!(state(), (now, saved(&["n", "o"])));
        let whole = std::fs::read(&path).expect("read");
        for cut in first_end..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            assert_eq!(state(), (before.clone(), saved(&["m", "n"])), "{cut}");
        }
        let other = census(&[("f", 1)], &[]);
        std::fs::write(&path, &whole).expect("written");
        std::fs::write(store.file(CENSUS), other.to_bytes()).expect("written");
        assert_eq!(state(), (other, Saved::new()), "a log of another census");
    }
}
