//! The leases of tasks as files, for the runs that share a repository. The rules are in [`TaskLease`].
//!
//! A lease is one file, replaced as a whole, and only under the repository's lock: whoever has its turn reads all leases as they
//! are, and nobody takes one over before the turn ends. A killed writer leaves the lease before or after. The heartbeat is a file for
//! each run, with one writer and outside of the lock ([`HeartbeatThread`](super::heartbeat::HeartbeatThread)).
//! Rejected: the heartbeat in the lease, because an owner that was stopped right before it writes would undo a takeover.

use crate::integrate::{JoinFolder, has_ended};
use crate::model::{LeaseAcquired, RunId, RunProcess, UnitId, file_name};
use crate::platform::{durable, look, process};
use crate::run::error::RunError;
use crate::schedule::{Heartbeat, Standing, TaskLease, Watched};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The leases of one repository, as a joined run sees them.
#[derive(Debug)]
pub struct Leases {
    folder: JoinFolder,
    owner: RunProcess,
    /// The start of the clock by which heartbeats are watched.
    began: Instant,
    /// What this process has acquired, with the epochs.
    held: BTreeMap<UnitId, u64>,
    /// All leases, as they are in this turn.
    known: BTreeMap<UnitId, TaskLease>,
    watched: BTreeMap<RunId, Watched>,
    /// The time before the heartbeats were last read.
    looked: Duration,
}

impl Leases {
    /// Nothing is read or acquired yet.
    pub fn new(folder: &JoinFolder, owner: RunProcess) -> Self {
        Self {
            folder: folder.clone(),
            owner,
            began: Instant::now(),
            held: BTreeMap::new(),
            known: BTreeMap::new(),
            watched: BTreeMap::new(),
            looked: Duration::ZERO,
        }
    }

    /// Reads all leases and the heartbeats of their owners, at the beginning of a turn.
    ///
    /// # Errors
    /// A file can't be read, so it is not known which tasks are free.
    pub fn read(&mut self) -> Result<(), RunError> {
        self.known.clear();
        for path in list(&self.folder.leases())? {
            if let Some(lease) = read_json::<TaskLease>(&path)? {
                self.known.insert(lease.unit.clone(), lease);
            }
        }
        self.looked = self.began.elapsed();
        let open = self.known.values().filter(|lease| lease.is_open());
        let runs: Vec<RunId> = open.map(|lease| lease.owner.run.clone()).collect();
        let mut watched = BTreeMap::new();
        for run in runs {
            if watched.contains_key(&run) || run == self.owner.run {
                continue;
            }
            let seen = read_json::<Heartbeat>(&heartbeat_path(&self.folder, &run))?;
            let before = self.watched.remove(&run);
            let now = Watched::look(before, seen, self.began.elapsed());
            watched.insert(run, now);
        }
        self.watched = watched;
        Ok(())
    }

    /// The tasks that other runs have leased, with the standing of each owner.
    pub fn of_others(&self) -> impl Iterator<Item = (&TaskLease, Standing)> {
        let leases = self.known.values();
        let leases = leases.filter(|lease| lease.is_open() && lease.owner.run != self.owner.run);
        leases.map(|lease| (lease, self.standing(&lease.owner)))
    }

    fn standing(&self, owner: &RunProcess) -> Standing {
        let Some(watched) = self.watched.get(&owner.run) else {
            return Standing::Expired;
        };
        // A run that was resumed has another process than its lease says, until its first turn.
        let process = watched.heartbeat().map_or(owner, |beat| &beat.owner);
        watched.standing(self.looked, has_ended(process))
    }

    /// The leases of this run, as its former process left them.
    pub fn of_own_run(&self) -> Vec<TaskLease> {
        let leases = self.known.values();
        let own = leases.filter(|lease| lease.is_open() && lease.owner.run == self.owner.run);
        own.cloned().collect()
    }

    /// The run that acquired the lease of a task last, whether it still has it or not.
    pub fn last_owner(&self, unit: &UnitId) -> Option<&RunId> {
        self.known.get(unit).map(|lease| &lease.owner.run)
    }

    /// The run that has taken over a task which this one had leased; `None` as long as this one has it.
    pub fn taken_by(&self, unit: &UnitId) -> Option<&RunId> {
        let lease = self.known.get(unit);
        let is_held = |epoch: &u64| lease.is_some_and(|one| one.is_held(&self.owner.run, *epoch));
        match self.held.get(unit).is_some_and(is_held) {
            true => None,
            false => Some(self.last_owner(unit).unwrap_or(&self.owner.run)),
        }
    }

