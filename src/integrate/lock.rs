//! One integrator per repository, and the memory of an integration that a kill interrupted.
//!
//! The lock is a `flock` on `mesh.lock` in git's common folder: the kernel releases it when its holder dies. The file
//! says who holds it, so that others can be told; an orderly end takes that away again. Beside it,
//! `mesh.pending` names the run whose integration is under way; while it is there, only that run may go on.

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

/// Whoever holds the lock, or held it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// When it started, in hundredths of a second since its machine did; 0 where that is not known. With it, a process
    /// that got the same id later is told apart.
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
            host: host(),
            since: clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    /// What the lock file says; nothing when that is not to be understood.
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

    /// What is to be said of a holder that did not give the lock back.
    fn left_behind(&self) -> String {
        match self.host == host() {
            true => format!("took over the lock of {self}, which ended without giving it back"),
            false => format!(
                "took over the lock of {self}, which does not hold it as far as can be seen from here; make sure that no `mesh` works in this repository there"
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

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// How long another git command may take to give the index back.
const INDEX_PATIENCE: Duration = Duration::from_secs(5);

/// Waits until no git command holds the index; one that was killed leaves its lock for ever.
pub(super) fn wait_for_index(repo: &Repo) -> Result<(), IntegrateError> {
    let path = repo.git_dir()?.join("index.lock");
    let begun = Instant::now();
    while std::fs::symlink_metadata(&path).is_ok() {
        if begun.elapsed() >= INDEX_PATIENCE {
            return Err(IntegrateError::IndexLocked { path });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Held for as long as a run may change the repository.
#[derive(Debug)]
pub struct RepoLock {
    file: File,
    pending: PathBuf,
    note: Option<String>,
}

impl RepoLock {
    /// Takes the lock of `repo` for the run in `run_folder` (`None`: a run that does not exist yet), or says who has it.
    pub fn take(repo: &Repo, run_folder: Option<&Path>) -> Result<Self, IntegrateError> {
        let common = repo.common_dir()?;
        let path = common.join("mesh.lock");
        let failed = || IntegrateError::io(&path);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed())?;
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
            note: last.map(|last| last.left_behind()),
        };
        match lock.pending_run()? {
            Some(pending)
                if run_folder != Some(&pending) && pending.join("ledger.jsonl").exists() =>
            {
                Err(IntegrateError::Pending {
                    run_folder: pending,
                })
            }
            // A restore takes away what an interrupted integration left.
            Some(_) => Ok(lock),
            None => wait_for_index(repo).map(|()| lock),
        }
    }

    /// What is to be said of the last holder, when it did not give the lock back.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// From now on until [`RepoLock::clear_pending`], only the run in `run_folder` may go on in this repository.
    pub(super) fn mark(&self, run_folder: &Path) -> Result<(), IntegrateError> {
        let text = run_folder.as_os_str().as_encoded_bytes();
        crate::platform::write(&self.pending, text).map_err(IntegrateError::io(&self.pending))
    }

    /// The tree is whole again.
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
        // A record that stays is only taken for that of a process that was killed.
        let _ = self.file.set_len(0);
    }
}
