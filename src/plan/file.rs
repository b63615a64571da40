//! Reads and writes plan files: bounded, atomically, through symbolic links.

use super::error::PlanError;
use crate::platform::{durable, look};
use std::fs::{File, Metadata};
use std::io;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// The size limit of a plan file.
pub const PLAN_BYTES_MAX: u64 = 256 << 20;

/// Reads a file of at most [`PLAN_BYTES_MAX`].
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, PlanError> {
    let file = File::open(path).map_err(|cause| io_error("open", path, cause))?;
    // A buffer that grows would take up to twice the size of a large plan.
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::with_capacity(size.min(PLAN_BYTES_MAX) as usize + 1);
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

/// The file with all of the plan. Refuses a plan that is too large to be read again.
pub(super) fn finish(out: &mut BufWriter<&File>) -> io::Result<Metadata> {
    out.flush()?;
    let written = out.get_ref().metadata()?;
    if written.len() > PLAN_BYTES_MAX {
        let message = format!("the plan would be larger than {PLAN_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(written)
}

/// Replaces the file at `path`, or the target of a symbolic link, by the output of `content`. After a crash the file is
/// either the old or the new one.
///
/// # Errors
/// [`PlanError::Io`]; the file is unchanged.
pub(super) fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), PlanError> {
    resolve_links(path)
        .and_then(|path| durable::write_with(&path, content))
        .map_err(|cause| io_error("write", path, cause))
}

/// The target of a symbolic link; any other path as it is.
pub(super) fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    look::real(path)
}

pub(super) fn io_error(action: &'static str, file: &Path, cause: io::Error) -> PlanError {
    PlanError::Io {
        action,
        file: file.to_owned(),
        cause,
    }
}
