//! The before-state of an integration: saved before the first byte changes, restored byte for byte.
//!
//! Saved are the paths of the patch and everything that git calls changed or untracked, as copies; of clean tracked files
//! a [`Census`]; and what a [`Guard`] watches. What was not there before is moved into the run's folder, never deleted, and
//! whatever a restore overwrites is copied there first: after a kill it may hold an edit that a person made since.
//! Nothing here follows a symbolic link ([`Beneath`]), and git is asked for nothing but whole objects and names.

use super::beneath::{Beneath, is_absent};
use super::census::{Census, Content, Known, Seen, Sources, Stamp, look};
use super::error::IntegrateError;
use super::guard::{Guard, Mended};
use super::outputs::own_outputs;
use super::put_back::{put_aside, put_back, put_file};
use super::state::{Moment, open_root, stamp_of, state_of};
use super::store::{Store, object_id};
use crate::learnings;
use crate::model::{BeforeState, IntegrationStarted, TouchedPath};
use crate::platform::{Repo, fault};
use crate::workspace::Fingerprint;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Untracked files are copied up to this many bytes in all; what is beyond is left alone and only watched by name.
const UNTRACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// So much content is taken from git at once.
const OBJECT_BYTES_MAX: u64 = 64 * 1024 * 1024;
const CENSUS: &str = "census";
const GUARD: &str = "guard.json";

/// What stood in the tree, with copies of the contents. The plan file and the learnings are nobody's but their stores'.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Paths with their states.
    pub paths: Vec<TouchedPath>,
    /// Those of them that the patch touches.
    pub patched: BTreeSet<PathBuf>,
    /// Folders that were not there, outermost first.
    pub new_folders: Vec<PathBuf>,
    /// Changed paths that are neither saved nor restored: the plan file, repositories within, what is too large.
    pub left_alone: Vec<PathBuf>,
    store: Store,
    census: Census,
    guard: Guard,
    /// Repositories within the tree with what they looked like, where that is known.
    repositories: BTreeMap<PathBuf, Option<Fingerprint>>,
    /// As in [`Seen::git_folders`].
    git_folders: BTreeSet<PathBuf>,
    /// As in [`Seen::unlisted`].
    unlisted: BTreeSet<PathBuf>,
}

/// What a restore did beside bringing paths back.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Paths that were not there before; they are in the folder for things put aside.
    pub moved_aside: Vec<PathBuf>,
    /// Saved paths that held something else, which is in that folder now.
    pub overwritten: Vec<PathBuf>,
    /// Paths that differ from before and were left as they are.
    pub kept: Vec<PathBuf>,
}

impl Saved {
    /// Saves what stands at `touched` and everywhere else. Everything is durable in `kept` when this returns.
    pub fn take(
        repo: &Repo,
        touched: &BTreeSet<String>,
        plan_file: &Path,
        kept: &Path,
    ) -> Result<Self, IntegrateError> {
        let store = Store::open(kept).map_err(IntegrateError::io(kept))?;
        let root = open_root(repo)?;
        let index = repo.index()?;
        let tracked = Repo::tracked(&index);
        let guard = Guard::take(repo, plan_file, &index, &store)?;
        let guard = guard.map_err(|(path, source)| IntegrateError::Io { path, source })?;
        let plan_file = plan_file.strip_prefix(repo.root()).unwrap_or(plan_file);
        let mut saved = Self {
            paths: Vec::new(),
            patched: touched.iter().map(PathBuf::from).collect(),
            new_folders: missing_folders(&root, touched)
                .map_err(IntegrateError::io(repo.root()))?,
            left_alone: vec![plan_file.to_owned(), learnings::FILE_NAME.into()],
            store,
            census: Census::default(),
            guard,
            repositories: BTreeMap::new(),
            git_folders: BTreeSet::new(),
            unlisted: BTreeSet::new(),
        };
        let within = tracked.iter().filter(|entry| entry.is_repository);
        for path in within.map(|entry| entry.path.clone()) {
            saved.add_repository(repo, path);
        }
        saved.save_changed(repo, &root)?;
        saved.count(repo, &root, &tracked)?;
        let failed = || IntegrateError::io(kept);
        let wanted: HashSet<&str> = saved.copies().collect();
        saved.store.retain(&wanted).map_err(failed())?;
        saved.write().map_err(failed())?;
        Ok(saved)
    }

