//! Why a copy of the repository could not be created or updated.

use crate::platform::GitError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a copy could not be created or updated.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Git could not list the files.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be copied.
    #[error("snapshot of `{}`", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
}

impl SnapshotError {
    pub(crate) fn copy(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Copy { path, source }
    }
}
