//! One integrator per repository: an exclusive lock that the kernel releases when its holder dies.

use super::IntegrateError;
use crate::git::Repo;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};

/// Held for as long as a run may change the repository.
#[derive(Debug)]
pub struct RepoLock {
    _file: File,
}

impl RepoLock {
    /// Takes the lock of `repo`, or says that somebody else has it.
    pub fn take(repo: &Repo) -> Result<Self, IntegrateError> {
        let path = repo.common_dir()?.join("mesh.lock");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(IntegrateError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(IntegrateError::Locked { path }),
            Err(errno) => Err(IntegrateError::io(&path)(errno.into())),
        }
    }
}
