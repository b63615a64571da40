//! The append-only JSON Lines file that is the only durable truth of a run.
//!
//! One JSON object a line: `{"v":1,"seq":1,"ts":"2026-02-13T01:55:00.000Z","event":"…", …}`. The
//! ledger does not know what an event means; folds do. Invariants: one writer at a time (an
//! exclusive `flock`), `seq` rises by one, a line is either whole or cut off at the next open.

use crate::model::{Event, EventError, json};
use crate::platform::clock;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    #[error("ledger `{}` is in use by another `mesh`{}", path.display(), holder.map_or(String::new(), |pid| format!(", process {pid}")))]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process, where it is known.
        holder: Option<u32>,
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
    /// A known event has invalid fields.
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
    /// How the file ends.
    pub tail: Tail,
}

/// How a ledger file ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// How many whole records there are.
    pub records: u64,
    /// Bytes up to the end of the last whole record.
    pub good_bytes: u64,
    /// Bytes of a torn last line.
    pub torn_bytes: u64,
}

/// How often, and how long apart, a lock is tried again.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The open ledger: append and commit.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    next_seq: u64,
    /// The length of the file.
    bytes: u64,
    is_synced: bool,
    buffer: Vec<u8>,
}

impl Ledger {
    /// Makes the ledger of a new run; fails when there is one already.
    pub fn create(path: &Path) -> Result<Self, LedgerError> {
        let file = crate::platform::options()
            .append(true)
            .create_new(true)
            .open(path)
            .and_then(|file| {
                crate::platform::sync_folder(crate::platform::parent(path))?;
                Ok(file)
            })
            .map_err(|source| io_error(path, source))?;
        Self::locked(path, file)
    }

    /// Opens an existing ledger for writing, cuts off a torn last line, and returns what it holds.
    pub fn open(path: &Path) -> Result<(Self, Contents), LedgerError> {
        let mut contents = Contents::default();
        let (ledger, tail) = Self::open_with(path, |record, _| contents.records.push(record))?;
        contents.tail = tail;
        Ok((ledger, contents))
    }

    /// [`open`](Self::open) for a ledger that need not fit into memory: each record goes to `visit`, with the offset
    /// of its line.
    pub fn open_with(
        path: &Path,
        visit: impl FnMut(Record, u64),
    ) -> Result<(Self, Tail), LedgerError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|source| io_error(path, source))?;
        let mut ledger = Self::locked(path, file)?;
        let tail = scan(path, visit)?;
        if tail.torn_bytes > 0 {
            ledger.cut(tail.good_bytes)?;
        }
        ledger.next_seq = tail.records + 1;
        ledger.bytes = tail.good_bytes;
        Ok((ledger, tail))
    }

    /// Adds records and returns when they are on disk: [`write`](Ledger::write) and [`sync`](Ledger::sync).
    pub fn append<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Vec<u64>, LedgerError> {
        let places = self.write(events)?;
        self.sync()?;
        Ok(places)
    }

    /// Adds records with one write. From then on the death of this process can't lose them; a power failure can,
    /// until [`sync`](Ledger::sync). Gives the offset of each record's line, for [`Lines::line_at`].
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
        crate::platform::ledger_point(self.next_seq, "before");
        self.file
            .write_all(&self.buffer)
            .map_err(|source| io_error(&self.path, source))?;
        crate::platform::ledger_point(self.next_seq, "after");
        self.bytes += self.buffer.len() as u64;
        self.is_synced = false;
        Ok(places)
    }

    /// Returns when all that was written is on disk: one `fdatasync`, none when there is nothing new.
    pub fn sync(&mut self) -> Result<(), LedgerError> {
        if !self.is_synced {
            self.file
                .sync_data()
                .map_err(|source| io_error(&self.path, source))?;
            self.is_synced = true;
        }
        Ok(())
    }

    /// A reader of single lines that were appended.
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
        // The body's opening brace becomes the comma behind the head: two objects are one.
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
        let mut taken = flock(&file, FlockOperation::NonBlockingLockExclusive);
        for _ in 0..LOCK_TRIES {
            // Somebody who only asks whether it is in use holds it for a moment.
            if taken != Err(rustix::io::Errno::WOULDBLOCK) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            taken = flock(&file, FlockOperation::NonBlockingLockExclusive);
        }
        match taken {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                file,
                next_seq: 1,
                bytes: 0,
                is_synced: false,
                buffer: Vec::new(),
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked {
                path: path.to_owned(),
                holder: (file.metadata().ok()).and_then(|it| crate::platform::lock_holder(&it)),
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
    let mut contents = Contents::default();
    contents.tail = scan(path, |record, _| contents.records.push(record))?;
    Ok(contents)
}

/// Whether a process holds the ledger to write it.
pub fn is_in_use(path: &Path) -> Result<bool, LedgerError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(io_error(path, errno.into())),
    }
}

