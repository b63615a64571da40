//! The lock that allows one integrator per repository, and the marker of an unfinished integration.
//!
//! The lock is a `flock` on `mesh.lock` in git's common folder, which the kernel releases when the holder dies. The file
//! names the holder, for the message of a second run, and is emptied at an orderly end. Beside it, `mesh.pending` names the
//! run whose integration has started and not finished. While it exists, only that run may continue.
//!
//! A run holds the lock from its beginning to its end. A joined one ([`joined`](super::joined)) takes it for one turn of its loop at
//! a time: for everything that reads or writes the tree or the plan, and not while it waits for its rows.

use super::error::IntegrateError;
use super::joined::{JoinFolder, OpenChange, Presence};
use crate::model::RunId;
use crate::platform::{LockKind, Repo, clock, durable, file_lock, look, process};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// Its run, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

impl Holder {
    /// This process.
    fn own(run: Option<&RunId>) -> Self {
        Self {
            run: run.cloned(),
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
        write!(f, "process {pid} on {host}, since {since}")?;
        match &self.run {
            Some(run) => write!(f, " (run `{run}`)"),
            None => Ok(()),
        }
    }
}

/// How long to wait for another git command to release the index.
const INDEX_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until no git command holds the index. A killed command leaves its lock file, so the wait has a limit.
pub(super) fn wait_for_index(repo: &Repo) -> Result<(), IntegrateError> {
    let path = repo.git_dir()?.join("index.lock");
    let started = Instant::now();
    while look::is_taken(&path).map_err(IntegrateError::io(&path))? {
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
    path: PathBuf,
    file: File,
    pending: PathBuf,
    note: Option<String>,
    /// Keeps joined runs out for as long as it is open.
    _apart: Option<File>,
    /// Keeps those out that do not join, until this run has left.
    presence: Mutex<Option<Presence>>,
    hold: Hold,
}

/// For how long the lock is held.
#[derive(Debug)]
enum Hold {
    /// From the beginning to the end of the run.
    Always,
    /// For one turn at a time.
    Turns {
        folder: JoinFolder,
        turn: Mutex<Turn>,
    },
    /// As long as the one that it was lent from.
    Lent,
}

/// The turn of a joined run.
#[derive(Debug, Default)]
struct Turn {
    is_held: bool,
    run: Option<RunId>,
    /// The change that it makes.
    change: Option<OpenChange>,
}

impl Turn {
    fn complete_change(&mut self, folder: &JoinFolder) -> Result<(), IntegrateError> {
        match self.change.take() {
            Some(_) => folder.remove_change(),
            None => Ok(()),
        }
    }
}

fn try_lock(file: &File, path: &Path) -> Result<bool, IntegrateError> {
    file_lock::try_lock(file, LockKind::Exclusive).map_err(IntegrateError::io(path))
}

fn locked(file: &File, path: &Path) -> Result<IntegrateError, IntegrateError> {
    let holder = Holder::read(file).map_err(IntegrateError::io(path))?;
    let path = path.to_owned();
    Ok(IntegrateError::Locked { path, holder })
}

/// How often a lock that is held is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// How long a command waits that only needs one turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

impl RepoLock {
    /// Stands in for the lock of a repository that is gone. It locks nothing: the run's ledger keeps other processes out.
    pub fn without_repository(run_folder: &Path) -> Result<Self, IntegrateError> {
        let path = run_folder.join("mesh.lock");
        Ok(Self {
            file: open_lock_file(&path)?,
            path,
            pending: run_folder.join("mesh.pending"),
            note: None,
            _apart: None,
            presence: Mutex::default(),
            hold: Hold::Always,
        })
    }

    /// Takes the lock of `repo` for the run in `run_folder`; `None` for a run that does not exist yet.
    ///
    /// # Errors
    /// [`IntegrateError::Joined`]: runs are there that share the repository; [`IntegrateError::Locked`]: another one is.
    pub fn take(repo: &Repo, run_folder: Option<&Path>) -> Result<Self, IntegrateError> {
        let common = repo.common_dir()?;
        let folder = JoinFolder::in_common_folder(&common);
        let path = common.join("mesh.lock");
        let file = open_lock_file(&path)?;
        let refuse = |file: &File| {
            let runs = folder.owners()?;
            match runs.is_empty() || folder.is_kept_out()? {
                true => locked(file, &path),
                false => Ok(IntegrateError::Joined { runs }),
            }
        };
        let is_taken = file_lock::take(&file, LockKind::Exclusive);
        if !is_taken.map_err(IntegrateError::io(&path))? {
            return Err(refuse(&file)?);
        }
        let Some(apart) = folder.keep_out()? else {
            return Err(refuse(&file)?);
        };
        let last = Holder::read(&file).map_err(IntegrateError::io(&path))?;
        let own = Holder::own(None).write(&file);
        own.map_err(IntegrateError::io(&path))?;
        let lock = Self {
            path,
            file,
            pending: common.join("mesh.pending"),
            note: last.map(|last| last.takeover_note()),
            _apart: Some(apart),
            presence: Mutex::default(),
            hold: Hold::Always,
        };
        match lock.pending_run()? {
            Some(pending)
                if run_folder != Some(&pending)
                    && pending.join("ledger.jsonl").try_exists().unwrap_or(true) =>
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

    /// Joins the runs that share `repo`. The lock is not held before [`RepoLock::begin_turn`].
    ///
    /// # Errors
    /// [`IntegrateError::Locked`]: a run that has not joined has the repository for itself.
    pub fn join(repo: &Repo) -> Result<Self, IntegrateError> {
        let common = repo.common_dir()?;
        let folder = JoinFolder::in_common_folder(&common);
        let path = common.join("mesh.lock");
        let file = open_lock_file(&path)?;
        let Some(presence) = folder.join()? else {
            return Err(locked(&file, &path)?);
        };
        Ok(Self {
            path,
            file,
            pending: common.join("mesh.pending"),
            note: None,
            _apart: None,
            presence: Mutex::new(Some(presence)),
            hold: Hold::Turns {
                folder,
                turn: Mutex::default(),
            },
        })
    }

    /// Joins for one turn, which begins with this call.
    ///
    /// # Errors
    /// As [`RepoLock::join`], also if the turn does not come soon.
    pub fn join_for_one_turn(repo: &Repo, run: &RunId) -> Result<Self, IntegrateError> {
        let lock = Self::join(repo)?;
        lock.name_run(run)?;
        match lock.begin_turn(TURN_TIMEOUT)? {
            Ok(()) => Ok(lock),
            Err(holder) => Err(IntegrateError::Locked {
                path: lock.path.clone(),
                holder,
            }),
        }
    }

    /// The same lock, for another run in this turn.
    pub fn lend(&self) -> Result<Self, IntegrateError> {
        let file = self.file.try_clone();
        Ok(Self {
            path: self.path.clone(),
            file: file.map_err(IntegrateError::io(&self.path))?,
            pending: self.pending.clone(),
            note: None,
            _apart: None,
            presence: Mutex::default(),
            hold: Hold::Lent,
        })
    }

    /// Names the run that has the lock, for the messages of others.
    pub fn name_run(&self, run: &RunId) -> Result<(), IntegrateError> {
        match &self.hold {
            Hold::Always => Holder::own(Some(run))
                .write(&self.file)
                .map_err(IntegrateError::io(&self.path)),
            Hold::Turns { .. } => {
                if let Some((_, mut turn)) = self.turn() {
                    turn.run = Some(run.clone());
                }
                Ok(())
            }
            Hold::Lent => Ok(()),
        }
    }

    /// The folder of joined runs, if this run has joined.
    pub fn joined(&self) -> Option<&JoinFolder> {
        match &self.hold {
            Hold::Turns { folder, .. } => Some(folder),
            Hold::Always | Hold::Lent => None,
        }
    }

    fn turn(&self) -> Option<(&JoinFolder, MutexGuard<'_, Turn>)> {
        match &self.hold {
            Hold::Turns { folder, turn } => {
                let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                Some((folder, turn))
            }
            Hold::Always | Hold::Lent => None,
        }
    }

    /// Waits for the turn of a joined run, at most for `wait`; `Some` of the other holder if it has not come. Without effect while the
    /// turn lasts.
    pub fn begin_turn(&self, wait: Duration) -> Result<Result<(), Option<Holder>>, IntegrateError> {
        let Some((_, mut turn)) = self.turn() else {
            return Ok(Ok(()));
        };
        let began = Instant::now();
        while !turn.is_held {
            turn.is_held = try_lock(&self.file, &self.path)?;
            if !turn.is_held {
                if began.elapsed() >= wait {
                    let holder = Holder::read(&self.file);
                    return Ok(Err(holder.map_err(IntegrateError::io(&self.path))?));
                }
                std::thread::sleep(LOCK_PAUSE);
                continue;
            }
            let named = Holder::own(turn.run.as_ref()).write(&self.file);
            named.map_err(IntegrateError::io(&self.path))?;
        }
        Ok(Ok(()))
    }

    /// Ends the turn, with all changes complete: other joined runs may have theirs.
    pub fn end_turn(&self) -> Result<(), IntegrateError> {
        let Some((folder, mut turn)) = self.turn().filter(|(_, turn)| turn.is_held) else {
            return Ok(());
        };
        turn.complete_change(folder)?;
        // If this fails, the next holder's name replaces this one.
        let _ = self.file.set_len(0);
        file_lock::unlock(&self.file).map_err(IntegrateError::io(&self.path))?;
        turn.is_held = false;
        Ok(())
    }

    /// In the last turn of a joined run: a run that does not join may start when all have left.
    pub fn leave(&self) -> Result<(), IntegrateError> {
        if let Some((folder, mut turn)) = self.turn() {
            turn.complete_change(folder)?;
            // That of an earlier process of the run, which was killed after its last record.
            let left = folder.open_change()?;
            if left.is_some_and(|left| Some(left.run) == turn.run) {
                folder.remove_change()?;
            }
        }
        let presence = self.presence.lock();
        drop(presence.unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }

    /// Records, durably, that a change begins, until the turn ends; what a killed process has not completed is known by this.
    pub fn open_change(&self, change: OpenChange) -> Result<(), IntegrateError> {
        let Some((folder, mut turn)) = self.turn().filter(|(_, turn)| turn.change.is_none()) else {
            return Ok(());
        };
        folder.write_change(&change)?;
        turn.change = Some(change);
        Ok(())
    }

    /// Forgets the change that a killed process began, and that is completed by now.
    pub fn close_change(&self) -> Result<(), IntegrateError> {
        match self.joined() {
            Some(folder) => folder.remove_change(),
            None => Ok(()),
        }
    }

    /// A note about the last holder, if it did not release the lock.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Until [`RepoLock::clear_pending`], allows only the run in `run_folder` in this repository. Its integration changes `paths`.
    pub(super) fn set_pending(
        &self,
        run_folder: &Path,
        paths: impl Iterator<Item = PathBuf>,
    ) -> Result<(), IntegrateError> {
        if let Some((folder, mut turn)) = self.turn()
            && let Some(change) = &mut turn.change
        {
            change.paths.extend(paths);
            folder.write_change(change)?;
        }
        let text = run_folder.as_os_str().as_encoded_bytes();
        durable::remove_strays(&self.pending).map_err(IntegrateError::io(&self.pending))?;
        durable::write(&self.pending, text).map_err(IntegrateError::io(&self.pending))
    }

    /// Allows other runs again. Durable: a file that came back after a power failure would keep them out for good once the run has ended.
    pub fn clear_pending(&self) -> Result<(), IntegrateError> {
        durable::remove(&self.pending).map_err(IntegrateError::io(&self.pending))
    }

    /// The folder of the run whose integration has started and not finished.
    pub fn pending_run(&self) -> Result<Option<PathBuf>, IntegrateError> {
        let found = look::found(std::fs::read(&self.pending));
        let found = found.map_err(IntegrateError::io(&self.pending))?;
        Ok(found.map(|bytes| {
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            PathBuf::from(OsStr::from_bytes(bytes))
        }))
    }
}

impl Drop for RepoLock {
    fn drop(&mut self) {
        let is_held = match &self.hold {
            Hold::Always => true,
            Hold::Turns { turn, .. } => turn.lock().is_ok_and(|turn| turn.is_held),
            Hold::Lent => false,
        };
        if is_held {
            // If this fails, the next holder only prints a needless note.
            let _ = self.file.set_len(0);
        }
    }
}
