//! The folder of a run that could not begin. Nothing was started, so nothing is left, and its id is free.

use super::run_folder::RunFolder;
use std::fs;

/// Removes the folder when dropped, unless the run has begun by then: unless its ledger has a record, or can't be read.
pub struct Unstarted(RunFolder);

impl RunFolder {
    /// For the process that has created the folder.
    pub fn remove_unless_begun(&self) -> Unstarted {
        Unstarted(self.clone())
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        // A ledger that can't be looked at is that of a run.
        let is_missing = matches!(self.0.ledger().try_exists(), Ok(false));
        if is_missing || matches!(self.0.kind(), Ok(None)) {
            // What can't be removed is removed by `mesh runs gc`.
            let _ = fs::remove_dir_all(self.0.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_has_begun_keeps_its_folder() {
        let home = tempfile::tempdir().expect("a folder");
        let create = || RunFolder::create(home.path(), None).expect("a run");
        let first = r#"{"v":1,"seq":1,"ts":"2026-02-13T01:55:00.000Z","event":"run_started","run_id":"R","kind":"spawn","mesh_version":"0","root":"/","settings":{}}"#;
        for (ledger, is_kept) in [
            (None, false),
            (Some(""), false),
            (Some(&first[..40]), false),
            (Some(&*format!("{first}\n")), true),
        ] {
            let folder = create();
            if let Some(ledger) = ledger {
                fs::write(folder.ledger(), ledger).expect("written");
            }
            drop(folder.remove_unless_begun());
            assert_eq!(folder.path().exists(), is_kept, "{ledger:?}");
        }
        // A disk that fails at this moment must not cost a run.
        let folder = create();
        std::os::unix::fs::symlink("ledger.jsonl", folder.ledger()).expect("a link to itself");
        drop(folder.remove_unless_begun());
        assert!(folder.path().exists());
    }
}
