//! The answers of an external runner, as they were read and before they are judged.

use crate::executor::slices::ResultPlace;
use crate::model::{RowId, WaveNo};
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::verdict::Object;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The answer to one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ImportedAnswer {
    /// None yet.
    Nothing,
    /// A file with the output of a worker, not read yet.
    Written(PathBuf),
    /// An object, not checked yet.
    Result { result: Object, attempts: u32 },
    /// An object in the file of a slice, a place among those of [`Answers`], not read yet.
    InSlice {
        file: usize,
        place: ResultPlace,
        attempts: u32,
    },
    /// `code: text`.
    Failed { error: String, attempts: u32 },
}

impl ImportedAnswer {
    pub fn failed(error: &str) -> Self {
        ImportedAnswer::Failed {
            error: error.to_owned(),
            attempts: 1,
        }
    }
}

/// Why answers can't be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswersError {
    /// The file is refused.
    #[error("{}", .0.why)]
    Refused(Refusal),
    /// The file or folder can't be read.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl AnswersError {
    pub fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(path, why))
    }
}

/// The answers to waves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(super) by_row: BTreeMap<RowId, ImportedAnswer>,
    pub(super) jobs: BTreeMap<WaveNo, String>,
    /// The files of slices that have results.
    pub(super) slice_files: Vec<PathBuf>,
    /// The number of rows of waves that no longer await answers.
    pub other_rows: usize,
    /// Files of slices that are refused, while the others are read.
    pub refused_files: Vec<Refusal>,
    /// Further copies of a slice, which are ignored.
    pub copies: Vec<IgnoredCopy>,
}

/// A file with the same slice as another one, which has more of it, or comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredCopy {
    /// The file.
    pub path: PathBuf,
    /// The other one.
    pub taken: PathBuf,
}

impl Answers {
    /// The job of a wave, if the answers name it.
    pub fn job_id(&self, wave: WaveNo) -> Option<&str> {
        self.jobs.get(&wave).map(String::as_str)
    }

    /// The answer to a row.
    pub fn answer(&self, id: &RowId) -> &ImportedAnswer {
        self.by_row.get(id).unwrap_or(&ImportedAnswer::Nothing)
    }
}