/// The first record, which says what kind of run it is; `None` for a ledger that was never begun.
pub fn first(path: &Path) -> Result<Option<Record>, LedgerError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let mut line = Vec::new();
    BufReader::new(file)
        .read_until(b'\n', &mut line)
        .map_err(|source| io_error(path, source))?;
    match line.pop() {
        Some(b'\n') => parse(path, 1, &line).map(Some),
        _ => Ok(None),
    }
}

/// [`read`] for a ledger that need not fit into memory: each record goes to `visit`, with the offset of its line.
pub fn scan(path: &Path, mut visit: impl FnMut(Record, u64)) -> Result<Tail, LedgerError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut tail = Tail::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| io_error(path, source))? as u64;
        if length == 0 {
            return Ok(tail);
        }
        if line.pop() != Some(b'\n') {
            tail.torn_bytes = length;
            return Ok(tail);
        }
        visit(parse(path, tail.records + 1, &line)?, tail.good_bytes);
        tail.records += 1;
        tail.good_bytes += length;
    }
}

/// Single lines of a ledger file, by their place.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    /// Lines that are asked for one after the other mostly stand close together.
    window: RefCell<Window>,
}

/// A part of the file that was read at once. Records are only added, so it stays true.
#[derive(Debug, Default)]
struct Window {
    begin: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// What is known from the byte `at` on.
    fn rest(&self, at: u64) -> &[u8] {
        let from = at
            .checked_sub(self.begin)
            .and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.bytes.get(from..))
            .unwrap_or_default()
    }

    /// Reads from the byte `at` on, at least one.
    fn fill(&mut self, file: &File, at: u64) -> io::Result<&[u8]> {
        const BYTES: usize = 32 * 1024;
        self.begin = at;
        self.bytes.resize(BYTES, 0);
        let read = file.read_at(&mut self.bytes, at);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(&self.bytes),
        }
    }
}

impl Lines {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            window: RefCell::default(),
        })
    }

    /// The text of the record whose line begins at `place`, without its line end.
    pub fn line_at(&self, place: u64) -> Result<String, LedgerError> {
        let failed = |source| io_error(&self.path, source);
        let window = &mut *self.window.borrow_mut();
        let mut line = Vec::new();
        loop {
            let at = place + line.len() as u64;
            let rest = match window.rest(at) {
                [] => window.fill(&self.file, at).map_err(failed)?,
                rest => rest,
            };
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&rest[..end]);
                break;
            }
            line.extend_from_slice(rest);
        }
        String::from_utf8(line).map_err(|_| failed(io::ErrorKind::InvalidData.into()))
    }

    /// The error for a line that is not the record it should be.
    pub fn broken(&self, place: u64, error: &serde_json::Error) -> LedgerError {
        let message = format!("at byte {place}: {error}");
        io_error(
            &self.path,
            io::Error::new(io::ErrorKind::InvalidData, message),
        )
    }
}

fn parse(path: &Path, line: u64, text: &[u8]) -> Result<Record, LedgerError> {
    let broken = |what: String| LedgerError::Broken {
        path: path.to_owned(),
        line,
        what,
    };
    let not_json = |error: String| broken(format!("not JSON: {error}"));
    let text = std::str::from_utf8(text).map_err(|error| not_json(error.to_string()))?;
    let mut fields = match json::parse(text).map_err(|error| not_json(error.to_string()))? {
        Value::Object(fields) => fields,
        _ => return Err(not_json("not an object".to_owned())),
    };
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
        assert_eq!(
            (contents.records.len(), contents.tail.good_bytes),
            (2, whole)
        );
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
