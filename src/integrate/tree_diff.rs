//! The difference between the tree and a saved state: paths that changed, and paths that are new.

use super::census::{CensusFile, Content};
use super::content_store::object_id;
use super::error::IntegrateError;
use super::outputs::OwnOutputs;
use super::saved_tree::{SavedTree, fingerprint_nested};
use super::scan::{Scan, Stamp, scan};
use super::state::{open_root, read_stamp, read_state};
use crate::model::{BeforeState, one_line};
use crate::platform::root_dir::RootDir;
use crate::platform::{Change, Repo, look};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The change of a file of the census.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileChange {
    Unchanged,
    /// The same content with other permission bits.
    OtherMode,
    /// Other content, or another kind of file.
    Other,
    /// Nothing exists at the path.
    Gone,
}

impl SavedTree {
    /// Paths outside of the patch that differ from the saved state: the side effects of a validation. `repo` remembers the
    /// changes of the tree.
    pub fn differing_paths(&self, repo: &Repo) -> Result<Vec<PathBuf>, IntegrateError> {
        let root = open_root(repo)?;
        let Some(before) = &self.look else {
            return Ok(Vec::new());
        };
        let failed = || IntegrateError::io(repo.root());
        let now = self.memory.look_again(repo, before)?;
        let mut differing = Vec::new();
        for touched in &self.paths {
            let is_unchanged = || {
                let now = self.memory.states.read(&root, &touched.path);
                let now = look::reachable(now).map_err(failed())?.flatten();
                Ok::<_, IntegrateError>(now.as_ref() == Some(&touched.before))
            };
            if !self.patched.contains(&touched.path)
                && before.is_same(&now, &touched.path) != Some(true)
                && !is_unchanged()?
            {
                differing.push(touched.path.clone());
            }
        }
        for known in &self.census.files {
            let stamp = now.stamp(&known.path).flatten();
            let change = self.change_of(&root, known, stamp.as_ref());
            if change.map_err(failed())? != FileChange::Unchanged {
                differing.push(known.path.clone());
            }
        }
        differing.extend(now.unlisted.difference(&self.unlisted).cloned());
        let new = self.new_paths(&root, untracked(&now.changes));
        differing.extend(new.map_err(failed())?);
        differing.extend(self.changed_repositories(repo)?);
        let guarded = self.guard.differing(repo)?.into_iter();
        differing.extend(guarded.map(|path| relative(repo, path)));
        differing.sort();
        differing.dedup();
        Ok(differing)
    }

    /// Scans the tree again.
    pub(super) fn rescan(&self, root: &RootDir) -> io::Result<Scan> {
        let files = self.census.files.iter();
        let mut paths: Vec<&Path> = files.map(|known| known.path.as_path()).collect();
        paths.extend(self.saved_files());
        scan(root, &paths, &self.excluded_folders())
    }

    /// How a file of the census changed. A file that can't be read counts as changed, unless the machine is at fault.
    pub(super) fn change_of(
        &self,
        root: &RootDir,
        known: &CensusFile,
        now: Option<&Stamp>,
    ) -> io::Result<FileChange> {
        let Some(now) = now else {
            return Ok(FileChange::Gone);
        };
        if *now == known.stamp {
            return Ok(FileChange::Unchanged);
        }
        let is_same = look::reachable(known.content.is_at(root, &known.path, now))?;
        let is_link = matches!(known.content, Content::Link(_));
        Ok(match is_same.unwrap_or(false) {
            true if is_link || now.permissions() == known.stamp.permissions() => {
                FileChange::Unchanged
            }
            true => FileChange::OtherMode,
            false => FileChange::Other,
        })
    }

    /// Those of the untracked paths that did not exist. If a folder became a repository, only its `.git` is new.
    pub(super) fn new_paths(
        &self,
        root: &RootDir,
        untracked: BTreeSet<PathBuf>,
    ) -> io::Result<Vec<PathBuf>> {
        let mut known = self.known_paths();
        known.extend(self.census.files.iter().map(|known| known.path.as_os_str()));
        let mut outputs = OwnOutputs::default();
        let mut new = Vec::new();
        for path in untracked {
            let is_nested = || {
                path.ancestors()
                    .any(|above| self.repositories.contains_key(above))
            };
            if known.contains(path.as_os_str()) || is_nested() {
                continue;
            }
            let stamp = look::reachable(read_stamp(root, &path))?.flatten();
            if let Some(stamp) = stamp
                && outputs.contain(stamp.identity())?
            {
                continue;
            }
            let git = path.join(".git");
            let is_known_folder = self.census.folders.contains_key(path.as_os_str())
                && look::reachable(read_state(root, &git))?
                    .is_some_and(|state| state != Some(BeforeState::Absent));
            new.push(match is_known_folder {
                true => git,
                false => path,
            });
        }
        Ok(new)
    }

