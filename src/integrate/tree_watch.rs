//! Watches the user's tree, the plan and the learnings while commands run in scratch trees, since commands can reach them by
//! absolute paths.
//!
//! A damaged plan and damaged learnings are repaired. Other changes are only reported, because the user may have made them.
//! The guard is durable before the first command starts, so that a resume after a kill can repair the damage.
//!
//! All commands of a run that run at once share one watch. What the run itself changes while they run is no change to report:
//! the loop holds the [`Quiet`] tree for it. A scratch tree is copied under the same lock, so that it never has half of a patch.

use super::content_store::{ContentStore, kept_in};
use super::error::IntegrateError;
use super::guard::{Guard, Repaired};
use super::outputs::OwnOutputs;
use super::tree_memory::TreeMemory;
use crate::model::path_text;
use crate::platform::{Repo, durable, look, machine_fault};
use crate::workspace::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const RECORD: &str = "stores.json";

/// The folder of the guard's record and copies. Those of a saved tree have another one, where they are removed when the next
/// tree is saved.
fn stores_in(run_folder: &Path) -> PathBuf {
    kept_in(run_folder).join("stores")
}

/// The record of a watch, for a resume.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    guard: Guard,
    /// The folder for files that are overwritten.
    #[serde(with = "path_text")]
    aside: PathBuf,
}

/// The watch of one run.
#[derive(Debug)]
pub struct TreeWatch {
    repo: Repo,
    plan_file: PathBuf,
    run_folder: PathBuf,
    watched: Mutex<Watched>,
    /// What integrations remember of the tree.
    memory: Arc<TreeMemory>,
}

/// What is watched now.
#[derive(Debug, Default)]
struct Watched {
    record: Option<Record>,
    /// The tree when it was last looked at.
    before: Option<Fingerprint>,
    /// Those for whom commands run.
    watching: BTreeMap<u64, Watching>,
    next: u64,
}

#[derive(Debug)]
struct Watching {
    /// The folder for files that are overwritten.
    aside: PathBuf,
    /// What has changed and is not reported yet.
    changed: BTreeSet<PathBuf>,
}

/// One series of commands that is watched.
pub(super) struct Watch<'w> {
    tree: &'w TreeWatch,
    number: u64,
}

/// The tree while nothing of the run changes it or copies it.
pub struct Quiet<'w> {
    tree: &'w TreeWatch,
    watched: MutexGuard<'w, Watched>,
}

impl TreeWatch {
    /// The watch of the run in `run_folder`; nothing is watched yet.
    pub fn new(repo: &Repo, plan_file: &Path, run_folder: &Path) -> Self {
        Self {
            repo: repo.separate(),
            plan_file: plan_file.to_owned(),
            run_folder: run_folder.to_owned(),
            watched: Mutex::default(),
            memory: Arc::default(),
        }
    }

    pub(super) fn memory(&self) -> Arc<TreeMemory> {
        Arc::clone(&self.memory)
    }

    /// The root of the user's tree.
    pub(super) fn root(&self) -> &Path {
        self.repo.root()
    }

    /// Waits until nothing of the run changes the tree, and keeps it so.
    pub fn quiet(&self) -> Quiet<'_> {
        let watched = self.watched.lock();
        Quiet {
            tree: self,
            watched: watched.unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Starts to watch for a series of commands. What they overwrite goes to `aside`.
    pub(super) fn begin(&self, aside: &Path) -> Result<Watch<'_>, IntegrateError> {
        let mut quiet = self.quiet();
        let now = quiet.fingerprint()?;
        match quiet.watched.watching.is_empty() {
            true => quiet.guard(aside, now)?,
            false => quiet.note(&now)?,
        }
        let number = quiet.watched.next;
        quiet.watched.next += 1;
        let watching = Watching {
            aside: aside.to_owned(),
            changed: BTreeSet::new(),
        };
        quiet.watched.watching.insert(number, watching);
        Ok(Watch { tree: self, number })
    }

    /// Removes files that `mesh` itself writes, and the plan, which users may edit at any time.
    fn reportable(&self, paths: Vec<PathBuf>) -> Result<BTreeSet<PathBuf>, IntegrateError> {
        let root = self.repo.root();
        let mut outputs = OwnOutputs::default();
        let runs = crate::platform::parent(&self.run_folder);
        let mut reportable = BTreeSet::new();
        for path in paths {
            let full = root.join(&path);
            if full.starts_with(runs) || full == self.plan_file {
                continue;
            }
            let found = look::reachable(std::fs::symlink_metadata(&full));
            let found = found.map_err(IntegrateError::io(&full))?;
            let is_own = match found {
                Some(found) => outputs.contain((found.dev(), found.ino())),
                None => Ok(false),
            };
            if !is_own.map_err(IntegrateError::io(&full))? {
                reportable.insert(path);
            }
        }
        Ok(reportable)
    }
}

impl Watch<'_> {
    /// Repairs what was damaged since the last look. Returns all paths that changed since the last report.
    pub fn check(&mut self) -> Result<Vec<PathBuf>, IntegrateError> {
        let mut quiet = self.tree.quiet();
        quiet.repair(Some(self.number))?;
        match machine_fault::apart(quiet.fingerprint())? {
            Ok(now) => quiet.note_changes(&now)?,
            // If git can no longer read the repository, `.git` itself changed.
            Err(_) => quiet.lose_sight(),
        }
        let watching = quiet.watched.watching.get_mut(&self.number);
        let changed = watching.map(|watching| std::mem::take(&mut watching.changed));
        Ok(changed.unwrap_or_default().into_iter().collect())
    }

    /// Ends the watch after the last command. The record stays for a resume if a repair fails.
    pub fn end(self) -> Result<(), IntegrateError> {
        let mut quiet = self.tree.quiet();
        quiet.repair(Some(self.number))?;
        quiet.watched.watching.remove(&self.number);
        if !quiet.watched.watching.is_empty() {
            return Ok(());
        }
        quiet.watched.record = None;
        remove_record(&quiet.store())
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // Does nothing after `end`.
        self.tree.quiet().watched.watching.remove(&self.number);
    }
}

