//! The before-state of an integration: saved before the first byte changes, restored byte for byte.
//!
//! Saved are the paths of the patch and everything that git calls changed or untracked; clean tracked files are
//! in git already. What was not there before is moved into the run's folder, never deleted, and whatever a
//! restore overwrites is copied there first: after a kill it may hold an edit that a person made since.

use super::IntegrateError;
use crate::fault;
use crate::git::Repo;
use crate::learnings;
use crate::model::{BeforeState, IntegrationStarted, TouchedPath};
use crate::private;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Untracked files are copied up to this many bytes in all; what is beyond is left alone and only watched by name.
const UNTRACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What stood in the tree, with copies of the contents. The plan file and the learnings are nobody's but their stores'.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Paths with their states.
    pub paths: Vec<TouchedPath>,
    /// Those of them that the patch touches.
    pub patched: BTreeSet<PathBuf>,
    /// Folders that were not there, outermost first.
    pub new_folders: Vec<PathBuf>,
    /// Changed paths that are neither saved nor restored: the plan file, submodules, what is too large.
    pub left_alone: Vec<PathBuf>,
    copies: PathBuf,
}

/// When a restore happens, which decides what it may take for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after the validation: whatever differs was changed by it.
    Validated,
    /// Some time after a kill: a file outside the patch may differ because a person edited it since, so it stays.
    Killed,
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
    /// Saves what stands at `touched` and at every changed path; the copies are durable when this returns.
    pub fn take(
        repo: &Repo,
        touched: &BTreeSet<String>,
        plan_file: &Path,
        copies: &Path,
    ) -> Result<Self, IntegrateError> {
        private::make_folders(copies).map_err(IntegrateError::io(copies))?;
        let plan_file = plan_file.strip_prefix(repo.root()).unwrap_or(plan_file);
        let mut saved = Self {
            paths: Vec::new(),
            patched: touched.iter().map(PathBuf::from).collect(),
            new_folders: missing_folders(repo.root(), touched),
            left_alone: vec![plan_file.to_owned(), learnings::FILE_NAME.into()],
            copies: copies.to_owned(),
        };
        let mut room = UNTRACKED_BYTES_MAX;
        let mut wanted = saved.patched.clone();
        for change in repo.changes()? {
            let size = std::fs::symlink_metadata(repo.root().join(&change.path));
            let size = size.map_or(0, |meta| meta.len());
            let is_other = saved.left_alone[..2].contains(&change.path);
            if is_other || (change.untracked && size > room) {
                if !is_other {
                    saved.left_alone.push(change.path);
                }
                continue;
            }
            room -= if change.untracked { size } else { 0 };
            wanted.insert(change.path);
        }
        for path in wanted {
            let state =
                save(&repo.root().join(&path), copies).map_err(IntegrateError::io(&path))?;
            match state {
                Some(before) => saved.paths.push(TouchedPath { path, before }),
                None => saved.left_alone.push(path),
            }
        }
        // With the names of the folders themselves: that of the unit may be as new as this one.
        for folder in copies.ancestors().take(3) {
            crate::durable::sync_folder(folder).map_err(IntegrateError::io(folder))?;
        }
        Ok(saved)
    }

    /// What an earlier process saved.
    pub fn of(started: &IntegrationStarted, copies: &Path) -> Self {
        Self {
            paths: started.paths.clone(),
            patched: started.patched.iter().cloned().collect(),
            new_folders: started.new_folders.clone(),
            left_alone: started.left_alone.clone(),
            copies: copies.to_owned(),
        }
    }

    /// Brings the tree back, as far as it can: a path that fails does not keep the others from being restored.
    /// Doing it twice is doing it once.
    pub fn restore(
        &self,
        repo: &Repo,
        aside: &Path,
        moment: Moment,
    ) -> Result<Restored, IntegrateError> {
        let mut restored = Restored::default();
        let mut failures = Vec::new();
        for touched in &self.paths {
            let is_foreign = moment == Moment::Killed && !self.patched.contains(&touched.path);
            if is_foreign && self.must_stay(repo.root(), touched, &mut restored) {
                continue;
            }
            let restored_path = self.restore_path(repo.root(), touched, aside);
            fault::integrator_point();
            match restored_path {
                Ok(true) => restored.overwritten.push(touched.path.clone()),
                Ok(false) => {}
                Err(error) => failures.push(format!("{}: {error}", touched.path.display())),
            }
        }
        let cleaned = self.clean_up(repo, aside, moment, &mut restored, &mut failures);
        for folder in self.new_folders.iter().rev() {
            // Fails when something else was put there in the meantime; then it stays.
            let _ = std::fs::remove_dir(repo.root().join(folder));
        }
        cleaned?;
        match failures.is_empty() {
            true => Ok(restored),
            false => Err(IntegrateError::Restore { failures }),
        }
    }

    /// Paths outside of the patch that are not as they were: what a validation did beside its work.
    pub fn differing(&self, repo: &Repo) -> Result<Vec<PathBuf>, IntegrateError> {
        let mut differing = Vec::new();
        for touched in &self.paths {
            let is_as_before = || {
                let now = state_of(&repo.root().join(&touched.path));
                now.is_ok_and(|now| now.as_ref() == Some(&touched.before))
            };
            if !self.patched.contains(&touched.path) && !is_as_before() {
                differing.push(touched.path.clone());
            }
        }
        let known = self.known();
        let changes = repo.changes()?.into_iter().map(|change| change.path);
        let new = changes.filter(|path| !known.contains(path.as_path()));
        differing.extend(new);
        differing.sort();
        Ok(differing)
    }

    /// Paths that were looked at, or left out on purpose, when this was saved.
    fn known(&self) -> BTreeSet<&Path> {
        let saved = self.paths.iter().map(|touched| touched.path.as_path());
        saved
            .chain(self.left_alone.iter().map(PathBuf::as_path))
            .collect()
    }

    /// After a kill: what stands at a path outside the patch stays, and is named when it differs. A path where nothing
    /// stands any more is not one of those; bringing it back loses nothing.
    fn must_stay(&self, root: &Path, touched: &TouchedPath, restored: &mut Restored) -> bool {
        let now = state_of(&root.join(&touched.path)).unwrap_or_default();
        if now == Some(BeforeState::Absent) {
            return touched.before == BeforeState::Absent;
        }
        if now.as_ref() != Some(&touched.before) {
            restored.kept.push(touched.path.clone());
        }
        true
    }

    /// `true` when something else stood there; it is aside now. A file is replaced in one step, so a kill in between
    /// leaves one or the other, never nothing.
    fn restore_path(&self, root: &Path, touched: &TouchedPath, aside: &Path) -> io::Result<bool> {
        let path = root.join(&touched.path);
        if state_of(&path)?.as_ref() == Some(&touched.before) {
            return Ok(false);
        }
        let is_replaced = matches!(touched.before, BeforeState::File { .. })
            && std::fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir());
        let was_there = match is_replaced {
            true => copy_aside(root, &touched.path, aside)?,
            false => move_aside(root, &touched.path, aside)?,
        };
        fault::integrator_point();
        match &touched.before {
            BeforeState::Absent => {}
            BeforeState::Link { target } => {
                make_room(root, &touched.path, aside)?;
                symlink(target, &path)?;
            }
            BeforeState::File { mode, sha256 } => {
                let content = std::fs::read(self.copies.join(sha256))?;
                make_room(root, &touched.path, aside)?;
                crate::durable::write(&path, &content)?;
                fault::integrator_point();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode))?;
            }
        }
        Ok(was_there)
    }

    /// What validation changed beyond the patch: new files go aside; clean tracked files come back from git, with
    /// what stood there going aside as well.
    fn clean_up(
        &self,
        repo: &Repo,
        aside: &Path,
        moment: Moment,
        restored: &mut Restored,
        failures: &mut Vec<String>,
    ) -> Result<(), IntegrateError> {
        let known = self.known();
        let mut from_git = Vec::new();
        for change in repo.changes()? {
            if known.contains(change.path.as_path()) {
                continue;
            }
            let is_there = std::fs::symlink_metadata(repo.root().join(&change.path)).is_ok();
            if moment == Moment::Killed && !change.untracked && is_there {
                restored.kept.push(change.path);
                continue;
            }
            let moved = move_aside(repo.root(), &change.path, aside);
            fault::integrator_point();
            match moved {
                Ok(_) if change.untracked => remove_empty_folders(repo.root(), &change.path),
                Ok(_) => from_git.push(change.path.clone()),
                Err(error) => failures.push(format!("{}: {error}", change.path.display())),
            }
            if is_there {
                restored.moved_aside.push(change.path);
            }
        }
        repo.restore(&from_git)?;
        fault::integrator_point();
        Ok(())
    }
}

