//! A learnings file on disk: appends a record, and reads all of them.
//!
//! A writer holds an exclusive `flock` on the file from the read to the sync, a reader a shared one. The file is never
//! renamed, so it needs no lock file, which git would show. Duplicates are checked under that lock.
//!
//! When [`Store::append`] returns `Ok`, the record survives a crash (file and folder are synced). After an earlier kill the
//! file holds the whole new line, none of it, or a torn last line; earlier lines are never rewritten.

use super::draft::NewRecord;
use super::error::LearningsError;
use super::lines::{BadLine, Contents};
use super::record::Record;
use crate::platform::{LockKind, durable, file_lock, look};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The size limit of a learnings file: some 200,000 records.
pub const LEARNINGS_BYTES_MAX: u64 = 128 << 20;

/// One learnings file; it need not exist yet.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
}

/// What to do if the learning already exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// Append nothing.
    Skip,
    /// Append it again.
    Allow,
}

/// The outcome of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record was appended.
    Appended,
    /// The learning already exists; the file is unchanged.
    Duplicate {
        /// The id of its first record; may be empty.
        existing_id: String,
    },
}

/// The result of an append.
#[derive(Debug)]
pub struct Appended {
    /// The outcome.
    pub outcome: Outcome,
    /// Existing lines that can't be read; they are kept.
    pub bad_lines: Vec<BadLine>,
}

