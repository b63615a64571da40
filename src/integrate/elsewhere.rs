//! The watch over the user's tree, the plan and the learnings while commands run in another tree: by an absolute path they
//! reach them all the same.
//!
//! What is no longer sound of the plan and the learnings is put back. Everything else stays as it is and is named: the
//! user may work in the tree meanwhile, and nobody can tell whose change it was. The guard is durable before the first
//! command starts, so that a resume puts back what a command damaged before a kill.

use super::error::IntegrateError;
use super::guard::{Guard, Mended};
use super::outputs::own_outputs;
use super::store::Store;
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

/// What is written down of a watch.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    guard: Guard,
    /// Where what gives way is kept.
    #[serde(with = "path_text")]
    aside: PathBuf,
}

/// A watch under way.
pub(super) struct Watch<'w> {
    stores: Stores<'w>,
    run_folder: &'w Path,
    store: Store,
    record: Record,
    before: Option<Fingerprint>,
}

impl<'w> Watch<'w> {
    /// Begins with the tree as it is; `kept` takes the copies.
    pub fn begin(
        stores: Stores<'w>,
        run_folder: &'w Path,
        kept: &Path,
        aside: &Path,
    ) -> Result<Self, IntegrateError> {
        let store = Store::open(kept).map_err(IntegrateError::io(kept))?;
        let guard = Guard::of_stores(stores.repo.root(), stores.plan_file, &store)
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

    /// Puts back what was damaged since the last look; gives its names and those of everything else that changed.
    pub fn look(&mut self) -> Result<Vec<PathBuf>, IntegrateError> {
        let repo = self.stores.repo;
        let put_back = self.record.mend(repo, &self.store, self.run_folder)?;
        // A repository that can't be asked any more is itself what changed.
        let now = Fingerprint::take(repo, &[]).ok();
        let mut changed: BTreeSet<PathBuf> = match (&self.before, &now) {
            (Some(before), Some(now)) => self.told(before.differences(now)),
            (Some(_), None) => BTreeSet::from([PathBuf::from(".git")]),
            (None, _) => BTreeSet::new(),
        };
        changed.extend(put_back);
        self.before = now;
        Ok(changed.into_iter().collect())
    }

    /// The commands have ended.
    pub fn end(self) -> Result<(), IntegrateError> {
        let repo = self.stores.repo;
        self.record.mend(repo, &self.store, self.run_folder)?;
        forget(&self.store)
    }

    /// But for what the program itself writes, and the plan: its users change it at any time, and a damaged one was put back.
    fn told(&self, paths: Vec<PathBuf>) -> BTreeSet<PathBuf> {
        let root = self.stores.repo.root();
        let outputs = own_outputs();
        let is_own = |path: &Path| {
            let there = std::fs::symlink_metadata(path);
            there.is_ok_and(|there| outputs.contains(&(there.dev(), there.ino())))
        };
        let runs = crate::platform::parent(self.run_folder);
        let is_told = |path: &PathBuf| {
            let path = root.join(path);
            !path.starts_with(runs) && path != self.stores.plan_file && !is_own(&path)
        };
        paths.into_iter().filter(is_told).collect()
    }
}

impl Record {
    fn mend(
        &self,
        repo: &Repo,
        store: &Store,
        run_folder: &Path,
    ) -> Result<Vec<PathBuf>, IntegrateError> {
        let Mended {
            restored, failures, ..
        } = self.guard.mend_stores(repo, store, &self.aside);
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

/// After a kill while commands ran in another tree than that of `repo`: puts back the plan and the learnings where they
/// are damaged. Gives their names, and the folder that holds what gave way.
pub fn recover_stores(
    repo: &Repo,
    run_folder: &Path,
) -> Result<Option<(Vec<PathBuf>, PathBuf)>, IntegrateError> {
    let store = Store::at(&kept_in(run_folder));
    let Ok(bytes) = std::fs::read(store.file(STORES)) else {
        return Ok(None);
    };
    // It was written in one piece; one that is damaged names no copies that could be trusted.
    let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
        return forget(&store).map(|()| None);
    };
    let put_back = record.mend(repo, &store, run_folder)?;
    forget(&store)?;
    Ok((!put_back.is_empty()).then_some((put_back, record.aside)))
}

fn forget(store: &Store) -> Result<(), IntegrateError> {
    let path = store.file(STORES);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IntegrateError::io(&path)(error))
        }
        _ => Ok(()),
    }
}
