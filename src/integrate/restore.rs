//! Restoring the tree to a saved state.
//!
//! Nothing is deleted: what was not there before is moved into the run's folder, and what a restore overwrites is copied
//! there first, because after a kill it may hold an edit of the user's.

use super::census::{CensusFile, Content};
use super::content_store::{ContentStore, object_id};
use super::error::IntegrateError;
use super::guard::Repaired;
use super::restore_path::{move_aside, restore_file, restore_path};
use super::saved_tree::SavedTree;
use super::state::{RestoreCause, open_root, read_stamp, read_state};
use super::tree_diff::{FileChange, relative};
use crate::model::{BeforeState, TouchedPath, path_text};
use crate::platform::root_dir::RootDir;
use crate::platform::{Repo, durable, fault, look, machine_fault};
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Limit of the contents that are read from git at once.
const OBJECT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a restore has to report.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Paths that did not exist before; they are in the `aside` folder.
    pub moved_aside: Vec<PathBuf>,
    /// Saved paths that held something else; that is in the `aside` folder.
    pub overwritten: Vec<PathBuf>,
    /// Paths that differ from the saved state and were left as they are.
    pub kept: Vec<PathBuf>,
}

impl SavedTree {
    /// Restores the tree as far as possible: a path that fails does not prevent the restore of others. Idempotent.
    pub fn restore(
        &self,
        repo: &Repo,
        aside: &Path,
        cause: RestoreCause,
    ) -> Result<Restored, IntegrateError> {
        let root = open_root(repo)?;
        let mut left =
            Unrestored::read(&self.store).map_err(IntegrateError::io(self.store.folder()))?;
        let mut work = Restore {
            saved: self,
            repo,
            root: &root,
            aside,
            cause,
            restored: Restored::default(),
            failures: Vec::new(),
            failed_paths: Vec::new(),
            beyond: match cause {
                RestoreCause::AfterValidation => Some(Beyond::of(self)),
                RestoreCause::AfterKill => left.beyond.take(),
            },
            has_failed_beyond: false,
            left,
        };
        // Git can answer nothing before its own files are sound.
        work.repair_guarded();
        fault::integrator_point();
        work.restore_folders();
        work.restore_saved();
        work.restore_census();
        work.move_unlisted();
        work.move_new();
        work.remove_folders();
        if cause == RestoreCause::AfterValidation {
            match self.changed_repositories(repo) {
                Ok(changed) => work.restored.kept.extend(changed),
                Err(error) => work.failures.push(machine_fault::line_of(&error)),
            }
        }
        work.finish()
    }

    /// Repairs the plan and the learnings after a validation that passed. Returns the files that were damaged.
    pub fn repair_stores(&self, repo: &Repo, aside: &Path) -> Result<Vec<PathBuf>, IntegrateError> {
        let Repaired {
            restored, failures, ..
        } = self.guard.repair_stores(repo, &self.store, aside);
        match failures.is_empty() {
            true => {
                let paths = restored.into_iter();
                Ok(paths.map(|path| relative(repo, path)).collect())
            }
            false => Err(self.not_restored(failures)),
        }
    }

    /// Removes the locks of git that did not exist when the tree was saved: the processes that made them have ended.
    pub fn remove_new_locks(&self, repo: &Repo, aside: &Path) -> Result<(), IntegrateError> {
        let failures = self
            .guard
            .remove_new_locks(repo, &self.store, aside)
            .failures;
        match failures.is_empty() {
            true => Ok(()),
            false => Err(self.not_restored(failures)),
        }
    }

    fn not_restored(&self, failures: Vec<String>) -> IntegrateError {
        IntegrateError::Restore {
            run_folder: crate::platform::parent(self.store.folder()).to_owned(),
            failures,
        }
    }
}

