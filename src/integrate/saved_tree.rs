//! The state of the tree before an integration, saved before the first byte changes.
//!
//! It consists of copies of the patch's paths and of everything that git reports as changed or untracked, a [`Census`] of
//! the unchanged tracked files, and a [`Guard`] of git's own files, the plan and the learnings. Nothing here follows a
//! symbolic link ([`RootDir`]), and git is asked only for whole objects and names.

use super::census::{Census, CensusSource, Content};
use super::content_store::ContentStore;
use super::error::IntegrateError;
use super::guard::Guard;
use super::look::Look;
use super::outputs::OwnOutputs;
use super::saved_log::{self, Record, Saved, SavedLog};
use super::scan::Stamp;
use super::state::open_root;
use super::tree_memory::{Kept, TreeMemory};
use crate::learnings;
use crate::model::{BeforeState, IntegrationStarted, TouchedPath};
use crate::platform::root_dir::{RootDir, is_absent};
use crate::platform::{Repo, look};
use crate::workspace::Fingerprint;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Limit of the copies of untracked files in all; files beyond it are left alone, and only their names are watched.
const UNTRACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
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
    pub(super) memory: Arc<TreeMemory>,
    /// The tree when it was saved; `None` if an earlier process saved it.
    pub(super) look: Option<Arc<Look>>,
    pub(super) census: Arc<Census>,
    pub(super) guard: Guard,
    /// Nested repositories with their fingerprints, where those are known.
    pub(super) repositories: BTreeMap<PathBuf, Option<Fingerprint>>,
    /// As in [`Scan::git_folders`](super::scan::Scan::git_folders).
    pub(super) git_folders: BTreeSet<PathBuf>,
    /// As in [`Scan::unlisted`](super::scan::Scan::unlisted).
    pub(super) unlisted: BTreeSet<PathBuf>,
}

impl SavedTree {
    /// Saves the tree and the paths in `touched`, which need not exist. The state is durable in `kept` when this returns. `published`: a branch
    /// elsewhere that will change too.
    pub fn save(
        repo: &Repo,
        published: Option<(&Repo, &str)>,
        touched: &BTreeSet<String>,
        plan_file: &Path,
        kept: &Path,
        memory: Arc<TreeMemory>,
    ) -> Result<Self, IntegrateError> {
        let failed = || IntegrateError::io(kept);
        let root = open_root(repo)?;
        let look = memory.look(repo)?;
        // It is kept again when everything is durable; until then, nothing is known of what is on disk.
        let last = memory.take_kept(kept);
        let store = match &last {
            Some(last) => last.store.clone(),
            None => ContentStore::open(kept).map_err(failed())?,
        };
        let states = Arc::clone(&memory.states);
        let guard = Guard::take(
            (repo, published),
            plan_file,
            &look.index.bytes,
            &store,
            states,
        )?;
        let guard = guard.map_err(|(path, source)| IntegrateError::Io { path, source })?;
        let plan_file = plan_file.strip_prefix(repo.root()).unwrap_or(plan_file);
        let mut saved = Self {
            paths: Vec::new(),
            patched: touched.iter().map(PathBuf::from).collect(),
            new_folders: missing_folders(&root, touched)
                .map_err(IntegrateError::io(repo.root()))?,
            left_alone: vec![plan_file.to_owned(), learnings::FILE_NAME.into()],
            store,
            census: Arc::default(),
            guard,
            repositories: BTreeMap::new(),
            git_folders: look.git_folders.clone(),
            unlisted: look.unlisted.clone(),
            look: Some(Arc::clone(&look)),
            memory,
        };
        let nested = look.index.tracked.iter();
        let nested = nested.filter(|entry| entry.is_repository);
        for path in nested.map(|entry| entry.path.clone()) {
            saved.add_repository(repo, path)?;
        }
        saved.save_changed(repo, &root, &look)?;
        saved.take_census(repo, &root, &look, last)?;
        saved.memory.note_patched(saved.patched.iter());
        Ok(saved)
    }

