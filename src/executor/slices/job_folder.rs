//! The folder of a sliced job: `job.json` and the places of its files.

use super::error::SliceError;
use super::slicing::Slicing;
use crate::job::Settings;
use crate::platform::private;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The version of `job.json`.
const VERSION: u32 = 1;

/// The folder of a sliced job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

/// `job.json`: `{"v": 1, "job": {…}, "slicing": {…}}`. The paths of input, logs and working folder may be relative to the
/// folder, so that a copy of it works elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlicedJob {
    v: u32,
    /// The settings of the job.
    pub job: Settings,
    /// Its slices.
    pub slicing: Slicing,
}

impl SlicedJob {
    /// A job that is sliced.
    pub fn new(job: Settings, slicing: Slicing) -> Self {
        Self {
            v: VERSION,
            job,
            slicing,
        }
    }
}

impl JobFolder {
    /// The folder at `path`, which has a `job.json`.
    ///
    /// # Errors
    /// [`SliceError::NoJob`].
    pub fn open(path: &Path) -> Result<Self, SliceError> {
        let folder = Self::at(path);
        match folder.job_file().is_file() {
            true => Ok(folder),
            false => Err(SliceError::NoJob(path.to_owned())),
        }
    }

    /// The folder at `path`, whether there is one or not.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The job and its slices.
    pub fn job_file(&self) -> PathBuf {
        self.0.join("job.json")
    }

    /// The files of the slices.
    pub fn slices(&self) -> PathBuf {
        self.0.join("slices")
    }

    /// Writes `job.json`, as the last file of the folder; what is there before is not a job.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn write(&self, sliced: &SlicedJob) -> Result<(), SliceError> {
        let slices = self.slices();
        private::make_folders(&slices).map_err(SliceError::io(&slices))?;
        let path = self.job_file();
        let text = serde_json::to_vec_pretty(sliced).map_err(io::Error::from);
        let written = text.and_then(|text| crate::platform::write_private(&path, &text));
        written.map_err(SliceError::io(&path))
    }

    /// Reads `job.json`, with all paths resolved.
    ///
    /// # Errors
    /// It can't be read, or is not understood.
    pub fn read(&self) -> Result<SlicedJob, SliceError> {
        let path = self.job_file();
        let bytes = std::fs::read(&path).map_err(SliceError::io(&path))?;
        let bad = |why: String| SliceError::BadJob {
            path: path.clone(),
            why,
        };
        let mut sliced: SlicedJob =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if sliced.v > VERSION {
            return Err(bad(format!("version {} is newer than {VERSION}", sliced.v)));
        }
        let folder = std::path::absolute(&self.0).map_err(SliceError::io(&self.0))?;
        let job = &mut sliced.job;
        for path in [&mut job.input_path, &mut job.logs, &mut job.worker.folder] {
            *path = folder.join(&*path);
        }
        Ok(sliced)
    }
}
