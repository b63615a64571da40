//! The state of the tree before an integration, saved before the first byte changes.
//!
//! It consists of copies of the patch's paths and of everything that git reports as changed or untracked, a [`Census`] of
//! the unchanged tracked files, and a [`Guard`] of git's own files, the plan and the learnings. Nothing here follows a
//! symbolic link ([`RootDir`]), and git is asked only for whole objects and names.

use super::census::{Census, CensusSource, Content, scan};
use super::content_store::ContentStore;
use super::error::IntegrateError;
use super::guard::Guard;
use super::outputs::own_outputs;
use super::state::{KnownStates, open_root, read_stamp};
use crate::learnings;
use crate::model::{BeforeState, IntegrationStarted, TouchedPath};
use crate::platform::root_dir::{RootDir, is_absent};
use crate::platform::{Repo, Tracked};
use crate::workspace::Fingerprint;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Limit of the copies of untracked files in all; files beyond it are left alone, and only their names are watched.
const UNTRACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
const CENSUS: &str = "census";
const GUARD: &str = "guard.json";
/// The saved paths outside of the patch. They are not in the ledger, where they would be repeated for each integration.
const CHANGED: &str = "changed.json";

/// The saved state of a tree, with copies of contents. The plan file and the learnings belong to their stores.
#[derive(Clone, Debug)]
pub struct SavedTree {
    /// Saved paths with their states.
    pub paths: Vec<TouchedPath>,
    /// The saved paths that the patch touches.
    pub patched: BTreeSet<PathBuf>,
    /// Folders on the way to the patch's paths that did not exist, outermost first.
    pub new_folders: Vec<PathBuf>,
    /// Changed paths that are neither saved nor restored: the plan file, nested repositories, files that are too large.
    pub left_alone: Vec<PathBuf>,
    pub(super) store: ContentStore,
    pub(super) known: Arc<KnownStates>,
    pub(super) census: Census,
    pub(super) guard: Guard,
    /// Nested repositories with their fingerprints, where those are known.
    pub(super) repositories: BTreeMap<PathBuf, Option<Fingerprint>>,
    /// As in [`Scan::git_folders`](super::census::Scan::git_folders).
    pub(super) git_folders: BTreeSet<PathBuf>,
    /// As in [`Scan::unlisted`](super::census::Scan::unlisted).
    pub(super) unlisted: BTreeSet<PathBuf>,
}

impl SavedTree {
    /// Saves the tree and the paths in `touched`, which need not exist. The state is durable in `kept` when this returns.
    pub fn save(
        repo: &Repo,
        touched: &BTreeSet<String>,
        plan_file: &Path,
        kept: &Path,
        known: Arc<KnownStates>,
    ) -> Result<Self, IntegrateError> {
        let store = ContentStore::open(kept).map_err(IntegrateError::io(kept))?;
        let root = open_root(repo)?;
        let index = repo.index()?;
        let tracked = &index.tracked;
        let guard = Guard::take(repo, plan_file, &index.bytes, &store)?;
        let guard = guard.map_err(|(path, source)| IntegrateError::Io { path, source })?;
        let plan_file = plan_file.strip_prefix(repo.root()).unwrap_or(plan_file);
        let mut saved = Self {
            paths: Vec::new(),
            patched: touched.iter().map(PathBuf::from).collect(),
            new_folders: missing_folders(&root, touched)
                .map_err(IntegrateError::io(repo.root()))?,
            left_alone: vec![plan_file.to_owned(), learnings::FILE_NAME.into()],
            store,
            known,
            census: Census::default(),
            guard,
            repositories: BTreeMap::new(),
            git_folders: BTreeSet::new(),
            unlisted: BTreeSet::new(),
        };
        let nested = tracked.iter().filter(|entry| entry.is_repository);
        for path in nested.map(|entry| entry.path.clone()) {
            saved.add_repository(repo, path);
        }
        saved.save_changed(repo, &root)?;
        saved.take_census(repo, &root, tracked)?;
        let failed = || IntegrateError::io(kept);
        let wanted: HashSet<&str> = saved.copy_names().collect();
        saved.store.retain(&wanted).map_err(failed())?;
        saved.write().map_err(failed())?;
        Ok(saved)
    }

