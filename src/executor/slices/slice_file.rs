//! The file of a slice: a ledger of its own, with one writer at a time.
//!
//! Two guards keep two copies of a slice from both counting. While a process works a slice, it holds the lock of its file;
//! another one is refused. Where locks don't reach from host to host, or a holder is cut off rather than dead, the
//! generation in the file's name decides: whoever takes the slice copies its whole records to a file of the next generation,
//! whose name can be created only once, and removes the older one. Readers take the newest generation only, and a writer
//! stops as soon as there is one newer than its own.
//!
//! Killed between any two steps, the newest file with that name is whole: at worst it lies beside an older one, which the
//! next taker removes.

use super::error::SliceError;
use super::job_folder::JobFolder;
use super::slicing::SliceName;
use crate::job::{Counts, Journal, State};
use crate::ledger::{Ledger, LedgerError, Lines};
use crate::model::{Event, JobId, SliceTaken, WaveNo};
use crate::platform::{Readers, clock, durable, look, private, process};
use crate::{ledger, platform};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The file of a slice, in its newest generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceFile {
    /// The slice.
    pub slice: SliceName,
    /// The generation.
    pub generation: u32,
    /// The file.
    pub path: PathBuf,
}

impl SliceFile {
    fn new(folder: &Path, slice: &SliceName, generation: u32) -> Self {
        Self {
            slice: slice.clone(),
            generation,
            path: folder.join(format!("{slice}.{generation}.jsonl")),
        }
    }

    /// How many processes were refused a slice because another one worked it.
    pub fn refusals(slices: &Path, slice: &SliceName) -> usize {
        let text = fs::read(refusal_path(slices, slice)).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count()
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
        let (slice, generation) = name.rsplit_once('.')?;
        let parsed = Self {
            slice: slice.parse().ok()?,
            generation: generation.parse().ok()?,
            path: path.clone(),
        };
        // Another spelling of the number is a name that a person gave.
        let own = format!("{}.{}.jsonl", parsed.slice, parsed.generation);
        path.ends_with(own).then_some(parsed)
    }

    /// The newest file of every slice that was begun, by slice.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn list(slices: &Path) -> Result<Vec<Self>, SliceError> {
        let mut files = Self::all(slices)?;
        files.sort_by(|a, b| (&a.slice, b.generation).cmp(&(&b.slice, a.generation)));
        files.dedup_by(|later, earlier| later.slice == earlier.slice);
        Ok(files)
    }

    /// The newest file of every slice that was begun, then every other ledger in the folder, by name.
    pub(super) fn list_with_others(slices: &Path) -> Result<Vec<PathBuf>, SliceError> {
        let own = Self::list(slices)?.into_iter().map(|file| file.path);
        let is_other = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ledger = name.ends_with(".jsonl") && !name.ends_with(".refused.jsonl");
            is_ledger && !name.starts_with('.') && Self::parse(path.clone()).is_none()
        };
        let mut others: Vec<PathBuf> = entries(slices)?.into_iter().filter(is_other).collect();
        others.sort();
        Ok(own.chain(others).collect())
    }

    fn all(slices: &Path) -> Result<Vec<Self>, SliceError> {
        Ok(entries(slices)?
            .into_iter()
            .filter_map(Self::parse)
            .collect())
    }
}

/// What is in a folder, which may be missing.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, SliceError> {
    look::list(folder).map_err(SliceError::io(folder))
}

/// The claim of a process on a slice.
pub enum Claimed {
    /// It works the slice.
    Taken(Box<TakenSlice>),
    /// All rows have ended; there is nothing to do.
    Done(Counts),
}

/// Which job a slice is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobMark {
    /// The job.
    pub job_id: JobId,
    /// The label of its wave, as in `wave.json`, if it is a wave of a run.
    pub label: Option<Value>,
}

/// A slice that this process works.
pub struct TakenSlice {
    /// Its file, to be written.
    pub journal: SliceJournal,
    /// What it says of the rows.
    pub state: State,
}

impl Claimed {
    /// Claims a slice of `rows` rows, to continue behind the last whole record of its file.
    ///
    /// # Errors
    /// [`SliceError::Held`] if another process works it; that is also recorded beside the file.
    pub fn claim(
        folder: &JobFolder,
        slice: &SliceName,
        rows: u64,
        wave: WaveNo,
        mark: JobMark,
    ) -> Result<Self, SliceError> {
        let slices = folder.slices();
        durable::make_folders(&slices, Readers::Owner).map_err(SliceError::io(&slices))?;
        match try_claim(&slices, slice, rows, wave, mark) {
            Err(error @ SliceError::Held { .. }) => {
                record_refusal(&slices, slice, &error)?;
                Err(error)
            }
            claimed => claimed,
        }
    }
}

