//! Runs on their way out: renamed beside `runs/`, which takes them out of every list at once, and then deleted. What a call that
//! was cut off has left is deleted by the next one.

use super::run_folder::RunFolder;
use crate::ledger::Ledger;
use crate::platform::private;
use crate::run::error::RunError;
use std::fs;
use std::path::Path;

const TRASH: &str = "trash";

impl RunFolder {
    /// Takes the run out of the list; `false` if a process drives it.
    pub fn discard(&self, home: &Path) -> Result<bool, RunError> {
        // The lock keeps a resume from starting until the folder is gone.
        let Ok((_ledger, _)) = Ledger::open_with(&self.ledger(), |_, _| ()) else {
            return Ok(false);
        };
        let trash = home.join(TRASH);
        private::make_folders(&trash).map_err(RunError::io(&trash))?;
        // Another run may have had the same id.
        let name = format!("{}.{}", self.id(), uuid::Uuid::new_v4().simple());
        fs::rename(self.path(), trash.join(name)).map_err(RunError::io(self.path()))?;
        Ok(true)
    }
}

/// Deletes what was taken out.
pub fn empty_trash(home: &Path) -> Result<(), RunError> {
    let trash = home.join(TRASH);
    let Ok(entries) = fs::read_dir(&trash) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        crate::workspace::remove(&entry.path()).map_err(RunError::io(&entry.path()))?;
    }
    // Another call may use it.
    let _ = fs::remove_dir(&trash);
    Ok(())
}
