//! Watches the user's tree, the plan and the learnings while commands run in a scratch tree, since commands can reach them
//! by absolute paths.
//!
//! A damaged plan and damaged learnings are repaired. Other changes are only reported, because the user may have made them.
//! The guard is durable before the first command starts, so that a resume after a kill can repair the damage.

use super::content_store::ContentStore;
use super::error::IntegrateError;
use super::guard::{Guard, Repaired};
use super::outputs::own_outputs;
use super::stores::{Stores, kept_in};
use crate::model::path_text;
use crate::platform::Repo;
use crate::workspace::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const STORES: &str = "stores.json";

/// The record of a watch, for a resume.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    guard: Guard,
    /// The folder for files that are overwritten.
    #[serde(with = "path_text")]
    aside: PathBuf,
}

/// A watch in progress.
pub(super) struct StoreWatch<'w> {
    stores: Stores<'w>,
    run_folder: &'w Path,
    store: ContentStore,
    record: Record,
    before: Option<Fingerprint>,
}

impl<'w> StoreWatch<'w> {
    /// Starts a watch with the tree as it is. Copies go to `kept`.
    pub fn begin(
        stores: Stores<'w>,
        run_folder: &'w Path,
        kept: &Path,
        aside: &Path,
    ) -> Result<Self, IntegrateError> {
        let store = ContentStore::open(kept).map_err(IntegrateError::io(kept))?;
        let guard = Guard::take_stores(stores.repo.root(), stores.plan_file, &store)
            .map_err(|(path, source)| IntegrateError::Io { path, source })?;
        let record = Record {
            guard,
            aside: aside.to_owned(),
        };
        let path = store.file(STORES);
        let write = || {
            let bytes = serde_json::to_vec(&record)?;
            store.sync()?;
            crate::platform::write_private(&path, &bytes)
        };
        write().map_err(IntegrateError::io(&path))?;
        let before = Some(Fingerprint::take(stores.repo, &[])?);
        Ok(Self {
            stores,
            run_folder,
            store,
            record,
            before,
        })
    }

    /// Repairs what was damaged since the last check. Returns all paths that changed since.
    pub fn check(&mut self) -> Result<Vec<PathBuf>, IntegrateError> {
        let repo = self.stores.repo;
        let repaired = self.record.repair(repo, &self.store, self.run_folder)?;
        // If git can no longer read the repository, `.git` itself changed.
        let now = Fingerprint::take(repo, &[]).ok();
        let mut changed: BTreeSet<PathBuf> = match (&self.before, &now) {
            (Some(before), Some(now)) => self.reportable(before.differences(now)),
            (Some(_), None) => BTreeSet::from([PathBuf::from(".git")]),
            (None, _) => BTreeSet::new(),
        };
        changed.extend(repaired);
        self.before = now;
        Ok(changed.into_iter().collect())
    }

    /// Ends the watch after the last command.
    pub fn end(self) -> Result<(), IntegrateError> {
        let repo = self.stores.repo;
        self.record.repair(repo, &self.store, self.run_folder)?;
        remove_record(&self.store)
    }

    /// Removes files that `mesh` itself writes, and the plan, which users may edit at any time.
    fn reportable(&self, paths: Vec<PathBuf>) -> BTreeSet<PathBuf> {
        let root = self.stores.repo.root();
        let outputs = own_outputs();
        let is_own = |path: &Path| {
            let metadata = std::fs::symlink_metadata(path);
            metadata.is_ok_and(|metadata| outputs.contains(&(metadata.dev(), metadata.ino())))
        };
        let runs = crate::platform::parent(self.run_folder);
        let is_reportable = |path: &PathBuf| {
            let path = root.join(path);
            !path.starts_with(runs) && path != self.stores.plan_file && !is_own(&path)
        };
        paths.into_iter().filter(is_reportable).collect()
    }
}

impl Record {
    fn repair(
        &self,
        repo: &Repo,
        store: &ContentStore,
        run_folder: &Path,
    ) -> Result<Vec<PathBuf>, IntegrateError> {
        let Repaired {
            restored, failures, ..
        } = self.guard.repair_stores(repo, store, &self.aside);
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

/// Repairs a damaged plan and damaged learnings after a kill while commands ran in a scratch tree. Returns the repaired
/// files, and the folder that holds what was overwritten.
pub fn recover_stores(
    repo: &Repo,
    run_folder: &Path,
) -> Result<Option<(Vec<PathBuf>, PathBuf)>, IntegrateError> {
    let store = ContentStore::at(&kept_in(run_folder));
    let Ok(bytes) = std::fs::read(store.file(STORES)) else {
        return Ok(None);
    };
    // The record was written atomically. One that can't be read names no copies that can be trusted.
    let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
        return remove_record(&store).map(|()| None);
    };
    let repaired = record.repair(repo, &store, run_folder)?;
    remove_record(&store)?;
    Ok((!repaired.is_empty()).then_some((repaired, record.aside)))
}

fn remove_record(store: &ContentStore) -> Result<(), IntegrateError> {
    let path = store.file(STORES);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IntegrateError::io(&path)(error))
        }
        _ => Ok(()),
    }
}