    /// Copies of everything that git calls changed or untracked, and of what the patch touches.
    fn save_changed(&mut self, repo: &Repo, root: &Beneath) -> Result<(), IntegrateError> {
        let outputs = own_outputs();
        let mut room = UNTRACKED_BYTES_MAX;
        let mut wanted = self.patched.clone();
        for change in repo.changes()? {
            let stamp = stamp_of(root, &change.path).map_err(IntegrateError::io(&change.path))?;
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
            } else if is_output || (change.untracked && size > room) {
                self.left_alone.push(change.path);
            } else {
                room -= if change.untracked { size } else { 0 };
                wanted.insert(change.path);
            }
        }
        for path in wanted {
            let state = self.save(root, &path).map_err(IntegrateError::io(&path))?;
            match state {
                Some(before) => self.paths.push(TouchedPath { path, before }),
                None => self.left_alone.push(path),
            }
        }
        Ok(())
    }

    /// The state of `path`, and a copy of its content; `None` for what is neither file nor link.
    fn save(&self, root: &Beneath, path: &Path) -> io::Result<Option<BeforeState>> {
        let state = state_of(root, path)?;
        if let Some(BeforeState::File { .. }) = &state {
            self.store.put(&root.read(path)?)?;
        }
        Ok(state)
    }

    fn add_repository(&mut self, repo: &Repo, path: PathBuf) {
        let within = Repo::find(&repo.root().join(&path)).ok();
        // A submodule that was never fetched is an empty folder of this repository.
        let own = within.filter(|within| within.root() != repo.root());
        let looks = own.and_then(|own| Fingerprint::take(&own, &[]).ok());
        self.left_alone.push(path.clone());
        self.repositories.insert(path, looks);
    }

    /// The census of what is not saved as a copy.
    fn count(
        &mut self,
        repo: &Repo,
        root: &Beneath,
        tracked: &[crate::platform::Tracked],
    ) -> Result<(), IntegrateError> {
        let failed = || IntegrateError::io(repo.root());
        let known = self.known();
        let is_clean = |entry: &&crate::platform::Tracked| {
            !entry.is_repository && !known.contains(entry.path.as_os_str())
        };
        let clean: Vec<_> = tracked.iter().filter(is_clean).collect();
        let mut paths: Vec<&Path> = clean.iter().map(|entry| entry.path.as_path()).collect();
        let converted = repo.converted(&paths)?;
        paths.extend(self.saved_files());
        let seen = look(root, &paths, &self.apart()).map_err(failed())?;
        let last = std::fs::read(self.store.file(CENSUS)).ok();
        let last = last.and_then(|bytes| Census::from_bytes(&bytes));
        let sources = Sources {
            root,
            store: &self.store,
            clean: &clean,
            stamps: &seen.stamps[..clean.len()],
            converted: &converted,
            last: &last.unwrap_or_default(),
        };
        let (files, left) = sources.files().map_err(failed())?;
        self.left_alone.extend(left);
        self.git_folders = seen.git_folders;
        self.unlisted = seen.unlisted;
        self.census = Census {
            files,
            folders: seen.folders,
        };
        Ok(())
    }

    fn write(&self) -> io::Result<()> {
        let census = self.store.file(CENSUS);
        crate::platform::write_private(&census, &self.census.to_bytes())?;
        let guard = serde_json::to_vec(&self.guard).map_err(io::Error::from)?;
        crate::platform::write_private(&self.store.file(GUARD), &guard)?;
        self.store.sync()
    }

    /// What an earlier process saved.
    pub fn of(started: &IntegrationStarted, kept: &Path) -> Self {
        let store = Store::at(kept);
        let census = std::fs::read(store.file(CENSUS)).ok();
        let guard = std::fs::read(store.file(GUARD)).ok();
        Self {
            paths: started.paths.clone(),
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
            store,
        }
    }

    fn copies(&self) -> impl Iterator<Item = &str> {
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
        paths.chain(census).chain(self.guard.copies())
    }

    /// Saved paths at which something stands or stood.
    fn saved_files(&self) -> impl Iterator<Item = &Path> {
        let is_file = |saved: &&TouchedPath| saved.before != BeforeState::Absent;
        let files = self.paths.iter().filter(is_file);
        files.map(|saved| saved.path.as_path())
    }

    /// Folders that are not looked into.
    fn apart(&self) -> HashSet<&OsStr> {
        self.left_alone
            .iter()
            .map(|path| path.as_os_str())
            .collect()
    }

    /// Paths that were looked at, or left out on purpose, when this was saved; without the census.
    fn known(&self) -> HashSet<&OsStr> {
        let saved = self.paths.iter().map(|touched| touched.path.as_os_str());
        saved
            .chain(self.left_alone.iter().map(|path| path.as_os_str()))
            .collect()
    }

    /// Brings the tree back, as far as it can: a path that fails does not keep the others from being restored.
    /// Doing it twice is doing it once.
    pub fn restore(
        &self,
        repo: &Repo,
        aside: &Path,
        moment: Moment,
    ) -> Result<Restored, IntegrateError> {
        let root = open_root(repo)?;
        let mut work = Restore {
            saved: self,
            repo,
            root: &root,
            aside,
            moment,
            restored: Restored::default(),
            failures: Vec::new(),
        };
        // First what git itself needs to say anything.
        work.mend();
        fault::integrator_point();
        work.bring_back_folders();
        work.bring_back_saved();
        work.bring_back_counted();
        work.clear_unlisted();
        work.clear_new();
        work.clear_folders();
        if moment == Moment::Validated {
            work.restored.kept.extend(self.changed_repositories(repo));
        }
        work.end()
    }

    /// After a validation that passed: the plan and the learnings are put back where it damaged them. Gives their names.
    pub fn mend_stores(&self, repo: &Repo, aside: &Path) -> Result<Vec<PathBuf>, IntegrateError> {
        let Mended {
            restored, failures, ..
        } = self.guard.mend_stores(repo, &self.store, aside);
        match failures.is_empty() {
            true => Ok(restored
                .into_iter()
                .map(|path| relative(repo, path))
                .collect()),
            false => Err(self.not_restored(failures)),
        }
    }

    fn not_restored(&self, failures: Vec<String>) -> IntegrateError {
        IntegrateError::Restore {
            run_folder: crate::platform::parent(self.store.folder()).to_owned(),
            failures,
        }
    }

    /// Paths outside of the patch that are not as they were: what a validation did beside its work.
    pub fn differing(&self, repo: &Repo) -> Result<Vec<PathBuf>, IntegrateError> {
        let root = open_root(repo)?;
        let mut differing = Vec::new();
        for touched in &self.paths {
            let is_as_before = || {
                let now = state_of(&root, &touched.path);
                now.is_ok_and(|now| now.as_ref() == Some(&touched.before))
            };
            if !self.patched.contains(&touched.path) && !is_as_before() {
                differing.push(touched.path.clone());
            }
        }
        let seen = self
            .look_again(&root)
            .map_err(IntegrateError::io(repo.root()))?;
        for (known, stamp) in self.census.files.iter().zip(&seen.stamps) {
            if self.standing(&root, known, stamp.as_ref()) != Standing::AsBefore {
                differing.push(known.path.clone());
            }
        }
        differing.extend(seen.unlisted.difference(&self.unlisted).cloned());
        differing.extend(self.new_paths(repo, &root)?);
        differing.extend(self.changed_repositories(repo));
        let guarded = self.guard.differing(repo).into_iter();
        differing.extend(guarded.map(|path| relative(repo, path)));
        differing.sort();
        differing.dedup();
        Ok(differing)
    }

    fn look_again(&self, root: &Beneath) -> io::Result<Seen> {
        let files = self.census.files.iter();
        let mut paths: Vec<&Path> = files.map(|known| known.path.as_path()).collect();
        paths.extend(self.saved_files());
        look(root, &paths, &self.apart())
    }

    /// What has become of a file of the census. One that can't be read counts as changed.
    fn standing(&self, root: &Beneath, known: &Known, now: Option<&Stamp>) -> Standing {
        let Some(now) = now else {
            return Standing::Gone;
        };
        if *now == known.stamp {
            return Standing::AsBefore;
        }
        let is_same = known.content.is_at(root, &known.path, now).unwrap_or(false);
        let is_link = matches!(known.content, Content::Link(_));
        match is_same {
            true if is_link || now.permissions() == known.stamp.permissions() => Standing::AsBefore,
            true => Standing::OtherMode,
            false => Standing::Other,
        }
    }

    /// Untracked paths that were not there. Of a folder that became a repository, only that which makes it one.
    fn new_paths(&self, repo: &Repo, root: &Beneath) -> Result<Vec<PathBuf>, IntegrateError> {
        let mut known = self.known();
        known.extend(self.census.files.iter().map(|known| known.path.as_os_str()));
        let outputs = own_outputs();
        let mut new = Vec::new();
        for path in repo.untracked()? {
            let is_within = || {
                path.ancestors()
                    .any(|above| self.repositories.contains_key(above))
            };
            let is_output = || {
                let stamp = stamp_of(root, &path).ok().flatten();
                stamp.is_some_and(|stamp| outputs.contains(&stamp.identity()))
            };
            if known.contains(path.as_os_str()) || is_within() || is_output() {
                continue;
            }
            let is_folder_of_old = self.census.folders.contains_key(path.as_os_str())
                && state_of(root, &path.join(".git"))
                    .is_ok_and(|state| state != Some(BeforeState::Absent));
            new.push(match is_folder_of_old {
                true => path.join(".git"),
                false => path,
            });
        }
        Ok(new)
    }

    /// What changed in repositories within the tree; of one that can't be asked any more, its folder.
    fn changed_repositories(&self, repo: &Repo) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, before) in &self.repositories {
            let Some(before) = before else { continue };
            let within = Repo::find(&repo.root().join(path)).ok();
            let own = within.filter(|within| within.root() != repo.root());
            match own.and_then(|own| Fingerprint::take(&own, &[]).ok()) {
                None => changed.push(path.clone()),
                Some(now) => {
                    let differences = before.differences(&now).into_iter();
                    changed.extend(differences.map(|inner| path.join(inner)));
                }
            }
        }
        changed
    }

    /// Writes what stood at every path that is not as it was into `folder`, for a person. Gives the paths.
    pub fn lay_out(&self, repo: &Repo, folder: &Path) -> Result<Vec<PathBuf>, IntegrateError> {
        let root = open_root(repo)?;
        let mut wanted = Vec::new();
        for touched in &self.paths {
            if state_of(&root, &touched.path).ok().flatten().as_ref() != Some(&touched.before) {
                let content = match &touched.before {
                    BeforeState::File { sha256, .. } => Content::Copy(sha256.clone()),
                    BeforeState::Link { target } => Content::Link(target.clone()),
                    BeforeState::Absent => continue,
                };
                wanted.push((touched.path.clone(), content));
            }
        }
        let seen = self
            .look_again(&root)
            .map_err(IntegrateError::io(repo.root()))?;
        for (known, stamp) in self.census.files.iter().zip(&seen.stamps) {
            if [Standing::Gone, Standing::Other].contains(&self.standing(
                &root,
                known,
                stamp.as_ref(),
            )) {
                wanted.push((known.path.clone(), known.content.clone()));
            }
        }
        let mut laid_out = Vec::new();
        for (path, content) in wanted {
            let to = folder.join(&path);
            crate::platform::make_folders(crate::platform::parent(&to))
                .map_err(IntegrateError::io(&to))?;
            let bytes = match content {
                Content::Copy(name) => self.store.get(&name).ok(),
                Content::Object(id) => self.object(repo, &id),
                Content::Link(target) => Some(target.into_os_string().into_encoded_bytes()),
            };
            if let Some(bytes) = bytes {
                crate::platform::private::write(&to, &bytes).map_err(IntegrateError::io(&to))?;
                laid_out.push(path);
            }
        }
        Ok(laid_out)
    }

    fn object(&self, repo: &Repo, id: &str) -> Option<Vec<u8>> {
        let content = repo.objects(&[id]).ok()?.pop()??;
        (object_id(&content, id) == id).then_some(content)
    }
}

