//! Why a slice can't be worked or read.

use super::slicing::SliceName;
use crate::ledger::LedgerError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a slice can't be worked or read.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// The folder is not that of a job.
    #[error("`{}` is not the folder of a job: it has no job.json", .0.display())]
    NoJob(PathBuf),
    /// `job.json` is not understood.
    #[error("`{}`: {why}", path.display())]
    BadJob {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The job has fewer slices.
    #[error("there is no slice {index}; the job has {slices}, counted from {first}")]
    NoSuchSlice {
        /// As given.
        index: u64,
        /// How many there are.
        slices: u64,
        /// The number of the first one, where the index comes from.
        first: u64,
    },
    /// Another process works the slice.
    #[error("slice `{slice}` is worked by another process{}", holder.as_ref().map_or(String::new(), |holder| format!(" ({holder})")))]
    Held {
        /// The slice.
        slice: SliceName,
        /// `process 17 on node3`, if known.
        holder: Option<String>,
    },
    /// Another process works for the same file of results.
    #[error("another process writes `{}`", .0.display())]
    ResultsInUse(PathBuf),
    /// A file of results is not one of this slice.
    #[error("`{}` is not the file of results of this slice: {why}", path.display())]
    OtherResults {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A file can't be read or written.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file of a slice can't be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl SliceError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoJob(_) => Some(
                "`mesh wave export WAVE.csv DIR --to RUNNER -- COMMAND` makes one; a wave CSV is taken as well"
                    .to_owned(),
            ),
            Self::Held { .. } => Some(
                "its results count; wait for it, or end it first: the slice then goes on where it stopped"
                    .to_owned(),
            ),
            Self::ResultsInUse(_) => {
                Some("wait for it, or pass another file with -o".to_owned())
            }
            Self::OtherResults { .. } => Some(
                "it was not changed; pass another file with -o".to_owned(),
            ),
            _ => None,
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