    /// Paths that changed in nested repositories, or the folder of one that git can no longer read.
    pub(super) fn changed_repositories(&self, repo: &Repo) -> Result<Vec<PathBuf>, IntegrateError> {
        let mut changed = Vec::new();
        for (path, before) in &self.repositories {
            let Some(before) = before else { continue };
            match fingerprint_nested(repo, path)? {
                None => changed.push(path.clone()),
                Some(now) => {
                    let differences = before.differences(&now).into_iter();
                    changed.extend(differences.map(|inner| path.join(inner)));
                }
            }
        }
        Ok(changed)
    }

    /// Writes the saved content of every path that differs to `folder`, for the user. One whose content can't be had does not keep the others
    /// from being written: this is what is left when nothing else helps.
    pub fn export_differing(&self, repo: &Repo, folder: &Path) -> Result<Exported, IntegrateError> {
        let failed = || IntegrateError::io(repo.root());
        let root = open_root(repo)?;
        let mut wanted = Vec::new();
        for touched in &self.paths {
            // What can't be looked at counts as changed.
            if read_state(&root, &touched.path).ok().flatten().as_ref() != Some(&touched.before) {
                let content = match &touched.before {
                    BeforeState::File { sha256, .. } => Content::Copy(sha256.clone()),
                    BeforeState::Link { target } => Content::Link(target.clone()),
                    BeforeState::Absent => continue,
                };
                wanted.push((touched.path.clone(), content));
            }
        }
        let scanned = self.rescan(&root).map_err(failed())?;
        for (known, stamp) in self.census.files.iter().zip(&scanned.stamps) {
            let change = self.change_of(&root, known, stamp.as_ref());
            if matches!(
                change.unwrap_or(FileChange::Other),
                FileChange::Gone | FileChange::Other
            ) {
                wanted.push((known.path.clone(), known.content.clone()));
            }
        }
        let mut exported = Exported::default();
        for (path, content) in wanted {
            let to = folder.join(&path);
            crate::platform::make_folders(crate::platform::parent(&to))
                .map_err(IntegrateError::io(&to))?;
            let bytes = match content {
                Content::Copy(name) => self.store.get(&name).ok(),
                Content::Object(id) => self
                    .object(repo, &id)
                    .or_else(|| self.workspace_copy(&path, &id)),
                Content::Link(target) => Some(target.into_os_string().into_encoded_bytes()),
            };
            match bytes {
                Some(bytes) => {
                    crate::platform::private::write(&to, &bytes)
                        .map_err(IntegrateError::io(&to))?;
                }
                None => exported.without_copy.push(path.clone()),
            }
            exported.paths.push(path);
        }
        Ok(exported)
    }

    /// The content of `path` in a copy of the tree that the run made for its workers or for trying patches, if it is that
    /// of the object `id`.
    pub(super) fn workspace_copy(&self, path: &Path, id: &str) -> Option<Vec<u8>> {
        let run_folder = crate::platform::parent(self.store.folder());
        let snapshots = std::fs::read_dir(run_folder.join("snapshot"));
        let snapshots = snapshots.into_iter().flatten().flatten();
        let copies = snapshots
            .map(|entry| entry.path())
            .chain([run_folder.join("trial")]);
        copies.into_iter().find_map(|copy| {
            let content = RootDir::open(&copy).and_then(|root| root.read(path)).ok()?;
            (object_id(&content, id) == id).then_some(content)
        })
    }

    fn object(&self, repo: &Repo, id: &str) -> Option<Vec<u8>> {
        let content = repo.objects(&[id]).ok()?.pop()??;
        (object_id(&content, id) == id).then_some(content)
    }
}

/// The paths that differ from the saved state.
#[derive(Debug, Default)]
pub(super) struct Exported {
    pub paths: Vec<PathBuf>,
    /// Those of them whose saved content could not be had.
    without_copy: Vec<PathBuf>,
}

impl Exported {
    /// What a sentence about the copies ends with.
    pub fn exception(&self) -> String {
        let names = self.without_copy.iter();
        let names: Vec<String> = names
            .map(|path| one_line(&path.to_string_lossy()))
            .collect();
        match names.is_empty() {
            true => String::new(),
            false => format!(", but for {}, which can't be read", names.join(", ")),
        }
    }
}

/// The untracked paths among `changes`.
fn untracked(changes: &[Change]) -> BTreeSet<PathBuf> {
    let untracked = changes.iter().filter(|change| change.untracked);
    untracked.map(|change| change.path.clone()).collect()
}

/// `path` as messages show it: relative to the root if it is below it.
pub(super) fn relative(repo: &Repo, path: PathBuf) -> PathBuf {
    match path.strip_prefix(repo.root()) {
        Ok(relative) => relative.to_owned(),
        Err(_) => path,
    }
}