/// What has become of a file of the census.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    AsBefore,
    /// The same content with other permission bits.
    OtherMode,
    /// Something else stands there.
    Other,
    /// Nothing does.
    Gone,
}

/// A restore under way.
struct Restore<'r> {
    saved: &'r Saved,
    repo: &'r Repo,
    root: &'r Beneath,
    aside: &'r Path,
    moment: Moment,
    restored: Restored,
    failures: Vec<String>,
}

impl Restore<'_> {
    fn mend(&mut self) {
        let Saved { guard, store, .. } = self.saved;
        let mended = guard.mend(self.repo, store, self.aside, self.moment);
        let name = |path| relative(self.repo, path);
        self.restored
            .moved_aside
            .extend(mended.restored.into_iter().map(name));
        self.restored.kept.extend(mended.kept.into_iter().map(name));
        self.failures.extend(mended.failures);
    }

    /// Folders as they were, also empty ones, so that everything in them can be looked at. After a kill they come with the
    /// files in them: a person may have removed others since.
    fn bring_back_folders(&mut self) {
        if self.moment == Moment::Killed {
            return;
        }
        for (path, mode) in &self.saved.census.folders {
            let path = Path::new(path);
            if let Err(error) = self.bring_back_folder(path, *mode) {
                self.failed(path, &error);
            }
        }
    }

    fn bring_back_folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let now = stamp_of(self.root, path)?;
        let is_folder = now.is_some_and(|now| now.kind() == FileType::Directory);
        if !is_folder {
            if now.is_some() && put_aside(self.root, path, self.aside)? {
                self.restored.moved_aside.push(path.to_owned());
            }
            self.root.make_folder(path)?;
        }
        let now = stamp_of(self.root, path)?;
        match now.is_some_and(|now| now.permissions() == mode) {
            true => Ok(()),
            false => self.root.set_mode(path, mode),
        }
    }

    fn bring_back_saved(&mut self) {
        let Saved {
            paths,
            patched,
            store,
            ..
        } = self.saved;
        for TouchedPath { path, before } in paths {
            let is_foreign = self.moment == Moment::Killed && !patched.contains(path);
            if is_foreign && self.must_stay(path, before) {
                continue;
            }
            let put = put_back(self.root, path, before, store, self.aside);
            fault::integrator_point();
            match put {
                Ok(true) => self.restored.overwritten.push(path.clone()),
                Ok(false) => {}
                Err(error) => self.failed(path, &error),
            }
        }
    }

    /// After a kill: what stands at a path outside the patch stays, and is named when it differs. A path where nothing
    /// stands any more is not one of those; bringing it back loses nothing.
    fn must_stay(&mut self, path: &Path, before: &BeforeState) -> bool {
        let now = state_of(self.root, path).unwrap_or_default();
        if now == Some(BeforeState::Absent) {
            return *before == BeforeState::Absent;
        }
        if now.as_ref() != Some(before) {
            self.restored.kept.push(path.to_owned());
        }
        true
    }

    /// Clean tracked files. Those whose content is in git are asked for together.
    fn bring_back_counted(&mut self) {
        let seen = match self.saved.look_again(self.root) {
            Ok(seen) => seen,
            Err(error) => return self.failed(self.repo.root(), &error),
        };
        let mut from_git: Vec<&Known> = Vec::new();
        let mut bytes = 0;
        for (known, stamp) in self.saved.census.files.iter().zip(&seen.stamps) {
            let standing = self.saved.standing(self.root, known, stamp.as_ref());
            match (standing, self.moment) {
                (Standing::AsBefore, _) => {}
                (Standing::OtherMode | Standing::Other, Moment::Killed) => {
                    self.restored.kept.push(known.path.clone());
                }
                (Standing::OtherMode, Moment::Validated) => {
                    let mode = known.stamp.permissions();
                    if let Err(error) = self.root.set_mode(&known.path, mode) {
                        self.failed(&known.path, &error);
                    }
                }
                (Standing::Other | Standing::Gone, _) => match &known.content {
                    Content::Object(_) => {
                        bytes += known.stamp.size();
                        from_git.push(known);
                        if bytes > OBJECT_BYTES_MAX {
                            self.bring_from_git(&std::mem::take(&mut from_git));
                            bytes = 0;
                        }
                    }
                    Content::Copy(name) => self.bring(known, &self.saved.store.get(name)),
                    Content::Link(target) => {
                        let before = BeforeState::Link {
                            target: target.clone(),
                        };
                        let put = put_back(
                            self.root,
                            &known.path,
                            &before,
                            &self.saved.store,
                            self.aside,
                        );
                        self.count_in(known, put);
                    }
                },
            }
        }
        self.bring_from_git(&from_git);
    }

    fn bring_from_git(&mut self, files: &[&Known]) {
        if files.is_empty() {
            return;
        }
        let id = |known: &&Known| match &known.content {
            Content::Object(id) => id.clone(),
            _ => String::new(),
        };
        let ids: Vec<String> = files.iter().map(id).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let objects = match self.repo.objects(&ids) {
            Ok(objects) => objects,
            Err(error) => {
                let names = files.iter().map(|known| known.path.display().to_string());
                let failures = names.map(|name| format!("{name}: {error}"));
                return self.failures.extend(failures.collect::<Vec<_>>());
            }
        };
        for ((known, id), object) in files.iter().zip(ids).zip(objects) {
            let sound = object.filter(|content| object_id(content, id) == id);
            let missing =
                || io::Error::other(format!("git does not have its content {id} any more"));
            self.bring(known, &sound.ok_or_else(missing));
        }
    }

    fn bring(&mut self, known: &Known, content: &io::Result<Vec<u8>>) {
        let mode = known.stamp.permissions();
        let put = match content {
            Ok(content) => put_file(self.root, &known.path, content, mode, self.aside),
            Err(error) => Err(io::Error::other(error.to_string())),
        };
        self.count_in(known, put);
    }

    fn count_in(&mut self, known: &Known, put: io::Result<bool>) {
        fault::integrator_point();
        match put {
            Ok(true) => self.restored.moved_aside.push(known.path.clone()),
            Ok(false) => {}
            Err(error) => self.failed(&known.path, &error),
        }
    }

    /// What git does not list, or what may keep it from listing others.
    fn clear_unlisted(&mut self) {
        if self.moment == Moment::Killed {
            return;
        }
        let Ok(seen) = self.saved.look_again(self.root) else {
            return;
        };
        for path in seen.unlisted.difference(&self.saved.unlisted) {
            match put_aside(self.root, path, self.aside) {
                Ok(_) => self.restored.moved_aside.push(path.clone()),
                Err(error) => self.failed(path, &error),
            }
        }
    }

    /// The part of a new path that can be moved: of one that is longer than the system takes, the first folder that is new.
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

    /// What validation made: it goes aside, with folders that hold nothing else.
    fn clear_new(&mut self) {
        let new = match self.saved.new_paths(self.repo, self.root) {
            Ok(new) => new,
            Err(error) => return self.failures.push(error.to_string()),
        };
        for path in new {
            let path = self.movable(&path).to_owned();
            let moved = put_aside(self.root, &path, self.aside);
            fault::integrator_point();
            match moved {
                Ok(true) => self.restored.moved_aside.push(path.clone()),
                Ok(false) => {}
                Err(error) => self.failed(&path, &error),
            }
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

    /// Folders that hold nothing and were not there.
    fn clear_folders(&mut self) {
        if self.moment == Moment::Validated
            && let Ok(seen) = self.saved.look_again(self.root)
        {
            for path in seen.git_folders.difference(&self.saved.git_folders) {
                match put_aside(self.root, path, self.aside) {
                    Ok(_) => self.restored.moved_aside.push(path.clone()),
                    Err(error) => self.failed(path, &error),
                }
            }
            let old = &self.saved.census.folders;
            let new = seen
                .folders
                .keys()
                .filter(|folder| !old.contains_key(*folder));
            for folder in new.rev() {
                // Fails where something git does not see stands in it.
                let _ = self.root.remove_folder(Path::new(folder));
            }
        }
        for folder in self.saved.new_folders.iter().rev() {
            // Fails when something else was put there in the meantime; then it stays.
            let _ = self.root.remove_folder(folder);
        }
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        self.failures.push(format!("{}: {error}", path.display()));
    }

    fn end(mut self) -> Result<Restored, IntegrateError> {
        if !self.failures.is_empty() && self.repo.git_dir().is_err() {
            let git = ".git: git finds no repository here any more; its history is not kept elsewhere, so bring it back from a copy or a clone first";
            self.failures.insert(0, git.to_owned());
        }
        self.restored.moved_aside.sort();
        self.restored.moved_aside.dedup();
        match self.failures.is_empty() {
            true => Ok(self.restored),
            false => Err(self.saved.not_restored(self.failures)),
        }
    }
}

/// A name for people: from the root where it is below it.
fn relative(repo: &Repo, path: PathBuf) -> PathBuf {
    match path.strip_prefix(repo.root()) {
        Ok(below) => below.to_owned(),
        Err(_) => path,
    }
}

/// Folders on the way to `touched` that do not exist, outermost first.
fn missing_folders(root: &Beneath, touched: &BTreeSet<String>) -> io::Result<Vec<PathBuf>> {
    let folders: BTreeSet<&Path> = touched
        .iter()
        .flat_map(|path| Path::new(path).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    let mut missing = Vec::new();
    for folder in folders {
        match root.folder(folder) {
            Ok(_) => {}
            Err(error) if is_absent(&error) => missing.push(folder.to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
