//! The one file with the results of a slice, where no folder is shared: a ledger like the file of a slice in its job's folder.
//!
//! Its lock keeps a second process from writing it. Another copy of the slice, on another host with another file, can't be seen from
//! here: both work, and whoever collects takes one of the files.

use super::error::SliceError;
use super::slice_file::{Claimed, JobMark, SliceJournal, TakenSlice, holder};
use super::slicing::SliceName;
use crate::job::{Journal, State};
use crate::ledger::{self, Ledger, LedgerError};
use crate::model::{Event, WaveNo};
use crate::platform::{look, options, parent, sync_folder};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The beginning of each first line, which may be torn.
const HEAD: &[u8] = br#"{"v":1,"seq":1,"ts":""#;
/// As much of a file is looked at to find out what it is.
const LOOK_BYTES: u64 = 64 * 1024;

impl Claimed {
    /// Claims the slice for the file of results at `path`, which is created, or continued behind its last whole record.
    ///
    /// # Errors
    /// [`SliceError::OtherResults`] if there is another file, which stays as it is; [`SliceError::Held`] if another process
    /// writes it.
    pub fn claim_results(
        path: &Path,
        slice: &SliceName,
        rows: u64,
        wave: WaveNo,
        mark: JobMark,
    ) -> Result<Self, SliceError> {
        let io = SliceError::io(path);
        match look::find(path).map_err(&io)?.is_some() {
            true => check_own(path, slice, &mark)?,
            false => {
                let made = options().append(true).create(true).open(path);
                made.and_then(|_| sync_folder(parent(path))).map_err(&io)?;
            }
        }
        let mut state = State::new(wave);
        let mut generation = 1;
        let opened = Ledger::open_with(path, |record, place| {
            generation += u32::from(matches!(record.event, Event::SliceTaken(_)));
            state.apply(&record.event, place);
        });
        let (ledger, _) = opened.map_err(|error| match error {
            LedgerError::Locked { .. } => SliceError::Held {
                slice: slice.clone(),
                holder: holder(path),
            },
            error => error.into(),
        })?;
        if state.counts().ended() >= rows {
            return Ok(Self::Done(state.counts()));
        }
        let mut journal = SliceJournal {
            ledger,
            successor: None,
        };
        journal.record(&[mark.taken(slice, generation)])?;
        Ok(Self::Taken(Box::new(TakenSlice { journal, state })))
    }
}

/// Refuses a file that is not empty and not the one of the slice, before its end would be taken for a torn line and cut.
fn check_own(path: &Path, slice: &SliceName, mark: &JobMark) -> Result<(), SliceError> {
    let io = SliceError::io(path);
    let other = |why: String| {
        Err(SliceError::OtherResults {
            path: path.to_owned(),
            why,
        })
    };
    if !fs::metadata(path).map_err(&io)?.is_file() {
        return other("it is not a regular file".to_owned());
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(&io)?;
    file.take(LOOK_BYTES).read_to_end(&mut head).map_err(&io)?;
    let is_torn = !head.contains(&b'\n') && HEAD.starts_with(&head[..head.len().min(HEAD.len())]);
    if is_torn {
        return Ok(());
    }
    if !head.starts_with(HEAD) {
        return other("it was written by another program".to_owned());
    }
    match ledger::first(path)?.map(|record| record.event) {
        Some(Event::SliceTaken(taken)) if taken.job_id.as_ref() != Some(&mark.job_id) => {
            other("it has results of another job".to_owned())
        }
        Some(Event::SliceTaken(taken)) if taken.slice != slice.to_string() => {
            other(format!("it has results of slice {}", taken.slice))
        }
        Some(Event::SliceTaken(_)) => Ok(()),
        _ => other("it is a ledger of something else".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobId;

    fn claim(path: &Path, job: &str, slice: u64) -> Result<Claimed, SliceError> {
        let mark = JobMark {
            job_id: JobId::new(job),
            label: None,
        };
        Claimed::claim_results(path, &SliceName::Number(slice), 2, WaveNo(1), mark)
    }

    #[test]
    fn a_file_is_continued_only_by_its_own_slice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.jsonl");
        let first = claim(&path, "j", 1).expect("taken");
        let held = claim(&path, "j", 1).err().expect("held");
        assert!(matches!(held, SliceError::Held { .. }), "{held}");
        drop(first);
        for (job, slice) in [("j", 2), ("k", 1)] {
            let refused = claim(&path, job, slice).err().expect("refused");
            assert!(
                matches!(refused, SliceError::OtherResults { .. }),
                "{refused}"
            );
        }
        let mut bytes = fs::read(&path).expect("read");
        bytes.extend(b"{\"v\":1,\"seq\":2,\"ts");
        fs::write(&path, bytes).expect("torn");
        claim(&path, "j", 1).expect("taken again");
        let taken = ledger::read(&path).expect("whole").records;
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn what_is_no_file_of_results_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.jsonl");
        for text in ["a,b", "a,b\n1,2\n", "{}\n", "{\"v\":1}"] {
            fs::write(&path, text).expect("written");
            let refused = claim(&path, "j", 1).err().expect("refused");
            assert!(
                matches!(refused, SliceError::OtherResults { .. }),
                "{refused}"
            );
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
        for text in ["", "{\"v\":1,\"se", "{\"v\":1,\"seq\":1,\"ts\":\"20"] {
            fs::write(&path, text).expect("written");
            claim(&path, "j", 1).expect("taken");
        }
    }
}
