//! Several runs on one repository (`mesh run --join`): who is there, and which change one of them is making.
//!
//! Everything is in `mesh.join` in git's common folder, which workers can't write to and which is no part of the work tree:
//!
//! ```text
//! lock             flock: shared by joined runs for as long as they run, exclusive by any other run
//! change.json      the change of the tree or the plan that is being made
//! changes.jsonl    the changes that were made, for the others
//! runs/<run>.json  the heartbeat of a run
//! leases/<task>    the lease of a task
//! ```
//!
//! All but the heartbeats is written only under the repository's lock, and removed under it or when nobody is there ([`Presence`]).
//! `change.json` exists from before the first byte of a change until the end of the turn, when the change is in `changes.jsonl` and the
//! task of an applied patch is completed; who finds it under the lock knows that its writer was killed in between.

use super::error::IntegrateError;
use crate::model::{RunId, RunProcess, path_text};
use crate::platform::{LockKind, Repo, durable, file_lock, look, machine_fault, process};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The folder of joined runs.
#[derive(Clone, Debug)]
pub struct JoinFolder {
    path: PathBuf,
}

/// What a heartbeat says of its owner.
#[derive(Deserialize)]
struct Present {
    owner: RunProcess,
}

/// A change of the tree or the plan that is being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenChange {
    /// The run that makes it.
    pub run: RunId,
    /// Its folder.
    #[serde(with = "path_text")]
    pub folder: PathBuf,
    /// Its machine.
    pub host: String,
    /// The paths that it may change, relative to the root.
    #[serde(with = "path_text::list")]
    pub paths: Vec<PathBuf>,
    /// Whether it may also add a commit.
    pub commits: bool,
}

impl OpenChange {
    /// Whether its process ran on this machine.
    pub fn is_local(&self) -> bool {
        self.host == process::host()
    }
}

impl JoinFolder {
    /// The folder of `repo`, which may not exist yet.
    pub fn of(repo: &Repo) -> Result<Self, IntegrateError> {
        Ok(Self::in_common_folder(&repo.common_dir()?))
    }

    pub(super) fn in_common_folder(common: &Path) -> Self {
        Self {
            path: common.join("mesh.join"),
        }
    }

    /// The changes that were made, oldest first.
    pub fn changes(&self) -> PathBuf {
        self.path.join("changes.jsonl")
    }

    /// The heartbeats.
    pub fn heartbeats(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// The leases.
    pub fn leases(&self) -> PathBuf {
        self.path.join("leases")
    }

    fn change(&self) -> PathBuf {
        self.path.join("change.json")
    }

    /// The change that is being made, or that was when its process was killed.
    pub fn open_change(&self) -> Result<Option<OpenChange>, IntegrateError> {
        let path = self.change();
        let read = || match look::found(std::fs::read(&path))? {
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
            None => Ok(None),
        };
        read().map_err(IntegrateError::io(&path))
    }

    pub(super) fn write_change(&self, change: &OpenChange) -> Result<(), IntegrateError> {
        let path = self.change();
        let write = || crate::platform::write(&path, &serde_json::to_vec(change)?);
        write().map_err(IntegrateError::io(&path))
    }

    /// Forgets the change, which is complete by now.
    pub(super) fn remove_change(&self) -> Result<(), IntegrateError> {
        let path = self.change();
        durable::remove(&path).map_err(IntegrateError::io(&path))
    }

    /// The processes whose runs have joined and not ended in good order.
    pub fn owners(&self) -> Result<Vec<RunProcess>, IntegrateError> {
        let folder = self.heartbeats();
        let mut owners = Vec::new();
        let entries = machine_fault::apart(std::fs::read_dir(&folder));
        let entries = entries.map_err(IntegrateError::io(&folder))?;
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(IntegrateError::io(&folder))?.path();
            // It is gone if its run has ended since, and closed if it is another user's.
            let read = machine_fault::apart(std::fs::read(&path));
            if let Ok(bytes) = read.map_err(IntegrateError::io(&path))?
                && let Ok(Present { owner }) = serde_json::from_slice(&bytes)
            {
                owners.push(owner);
            }
        }
        owners.retain(|owner| !has_ended(owner));
        Ok(owners)
    }