    /// Acquires the lease of a task, durably; `None` if another run holds it.
    pub fn acquire(
        &mut self,
        unit: &UnitId,
        scope: Vec<String>,
    ) -> Result<Option<LeaseAcquired>, RunError> {
        let last = self.known.get(unit);
        let standing = |owner: &RunProcess| self.standing(owner);
        let Some(lease) = TaskLease::acquire(last, unit, &self.owner, scope, standing) else {
            return Ok(None);
        };
        let last = last.filter(|last| last.is_open() && last.owner.run != self.owner.run);
        let acquired = LeaseAcquired {
            unit: unit.clone(),
            epoch: lease.epoch,
            from: last.map(|last| last.owner.run.clone()),
        };
        self.write(lease)?;
        self.held.insert(unit.clone(), acquired.epoch);
        Ok(Some(acquired))
    }

    /// Narrows the lease of a task whose scope was unknown.
    pub fn set_scope(&mut self, unit: &UnitId, scope: &[String]) -> Result<(), RunError> {
        match self
            .known
            .get(unit)
            .filter(|_| self.taken_by(unit).is_none())
        {
            Some(lease) => self.write(TaskLease {
                scope: scope.to_vec(),
                ..lease.clone()
            }),
            None => Ok(()),
        }
    }

    /// Releases the leases of this run for the tasks that `is_over` says.
    pub fn release_if(&mut self, is_over: impl Fn(&UnitId) -> bool) -> Result<(), RunError> {
        for lease in self.of_own_run() {
            if is_over(&lease.unit) {
                self.held.remove(&lease.unit);
                self.write(lease.released())?;
            }
        }
        self.held.retain(|unit, _| !is_over(unit));
        Ok(())
    }

    /// Releases the expired leases of other runs for the tasks that `is_over` says.
    pub fn release_expired_if(
        &mut self,
        is_over: impl Fn(&UnitId) -> bool,
    ) -> Result<(), RunError> {
        let others = self.of_others();
        let expired = others.filter(|(_, standing)| *standing == Standing::Expired);
        let over = expired.filter(|(lease, _)| is_over(&lease.unit));
        let over: Vec<TaskLease> = over.map(|(lease, _)| lease.clone()).collect();
        for lease in over {
            self.write(lease.released())?;
        }
        Ok(())
    }

    /// Forgets released leases if no other process may remember one of them.
    pub fn forget_if_last(&self) -> Result<(), RunError> {
        let mut owners = self.folder.owners()?.into_iter();
        if owners.any(|owner| owner != self.owner) {
            return Ok(());
        }
        for lease in self.known.values().filter(|lease| !lease.is_open()) {
            let path = self.path(lease);
            std::fs::remove_file(&path).map_err(RunError::io(&path))?;
        }
        Ok(())
    }

    fn path(&self, lease: &TaskLease) -> PathBuf {
        let name = format!("{}.json", lease.unit.file_name());
        self.folder.leases().join(name)
    }

    fn write(&mut self, lease: TaskLease) -> Result<(), RunError> {
        write_json(&self.path(&lease), &lease)?;
        self.known.insert(lease.unit.clone(), lease);
        Ok(())
    }
}

/// This process, which drives `run`.
pub fn own_process(run: &RunId) -> RunProcess {
    RunProcess {
        run: run.clone(),
        host: process::host(),
        pid: std::process::id(),
        start_ticks: process::own().map_or(0, |own| own.start_ticks),
    }
}

/// Releases all leases of a run that no process drives, under the repository's lock.
pub fn release_all(folder: &JoinFolder, owner: RunProcess) -> Result<(), RunError> {
    let mut leases = Leases::new(folder, owner);
    leases.read()?;
    leases.release_if(|_| true)
}

pub(super) fn heartbeat_path(folder: &JoinFolder, run: &RunId) -> PathBuf {
    let name = format!("{}.json", file_name(run.as_str()));
    folder.heartbeats().join(name)
}

/// Files that are in the user's repository, for all who use it.
pub(super) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), RunError> {
    let write = || durable::write(path, &serde_json::to_vec(value)?);
    write().map_err(RunError::io(path))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunError> {
    let found = look::found(std::fs::read(path)).map_err(RunError::io(path))?;
    let parsed = found
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose();
    parsed.map_err(|error| RunError::io(path)(error.into()))
}

/// The files of a folder, without those that are being written.
fn list(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut paths = look::list(folder).map_err(RunError::io(folder))?;
    paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
    Ok(paths)
}
