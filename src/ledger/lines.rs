//! Reads single lines of a ledger, by their offset.

use super::error::{LedgerError, io_error};
use crate::platform::retry_interrupted;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A reader of single lines.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    /// Consecutive reads are mostly close together.
    window: Mutex<Window>,
}

/// A part of the file in memory. Records are only appended, so it never becomes stale.
#[derive(Debug, Default)]
struct Window {
    begin: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes from offset `at` on; empty where they are not in memory.
    fn rest(&self, at: u64) -> &[u8] {
        let from = at
            .checked_sub(self.begin)
            .and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.bytes.get(from..))
            .unwrap_or_default()
    }

    /// Reads at least one byte, from offset `at` on.
    fn fill(&mut self, file: &File, at: u64) -> io::Result<&[u8]> {
        const BYTES: usize = 32 * 1024;
        self.begin = at;
        self.bytes.resize(BYTES, 0);
        let read = retry_interrupted(|| file.read_at(&mut self.bytes, at));
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
        let file = File::open(path).map_err(io_error(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            window: Mutex::default(),
        })
    }

    /// The line at offset `place`, without its line end.
    pub fn line_at(&self, place: u64) -> Result<String, LedgerError> {
        let failed = io_error(&self.path);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = Vec::new();
        loop {
            let at = place + line.len() as u64;
            let rest = match window.rest(at) {
                [] => window.fill(&self.file, at).map_err(&failed)?,
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

    /// The error for a line that does not hold the expected record.
    pub fn invalid_record(&self, place: u64, error: &serde_json::Error) -> LedgerError {
        let message = format!("at byte {place}: {error}");
        io_error(&self.path)(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}