    /// Shows that a joined run is there; `None` if a run is there that has not joined.
    pub(super) fn join(&self) -> Result<Option<Presence>, IntegrateError> {
        let shared = self.lock_with(file_lock::take, LockKind::Shared)?;
        Ok(shared.map(|file| self.presence(file)))
    }

    /// Whether a run is there that has not joined.
    pub(super) fn is_kept_out(&self) -> Result<bool, IntegrateError> {
        let shared = self.try_lock(LockKind::Shared)?;
        let looked = shared.map(|file| self.presence(file));
        Ok(looked.is_none())
    }

    fn presence(&self, file: File) -> Presence {
        Presence {
            file: Some(file),
            folder: self.clone(),
        }
    }

    /// Shows that a run is there that no other one may join, as long as the file is open; `None` if joined runs are there. No joined
    /// run needs what the former ones told one another.
    pub(super) fn keep_out(&self) -> Result<Option<File>, IntegrateError> {
        let file = self.lock_with(file_lock::take, LockKind::Exclusive)?;
        if file.is_some() {
            self.forget_changes()?;
        }
        Ok(file)
    }

    /// If nobody is there, forgets what the joined runs told one another; not what a killed one left to the next.
    fn clear_if_last(&self) -> Result<(), IntegrateError> {
        let alone = self.try_lock(LockKind::Exclusive)?;
        match alone.is_none() || self.open_change()?.is_some() {
            true => Ok(()),
            false => self.forget_changes(),
        }
    }

    fn forget_changes(&self) -> Result<(), IntegrateError> {
        for folder in [&self.path, &self.leases(), &self.heartbeats()] {
            durable::remove_all_strays(folder).map_err(IntegrateError::io(folder))?;
        }
        let path = self.changes();
        durable::remove(&path).map_err(IntegrateError::io(&path))?;
        self.remove_change()
    }

    fn try_lock(&self, kind: LockKind) -> Result<Option<File>, IntegrateError> {
        self.lock_with(file_lock::try_lock, kind)
    }

    fn lock_with(
        &self,
        lock: fn(&File, LockKind) -> io::Result<bool>,
        kind: LockKind,
    ) -> Result<Option<File>, IntegrateError> {
        let path = self.path.join("lock");
        crate::platform::private::make_open_folders(&self.path)
            .map_err(IntegrateError::io(&self.path))?;
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true);
        let file = options.open(&path).map_err(IntegrateError::io(&path))?;
        let is_taken = lock(&file, kind).map_err(IntegrateError::io(&path))?;
        Ok(is_taken.then_some(file))
    }
}

/// A process that is among the joined runs, or looks whether it could be. Whoever leaves last clears the folder, since a clearing fails as
/// long as another process is there, for whatever reason.
#[derive(Debug)]
pub(super) struct Presence {
    file: Option<File>,
    folder: JoinFolder,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.file = None;
        // Left behind, it costs the next ones the reading of it.
        let _ = self.folder.clear_if_last();
    }
}

/// Whether the process has certainly ended. Of another machine, or where processes are not known, that is not known.
pub fn has_ended(owner: &RunProcess) -> bool {
    if owner.start_ticks == 0 || owner.host != process::host() {
        return false;
    }
    let pid = i32::try_from(owner.pid).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    match pid.map(process::find).transpose() {
        Ok(found) => found
            .flatten()
            .is_none_or(|found| found.start_ticks != owner.start_ticks),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_last_forgets_the_changes_but_not_an_open_one() {
        let common = tempfile::tempdir().expect("a folder");
        let folder = JoinFolder::in_common_folder(common.path());
        let join = || folder.join().expect("an answer").expect("nobody objects");
        let says_something = || look::is_file(&folder.changes()).expect("a look");
        let (first, second) = (join(), join());
        std::fs::write(folder.changes(), "{}\n").expect("written");
        drop(first);
        assert!(says_something());
        let open = OpenChange {
            run: RunId::new("killed"),
            folder: PathBuf::new(),
            host: String::new(),
            paths: vec![],
            commits: false,
        };
        folder.write_change(&open).expect("written");
        drop(second);
        assert!(says_something());
        assert!(!folder.is_kept_out().expect("an answer"));
        assert_eq!(folder.open_change().expect("a look"), Some(open));
        let last = join();
        folder.remove_change().expect("removed");
        drop(last);
        assert!(!says_something());
    }
}
