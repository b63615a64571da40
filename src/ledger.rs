//! The append-only JSON Lines file that is the only durable truth of a run.
//!
//! One JSON object a line: `{"v":1,"seq":1,"ts":"2026-02-13T01:55:00.000Z","event":"…", …}`. The
//! ledger does not know what an event means; folds do. Invariants: one writer at a time (an
//! exclusive `flock`), `seq` rises by one, a line is either whole or cut off at the next open.

use crate::clock;
use crate::model::{Event, EventError};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version that this program writes, and the highest that it reads.
pub const VERSION: u64 = 1;

/// Why a ledger can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system refused.
    #[error("ledger `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Another process writes this ledger.
    #[error("ledger `{}` is in use by another `mesh`", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A line before the last one is not a ledger record.
    #[error("ledger `{}`, line {line}: {what}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A later program wrote it.
    #[error("ledger `{}`, line {line}: version {found} is newer than {VERSION}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// The version found.
        found: u64,
    },
    /// A known event has fields that do not fit.
    #[error("ledger `{}`, line {line}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// Which field.
        #[source]
        source: EventError,
    },
}

/// One record as it stands in the file.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number, from 1.
    pub seq: u64,
    /// UTC time of the append.
    pub ts: String,
    /// What occurred.
    pub event: Event,
}

/// What is read from a ledger file.
#[derive(Debug, Default)]
pub struct Contents {
    /// All whole records.
    pub records: Vec<Record>,
    /// Bytes up to the end of the last whole record.
    pub good_bytes: u64,
    /// Bytes of a torn last line.
    pub torn_bytes: u64,
}

/// The open ledger: append and commit.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    next_seq: u64,
    buffer: Vec<u8>,
}

impl Ledger {
    /// Makes the ledger of a new run; fails when there is one already.
    pub fn create(path: &Path) -> Result<Self, LedgerError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .and_then(|file| {
                crate::durable::sync_folder(crate::durable::parent(path))?;
                Ok(file)
            })
            .map_err(|source| io_error(path, source))?;
        Self::locked(path, file, 1)
    }

    /// Opens an existing ledger for writing, cuts off a torn last line, and returns what it holds.
    pub fn open(path: &Path) -> Result<(Self, Contents), LedgerError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|source| io_error(path, source))?;
        let mut ledger = Self::locked(path, file, 1)?;
        let contents = read(path)?;
        if contents.torn_bytes > 0 {
            ledger.cut(contents.good_bytes)?;
        }
        ledger.next_seq = contents.records.last().map_or(1, |record| record.seq + 1);
        Ok((ledger, contents))
    }

    /// Adds records and returns when they are on disk: one write and one `fdatasync` for all of them.
    pub fn append<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<(), LedgerError> {
        self.buffer.clear();
        let ts = clock::ledger_time(clock::now());
        for event in events {
            self.push_line(event, &ts);
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        fault::point(self.next_seq, "before");
        self.file
            .write_all(&self.buffer)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| io_error(&self.path, source))?;
        fault::point(self.next_seq, "after");
        Ok(())
    }

    fn push_line(&mut self, event: &Event, ts: &str) {
        let mut line = Map::new();
        line.insert("v".to_owned(), VERSION.into());
        line.insert("seq".to_owned(), self.next_seq.into());
        line.insert("ts".to_owned(), ts.into());
        line.insert("event".to_owned(), event.name().into());
        line.extend(event.body());
        self.buffer
            .extend_from_slice(Value::Object(line).to_string().as_bytes());
        self.buffer.push(b'\n');
        self.next_seq += 1;
    }

    fn locked(path: &Path, file: File, next_seq: u64) -> Result<Self, LedgerError> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                file,
                next_seq,
                buffer: Vec::new(),
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked {
                path: path.to_owned(),
            }),
            Err(errno) => Err(io_error(path, errno.into())),
        }
    }

    fn cut(&mut self, good_bytes: u64) -> Result<(), LedgerError> {
        self.file
            .set_len(good_bytes)
            .and_then(|()| self.file.seek(SeekFrom::End(0)))
            .and_then(|_| self.file.sync_all())
            .map_err(|source| io_error(&self.path, source))
    }
}

/// Reads a ledger without taking it: for reports and listings, also while it is being written.
pub fn read(path: &Path) -> Result<Contents, LedgerError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let mut reader = BufReader::new(file);
    let mut contents = Contents::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| io_error(path, source))? as u64;
        if length == 0 {
            break;
        }
        if line.pop() != Some(b'\n') {
            contents.torn_bytes = length;
            break;
        }
        contents.records.push(parse(path, number, &line)?);
        contents.good_bytes += length;
    }
    Ok(contents)
}

