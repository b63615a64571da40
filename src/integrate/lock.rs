//! One integrator per repository, and the memory of an integration that a kill interrupted.
//!
//! The lock is a `flock` on `mesh.lock` in git's common folder: the kernel releases it when its holder dies. Beside it,
//! `mesh.pending` names the run whose integration is under way; while it is there, only that run may go on.

use super::IntegrateError;
use crate::git::Repo;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Held for as long as a run may change the repository.
#[derive(Debug)]
pub struct RepoLock {
    _file: File,
    pending: PathBuf,
}

impl RepoLock {
    /// Takes the lock of `repo` for the run in `run_folder` (`None`: a run that does not exist yet), or says who has it.
    pub fn take(repo: &Repo, run_folder: Option<&Path>) -> Result<Self, IntegrateError> {
        let common = repo.common_dir()?;
        let path = common.join("mesh.lock");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(IntegrateError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(IntegrateError::Locked { path }),
            Err(errno) => return Err(IntegrateError::io(&path)(errno.into())),
        }
        let lock = Self {
            _file: file,
            pending: common.join("mesh.pending"),
        };
        match lock.pending_run()? {
            Some(pending)
                if run_folder != Some(&pending) && pending.join("ledger.jsonl").exists() =>
            {
                Err(IntegrateError::Pending {
                    run_folder: pending,
                })
            }
            _ => Ok(lock),
        }
    }

    /// From now on until [`RepoLock::settled`], only the run in `run_folder` may go on in this repository.
    pub(super) fn mark(&self, run_folder: &Path) -> Result<(), IntegrateError> {
        let text = run_folder.as_os_str().as_encoded_bytes();
        crate::durable::write(&self.pending, text).map_err(IntegrateError::io(&self.pending))
    }

    /// The tree is whole again.
    pub fn settled(&self) -> Result<(), IntegrateError> {
        match std::fs::remove_file(&self.pending) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(IntegrateError::io(&self.pending)(error))
            }
            _ => Ok(()),
        }
    }

    fn pending_run(&self) -> Result<Option<PathBuf>, IntegrateError> {
        match std::fs::read_to_string(&self.pending) {
            Ok(text) => Ok(Some(PathBuf::from(text.trim_end_matches('\n')))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IntegrateError::io(&self.pending)(error)),
        }
    }
}