/// A restore in progress.
struct Restore<'r> {
    saved: &'r SavedTree,
    repo: &'r Repo,
    root: &'r RootDir,
    aside: &'r Path,
    cause: RestoreCause,
    restored: Restored,
    failures: Vec<String>,
    failed_paths: Vec<PathBuf>,
    /// If what is no file of the tree is as the validation left it: what there was before.
    beyond: Option<Beyond>,
    has_failed_beyond: bool,
    /// What an earlier restore could not restore.
    left: Unrestored,
}

impl Restore<'_> {
    fn repair_guarded(&mut self) {
        let SavedTree { guard, store, .. } = self.saved;
        let cause = match self.beyond {
            Some(_) => RestoreCause::AfterValidation,
            None => RestoreCause::AfterKill,
        };
        let repaired = guard.repair(self.repo, store, self.aside, cause);
        self.has_failed_beyond |= !repaired.failures.is_empty();
        let name = |path| relative(self.repo, path);
        self.restored
            .moved_aside
            .extend(repaired.restored.into_iter().map(name));
        self.restored
            .kept
            .extend(repaired.kept.into_iter().map(name));
        self.failures.extend(repaired.failures);
    }

    /// Restores all folders, also empty ones, so that everything in them can be examined. After a kill only the folders of
    /// restored files come back, because the user may have removed others since.
    fn restore_folders(&mut self) {
        if self.beyond.is_none() {
            return;
        }
        for (path, mode) in &self.saved.census.folders {
            let path = Path::new(path);
            if let Err(error) = self.restore_folder(path, *mode) {
                self.failed_beyond(path, &error);
            }
        }
    }

    fn restore_folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let now = read_stamp(self.root, path)?;
        let is_folder = now.is_some_and(|now| now.kind() == FileType::Directory);
        if !is_folder {
            if now.is_some() && move_aside(self.root, path, self.aside)? {
                self.restored.moved_aside.push(path.to_owned());
            }
            self.root.make_folder(path)?;
        }
        let now = read_stamp(self.root, path)?;
        match now.is_some_and(|now| now.permissions() == mode) {
            true => Ok(()),
            false => self.root.set_mode(path, mode),
        }
    }

    fn restore_saved(&mut self) {
        let SavedTree {
            paths,
            patched,
            store,
            ..
        } = self.saved;
        for TouchedPath { path, before } in paths {
            let is_foreign = self.cause == RestoreCause::AfterKill && !patched.contains(path);
            let must_stay = match is_foreign {
                true => self.must_stay(path, before),
                false => Ok(false),
            };
            match must_stay {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error) => {
                    self.undecided(path, &error);
                    continue;
                }
            }
            let put = restore_path(self.root, path, before, store, self.aside);
            fault::integrator_point();
            match put {
                Ok(true) => self.restored.overwritten.push(path.clone()),
                Ok(false) => {}
                Err(error) => self.failed(path, &error),
            }
        }
    }

    /// After a kill, a file outside the patch is kept, and reported if it differs. A file that is gone is restored, because
    /// that loses nothing.
    fn must_stay(&mut self, path: &Path, before: &BeforeState) -> io::Result<bool> {
        let now = look::reachable(read_state(self.root, path))?.flatten();
        if now == Some(BeforeState::Absent) {
            return Ok(*before == BeforeState::Absent);
        }
        if now.as_ref() == Some(before) {
            return Ok(true);
        }
        if self.left.still_stands(self.root, path)? {
            return Ok(false);
        }
        self.restored.kept.push(path.to_owned());
        Ok(true)
    }

    /// Restores the files of the census. Contents that git has are read in batches.
    fn restore_census(&mut self) {
        // Where the tree can't be scanned as a whole, each file is looked at alone.
        let scanned = self.saved.rescan(self.root).ok();
        let stamp_of = |number: usize, path: &Path| match &scanned {
            Some(scanned) => Ok(scanned.stamps[number]),
            None => Ok(look::reachable(read_stamp(self.root, path))?.flatten()),
        };
        let mut from_git: Vec<&CensusFile> = Vec::new();
        let mut bytes = 0;
        for (number, known) in self.saved.census.files.iter().enumerate() {
            let stamp: io::Result<_> = stamp_of(number, &known.path);
            let change =
                stamp.and_then(|stamp| self.saved.change_of(self.root, known, stamp.as_ref()));
            let must_stay = || -> io::Result<bool> {
                match self.cause {
                    RestoreCause::AfterKill => {
                        Ok(!self.left.still_stands(self.root, &known.path)?)
                    }
                    RestoreCause::AfterValidation => Ok(false),
                }
            };
            let change = match change.and_then(|change| Ok((change, must_stay()?))) {
                Ok(change) => change,
                Err(error) => {
                    self.undecided(&known.path, &error);
                    continue;
                }
            };
            match change {
                (FileChange::Unchanged, _) => {}
                (FileChange::OtherMode | FileChange::Other, true) => {
                    self.restored.kept.push(known.path.clone());
                }
                (FileChange::OtherMode, _) => {
                    let mode = known.stamp.permissions();
                    if let Err(error) = self.root.set_mode(&known.path, mode) {
                        self.failed(&known.path, &error);
                    }
                }
                (FileChange::Other | FileChange::Gone, _) => match &known.content {
                    Content::Object(_) => {
                        bytes += known.stamp.size();
                        from_git.push(known);
                        if bytes > OBJECT_BYTES_MAX {
                            self.restore_objects(&std::mem::take(&mut from_git));
                            bytes = 0;
                        }
                    }
                    Content::Copy(name) => self.restore_content(known, &self.saved.store.get(name)),
                    Content::Link(target) => {
                        let before = BeforeState::Link {
                            target: target.clone(),
                        };
                        let put = restore_path(
                            self.root,
                            &known.path,
                            &before,
                            &self.saved.store,
                            self.aside,
                        );
                        fault::integrator_point();
                        self.record_moved(&known.path, put);
                    }
                },
            }
        }
        self.restore_objects(&from_git);
    }

    fn restore_objects(&mut self, files: &[&CensusFile]) {
        if files.is_empty() {
            return;
        }
        let id = |known: &&CensusFile| match &known.content {
            Content::Object(id) => id.clone(),
            _ => String::new(),
        };
        let ids: Vec<String> = files.iter().map(id).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (objects, why) = match self.repo.objects(&ids) {
            Ok(objects) => (objects, "git no longer has its content".to_owned()),
            Err(error) => (vec![None; ids.len()], machine_fault::line_of(&error)),
        };
        for ((known, id), object) in files.iter().zip(ids).zip(objects) {
            let sound = object.filter(|content| object_id(content, id) == id);
            let content = sound.or_else(|| self.saved.workspace_copy(&known.path, id));
            let missing =
                || io::Error::other(format!("{why}, and no copy of the run has it ({id})"));
            self.restore_content(known, &content.ok_or_else(missing));
        }
    }

    fn restore_content(&mut self, known: &CensusFile, content: &io::Result<Vec<u8>>) {
        let mode = known.stamp.permissions();
        let put = match content {
            Ok(content) => restore_file(self.root, &known.path, content, mode, self.aside),
            Err(error) => Err(io::Error::other(machine_fault::line_of(error))),
        };
        fault::integrator_point();
        self.record_moved(&known.path, put);
    }

    fn record_moved(&mut self, path: &Path, moved: io::Result<bool>) {
        match moved {
            Ok(true) => self.restored.moved_aside.push(path.to_owned()),
            Ok(false) => {}
            Err(error) => self.failed(path, &error),
        }
    }

    /// Moves aside new files that git never lists, and those that may keep git from listing others.
    fn move_unlisted(&mut self) {
        let Some(before) = self.beyond.clone() else {
            return;
        };
        let scanned = match self.saved.rescan(self.root) {
            Ok(scanned) => scanned,
            Err(error) => return self.failed_beyond(self.repo.root(), &error),
        };
        self.move_new_aside(&scanned.unlisted, &before.unlisted);
    }

    fn move_new_aside(&mut self, now: &BTreeSet<PathBuf>, before: &[PathBuf]) {
        for path in now.iter().filter(|path| !before.contains(path)) {
            match move_aside(self.root, path, self.aside) {
                Err(error) => self.failed_beyond(path, &error),
                moved => self.record_moved(path, moved),
            }
        }
    }

    /// The part of a new path that can be moved: the path, or its first new folder if the path is too long for the system.
    fn movable<'p>(&self, path: &'p Path) -> &'p Path {
        const BYTES_MAX: usize = 2048;
        if path.as_os_str().len() <= BYTES_MAX {
            return path;
        }
        let is_new = |folder: &&Path| {
            !folder.as_os_str().is_empty()
                && !self.saved.census.folders.contains_key(folder.as_os_str())
        };
        path.ancestors().filter(is_new).last().unwrap_or(path)
    }

    /// Moves aside what the validation created, and removes folders that become empty.
    fn move_new(&mut self) {
        let new = match self.new_paths() {
            Ok(new) => new,
            Err(error) => return self.failures.push(machine_fault::line_of(&error)),
        };
        for path in new {
            let path = self.movable(&path).to_owned();
            let moved = move_aside(self.root, &path, self.aside);
            fault::integrator_point();
            self.record_moved(&path, moved);
            for folder in path.ancestors().skip(1) {
                let is_old = self.saved.census.folders.contains_key(folder.as_os_str());
                if folder.as_os_str().is_empty()
                    || is_old
                    || self.root.remove_folder(folder).is_err()
                {
                    break;
                }
            }
        }
    }

    fn new_paths(&self) -> Result<Vec<PathBuf>, IntegrateError> {
        let new = self.saved.new_paths(self.root, self.repo.untracked()?);
        new.map_err(IntegrateError::io(self.repo.root()))
    }

    /// Removes empty folders that did not exist.
    fn remove_folders(&mut self) {
        if let Some(before) = self.beyond.clone() {
            let scanned = match self.saved.rescan(self.root) {
                Ok(scanned) => scanned,
                Err(error) => return self.failed_beyond(self.repo.root(), &error),
            };
            self.move_new_aside(&scanned.git_folders, &before.git_folders);
            let old = &self.saved.census.folders;
            let new = scanned
                .folders
                .keys()
                .filter(|folder| !old.contains_key(*folder));
            for folder in new.rev() {
                // Fails if the folder holds something that git does not list.
                let _ = self.root.remove_folder(Path::new(folder));
            }
        }
        for folder in self.saved.new_folders.iter().rev() {
            // Fails if the folder holds something else meanwhile; then it stays.
            let _ = self.root.remove_folder(folder);
        }
    }

    /// A failure of what is no file of the tree.
    fn failed_beyond(&mut self, path: &Path, error: &io::Error) {
        self.failed(path, error);
        self.has_failed_beyond = true;
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        let why = machine_fault::line_of(error);
        self.failures.push(format!("{}: {why}", path.display()));
        self.failed_paths.push(path.to_owned());
    }

    /// What can't be looked at is left as it is. After a kill it may hold an edit of the user's, unless an earlier restore left it so.
    fn undecided(&mut self, path: &Path, error: &io::Error) {
        let is_left = self.left.paths.iter().any(|left| left.path == path);
        match self.cause == RestoreCause::AfterKill && !is_left {
            true => self.failures.push(format!(
                "{}: {}",
                path.display(),
                machine_fault::line_of(error)
            )),
            false => self.failed(path, error),
        }
    }

    fn finish(mut self) -> Result<Restored, IntegrateError> {
        if !self.failures.is_empty() && matches!(self.repo.is_gone(), Ok(true)) {
            let git = ".git: git finds no repository here any more; its history is not kept elsewhere, so bring it back from a copy or a clone first";
            self.failures.insert(0, git.to_owned());
        }
        self.restored.moved_aside.sort();
        self.restored.moved_aside.dedup();
        let left = Unrestored {
            beyond: self.beyond.filter(|_| self.has_failed_beyond),
            ..Unrestored::take(self.root, &self.failed_paths)
        };
        if let Err(error) = left.write(&self.saved.store) {
            let kept = self.saved.store.file(UNRESTORED);
            self.failures.push(format!(
                "{}: {}",
                kept.display(),
                machine_fault::line_of(&error)
            ));
        }
        match self.failures.is_empty() {
            true => Ok(self.restored),
            false => Err(self.saved.not_restored(self.failures)),
        }
    }
}

