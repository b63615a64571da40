//! Reading and writing plan files: bounded, atomic, through links.

use super::error::PlanError;
use crate::platform::durable;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The largest plan file that is read.
pub const PLAN_BYTES_MAX: u64 = 256 << 20;

/// A whole file of at most [`PLAN_BYTES_MAX`].
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, PlanError> {
    let file = File::open(path).map_err(|cause| io_error("open", path, cause))?;
    let mut bytes = Vec::new();
    let read = file.take(PLAN_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|cause| io_error("read", path, cause))?;
    if bytes.len() as u64 > PLAN_BYTES_MAX {
        return Err(PlanError::TooLarge {
            file: path.to_owned(),
            bytes_max: PLAN_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// Keeps a plan from growing beyond what would be read again.
pub(crate) fn refuse_too_large(out: &mut BufWriter<&File>) -> io::Result<()> {
    out.flush()?;
    if out.get_ref().metadata()?.len() > PLAN_BYTES_MAX {
        let message = format!("the plan would be larger than {PLAN_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(())
}

/// Replaces `path` as a whole by what `content` writes; see the head of this file for what survives
/// a crash. Behind a symbolic link, the file it points to is replaced.
///
/// # Errors
/// [`PlanError::Io`]; the file is then as it was.
pub(crate) fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), PlanError> {
    durable::write_with(&behind_links(path), content)
        .map_err(|cause| io_error("write", path, cause))
}

pub(crate) fn behind_links(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

pub(crate) fn io_error(action: &'static str, file: &Path, cause: io::Error) -> PlanError {
    PlanError::Io {
        action,
        file: file.to_owned(),
        cause,
    }
}
