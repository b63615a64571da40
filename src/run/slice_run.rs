//! `mesh wave exec`: one slice of a job, on whichever host this is, by the executor that also runs whole jobs.

use super::confinement;
use super::confinement::protected_by_csv;
use super::error::RunError;
use crate::executor::slices::{
    Claimed, JobFolder, JobMark, SliceError, SliceName, SlicedJob, TakenSlice,
};
use crate::job::{
    Budget, Counts, ExecutorChoice, Halt, JobStatus, Journal, Observer, Rows, Selection, Settings,
    Stop,
};
use crate::model::{Event, SliceFinished};
use crate::platform::sandbox::Choice;
use crate::platform::{look, private, process, sha256_of_bytes};
use crate::verdict::prose;
use crate::wave::Label;
use crate::{adapter, job};
use serde_json::Value;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which rows of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SliceRequest {
    /// One of the job's slices.
    Index {
        /// Its number.
        index: u64,
        /// The number of the first slice where this one comes from: 0 or 1.
        first: u64,
    },
    /// These rows.
    Rows(Rows),
}

impl SliceRequest {
    /// The name of the slice, and its rows.
    fn resolve(&self, sliced: &SlicedJob) -> Result<(SliceName, Rows), SliceError> {
        match self {
            Self::Rows(rows) => Ok((SliceName::of_rows(rows), rows.clone())),
            Self::Index { index, first } => {
                let number = index.checked_sub(*first).map(|rank| rank + 1);
                let found =
                    number.and_then(|number| Some((number, sliced.slicing.rows_of(number)?)));
                let (number, rows) = found.ok_or(SliceError::NoSuchSlice {
                    index: *index,
                    slices: sliced.slicing.count(),
                    first: *first,
                })?;
                Ok((SliceName::Number(number), rows))
            }
        }
    }
}

/// A slice that this process works.
pub struct SliceRun {
    job: Settings,
    name: SliceName,
    claimed: Claimed,
    /// What to tell about workers that are not confined here.
    pub note: Option<String>,
}

impl SliceRun {
    /// Takes a slice of the job in `folder`, to be worked with `rows_at_once` rows at a time. What happens goes to the slice's
    /// file in the folder, which all hosts share, or else to the file `results`.
    ///
    /// # Errors
    /// The job is not understood, there is no such slice, another process works it, `results` is another file, or its worker
    /// can't run here.
    pub fn begin(
        folder: &JobFolder,
        request: &SliceRequest,
        rows_at_once: Option<usize>,
        results: Option<&Path>,
    ) -> Result<Self, RunError> {
        let sliced = folder.read()?;
        let (name, mut rows) = request.resolve(&sliced)?;
        if let SliceName::Number(number) = name {
            rows = rows.without(&skipped(folder, number)?);
        }
        let mut job = sliced.job;
        job.bounds.max_concurrency = rows_at_once.unwrap_or(sliced.slicing.rows_at_once).max(1);
        job.selection = Selection {
            rows: Some(rows.clone()),
            sample: None,
        };
        // These count over all slices, so they are up to whoever hands out the slices.
        job.halt = Halt::default();
        job.budget = Budget::default();
        job.max_wall_seconds = None;
        // Whoever runs a slice is the executor.
        job.executor = ExecutorChoice::Local;
        job.scratch = scratch(results.unwrap_or(folder.path()), &name)?;
        if let Some(results) = results {
            // The folder is removed afterwards.
            job.logs = results.with_extension("logs");
            job.worker.find_here()?;
        }
        job.worker.check()?;
        job.agent_protocol = adapter::agent_protocol(&job.worker)?;
        job.read_text = sliced.reads_text.then_some(prose::read as job::ReadText);
        let note = confine(&mut job, folder)?;
        let mark = JobMark {
            job_id: job.job_id.clone(),
            label: label_of(folder)?,
        };
        let claimed = match results {
            Some(results) => Claimed::claim_results(results, &name, rows.len(), job.wave, mark),
            None => Claimed::claim(folder, &name, rows.len(), job.wave, mark),
        };
        if !matches!(
            claimed,
            Ok(Claimed::Taken(_)) | Err(SliceError::Held { .. })
        ) {
            // Nothing will run here. It stays if a killed process left something in it.
            let _ = fs::remove_dir(&job.scratch);
        }
        let claimed = claimed?;
        Ok(Self {
            job,
            name,
            claimed,
            note,
        })
    }

    /// The name of the slice.
    pub fn name(&self) -> &SliceName {
        &self.name
    }

