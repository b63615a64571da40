//! The lock that allows one integrator per repository, and the marker of an unfinished integration.
//!
//! The lock is a `flock` on `mesh.lock` in git's common folder, which the kernel releases when the holder dies. The file
//! names the holder, for the message of a second run, and is emptied at an orderly end. Beside it, `mesh.pending` names the
//! run whose integration has started and not finished. While it exists, only that run may continue.

use super::error::IntegrateError;
use crate::platform::{Repo, clock, process};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// The current or last holder of the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// When the process started, in hundredths of a second since boot; 0 if unknown. Distinguishes it from a later process
    /// with the same id.
    pub start_ticks: u64,
    /// The machine.
    pub host: String,
    /// When it took the lock.
    pub since: String,
}

impl Holder {
    /// This process.
    fn own() -> Self {
        Self {
            pid: std::process::id(),
            start_ticks: process::own().map_or(0, |own| own.start_ticks),
            host: process::host(),
            since: clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    /// Reads the lock file; `None` if it is empty or not valid.
    fn read(mut file: &File) -> io::Result<Option<Self>> {
        const BYTES_MAX: u64 = 4096;
        let mut text = String::new();
        file.seek(SeekFrom::Start(0))?;
        let read = file.take(BYTES_MAX).read_to_string(&mut text);
        Ok(read.ok().and_then(|_| serde_json::from_str(&text).ok()))
    }

    fn write(&self, mut file: &File) -> io::Result<()> {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        let text = serde_json::to_string(self).map_err(io::Error::from)?;
        file.write_all(format!("{text}\n").as_bytes())
    }

    /// The note about a holder that did not release the lock.
    fn takeover_note(&self) -> String {
        match self.host == process::host() {
            true => format!("took over the lock of {self}, which ended without releasing it"),
            false => format!(
                "took over the lock of {self}, which does not seem to hold it; make sure that no `mesh` is running in this repository on that machine"
            ),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid, host, since, ..
        } = self;
        write!(f, "process {pid} on {host}, since {since}")
    }
}

/// How long to wait for another git command to release the index.
const INDEX_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until no git command holds the index. A killed command leaves its lock file, so the wait has a limit.
pub(super) fn wait_for_index(repo: &Repo) -> Result<(), IntegrateError> {
    let path = repo.git_dir()?.join("index.lock");
    let started = Instant::now();
    while std::fs::symlink_metadata(&path).is_ok() {
        if started.elapsed() >= INDEX_TIMEOUT {
            return Err(IntegrateError::IndexLocked { path });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn open_lock_file(path: &Path) -> Result<File, IntegrateError> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true);
    options.open(path).map_err(IntegrateError::io(path))
}

/// The lock of a repository, held while a run may change it.
#[derive(Debug)]
pub struct RepoLock {
    file: File,
    pending: PathBuf,
    note: Option<String>,
}

impl RepoLock {
    /// Stands in for the lock of a repository that is gone. It locks nothing: the run's ledger keeps other processes out.
    pub fn without_repository(run_folder: &Path) -> Result<Self, IntegrateError> {
        Ok(Self {
            file: open_lock_file(&run_folder.join("mesh.lock"))?,
            pending: run_folder.join("mesh.pending"),
            note: None,
        })
    }

    /// Takes the lock of `repo` for the run in `run_folder`; `None` for a run that does not exist yet.
    pub fn take(repo: &Repo, run_folder: Option<&Path>) -> Result<Self, IntegrateError> {
        let common = repo.common_dir()?;
        let path = common.join("mesh.lock");
        let failed = || IntegrateError::io(&path);
        let file = open_lock_file(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = Holder::read(&file).map_err(failed())?;
                return Err(IntegrateError::Locked { path, holder });
            }
            Err(errno) => return Err(failed()(errno.into())),
        }
        let last = Holder::read(&file).map_err(failed())?;
        Holder::own().write(&file).map_err(failed())?;
        let lock = Self {
            file,
            pending: common.join("mesh.pending"),
            note: last.map(|last| last.takeover_note()),
        };
        match lock.pending_run()? {
            Some(pending)
                if run_folder != Some(&pending) && pending.join("ledger.jsonl").exists() =>
            {
                Err(IntegrateError::Pending {
                    run_folder: pending,
                })
            }
            // The restore of the interrupted integration also removes a leftover index lock.
            Some(_) => Ok(lock),
            None => wait_for_index(repo).map(|()| lock),
        }
    }

    /// A note about the last holder, if it did not release the lock.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Until [`RepoLock::clear_pending`], allows only the run in `run_folder` in this repository.
    pub(super) fn set_pending(&self, run_folder: &Path) -> Result<(), IntegrateError> {
        let text = run_folder.as_os_str().as_encoded_bytes();
        crate::platform::write(&self.pending, text).map_err(IntegrateError::io(&self.pending))
    }

    /// Allows other runs again.
    pub fn clear_pending(&self) -> Result<(), IntegrateError> {
        match std::fs::remove_file(&self.pending) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(IntegrateError::io(&self.pending)(error))
            }
            _ => Ok(()),
        }
    }

    fn pending_run(&self) -> Result<Option<PathBuf>, IntegrateError> {
        match std::fs::read(&self.pending) {
            Ok(bytes) => {
                let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                Ok(Some(PathBuf::from(OsStr::from_bytes(bytes))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IntegrateError::io(&self.pending)(error)),
        }
    }
}

impl Drop for RepoLock {
    fn drop(&mut self) {
        // If this fails, the next holder only prints a needless note.
        let _ = self.file.set_len(0);
    }
}
