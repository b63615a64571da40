//! Why a run can't be exported, or an archive not be read.

use crate::platform::machine_fault;
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
    /// It is no bundle of a wave.
    #[error("`{}` is not a bundle of `mesh wave export --bundle`", .0.display())]
    NoBundle(PathBuf),
    /// A bundle whose members fit its manifest, but are no wave.
    #[error("bundle `{}`: {}", .0.display(), .1)]
    NotOfAWave(PathBuf, &'static str),
    /// A bundle would be larger than it may be.
    #[error(
        "the bundle would have {size} of content, and at most {max} are allowed; the largest member is `{largest}` with {largest_size}"
    )]
    BundleTooLarge {
        /// All members.
        size: String,
        /// The limit.
        max: String,
        /// The path of the largest member.
        largest: String,
        /// Its size.
        largest_size: String,
    },
    /// A file changed while it was packed.
    #[error("`{}` changed while it was packed", .0.display())]
    Changed(PathBuf),
    /// It can't be unpacked.
    #[error("archive `{}` can't be unpacked to the temporary folder `{}`", path.display(), folder.display())]
    Unpack {
        /// The archive.
        path: PathBuf,
        /// Where to.
        folder: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Damaged { .. } | Self::Member { .. } => {
                Some("nothing of it was used; copy it again, or export it again")
            }
            Self::NoBundle(_) | Self::NotOfAWave(..) => {
                Some("make one: mesh wave export WAVE.csv --bundle FILE -- my-agent")
            }
            Self::BundleTooLarge { .. } => Some(
                "pass --workspace DIR with only what the rows need, or raise the limit with --bundle-max; nothing was written",
            ),
            Self::Changed(_) => Some("nothing was written; try again when nothing writes there"),
            Self::TooLarge { .. } => Some(
                "nothing was started; if you trust it, raise the limit of a bundle with --bundle-max, or unpack it with tar",
            ),
            Self::Unpack { .. } => {
                Some("free space there, or set TMPDIR (of a bundle, --workdir) to another folder")
            }
            Self::Read { .. } | Self::Name(_) | Self::Write(_) => None,
        }
    }

    /// What a failed read says of the archive: that it is damaged, unless the machine is at fault.
    pub(super) fn damaged(path: &Path, source: io::Error) -> Self {
        match machine_fault::is_fault(&source) {
            true => Self::read(path)(source),
            false => Self::Damaged {
                path: path.to_owned(),
                source,
            },
        }
    }

    pub(super) fn member(path: &Path, member: &str, why: &str) -> Self {
        Self::Member {
            path: path.to_owned(),
            member: member.to_owned(),
            why: why.to_owned(),
        }
    }

    pub(super) fn unpack(path: &Path, folder: &Path, source: io::Error) -> Self {
        Self::Unpack {
            path: path.to_owned(),
            folder: folder.to_owned(),
            source,
        }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}