    /// Copies everything that git reports as changed or untracked, and what the patch touches.
    fn save_changed(&mut self, repo: &Repo, root: &RootDir) -> Result<(), IntegrateError> {
        let outputs = own_outputs();
        let mut bytes_left = UNTRACKED_BYTES_MAX;
        let mut wanted = self.patched.clone();
        for change in repo.changes()? {
            let stamp = read_stamp(root, &change.path).map_err(IntegrateError::io(&change.path))?;
            let size = stamp.map_or(0, |stamp| stamp.size());
            let is_folder = stamp.is_some_and(|stamp| stamp.kind() == FileType::Directory);
            let is_output = stamp.is_some_and(|stamp| outputs.contains(&stamp.identity()));
            if self.left_alone[..2].contains(&change.path)
                || self.repositories.contains_key(&change.path)
            {
                continue;
            }
            if change.untracked && is_folder {
                self.add_repository(repo, change.path);
            } else if is_output || (change.untracked && size > bytes_left) {
                self.left_alone.push(change.path);
            } else {
                bytes_left -= if change.untracked { size } else { 0 };
                wanted.insert(change.path);
            }
        }
        for path in wanted {
            let state = match self.save_path(root, &path) {
                // What can't be read can't be saved.
                Err(error) if is_unreadable(&error) && !self.patched.contains(&path) => None,
                state => state.map_err(IntegrateError::io(&path))?,
            };
            match state {
                Some(before) => self.paths.push(TouchedPath { path, before }),
                None => self.left_alone.push(path),
            }
        }
        Ok(())
    }

    /// Copies the content at `path` and returns its state; `None` if it is neither a file nor a link.
    fn save_path(&self, root: &RootDir, path: &Path) -> io::Result<Option<BeforeState>> {
        let state = self.known.read(root, path)?;
        match &state {
            Some(BeforeState::File { sha256, mode }) if !self.store.has(sha256) => {
                // What is copied is what a restore writes, also if the file has changed since.
                Ok(Some(BeforeState::File {
                    sha256: self.store.put(&root.read(path)?)?,
                    mode: *mode,
                }))
            }
            _ => Ok(state),
        }
    }

    fn add_repository(&mut self, repo: &Repo, path: PathBuf) {
        let fingerprint = fingerprint_nested(repo, &path);
        self.left_alone.push(path.clone());
        self.repositories.insert(path, fingerprint);
    }

    /// Takes the census of everything that is not saved as a copy.
    fn take_census(
        &mut self,
        repo: &Repo,
        root: &RootDir,
        tracked: &[Tracked],
    ) -> Result<(), IntegrateError> {
        let failed = || IntegrateError::io(repo.root());
        let known = self.known_paths();
        let is_clean =
            |entry: &&Tracked| !entry.is_repository && !known.contains(entry.path.as_os_str());
        let clean: Vec<_> = tracked.iter().filter(is_clean).collect();
        let mut paths: Vec<&Path> = clean.iter().map(|entry| entry.path.as_path()).collect();
        let converted = repo.converted(&paths)?;
        paths.extend(self.saved_files());
        let scanned = scan(root, &paths, &self.excluded_folders()).map_err(failed())?;
        // Only the copies of files that git converts are taken over from the last census.
        let last = match converted.is_empty() {
            true => None,
            false => std::fs::read(self.store.file(CENSUS)).ok(),
        };
        let last = last.and_then(|bytes| Census::from_bytes(&bytes));
        let source = CensusSource {
            root,
            store: &self.store,
            clean: &clean,
            stamps: &scanned.stamps[..clean.len()],
            converted: &converted,
            last: &last.unwrap_or_default(),
        };
        let (files, skipped) = source.collect_files().map_err(failed())?;
        self.left_alone.extend(skipped);
        self.git_folders = scanned.git_folders;
        self.unlisted = scanned.unlisted;
        self.census = Census {
            files,
            folders: scanned.folders,
        };
        Ok(())
    }

    fn write(&self) -> io::Result<()> {
        let census = self.store.file(CENSUS);
        crate::platform::write_private(&census, &self.census.to_bytes())?;
        let guard = serde_json::to_vec(&self.guard).map_err(io::Error::from)?;
        crate::platform::write_private(&self.store.file(GUARD), &guard)?;
        let (_, changed) = self.split_paths();
        let changed = serde_json::to_vec(&changed).map_err(io::Error::from)?;
        crate::platform::write_private(&self.store.file(CHANGED), &changed)?;
        self.store.sync()
    }

