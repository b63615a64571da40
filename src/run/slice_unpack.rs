//! The folder of a job that is unpacked from a bundle for one file of results, and removed at the end.

use super::error::RunError;
use super::slice_run::{make_own_folder, whole};
use crate::archive::{ArchiveError, Limits, unpack_bundle};
use crate::executor::slices::{JobFolder, SliceError};
use crate::platform::{LockKind, file_lock, look, parent, private, sha256_of_bytes};
use crate::workspace;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An unpacked job; dropping it removes its folder.
#[derive(Debug)]
pub struct UnpackedJob {
    place: PathBuf,
    /// Held for as long as this lives.
    _lock: File,
    /// The job.
    pub folder: JobFolder,
}

impl UnpackedJob {
    /// Unpacks `bundle` below `root`, in a folder whose name follows from `results`: what a killed process left there is removed.
    ///
    /// # Errors
    /// The bundle is not usable, or another process works for `results`. Nothing is left but the folder of `results`.
    pub fn unpack(
        bundle: &Path,
        limits: Limits,
        root: &Path,
        results: &Path,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Self, RunError> {
        private::make_folders(parent(results)).map_err(RunError::io(results))?;
        let key = sha256_of_bytes(whole(results)?.as_os_str().as_bytes());
        let place = root.join(format!("mesh-bundle-{key:.20}"));
        make_own_folder(&place)?;
        let lock = File::open(&place).map_err(RunError::io(&place))?;
        if !file_lock::take(&lock, LockKind::Exclusive).map_err(RunError::io(&place))? {
            return Err(SliceError::ResultsInUse(results.to_owned()).into());
        }
        let folder = JobFolder::at(&place.join("job"));
        let unpacked = Self {
            place,
            _lock: lock,
            folder,
        };
        let into = unpacked.folder.path();
        // Workers that a killed process left may still write there; they are ended before any row runs.
        if look::is_taken(into).map_err(RunError::io(into))? {
            workspace::remove(into).map_err(RunError::io(into))?;
        }
        private::make_folders(into).map_err(RunError::io(into))?;
        unpack_bundle(bundle, limits, into, is_stopped)?;
        if look::reachable(JobFolder::open(into))?.is_none() {
            let why = "it has no job.json";
            return Err(ArchiveError::NotOfAWave(bundle.to_owned(), why).into());
        }
        Ok(unpacked)
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove(self) -> io::Result<()> {
        workspace::remove(&self.place)
    }
}

impl Drop for UnpackedJob {
    fn drop(&mut self) {
        // After `remove` there is nothing left.
        let _ = workspace::remove(&self.place);
    }
}
