//! Appends events to a ledger, under an exclusive lock.

use super::error::{LedgerError, io_error};
use super::lines::Lines;
use super::record::{Record, VERSION};
use super::scan::{Contents, Tail, scan};
use crate::model::Event;
use crate::platform::{LockKind, clock, file_lock};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A ledger that is open for writing.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    next_seq: u64,
    /// The length of the file.
    bytes: u64,
    is_synced: bool,
    buffer: Vec<u8>,
    /// The error of the system by which a write or sync failed, or 0. What then is in the file is a prefix of what was to be written, as after a
    /// kill, only if nothing is written behind it.
    failed: Option<i32>,
}

impl Ledger {
    /// Creates the ledger of a new run; fails if it already exists.
    pub fn create(path: &Path) -> Result<Self, LedgerError> {
        let file = crate::platform::options()
            .append(true)
            .create_new(true)
            .open(path)
            .and_then(|file| {
                crate::platform::sync_folder(crate::platform::parent(path))?;
                Ok(file)
            })
            .map_err(io_error(path))?;
        Self::locked(path, file)
    }

    /// Opens an existing ledger for writing, cuts off a torn last line, and returns its content.
    pub fn open(path: &Path) -> Result<(Self, Contents), LedgerError> {
        let mut contents = Contents::default();
        let (ledger, tail) = Self::open_with(path, |record, _| contents.records.push(record))?;
        contents.tail = tail;
        Ok((ledger, contents))
    }

    /// [`open`](Self::open) that passes each record to `visit`, with the offset of its line, so that the ledger need not
    /// fit into memory.
    pub fn open_with(
        path: &Path,
        visit: impl FnMut(Record, u64),
    ) -> Result<(Self, Tail), LedgerError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(io_error(path))?;
        let mut ledger = Self::locked(path, file)?;
        let tail = scan(path, visit)?;
        if tail.torn_bytes > 0 {
            ledger.cut(tail.good_bytes)?;
        }
        ledger.next_seq = tail.records + 1;
        ledger.bytes = tail.good_bytes;
        Ok((ledger, tail))
    }

    /// Appends records and syncs them to disk: [`write`](Ledger::write) and [`sync`](Ledger::sync).
    pub fn append<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Vec<u64>, LedgerError> {
        let places = self.write(events)?;
        self.sync()?;
        Ok(places)
    }

    /// Appends records with one write. Afterwards they survive the death of this process, and after [`sync`](Ledger::sync)
    /// also a power failure. After one that failed, none succeeds. Returns the offset of each record's line, for [`Lines::line_at`].
    pub fn write<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Vec<u64>, LedgerError> {
        self.buffer.clear();
        let ts = clock::ledger_time(clock::now());
        let mut places = Vec::new();
        for event in events {
            places.push(self.bytes + self.buffer.len() as u64);
            self.push_line(event, &ts);
        }
        if self.buffer.is_empty() {
            return Ok(places);
        }
        self.check()?;
        crate::platform::ledger_point(self.next_seq, "before");
        let written = self.file.write_all(&self.buffer);
        self.note(written)?;
        crate::platform::ledger_point(self.next_seq, "after");
        self.bytes += self.buffer.len() as u64;
        self.is_synced = false;
        Ok(places)
    }

    /// Syncs everything written to disk: one `fdatasync`, or none without new records.
    pub fn sync(&mut self) -> Result<(), LedgerError> {
        if !self.is_synced {
            self.check()?;
            let synced = self.file.sync_data();
            self.note(synced)?;
            self.is_synced = true;
        }
        Ok(())
    }

    /// Fails as the first write or sync that failed: other tasks may still have something to record.
    fn check(&self) -> Result<(), LedgerError> {
        match self.failed {
            None => Ok(()),
            Some(0) => Err(io::Error::other("an earlier record could not be written")),
            Some(number) => Err(io::Error::from_raw_os_error(number)),
        }
        .map_err(io_error(&self.path))
    }

    fn note(&mut self, done: io::Result<()>) -> Result<(), LedgerError> {
        done.map_err(|error| {
            self.failed = Some(error.raw_os_error().unwrap_or_default());
            io_error(&self.path)(error)
        })
    }

    /// A reader of the lines appended so far.
    pub fn lines(&self) -> Result<Lines, LedgerError> {
        Lines::open(&self.path)
    }

    fn push_line(&mut self, event: &Event, ts: &str) {
        let line = &mut self.buffer;
        let name = Value::from(event.name());
        let head = format!(
            r#"{{"v":{VERSION},"seq":{},"ts":"{ts}","event":{name}"#,
            self.next_seq
        );
        line.extend_from_slice(head.as_bytes());
        // The opening brace of the body becomes a comma, which joins the two objects.
        let joint = line.len();
        event.write_body(line);
        if line[joint..] == *b"{}" {
            line.truncate(joint + 1);
            line[joint] = b'}';
        } else {
            line[joint] = b',';
        }
        line.push(b'\n');
        self.next_seq += 1;
    }

    fn locked(path: &Path, file: File) -> Result<Self, LedgerError> {
        let is_locked = file_lock::take(&file, LockKind::Exclusive).map_err(io_error(path))?;
        if !is_locked {
            return Err(LedgerError::Locked {
                path: path.to_owned(),
                holder: (file.metadata().ok()).and_then(|it| crate::platform::lock_holder(&it)),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            next_seq: 1,
            bytes: 0,
            is_synced: false,
            buffer: Vec::new(),
            failed: None,
        })
    }

    fn cut(&mut self, good_bytes: u64) -> Result<(), LedgerError> {
        self.file
            .set_len(good_bytes)
            .and_then(|()| self.file.seek(SeekFrom::End(0)))
            .and_then(|_| self.file.sync_all())
            .map_err(io_error(&self.path))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::ledger::read;
    use crate::model::{Violation, WaveNo};

    #[test]
    fn nothing_is_written_behind_a_record_that_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.jsonl");
        let event = Event::Violation(Violation {
            wave: WaveNo(1),
            paths: Vec::new(),
            detail: "x".to_owned(),
            diff: None,
        });
        let mut ledger = Ledger::create(&path).expect("created");
        ledger.append([&event]).expect("appended");
        let full = OpenOptions::new().append(true).open("/dev/full");
        let file = std::mem::replace(&mut ledger.file, full.expect("a full disk"));
        let first = ledger.append([&event]).expect_err("no space");
        // There is space again.
        ledger.file = file;
        let later = ledger.append([&event]).expect_err("as before");
        let fault = |error: &LedgerError| crate::platform::machine_fault::find(error);
        assert_eq!(fault(&first), Some(rustix::io::Errno::NOSPC));
        assert_eq!(fault(&first), fault(&later));
        drop(ledger);
        assert_eq!(read(&path).expect("readable").records.len(), 1);
        let (mut ledger, _) = Ledger::open(&path).expect("opened");
        ledger.append([&event]).expect("appended");
        assert_eq!(read(&path).expect("readable").records.len(), 2);
    }
}
