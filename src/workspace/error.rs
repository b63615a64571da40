//! What can keep a copy of the repository from being made or refreshed.

use crate::platform::GitError;
use std::io;
use std::path::{Path, PathBuf};

/// Why no snapshot could be made.
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
        /// What the file system said.
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