/// The state of `path`, and a copy of its content under its digest; `None` for what is neither file nor link.
fn save(path: &Path, copies: &Path) -> io::Result<Option<BeforeState>> {
    let state = state_of(path)?;
    if let Some(BeforeState::File { sha256, .. }) = &state {
        crate::durable::write_private(&copies.join(sha256), &std::fs::read(path)?)?;
    }
    Ok(state)
}

fn state_of(path: &Path) -> io::Result<Option<BeforeState>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(Some(BeforeState::Absent)),
        Err(error) => return Err(error),
    };
    if metadata.is_symlink() {
        let target = std::fs::read_link(path)?;
        return Ok(Some(BeforeState::Link { target }));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let digest = Sha256::digest(std::fs::read(path)?);
    Ok(Some(BeforeState::File {
        mode: metadata.permissions().mode() & 0o7777,
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Moves whatever stands at `path` into `aside`; `false` when nothing did.
fn move_aside(root: &Path, path: &Path, aside: &Path) -> io::Result<bool> {
    let from = root.join(path);
    match std::fs::symlink_metadata(&from) {
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let to = free_name(&aside.join(path));
    private::make_folders(crate::durable::parent(&to))?;
    match std::fs::rename(&from, &to) {
        // The run's folder is often on another file system.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_all(&from, &to)?;
            match std::fs::symlink_metadata(&from)?.is_dir() {
                true => std::fs::remove_dir_all(&from)?,
                false => std::fs::remove_file(&from)?,
            }
        }
        other => other?,
    }
    private::close(&to)?;
    Ok(true)
}

/// Copies the file or link at `path` into `aside`; what stands in the tree is not touched.
fn copy_aside(root: &Path, path: &Path, aside: &Path) -> io::Result<bool> {
    let to = free_name(&aside.join(path));
    private::make_folders(crate::durable::parent(&to))?;
    copy_all(&root.join(path), &to)?;
    Ok(true)
}

/// `path`, or the first of `path.1`, `path.2`, … that is free: nothing put aside earlier is overwritten.
fn free_name(path: &Path) -> PathBuf {
    let plain = path.components().collect::<PathBuf>();
    let is_free = |candidate: &PathBuf| std::fs::symlink_metadata(candidate).is_err();
    let numbered = (1..).map(|number| PathBuf::from(format!("{}.{number}", plain.display())));
    std::iter::once(plain.clone())
        .chain(numbered)
        .find(is_free)
        .unwrap_or(plain)
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    let kind = std::fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return symlink(std::fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return private::copy(from, to);
    }
    private::make_folders(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Moves aside whatever stands in the way of the folders above `path`, and makes them.
fn make_room(root: &Path, path: &Path, aside: &Path) -> io::Result<()> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    for folder in above
        .into_iter()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let there = std::fs::symlink_metadata(root.join(folder));
        if there.is_ok_and(|meta| !meta.is_dir()) {
            move_aside(root, folder, aside)?;
        }
    }
    std::fs::create_dir_all(crate::durable::parent(&root.join(path)))
}

/// Folders that validation made for a file that is aside now. Git keeps no empty folders, so none is missed.
fn remove_empty_folders(root: &Path, path: &Path) {
    for folder in path
        .ancestors()
        .skip(1)
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        if std::fs::remove_dir(root.join(folder)).is_err() {
            return;
        }
    }
}

/// Folders on the way to `touched` that do not exist, outermost first.
fn missing_folders(root: &Path, touched: &BTreeSet<String>) -> Vec<PathBuf> {
    let folders: BTreeSet<PathBuf> = touched
        .iter()
        .flat_map(|path| Path::new(path).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty() && !root.join(folder).exists())
        .map(Path::to_owned)
        .collect();
    folders.into_iter().collect()
}
