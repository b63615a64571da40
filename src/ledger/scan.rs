//! Reads a ledger without locking it: for reports and listings, also during a run.

use super::error::{LedgerError, io_error};
use super::record::{Record, parse};
use crate::platform::{LockKind, file_lock, threads};
use rayon::prelude::*;
use std::fs::File;
use std::io;
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
    let is_free = file_lock::try_lock(&file, LockKind::Shared).map_err(io_error(path))?;
    Ok(!is_free)
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
    let mut block = Block::default();
    loop {
        let is_last = block.fill(&mut reader).map_err(io_error(path))?;
        for (parsed, length) in block.parse(path, tail.records) {
            visit(parsed?, tail.good_bytes);
            tail.records += 1;
            tail.good_bytes += length;
        }
        if is_last {
            tail.torn_bytes = block.torn_bytes();
            return Ok(tail);
        }
    }
}

/// Lines that are parsed by several threads: parsing takes most of the time of a scan.
#[derive(Default)]
struct Block {
    text: Vec<u8>,
    /// The end of each whole line in `text`, behind its line end.
    ends: Vec<usize>,
}

impl Block {
    /// The size at which it is full.
    const BYTES: usize = 1 << 20;
    /// Fewer lines are not worth more threads.
    const LINES_TO_SHARE_MIN: usize = 512;

    /// Reads the next lines. Returns whether the end of the file is reached.
    fn fill(&mut self, reader: &mut impl BufRead) -> io::Result<bool> {
        self.text.clear();
        self.ends.clear();
        while self.text.len() < Self::BYTES {
            reader.read_until(b'\n', &mut self.text)?;
            if self.text.last() != Some(&b'\n') || self.ends.last() == Some(&self.text.len()) {
                return Ok(true);
            }
            self.ends.push(self.text.len());
        }
        Ok(false)
    }

    /// Its records with the lengths of their lines, in their order; `before` is the number of records before them.
    fn parse(&self, path: &Path, before: u64) -> Vec<(Result<Record, LedgerError>, u64)> {
        let parse_line = |at: usize| {
            let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            let line = &self.text[begin..self.ends[at]];
            let number = before + at as u64 + 1;
            (
                parse(path, number, &line[..line.len() - 1]),
                line.len() as u64,
            )
        };
        let lines = 0..self.ends.len();
        match lines.len() >= Self::LINES_TO_SHARE_MIN && threads::start_pool().is_ok() {
            true => lines.into_par_iter().map(parse_line).collect(),
            false => lines.map(parse_line).collect(),
        }
    }

    /// The bytes behind its last whole line.
    fn torn_bytes(&self) -> u64 {
        (self.text.len() - self.ends.last().copied().unwrap_or_default()) as u64
    }
}
