//! The folder of a run that could not begin. Nothing was started, so nothing is left, and its id is free.

use super::run_folder::RunFolder;
use std::fs;

/// Removes the folder when dropped, unless the run has [begun](Self::begun).
pub struct Unstarted {
    folder: RunFolder,
    has_begun: bool,
}

impl RunFolder {
    /// For the process that has created the folder.
    pub fn remove_unless_begun(&self) -> Unstarted {
        Unstarted {
            folder: self.clone(),
            has_begun: false,
        }
    }
}

impl Unstarted {
    /// The run has begun: its folder stays.
    pub fn begun(mut self) {
        self.has_begun = true;
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if !self.has_begun {
            // What can't be removed is removed by `mesh runs gc`.
            let _ = fs::remove_dir_all(self.folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_has_begun_keeps_its_folder() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::create(home.path(), None).expect("a run");
        drop(folder.remove_unless_begun());
        assert!(!folder.path().exists());
        let folder = RunFolder::create(home.path(), None).expect("a run");
        folder.remove_unless_begun().begun();
        assert!(folder.path().exists());
    }
}