/// The paths that a restore could not restore, as it left them: as long as they stand like that, nobody has edited them, and
/// the next restore may replace them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Unrestored {
    paths: Vec<Left>,
    /// If after a validation something else could not be restored, a file of git's, a folder, or what git never lists: what there was
    /// before. The next restore does all of this as if the validation had just ended.
    #[serde(default)]
    beyond: Option<Beyond>,
}

/// What git never lists, before a validation.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Beyond {
    /// As in [`Scan::git_folders`](super::scan::Scan::git_folders).
    #[serde(with = "path_text::list")]
    git_folders: Vec<PathBuf>,
    /// As in [`Scan::unlisted`](super::scan::Scan::unlisted).
    #[serde(with = "path_text::list")]
    unlisted: Vec<PathBuf>,
}

impl Beyond {
    fn of(saved: &SavedTree) -> Self {
        Self {
            git_folders: saved.git_folders.iter().cloned().collect(),
            unlisted: saved.unlisted.iter().cloned().collect(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Left {
    #[serde(with = "path_text")]
    path: PathBuf,
    /// `None`: it could not be read. Whatever stands there may be replaced, with a copy kept aside.
    before: Option<BeforeState>,
}

const UNRESTORED: &str = "unrestored.json";

impl Unrestored {
    fn take(root: &RootDir, paths: &[PathBuf]) -> Self {
        let state = |path: &PathBuf| Left {
            before: read_state(root, path).ok().flatten(),
            path: path.clone(),
        };
        Self {
            paths: paths.iter().map(state).collect(),
            beyond: None,
        }
    }

    fn read(store: &ContentStore) -> io::Result<Self> {
        let bytes = look::found(std::fs::read(store.file(UNRESTORED)))?;
        let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(read.unwrap_or_default())
    }

    fn write(&self, store: &ContentStore) -> io::Result<()> {
        let path = store.file(UNRESTORED);
        if self.paths.is_empty() && self.beyond.is_none() {
            return durable::remove(&path);
        }
        crate::platform::write_private(&path, &serde_json::to_vec(self)?)
    }

    fn still_stands(&self, root: &RootDir, path: &Path) -> io::Result<bool> {
        let Some(left) = self.paths.iter().find(|left| left.path == path) else {
            return Ok(false);
        };
        let Some(before) = &left.before else {
            return Ok(true);
        };
        let now = look::reachable(read_state(root, path))?.flatten();
        Ok(now.as_ref() == Some(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_a_restore_left_is_known_again_until_somebody_edits_it() {
        let [tree, kept] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
        let file = PathBuf::from(OsStr::from_bytes(b"not-utf8-\xff"));
        let unreadable = PathBuf::from("folder");
        std::fs::write(tree.path().join(&file), "left").expect("written");
        std::fs::create_dir(tree.path().join(&unreadable)).expect("a folder");
        let root = RootDir::open(tree.path()).expect("open");
        let store = ContentStore::open(kept.path()).expect("a store");
        let left = Unrestored::take(&root, &[file.clone(), unreadable.clone()]);
        left.write(&store).expect("written");
        let left = Unrestored::read(&store).expect("read");
        let stands = |path: &Path| left.still_stands(&root, path).expect("a look");
        assert!(stands(&file) && stands(&unreadable));
        assert!(!stands(Path::new("other")));
        std::fs::write(tree.path().join(&file), "edited").expect("written");
        assert!(!stands(&file));
    }
}