fn parse(path: &Path, line: u64, text: &[u8]) -> Result<Record, LedgerError> {
    let broken = |what: String| LedgerError::Broken {
        path: path.to_owned(),
        line,
        what,
    };
    let mut fields: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| broken(format!("not JSON: {error}")))?;
    let version = take_number(&mut fields, "v").ok_or_else(|| broken("no version".to_owned()))?;
    if version > VERSION {
        return Err(LedgerError::Newer {
            path: path.to_owned(),
            line,
            found: version,
        });
    }
    let seq = take_number(&mut fields, "seq").ok_or_else(|| broken("no `seq`".to_owned()))?;
    if seq != line {
        return Err(broken(format!("`seq` is {seq}, expected {line}")));
    }
    let ts = take_text(&mut fields, "ts").ok_or_else(|| broken("no `ts`".to_owned()))?;
    let name = take_text(&mut fields, "event").ok_or_else(|| broken("no `event`".to_owned()))?;
    let event = Event::parse(&name, fields).map_err(|source| LedgerError::Event {
        path: path.to_owned(),
        line,
        source,
    })?;
    Ok(Record { seq, ts, event })
}

fn take_number(fields: &mut Map<String, Value>, key: &str) -> Option<u64> {
    fields.shift_remove(key)?.as_u64()
}

fn take_text(fields: &mut Map<String, Value>, key: &str) -> Option<String> {
    match fields.shift_remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn io_error(path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Kills this process at a chosen record, so that tests can prove what a kill leaves behind.
/// Compiled into debug builds only: `MESH_FAULT_KILL=before:17` or `after:17`.
mod fault {
    #[cfg(debug_assertions)]
    pub(super) fn point(next_seq: u64, side: &str) {
        let Ok(wish) = std::env::var("MESH_FAULT_KILL") else {
            return;
        };
        let due = wish
            .strip_prefix(side)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|seq| seq.parse::<u64>().ok())
            .is_some_and(|seq| next_seq > seq);
        if due {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }

    #[cfg(not(debug_assertions))]
    pub(super) fn point(_next_seq: u64, _side: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Violation, WaveNo};

    fn violation(detail: &str) -> Event {
        Event::Violation(Violation {
            wave: WaveNo(1),
            paths: vec!["a".into()],
            detail: detail.to_owned(),
        })
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_numbers_go_on() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::create(&path).expect("created");
        ledger
            .append([&violation("one"), &violation("two")])
            .expect("appended");
        drop(ledger);
        let mut bytes = std::fs::read(&path).expect("readable");
        let whole = bytes.len() as u64;
        bytes.extend_from_slice(b"{\"v\":1,\"seq\":3,\"ts\":");
        std::fs::write(&path, &bytes).expect("written");

        let (mut ledger, contents) = Ledger::open(&path).expect("opened");
        assert_eq!((contents.records.len(), contents.good_bytes), (2, whole));
        ledger.append([&violation("three")]).expect("appended");
        drop(ledger);
        let records = read(&path).expect("readable").records;
        assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_torn_line_earlier_is_an_error_with_its_number() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("ledger.jsonl");
        std::fs::write(&path, "{\"v\":1,\"se\n{}\n").expect("written");
        let message = read(&path).expect_err("broken").to_string();
        assert!(message.contains("line 1: not JSON"), "{message}");
    }

    #[test]
    fn unknown_events_are_kept_and_newer_versions_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("ledger.jsonl");
        std::fs::write(
            &path,
            "{\"v\":1,\"seq\":1,\"ts\":\"t\",\"event\":\"later\",\"x\":1}\n",
        )
        .expect("written");
        let contents = read(&path).expect("readable");
        assert_eq!(contents.records[0].event.name(), "later");
        std::fs::write(
            &path,
            "{\"v\":2,\"seq\":1,\"ts\":\"t\",\"event\":\"later\"}\n",
        )
        .expect("written");
        assert!(matches!(
            read(&path),
            Err(LedgerError::Newer { found: 2, .. })
        ));
    }

    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("ledger.jsonl");
        let _first = Ledger::create(&path).expect("created");
        assert!(matches!(
            Ledger::open(&path),
            Err(LedgerError::Locked { .. })
        ));
    }
}