impl Quiet<'_> {
    /// Repairs the plan and the learnings if a command has damaged them.
    pub fn repair_stores(&mut self) -> Result<(), IntegrateError> {
        self.repair(None)
    }

    /// Before a change by the run itself: reports what others have changed by `now`, and repairs what they damaged.
    pub fn note(&mut self, now: &Fingerprint) -> Result<(), IntegrateError> {
        if self.watched.watching.is_empty() {
            return Ok(());
        }
        self.repair(None)?;
        self.note_changes(now)
    }

    /// After a change by the run itself: the tree and the stores as they are `now` are right.
    pub fn expect(&mut self, now: Fingerprint) -> Result<(), IntegrateError> {
        match &self.watched.record {
            Some(record) => {
                let aside = record.aside.clone();
                self.guard(&aside, now)
            }
            None => Ok(()),
        }
    }

    /// The tree as it is.
    pub(super) fn fingerprint(&self) -> Result<Fingerprint, IntegrateError> {
        Ok(Fingerprint::take(&self.tree.repo, &[])?)
    }

    fn store(&self) -> ContentStore {
        ContentStore::at(&stores_in(&self.tree.run_folder))
    }

    /// Guards the stores as they are.
    fn guard(&mut self, aside: &Path, now: Fingerprint) -> Result<(), IntegrateError> {
        let folder = stores_in(&self.tree.run_folder);
        let store = ContentStore::open(&folder).map_err(IntegrateError::io(&folder))?;
        let states = Arc::clone(&self.tree.memory.states);
        let guard = Guard::take_stores(self.tree.root(), &self.tree.plan_file, &store, states)
            .map_err(|(path, source)| IntegrateError::Io { path, source })?;
        let record = Record {
            guard,
            aside: aside.to_owned(),
        };
        let path = store.file(RECORD);
        let write = || {
            let bytes = serde_json::to_vec(&record)?;
            store.sync()?;
            crate::platform::write_private(&path, &bytes)?;
            store.retain(&record.guard.copy_names().collect())
        };
        write().map_err(IntegrateError::io(&path))?;
        self.watched.record = Some(record);
        self.watched.before = Some(now);
        Ok(())
    }

    /// Repairs the stores for `number`, else for all that watch.
    fn repair(&mut self, number: Option<u64>) -> Result<(), IntegrateError> {
        let Some(record) = &self.watched.record else {
            return Ok(());
        };
        let watching = number.and_then(|number| self.watched.watching.get(&number));
        let aside = watching.map_or(&record.aside, |watching| &watching.aside);
        let (repo, run_folder) = (&self.tree.repo, &self.tree.run_folder);
        let repaired = record.repair(repo, &self.store(), aside, run_folder)?;
        self.report(&repaired.into_iter().collect());
        Ok(())
    }

    fn note_changes(&mut self, now: &Fingerprint) -> Result<(), IntegrateError> {
        let before = self.watched.before.as_ref();
        let changed = before.map_or(Vec::new(), |before| before.differences(now));
        let changed = self.tree.reportable(changed)?;
        self.watched.before = Some(now.clone());
        self.report(&changed);
        Ok(())
    }

    fn lose_sight(&mut self) {
        if self.watched.before.take().is_some() {
            self.report(&BTreeSet::from([PathBuf::from(".git")]));
        }
    }

    /// It is not known whose command has changed something, so it is reported with all that run.
    fn report(&mut self, changed: &BTreeSet<PathBuf>) {
        for watching in self.watched.watching.values_mut() {
            watching.changed.extend(changed.iter().cloned());
        }
    }
}

impl Record {
    fn repair(
        &self,
        repo: &Repo,
        store: &ContentStore,
        aside: &Path,
        run_folder: &Path,
    ) -> Result<Vec<PathBuf>, IntegrateError> {
        let Repaired {
            restored, failures, ..
        } = self.guard.repair_stores(repo, store, aside);
        let name = |path: PathBuf| match path.strip_prefix(repo.root()) {
            Ok(within) => within.to_owned(),
            Err(_) => path,
        };
        match failures.is_empty() {
            true => Ok(restored.into_iter().map(name).collect()),
            false => Err(IntegrateError::Restore {
                run_folder: run_folder.to_owned(),
                failures,
            }),
        }
    }
}

/// Repairs a damaged plan and damaged learnings after a kill while commands ran in scratch trees. Returns the repaired files,
/// and the folder that holds what was overwritten.
pub fn recover_stores(
    repo: &Repo,
    run_folder: &Path,
) -> Result<Option<(Vec<PathBuf>, PathBuf)>, IntegrateError> {
    let store = ContentStore::at(&stores_in(run_folder));
    let path = store.file(RECORD);
    let read = look::found(std::fs::read(&path)).map_err(IntegrateError::io(&path))?;
    let Some(bytes) = read else {
        return Ok(None);
    };
    // The record was written atomically. One that can't be read names no copies that can be trusted.
    let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
        return remove_record(&store).map(|()| None);
    };
    let repaired = record.repair(repo, &store, &record.aside, run_folder)?;
    remove_record(&store)?;
    Ok((!repaired.is_empty()).then_some((repaired, record.aside)))
}

fn remove_record(store: &ContentStore) -> Result<(), IntegrateError> {
    let path = store.file(RECORD);
    durable::remove(&path).map_err(IntegrateError::io(&path))
}
