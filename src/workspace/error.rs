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
    /// The disk is full, or a quota is used up.
    #[error("no room for a copy of the repository: the disk of `{}` is full", folder.display())]
    DiskFull {
        /// The folder of the copies.
        folder: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// A file could not be looked at.
    #[error("`{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
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

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Names `folder`, which the copies are in, if its disk is full.
    pub(super) fn in_folder(self, folder: &Path) -> Self {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Copy { source, .. } if matches!(source.kind(), QuotaExceeded | StorageFull) => {
                let folder = folder.to_owned();
                Self::DiskFull { folder, source }
            }
            other => other,
        }
    }

    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::DiskFull { .. } => Some(
                "free space there and resume the run, or keep runs on another disk: MESH_HOME or --artifacts DIR",
            ),
            Self::Git(error) => error.hint(),
            Self::Copy { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("give yourself access to it (chmod u+rwx its folder), and resume the run")
            }
            Self::Read { .. } | Self::Copy { .. } => None,
        }
    }
}
