//! Why a run can't be exported, or an archive not be read.

use std::io;
use std::path::{Path, PathBuf};

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file of the run can't be read.
    #[error("`{}` can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The name of a file of the run is not UTF-8, and so can't be listed.
    #[error("`{}` has a name that is not UTF-8", .0.display())]
    Name(PathBuf),
    /// The archive, or a temporary file, can't be written.
    #[error("the archive can't be written")]
    Write(#[source] io::Error),
    /// It is no archive of a run, or only a part of one.
    #[error("archive `{}` is damaged or cut off", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What can't be read.
        #[source]
        source: io::Error,
    },
    /// A member is not what it should be.
    #[error("archive `{}`, member `{member}`: {why}", path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// Its member.
        member: String,
        /// What is wrong.
        why: String,
    },
    /// It is larger than what is unpacked.
    #[error("archive `{}` has more than {what}", path.display())]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// The limit.
        what: String,
    },
    /// It can't be unpacked.
    #[error("archive `{}` can't be unpacked to the temporary folder `{}`", path.display(), std::env::temp_dir().display())]
    Unpack {
        /// The archive.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Damaged { .. } | Self::Member { .. } => Some(
                "nothing of it was used; copy it again, or export the run again: mesh runs export RUN FILE.tar.zst",
            ),
            Self::TooLarge { .. } => {
                Some("unpack it with tar if you trust it, and inspect the folder")
            }
            Self::Unpack { .. } => Some("free space there, or set TMPDIR to another folder"),
            Self::Read { .. } | Self::Name(_) | Self::Write(_) => None,
        }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}
