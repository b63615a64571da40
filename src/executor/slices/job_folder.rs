//! The folder of a sliced job: `job.json` and the places of its files.

use super::error::SliceError;
use super::slicing::{SliceName, Slicing};
use crate::job::Settings;
use crate::platform::{Readers, durable, look};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The version of `job.json`.
const VERSION: u32 = 1;

/// The folder of a sliced job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

/// `job.json`: `{"v": 1, "job": {…}, "slicing": {…}}`. The paths of input, logs, working folder and program may be
/// relative to the folder, so that a copy of it works elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlicedJob {
    v: u32,
    /// The settings of the job.
    pub job: Settings,
    /// Its slices.
    pub slicing: Slicing,
    /// Whether prose is read as an answer where there is no object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_text: bool,
    /// The attempts that rows had before, by 0-based row; those without are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts_before: BTreeMap<u64, u16>,
}

impl SlicedJob {
    /// A job that is sliced.
    pub fn new(job: Settings, slicing: Slicing) -> Self {
        Self {
            v: VERSION,
            reads_text: job.read_text.is_some(),
            job,
            slicing,
            attempts_before: BTreeMap::new(),
        }
    }
}

impl JobFolder {
    /// The name of the index of the input.
    pub const ROW_INDEX: &str = "rows.json";

    /// The folder at `path`, which has a `job.json`.
    ///
    /// # Errors
    /// [`SliceError::NoJob`].
    pub fn open(path: &Path) -> Result<Self, SliceError> {
        let folder = Self::at(path);
        let file = folder.job_file();
        match look::is_file(&file).map_err(SliceError::io(&file))? {
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

    /// Where a file asks the processes that work slices to stop: those that see it start no more rows.
    pub fn stop_file(&self) -> PathBuf {
        self.0.join("stop")
    }

    /// The rows of slice `number` that are not to be run: they ended elsewhere. A list as for `--rows`.
    pub fn skipped_file(&self, number: u64) -> PathBuf {
        self.slices()
            .join(format!("{}.skip", SliceName::Number(number)))
    }

    /// The content of `job.json`.
    ///
    /// # Errors
    /// A path is not UTF-8.
    pub fn text(&self, sliced: &SlicedJob) -> Result<Vec<u8>, SliceError> {
        let text = serde_json::to_vec_pretty(sliced).map_err(io::Error::from);
        text.map_err(SliceError::io(&self.job_file()))
    }

    /// Writes `job.json`, as the last file of the folder; what is there before is not a job.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn write(&self, sliced: &SlicedJob) -> Result<(), SliceError> {
        let slices = self.slices();
        durable::make_folders(&slices, Readers::Owner).map_err(SliceError::io(&slices))?;
        let path = self.job_file();
        let text = self.text(sliced)?;
        crate::platform::write_private(&path, &text).map_err(SliceError::io(&path))
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
        let worker = &mut job.worker;
        let paths = [&mut job.input_path, &mut job.logs];
        for path in paths
            .into_iter()
            .chain(&mut job.row_index)
            .chain([&mut worker.folder, &mut worker.program])
        {
            *path = folder.join(&*path);
        }
        Ok(sliced)
    }
}
