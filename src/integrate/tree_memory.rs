//! What the integrations of a run remember of the tree, so that each costs what has changed since the one before.

use super::census::Census;
use super::content_store::ContentStore;
use super::error::IntegrateError;
use super::look::Look;
use super::saved_log::{Saved, SavedLog};
use super::state::KnownStates;
use crate::platform::{FileMark, Repo, file_mark};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory of one run.
#[derive(Debug, Default)]
pub(super) struct TreeMemory {
    pub states: Arc<KnownStates>,
    look: Mutex<Option<Arc<Look>>>,
    kept: Mutex<Option<Kept>>,
    patched: Mutex<HashSet<PathBuf>>,
}

/// The state that was saved last.
#[derive(Debug)]
pub(super) struct Kept {
    pub store: ContentStore,
    pub log: SavedLog,
    pub census: Arc<Census>,
    pub saved: Saved,
    /// Tells whether the folder of the saved states is as it was left; `None` if it could not be looked at.
    mark: Option<FileMark>,
}

impl Kept {
    /// The state that `store` and `log` now hold.
    pub fn new(store: ContentStore, log: SavedLog, census: Arc<Census>, saved: Saved) -> Self {
        Self {
            mark: file_mark(store.folder()).ok(),
            store,
            log,
            census,
            saved,
        }
    }

    /// Whether nobody has made or removed a file there since, as a validation may do by an absolute path.
    fn is_intact(&self) -> bool {
        let mark = file_mark(self.store.folder()).ok();
        mark.is_some() && self.mark == mark && self.log.is_intact(&self.store)
    }
}

impl TreeMemory {
    /// The tree as it is, as seen by the last look if no time has passed since.
    pub fn look(&self, repo: &Repo) -> Result<Arc<Look>, IntegrateError> {
        let mut last = locked(&self.look);
        if let Some(look) = last.as_ref().filter(|look| look.is_current(repo)) {
            return Ok(Arc::clone(look));
        }
        let look = Arc::new(Look::take(repo)?);
        *last = Some(Arc::clone(&look));
        Ok(look)
    }

    /// The tree as it is, compared with what it was `before`.
    pub fn look_again(&self, repo: &Repo, before: &Look) -> Result<Arc<Look>, IntegrateError> {
        let look = Arc::new(before.again(repo)?);
        *locked(&self.look) = Some(Arc::clone(&look));
        Ok(look)
    }

    /// The state that was saved last, if it is the one in the folder `kept`. It is gone until [`TreeMemory::keep`].
    pub fn take_kept(&self, kept: &Path) -> Option<Kept> {
        let last = locked(&self.kept).take();
        last.filter(|last| last.store.folder() == kept && last.is_intact())
    }

    /// Remembers a state that is saved.
    pub fn keep(&self, kept: Kept) {
        *locked(&self.kept) = Some(kept);
    }

    /// Notes paths that patches of the run change.
    pub fn note_patched<'p>(&self, paths: impl Iterator<Item = &'p PathBuf>) {
        locked(&self.patched).extend(paths.cloned());
    }

    /// Whether a patch of the run has changed a path.
    pub fn is_patched(&self, path: &Path) -> bool {
        locked(&self.patched).contains(path)
    }
}

fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}
