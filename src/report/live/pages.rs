//! The runs that were asked for last, kept and brought up to date, so that a request does not read a whole ledger.

use crate::model::RunId;
use crate::report::page::RunPage;
use crate::report::view::ViewError;
use crate::run::RunFolder;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// So many runs are kept; a run of 1,000,000 rows takes some 100 MB.
const RUNS_MAX: usize = 8;

/// The runs below a home.
pub struct Pages {
    home: PathBuf,
    /// The one that was asked for last comes last.
    recent: Mutex<Vec<(RunId, Arc<RwLock<RunPage>>)>>,
}

impl Pages {
    /// Those below `home`.
    pub fn new(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            recent: Mutex::default(),
        }
    }

    /// Where the runs are.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A run, up to date; while another request reads it, as it was when that one began.
    pub fn get(&self, id: &str) -> Result<Arc<RwLock<RunPage>>, ViewError> {
        let folder = RunFolder::find(&self.home, &RunId::new(id))?;
        let page = self.kept(folder)?;
        if let Ok(mut page) = page.try_write() {
            page.refresh()?;
        }
        Ok(page)
    }

    fn kept(&self, folder: RunFolder) -> Result<Arc<RwLock<RunPage>>, ViewError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.iter().position(|(id, _)| id == folder.id());
        let run = match known.map(|at| recent.remove(at)) {
            Some(run) => run,
            None => {
                let id = folder.id().clone();
                (id, Arc::new(RwLock::new(RunPage::read(folder)?)))
            }
        };
        let page = Arc::clone(&run.1);
        recent.push(run);
        if recent.len() > RUNS_MAX {
            recent.remove(0);
        }
        Ok(page)
    }
}