fn try_claim(
    slices: &Path,
    slice: &SliceName,
    rows: u64,
    wave: WaveNo,
    mark: JobMark,
) -> Result<Claimed, SliceError> {
    let mut earlier: Vec<SliceFile> = SliceFile::all(slices)?;
    earlier.retain(|file| file.slice == *slice);
    earlier.sort_by_key(|file| file.generation);
    let newest = earlier.last();
    let held = |file: &SliceFile| SliceError::Held {
        slice: slice.clone(),
        holder: holder(&file.path),
    };
    // Held until the next generation exists.
    let mut locked = None;
    let mut good_bytes = 0;
    if let Some(newest) = newest {
        let mut state = State::new(wave);
        let opened = Ledger::open_with(&newest.path, |record, place| {
            state.apply(&record.event, place);
        });
        let (ledger, tail) = opened.map_err(|error| match error {
            LedgerError::Locked { .. } => held(newest),
            error => error.into(),
        })?;
        if state.counts().ended() >= rows {
            return Ok(Claimed::Done(state.counts()));
        }
        good_bytes = tail.good_bytes;
        locked = Some(ledger);
    }
    let next = SliceFile::new(slices, slice, newest.map_or(1, |file| file.generation + 1));
    create(&next.path, newest.map(|file| (&*file.path, good_bytes))).map_err(
        |error| match error.kind() {
            // Or the temporary file was removed by the process that has the slice.
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => held(&next),
            _ => SliceError::io(&next.path)(error),
        },
    )?;
    let mut state = State::new(wave);
    let opened = Ledger::open_with(&next.path, |record, place| {
        state.apply(&record.event, place)
    });
    let (ledger, _) = opened.map_err(|error| match error {
        LedgerError::Locked { .. } => held(&next),
        error => error.into(),
    })?;
    durable::remove_strays(&next.path).map_err(SliceError::io(&next.path))?;
    for old in &earlier {
        durable::remove_strays(&old.path).map_err(SliceError::io(&old.path))?;
        fs::remove_file(&old.path).map_err(SliceError::io(&old.path))?;
    }
    drop(locked);
    let mut journal = SliceJournal {
        ledger,
        successor: Some(SliceFile::new(slices, slice, next.generation + 1).path),
    };
    journal.record(&[mark.taken(slice, next.generation)])?;
    Ok(Claimed::Taken(Box::new(TakenSlice { journal, state })))
}

/// Creates the file of a new generation, with the first bytes of an older one; fails if it already exists.
fn create(path: &Path, earlier: Option<(&Path, u64)>) -> io::Result<()> {
    let staged = durable::stage(path, Readers::Owner, |out| match earlier {
        Some((from, bytes)) => io::copy(&mut File::open(from)?.take(bytes), out).map(drop),
        None => Ok(()),
    })?;
    staged
        .persist_noclobber(path)
        .map_err(|error| error.error)?;
    platform::sync_folder(platform::parent(path))
}

impl JobMark {
    /// The event of a process that takes a slice of the job.
    pub(super) fn taken(self, slice: &SliceName, generation: u32) -> Event {
        Event::from(SliceTaken {
            slice: slice.to_string(),
            generation,
            host: process::host(),
            pid: std::process::id(),
            job_id: Some(self.job_id),
            label: self.label,
        })
    }
}

/// Who took the slice last, as far as its file says.
pub(super) fn holder(path: &Path) -> Option<String> {
    let mut last = None;
    let scanned = ledger::scan(path, |record, _| {
        if let Event::SliceTaken(taken) = record.event {
            last = Some(format!("process {} on {}", taken.pid, taken.host));
        }
    });
    scanned.ok().and(last)
}

fn refusal_path(slices: &Path, slice: &SliceName) -> PathBuf {
    slices.join(format!("{slice}.refused.jsonl"))
}

/// Adds a line to `<slice>.refused.jsonl`: `{"ts": …, "host": …, "pid": …, "why": …}`.
fn record_refusal(slices: &Path, slice: &SliceName, why: &SliceError) -> Result<(), SliceError> {
    let path = refusal_path(slices, slice);
    let line = serde_json::json!({
        "ts": clock::ledger_time(clock::now()),
        "host": process::host(),
        "pid": std::process::id(),
        "why": why.to_string(),
    });
    let mut options = private::options();
    let file = options.append(true).create(true).open(&path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(SliceError::io(&path))
}

/// Writes the file of a slice as long as no other process has taken it over.
pub struct SliceJournal {
    pub(super) ledger: Ledger,
    /// The file of the next generation, if there can be one.
    pub(super) successor: Option<PathBuf>,
}

impl Journal for SliceJournal {
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        self.ledger.write(events)
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.ledger.sync()?;
        let Some(successor) = &self.successor else {
            return Ok(());
        };
        match look::is_taken(successor).map_err(ledger::unreadable(successor))? {
            true => Err(LedgerError::TakenOver(successor.clone())),
            false => Ok(()),
        }
    }

    fn lines(&self) -> Result<Lines, LedgerError> {
        self.ledger.lines()
    }
}

#[cfg(test)]
mod tests;