    /// The job, restricted to the slice.
    pub fn job(&self) -> &Settings {
        &self.job
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        let rows = self.job.selection.rows.as_ref();
        rows.map_or(0, Rows::len)
    }

    /// Runs the rows of the slice that have not ended.
    ///
    /// # Errors
    /// The file of the slice can't be written, or another process has taken it over.
    pub fn drive(
        &mut self,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<(JobStatus, Counts), RunError> {
        let TakenSlice { journal, state } = match &mut self.claimed {
            Claimed::Taken(taken) => &mut **taken,
            Claimed::Done(counts) => return Ok((JobStatus::Finished, *counts)),
        };
        let (status, _) = crate::executor::run(&self.job, state, journal, observer, stop, None)?;
        let counts = state.counts();
        let finished = journal.record(&[Event::from(SliceFinished {
            slice: self.name.to_string(),
            completed: counts.completed,
            failed: counts.failed,
            pending: counts.pending(),
            detail: status.job_error(),
        })]);
        finished?;
        // Leftovers are found and removed by the next process that works the slice here.
        let _ = fs::remove_dir_all(&self.job.scratch);
        Ok((status, counts))
    }
}

/// The label of the wave, if it is one of a run.
fn label_of(folder: &JobFolder) -> Result<Option<Value>, RunError> {
    let path = folder.slices().join(Label::FILE_NAME);
    let found = look::found(fs::read(&path)).map_err(RunError::io(&path))?;
    let label = found
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose();
    label.map_err(|error| RunError::io(&path)(error.into()))
}

/// The rows of a slice that are not to be run.
fn skipped(folder: &JobFolder, number: u64) -> Result<Rows, RunError> {
    let path = folder.skipped_file(number);
    let found = look::found(fs::read_to_string(&path)).map_err(RunError::io(&path))?;
    let Some(text) = found else {
        return Ok(Rows::of_numbers([]));
    };
    let rows = text.trim().parse();
    rows.map_err(|error| RunError::io(&path)(io::Error::other(error)))
}

/// Confines the workers on this host as the job asks; returns what to tell if that can't be done.
fn confine(job: &mut Settings, folder: &JobFolder) -> Result<Option<String>, RunError> {
    let Some(asked) = job.worker.sandbox.take() else {
        return Ok(None);
    };
    let protected = protected_by_csv(&job.worker.folder)?;
    let (confinement, note) = Choice::Auto.decide(&protected, &asked.writable)?;
    job.worker.sandbox = confinement;
    let protocol = job.agent_protocol.as_ref();
    job.sandbox = confinement::sandbox(&job.worker, protocol, protected, folder.path())?;
    Ok(note)
}

/// A folder on this host for the short-lived files of a slice: its socket, and the record of its worker processes. Its name
/// is the same each time, so that what a killed process left running is found and ended before its rows run again. `place` is
/// where the slice's file is, or the file.
fn scratch(place: &Path, name: &SliceName) -> Result<PathBuf, RunError> {
    let mut key = whole(place)?.into_os_string().into_encoded_bytes();
    key.extend_from_slice(name.to_string().as_bytes());
    let path = std::env::temp_dir().join(format!("mesh-{:.20}", sha256_of_bytes(&key)));
    make_own_folder(&path)?;
    Ok(path)
}

/// The path without links; the last part need not exist.
pub(super) fn whole(path: &Path) -> Result<PathBuf, RunError> {
    let whole = look::reachable(fs::canonicalize(path)).map_err(RunError::io(path))?;
    if let Some(whole) = whole {
        return Ok(whole);
    }
    let parent = crate::platform::parent(path);
    let whole = fs::canonicalize(parent).map_err(RunError::io(parent))?;
    Ok(whole.join(path.file_name().unwrap_or_default()))
}

/// Creates a folder that only this user can read, or checks that it is one.
pub(super) fn make_own_folder(path: &Path) -> Result<(), RunError> {
    match private::make_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_own(path),
        made => made.map_err(RunError::io(path)),
    }
}

/// Refuses a folder that another user could have put there.
fn check_own(path: &Path) -> Result<(), RunError> {
    let metadata = fs::symlink_metadata(path).map_err(RunError::io(path))?;
    let is_own = metadata.uid() == process::user() && metadata.mode() & 0o077 == 0;
    match metadata.is_dir() && is_own {
        true => Ok(()),
        false => Err(RunError::io(path)(io::Error::other(
            "it must be a folder that only this user can read",
        ))),
    }
}
