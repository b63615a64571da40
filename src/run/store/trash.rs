//! Runs on their way out: renamed beside `runs/`, which takes them out of every list at once, and then deleted. What a call that
//! was cut off has left is deleted by the next one.

use super::run_folder::RunFolder;
use crate::ledger::{Ledger, LedgerError};
use crate::platform::{look, machine_fault, private};
use crate::run::error::RunError;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

const TRASH: &str = "trash";

impl RunFolder {
    /// Takes the run out of the list; `false` if a process drives it.
    pub fn discard(&self, home: &Path) -> Result<bool, RunError> {
        // The lock keeps a resume from starting until the folder is gone.
        let (_ledger, _) = match Ledger::open_with(&self.ledger(), |_, _| ()) {
            Err(LedgerError::Locked { .. }) => return Ok(false),
            opened => opened?,
        };
        take_out(self.path(), home, self.id().as_str())?;
        Ok(true)
    }
}

/// Takes out the folders of runs that were killed before they began, if they are from before `before_ms` (since 1970); how many there were.
pub fn discard_unstarted(home: &Path, before_ms: i64, dry_run: bool) -> Result<u64, RunError> {
    let mut count = 0;
    let runs = home.join("runs");
    for path in look::list(&runs).map_err(RunError::io(&runs))? {
        let failed = || RunError::io(&path);
        let Some(there) = look::entry(&path).map_err(failed())? else {
            continue;
        };
        let is_old = modified_ms(&there).is_some_and(|modified| modified < before_ms);
        if !there.is_dir() || !is_old {
            continue;
        }
        // A folder that this user may not look into stays.
        let has_begun = machine_fault::apart(look::is_taken(&path.join("ledger.jsonl")));
        if has_begun.map_err(failed())?.unwrap_or(true) {
            continue;
        }
        count += 1;
        if !dry_run {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            take_out(&path, home, &name)?;
        }
    }
    Ok(count)
}

fn modified_ms(there: &fs::Metadata) -> Option<i64> {
    let since = there.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

fn take_out(path: &Path, home: &Path, name: &str) -> Result<(), RunError> {
    let trash = home.join(TRASH);
    private::make_folders(&trash).map_err(RunError::io(&trash))?;
    // Another run may have had the same id.
    let name = format!("{name}.{}", uuid::Uuid::new_v4().simple());
    fs::rename(path, trash.join(name)).map_err(RunError::io(path))
}

/// Deletes what was taken out.
pub fn empty_trash(home: &Path) -> Result<(), RunError> {
    let trash = home.join(TRASH);
    for path in look::list(&trash).map_err(RunError::io(&trash))? {
        crate::workspace::remove(&path).map_err(RunError::io(&path))?;
    }
    // Another call may use it.
    let _ = fs::remove_dir(&trash);
    Ok(())
}
