//! The changes that joined runs made to the tree and the plan, in order, so that each of them can tell the others' changes from
//! those that nobody may make.
//!
//! Written and read only under the repository's lock. A line that a killed writer did not complete is cut off; its change is still
//! in `change.json` ([`OpenChange`](crate::integrate::OpenChange)).

use crate::integrate::JoinFolder;
use crate::model::RunId;
use crate::platform::look;
use crate::run::error::RunError;
use crate::workspace::FingerprintChange;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// The changes, and how far a run has read them.
#[derive(Debug)]
pub struct TreeChanges {
    path: PathBuf,
    read: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    run: RunId,
    change: FingerprintChange,
}

impl TreeChanges {
    /// The changes in `folder`, of which none is read.
    pub fn new(folder: &JoinFolder) -> Self {
        Self {
            path: folder.changes(),
            read: 0,
        }
    }

    /// The changes that were made since the last call, also by this run.
    pub fn read_new(&mut self) -> Result<Vec<FingerprintChange>, RunError> {
        let bytes = self.read_on().map_err(RunError::io(&self.path))?;
        self.read += bytes.len() as u64;
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let read = |line| serde_json::from_slice::<Line>(line).map(|line| line.change);
        let changes: Result<Vec<_>, _> = lines.map(read).collect();
        changes.map_err(|error| RunError::io(&self.path)(error.into()))
    }

    /// Adds a change, durably.
    pub fn add(&mut self, run: &RunId, change: FingerprintChange) -> Result<(), RunError> {
        let run = run.clone();
        let write = || {
            let mut line = serde_json::to_vec(&Line { run, change })?;
            line.push(b'\n');
            let mut file = self.open(true)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(&line)?;
            file.sync_data()
        };
        write().map_err(RunError::io(&self.path))
    }

    fn open(&self, is_new: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(is_new);
        options.truncate(false).open(&self.path)
    }

    /// The whole lines that are new.
    fn read_on(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some(mut file) = look::found(self.open(false))? else {
            return Ok(bytes);
        };
        file.seek(SeekFrom::Start(self.read))?;
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        if whole < bytes.len() {
            bytes.truncate(whole);
            file.set_len(self.read + whole as u64)?;
        }
        Ok(bytes)
    }
}