impl Store {
    /// The store in the file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { file: path.into() }
    }

    /// The learnings file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Appends `record` on a line of its own. Creates the file, but no folder.
    ///
    /// # Errors
    /// The file can't be created, locked, read or written, or would be too large. After a failed write it may end in a torn
    /// line.
    pub fn append(
        &self,
        record: &NewRecord,
        duplicates: Duplicates,
    ) -> Result<Appended, LearningsError> {
        let file = self.open(
            OpenOptions::new().read(true).append(true).create(true),
            LockKind::Exclusive,
        )?;
        let bytes = self.read_bounded(&file)?;
        let Contents { records, bad_lines } = Contents::parse(&bytes);
        let is_same = |one: &&Record| one.fingerprint() == record.fingerprint();
        let outcome = match records.iter().find(is_same) {
            Some(existing) if duplicates == Duplicates::Skip => Outcome::Duplicate {
                existing_id: existing.id().to_owned(),
            },
            _ => {
                self.write(&file, &bytes, record)?;
                Outcome::Appended
            }
        };
        Ok(Appended { outcome, bad_lines })
    }

    /// Reads the file, for [`Contents::parse`]; empty if it is missing.
    ///
    /// # Errors
    /// The file can't be locked or read, or is too large.
    pub fn read(&self) -> Result<Vec<u8>, LearningsError> {
        // Without the lock, a line that is being written would look torn.
        match self.open(OpenOptions::new().read(true), LockKind::Shared) {
            Err(LearningsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
            Ok(file) => self.read_bounded(&file),
        }
    }

    /// Opens the file and waits for the lock, which the returned handle holds.
    fn open(&self, how: &OpenOptions, lock: LockKind) -> Result<File, LearningsError> {
        // Checked first, because opening a pipe blocks.
        let there = look::find(&self.file).map_err(|source| self.failed("look at", source))?;
        if there.is_some_and(|there| !there.is_file()) {
            return Err(LearningsError::NotAFile {
                file: self.file.clone(),
            });
        }
        let file = how
            .open(&self.file)
            .map_err(|source| self.failed("open", source))?;
        file_lock::lock(&file, lock).map_err(|source| self.failed("lock", source))?;
        Ok(file)
    }

    fn read_bounded(&self, file: &File) -> Result<Vec<u8>, LearningsError> {
        let mut bytes = Vec::new();
        file.take(LEARNINGS_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.failed("read", source))?;
        self.check_size(bytes.len())?;
        Ok(bytes)
    }

    /// Writes one line at once, after the missing line end of the last one, if any.
    fn write(
        &self,
        mut file: &File,
        before: &[u8],
        record: &NewRecord,
    ) -> Result<(), LearningsError> {
        let mut text = match before.last() {
            None | Some(b'\n') => Vec::new(),
            Some(_) => vec![b'\n'],
        };
        text.append(&mut record.line());
        self.check_size(before.len() + text.len())?;
        file.write_all(&text)
            // What a full disk took of it is no line of anyone.
            .inspect_err(|_| drop(file.set_len(before.len() as u64)))
            .and_then(|()| file.sync_all())
            // Also for an existing file: its creator may have been killed before the sync.
            .and_then(|()| durable::sync_folder(durable::parent(&fs::canonicalize(&self.file)?)))
            .map_err(|source| self.failed("write", source))
    }

    fn check_size(&self, bytes: usize) -> Result<(), LearningsError> {
        if bytes as u64 <= LEARNINGS_BYTES_MAX {
            return Ok(());
        }
        Err(LearningsError::TooLarge {
            file: self.file.clone(),
            bytes_max: LEARNINGS_BYTES_MAX,
        })
    }

    fn failed(&self, action: &'static str, source: io::Error) -> LearningsError {
        LearningsError::Io {
            action,
            file: self.file.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learnings::context::Context;
    use crate::learnings::draft::Draft;
    use crate::learnings::record::Flaw;
    use tempfile::TempDir;

    fn record(learning: &str) -> NewRecord {
        let draft = Draft {
            learning: learning.to_owned(),
            ..Draft::default()
        };
        let now = "2026-02-13T01:55:00Z".parse().expect("a time");
        NewRecord::new(&draft, Context::default(), now).expect("a record")
    }

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::at(folder.path().join("l.jsonl"));
        (folder, store)
    }

    fn append(store: &Store, learning: &str) -> Appended {
        store
            .append(&record(learning), Duplicates::Skip)
            .expect("appended")
    }

    #[test]
    fn a_cut_append_leaves_earlier_records_and_the_next_one_whole() {
        let (_folder, store) = store();
        append(&store, "first");
        let first = fs::read(store.file()).expect("readable");
        append(&store, "sécond");
        let both = fs::read(store.file()).expect("readable");
        let learnings = |records: &[Record]| -> Vec<String> {
            records
                .iter()
                .map(|one| one.learning().to_owned())
                .collect()
        };
        for cut in first.len()..=both.len() {
            fs::write(store.file(), &both[..cut]).expect("written");
            let appended = append(&store, "third");
            let after = fs::read(store.file()).expect("readable");
            assert!(after.starts_with(&both[..cut]), "{cut}: nothing is removed");
            let bytes = store.read().expect("readable");
            let Contents { records, bad_lines } = Contents::parse(&bytes);
            // The line end alone may be missing: then the second one is whole.
            let (whole, torn) = match cut {
                cut if cut == first.len() => (vec!["first", "third"], 0),
                cut if cut + 1 >= both.len() => (vec!["first", "sécond", "third"], 0),
                _ => (vec!["first", "third"], 1),
            };
            assert_eq!(learnings(&records), whole, "{cut}");
            assert_eq!(bad_lines.len(), torn, "{cut}");
            let flaws: Vec<Flaw> = appended.bad_lines.iter().map(|bad| bad.flaw).collect();
            assert_eq!(flaws, vec![Flaw::Torn; torn], "{cut}");
        }
    }

    /// Writes `first`, starts `act`, then writes `second`, all under the lock.
    fn while_locked<T: Send>(
        store: &Store,
        first: &[u8],
        second: &[u8],
        act: impl FnOnce() -> T + Send,
    ) -> T {
        let mut how = OpenOptions::new();
        let how = how.append(true).create(true);
        let held = store.open(how, LockKind::Exclusive);
        let mut held = held.expect("locked");
        held.write_all(first).expect("written");
        std::thread::scope(|scope| {
            let acting = scope.spawn(act);
            // Long enough for `act` to fail if it does not wait.
            std::thread::sleep(std::time::Duration::from_millis(100));
            held.write_all(second).expect("written");
            drop(held);
            acting.join().expect("no panic")
        })
    }

    #[test]
    fn a_reader_waits_for_a_writer_to_finish_its_line() {
        let (_folder, store) = store();
        let bytes = while_locked(&store, b"{\"learning\":", b"\"x\"}\n", || {
            store.read().expect("readable")
        });
        let contents = Contents::parse(&bytes);
        assert_eq!((contents.records.len(), contents.bad_lines.len()), (1, 0));
    }

    #[test]
    fn a_writer_sees_the_record_of_the_previous_one() {
        let (_folder, store) = store();
        let same = record("same").line();
        let appended = while_locked(&store, b"", &same, || append(&store, "same"));
        assert!(matches!(appended.outcome, Outcome::Duplicate { .. }));
        assert_eq!(fs::read(store.file()).expect("readable"), same);
    }

    #[test]
    fn a_file_that_is_too_large_is_neither_read_nor_written() {
        let (_folder, store) = store();
        let file = File::create(store.file()).expect("created");
        let line = record("x").line().len() as u64;
        // A last line of zeros without an end: one more byte is needed for its line end.
        file.set_len(LEARNINGS_BYTES_MAX - line).expect("sized");
        let refused = store.append(&record("x"), Duplicates::Skip);
        assert!(matches!(refused, Err(LearningsError::TooLarge { .. })));
        file.set_len(LEARNINGS_BYTES_MAX + 1).expect("sized");
        let refused = store.read();
        assert!(matches!(refused, Err(LearningsError::TooLarge { .. })));
        let bytes = file.metadata().expect("metadata").len();
        assert_eq!(bytes, LEARNINGS_BYTES_MAX + 1);
    }
}