    /// The saved paths of the patch, and the others.
    fn split_paths(&self) -> (Vec<&TouchedPath>, Vec<&TouchedPath>) {
        let paths = self.paths.iter();
        paths.partition(|saved| self.patched.contains(&saved.path))
    }

    /// The saved paths of the patch, with their states.
    pub fn patched_paths(&self) -> Vec<TouchedPath> {
        self.split_paths().0.into_iter().cloned().collect()
    }

    /// Loads the state that an earlier process saved. A file that is missing or damaged counts as empty.
    pub fn load(started: &IntegrationStarted, kept: &Path) -> Self {
        let store = ContentStore::at(kept);
        let census = std::fs::read(store.file(CENSUS)).ok();
        let guard = std::fs::read(store.file(GUARD)).ok();
        let changed = std::fs::read(store.file(CHANGED)).ok();
        let changed = changed.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let changed: Vec<TouchedPath> = changed.unwrap_or_default();
        Self {
            paths: merge_paths(&started.paths, changed),
            patched: started.patched.iter().cloned().collect(),
            new_folders: started.new_folders.clone(),
            left_alone: started.left_alone.clone(),
            census: census
                .and_then(|bytes| Census::from_bytes(&bytes))
                .unwrap_or_default(),
            guard: guard
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
            repositories: BTreeMap::new(),
            git_folders: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            known: Arc::default(),
            store,
        }
    }

    fn copy_names(&self) -> impl Iterator<Item = &str> {
        let paths = self.paths.iter().filter_map(|path| match &path.before {
            BeforeState::File { sha256, .. } => Some(sha256.as_str()),
            _ => None,
        });
        let census = self
            .census
            .files
            .iter()
            .filter_map(|known| match &known.content {
                Content::Copy(name) => Some(name.as_str()),
                _ => None,
            });
        paths.chain(census).chain(self.guard.copy_names())
    }

    /// Saved paths that existed.
    pub(super) fn saved_files(&self) -> impl Iterator<Item = &Path> {
        let is_file = |saved: &&TouchedPath| saved.before != BeforeState::Absent;
        let files = self.paths.iter().filter(is_file);
        files.map(|saved| saved.path.as_path())
    }

    /// Folders that a scan does not enter.
    pub(super) fn excluded_folders(&self) -> HashSet<&OsStr> {
        self.left_alone
            .iter()
            .map(|path| path.as_os_str())
            .collect()
    }

    /// Paths that were saved or deliberately left alone; without the census.
    pub(super) fn known_paths(&self) -> HashSet<&OsStr> {
        let saved = self.paths.iter().map(|touched| touched.path.as_os_str());
        saved
            .chain(self.left_alone.iter().map(|path| path.as_os_str()))
            .collect()
    }
}

/// The paths of an integration by path: those in the ledger, and the others. A ledger of an earlier version has all of them.
fn merge_paths(started: &[TouchedPath], changed: Vec<TouchedPath>) -> Vec<TouchedPath> {
    let known: BTreeSet<&Path> = started.iter().map(|saved| saved.path.as_path()).collect();
    let others = changed.into_iter();
    let others = others.filter(|saved| !known.contains(saved.path.as_path()));
    let mut paths: Vec<TouchedPath> = started.iter().cloned().chain(others).collect();
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    paths
}

/// The fingerprint of the nested repository at `path`. A submodule that was never fetched has none: it is an empty folder of
/// this repository.
pub(super) fn fingerprint_nested(repo: &Repo, path: &Path) -> Option<Fingerprint> {
    let nested = repo.nested(path).ok()?;
    let is_own = nested.root() != repo.root();
    is_own.then(|| Fingerprint::take(&nested, &[]).ok())?
}

fn is_unreadable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Folders on the way to `touched` that do not exist, outermost first.
fn missing_folders(root: &RootDir, touched: &BTreeSet<String>) -> io::Result<Vec<PathBuf>> {
    let folders: BTreeSet<&Path> = touched
        .iter()
        .flat_map(|path| Path::new(path).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    let mut missing = Vec::new();
    for folder in folders {
        match root.open_folder(folder) {
            Ok(_) => {}
            Err(error) if is_absent(&error) => missing.push(folder.to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