    /// Copies everything that git reports as changed or untracked, and what the patch touches.
    fn save_changed(
        &mut self,
        repo: &Repo,
        root: &RootDir,
        look: &Look,
    ) -> Result<(), IntegrateError> {
        let mut outputs = OwnOutputs::default();
        let mut bytes_left = UNTRACKED_BYTES_MAX;
        let mut wanted: BTreeMap<PathBuf, Option<Stamp>> = BTreeMap::new();
        for change in look.changes.iter() {
            let stamp = look.stamp(&change.path).flatten();
            let size = stamp.map_or(0, |stamp| stamp.size());
            let is_folder = stamp.is_some_and(|stamp| stamp.kind() == FileType::Directory);
            if self.left_alone[..2].contains(&change.path)
                || self.repositories.contains_key(&change.path)
            {
                continue;
            }
            let is_output = match stamp.filter(|_| !self.memory.is_patched(&change.path)) {
                Some(stamp) => outputs.contain(stamp.identity()),
                None => Ok(false),
            };
            let is_output = is_output.map_err(IntegrateError::io(&change.path))?;
            if change.untracked && is_folder {
                self.add_repository(repo, change.path.clone())?;
            } else if (change.untracked && size > bytes_left) || is_output {
                self.left_alone.push(change.path.clone());
            } else {
                bytes_left -= if change.untracked { size } else { 0 };
                wanted.insert(change.path.clone(), stamp);
            }
        }
        for path in &self.patched {
            wanted.entry(path.clone()).or_default();
        }
        for (path, stamp) in wanted {
            // What the patch touches is looked at now, right before it changes.
            let stamp = stamp.filter(|_| !self.patched.contains(&path));
            let state = match self.memory.states.save(root, &path, stamp, &self.store) {
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

    fn add_repository(&mut self, repo: &Repo, path: PathBuf) -> Result<(), IntegrateError> {
        let fingerprint = fingerprint_nested(repo, &path)?;
        self.left_alone.push(path.clone());
        self.repositories.insert(path, fingerprint);
        Ok(())
    }

    /// Takes the census of everything that is not saved as a copy, and makes all of the state durable.
    fn take_census(
        &mut self,
        repo: &Repo,
        root: &RootDir,
        look: &Look,
        last: Option<Kept>,
    ) -> Result<(), IntegrateError> {
        let failed = || IntegrateError::io(repo.root());
        let mut is_left_out = vec![false; look.stamps.len()];
        for path in self.known_paths() {
            if let Some(at) = look.position(Path::new(path)) {
                is_left_out[at] = true;
            }
        }
        let (log, census, before) = match last {
            Some(last) => (Some(last.log), last.census, last.saved),
            None => (None, Arc::default(), Saved::default()),
        };
        // Only what the census before has of files that git converts is taken over from an earlier process.
        let census = match log {
            Some(_) => Arc::unwrap_or_clone(census),
            None => saved_log::load(&self.store).map_err(failed())?.0,
        };
        let source = CensusSource {
            root,
            store: &self.store,
            tracked: &look.index.tracked,
            stamps: &look.stamps,
            is_left_out: &is_left_out,
            converted: &*look.converted(repo)?,
        };
        let mut record = Record::default();
        let (files, skipped) = source
            .follow(census.files, record.bytes())
            .map_err(failed())?;
        record.folders(&census.folders, &look.folders);
        self.left_alone.extend(skipped);
        self.census = Arc::new(Census {
            files,
            folders: BTreeMap::clone(&look.folders),
        });
        self.write(log, record, before)
            .map_err(IntegrateError::io(self.store.folder()))
    }

    /// Writes what differs from the state that was saved before, or everything if it is not known.
    fn write(&self, log: Option<SavedLog>, mut record: Record, before: Saved) -> io::Result<()> {
        let (_, others) = self.split_paths();
        let others = others.into_iter();
        let others: Saved = others
            .map(|saved| (saved.path.clone(), saved.before.clone()))
            .collect();
        let wanted: HashSet<&str> = self.copy_names().collect();
        let log = match log.filter(|log| !log.is_long()) {
            Some(mut log) => {
                record.saved(&before, &others)?;
                record.guard(&self.guard)?;
                self.store.drop_others(&wanted)?;
                self.store.sync()?;
                log.append(record)?;
                log
            }
            None => {
                let mut record = Record::default();
                record.saved(&Saved::default(), &others)?;
                record.guard(&self.guard)?;
                self.store.retain(&wanted)?;
                self.store.sync()?;
                SavedLog::begin(&self.store, &self.census, record)?
            }
        };
        let (store, census) = (self.store.clone(), Arc::clone(&self.census));
        self.memory.keep(Kept::new(store, log, census, others));
        Ok(())
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
    ///
    /// # Errors
    /// It can't be read.
    pub fn load(started: &IntegrationStarted, kept: &Path) -> Result<Self, IntegrateError> {
        let store = ContentStore::at(kept);
        let saved = saved_log::load(&store);
        let (census, changed, guard) = saved.map_err(IntegrateError::io(store.folder()))?;
        let changed = changed.into_iter();
        let changed = changed.map(|(path, before)| TouchedPath { path, before });
        Ok(Self {
            paths: merge_paths(&started.paths, changed),
            patched: started.patched.iter().cloned().collect(),
            new_folders: started.new_folders.clone(),
            left_alone: started.left_alone.clone(),
            census: Arc::new(census),
            guard,
            repositories: BTreeMap::new(),
            git_folders: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            memory: Arc::default(),
            look: None,
            store,
        })
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
fn merge_paths(
    started: &[TouchedPath],
    changed: impl Iterator<Item = TouchedPath>,
) -> Vec<TouchedPath> {
    let known: BTreeSet<&Path> = started.iter().map(|saved| saved.path.as_path()).collect();
    let others = changed.filter(|saved| !known.contains(saved.path.as_path()));
    let mut paths: Vec<TouchedPath> = started.iter().cloned().chain(others).collect();
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    paths
}

/// The fingerprint of the nested repository at `path`. A submodule that was never fetched has none: it is an empty folder of
/// this repository.
pub(super) fn fingerprint_nested(
    repo: &Repo,
    path: &Path,
) -> Result<Option<Fingerprint>, IntegrateError> {
    let nested = look::reachable(repo.nested(path))?;
    match nested.filter(|nested| nested.root() != repo.root()) {
        Some(nested) => Ok(look::reachable(Fingerprint::take(&nested, &[]))?),
        None => Ok(None),
    }
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
