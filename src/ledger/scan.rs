//! Reads a ledger without locking it: for reports and listings, also during a run.

use super::error::{LedgerError, io_error};
use super::record::{Record, parse};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

/// The content of a ledger.
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
    /// The number of whole records.
    pub records: u64,
    /// The bytes up to the end of the last whole record.
    pub good_bytes: u64,
    /// The bytes of a torn last line.
    pub torn_bytes: u64,
}

/// Reads all whole records.
pub fn read(path: &Path) -> Result<Contents, LedgerError> {
    let mut contents = Contents::default();
    contents.tail = scan(path, |record, _| contents.records.push(record))?;
    Ok(contents)
}

/// Whether a process is writing the ledger.
pub fn is_in_use(path: &Path) -> Result<bool, LedgerError> {
    let file = File::open(path).map_err(io_error(path))?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(io_error(path)(errno.into())),
    }
}

/// The first record, which names the kind of the run; `None` for an empty ledger.
pub fn first(path: &Path) -> Result<Option<Record>, LedgerError> {
    let file = File::open(path).map_err(io_error(path))?;
    let mut line = Vec::new();
    BufReader::new(file)
        .read_until(b'\n', &mut line)
        .map_err(io_error(path))?;
    match line.pop() {
        Some(b'\n') => parse(path, 1, &line).map(Some),
        _ => Ok(None),
    }
}

/// Passes each record to `visit`, with the offset of its line, so that the ledger need not fit into memory.
pub fn scan(path: &Path, visit: impl FnMut(Record, u64)) -> Result<Tail, LedgerError> {
    scan_from(path, Tail::default(), visit)
}

/// [`scan`] of what was recorded since a scan that ended with `last`.
pub fn scan_from(
    path: &Path,
    last: Tail,
    mut visit: impl FnMut(Record, u64),
) -> Result<Tail, LedgerError> {
    let mut file = File::open(path).map_err(io_error(path))?;
    file.seek(SeekFrom::Start(last.good_bytes))
        .map_err(io_error(path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut tail = Tail {
        torn_bytes: 0,
        ..last
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .map_err(io_error(path))? as u64;
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
