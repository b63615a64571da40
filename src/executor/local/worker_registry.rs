//! The file of running workers: written by the threads of a pool, read after a kill to find orphans.
//!
//! Each thread keeps one record: its worker's process id and when it started. Nothing is synced: what a killed process wrote
//! is in the system's memory, and a power failure ends the workers as well.

use crate::model::{ReportToken, RowId};
use crate::platform::{look, process};
use rustix::process::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::{fmt, io};

/// The first word of the file; another version of the format has another.
pub(super) const FORMAT: &str = "mesh-workers-1";
/// The size of a record: a line of text, padded with blanks. The first record describes the file.
pub(super) const RECORD_BYTES: usize = 256;
/// Records beyond this are not read: no pool is so large.
const RECORDS_MAX: usize = 100_000;

/// The file in which the pool records its running workers.
pub(crate) struct WorkerRegistry {
    pub(super) file: File,
}

impl WorkerRegistry {
    /// Creates the file without workers. Overwrites the file of a dead `mesh`, so end its orphans first.
    pub fn begin(path: &Path, slots: usize) -> io::Result<Self> {
        let file = crate::platform::create(path)?;
        let session = process::own().map_or(0, |own| own.session);
        let head = record_bytes(format_args!("{FORMAT} {session} {}", process::system()?));
        let mut content = head.to_vec();
        // Reserves disk space for every record: later writes can't fail for lack of it.
        content.resize(RECORD_BYTES * (slots + 1), b' ');
        file.write_all_at(&content, 0)?;
        Ok(Self { file })
    }

    /// The record of thread `number`, counted from 0.
    pub fn entry(&self, number: usize) -> RegistryEntry<'_> {
        RegistryEntry {
            file: &self.file,
            offset: (RECORD_BYTES * (number + 1)) as u64,
            since_ticks: 0,
        }
    }
}

/// One thread's record. A write takes a microsecond and may be lost without harm to the job: most such workers are still
/// found by the job id in their environment.
pub(crate) struct RegistryEntry<'r> {
    file: &'r File,
    offset: u64,
    since_ticks: u64,
}

impl RegistryEntry<'_> {
    /// Notes the time before a worker starts.
    pub fn prepare(&mut self) {
        self.since_ticks = process::boot_ticks();
    }

    /// Records a worker that started since [`RegistryEntry::prepare`].
    pub fn record(&self, pid: Pid, token: &ReportToken, item: &RowId) {
        let (since, until) = (self.since_ticks, process::boot_ticks());
        self.write(format_args!("{pid} {since} {until} {token} {item}"));
    }

    /// Removes the record. Not needed between two workers: no other process has the identity of one that ended.
    pub fn clear(&self) {
        self.write(format_args!(""));
    }

    pub(super) fn write(&self, content: fmt::Arguments<'_>) {
        let _ = self.file.write_all_at(&record_bytes(content), self.offset);
    }
}

/// `content` as one record, cut at its size.
pub(super) fn record_bytes(content: fmt::Arguments<'_>) -> [u8; RECORD_BYTES] {
    let mut bytes = [b' '; RECORD_BYTES];
    bytes[RECORD_BYTES - 1] = b'\n';
    let _ = (&mut bytes[..RECORD_BYTES - 1]).write_fmt(content);
    bytes
}

/// The file of a dead `mesh`.
pub(crate) struct RegistryFile {
    pub session: u32,
    pub workers: Vec<RecordedWorker>,
}

/// One recorded worker.
pub(crate) struct RecordedWorker {
    pub pid: Pid,
    /// When it was started at the earliest and the latest, in the ticks of [`Process::start_ticks`].
    pub started: (u64, u64),
    pub token: String,
    pub item: String,
}

impl RegistryFile {
    /// Reads the file; `None` if there is none, or it is of another system or boot. Skips invalid records.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = look::found(File::open(path))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let bytes_max = (RECORD_BYTES * RECORDS_MAX) as u64;
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes, &process::system()?))
    }

    fn parse(bytes: &[u8], system: &str) -> Option<Self> {
        let mut records = bytes.chunks_exact(RECORD_BYTES);
        let head = String::from_utf8_lossy(records.next()?);
        let mut words = head.split_ascii_whitespace();
        let is_ours = words.next() == Some(FORMAT);
        let session = words.next()?.parse().ok()?;
        let is_here = words.next() == Some(system);
        (is_ours && is_here).then(|| Self {
            session,
            workers: records.filter_map(RecordedWorker::parse).collect(),
        })
    }
}

impl RecordedWorker {
    fn parse(record: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(record.strip_suffix(b"\n")?);
        let mut words = text.splitn(5, ' ');
        let mut number = || words.next()?.parse().ok();
        let (pid, since, until): (u64, u64, u64) = (number()?, number()?, number()?);
        Some(Self {
            pid: Pid::from_raw(i32::try_from(pid).ok()?)?,
            started: (since, until),
            token: words.next().filter(|token| !token.is_empty())?.to_owned(),
            item: words.next()?.trim_end_matches(' ').to_owned(),
        })
    }
}
