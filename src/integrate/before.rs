//! The before-state of an integration: saved before the first byte changes, restored byte for byte.
//!
//! Saved are the paths of the patch and every tracked file with uncommitted changes; clean tracked files are
//! in git already. Untracked files that were not there before are moved into the run's folder, never deleted.

use super::IntegrateError;
use crate::git::Repo;
use crate::model::{BeforeState, IntegrationStarted, TouchedPath};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What stood in the tree, with copies of the contents.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Paths with their states.
    pub paths: Vec<TouchedPath>,
    /// Folders that were not there, outermost first.
    pub new_folders: Vec<PathBuf>,
    /// Untracked files that were there.
    pub untracked: Vec<PathBuf>,
    copies: PathBuf,
}

impl Saved {
    /// Saves what stands at `touched` and at every modified tracked path; the copies are durable when this returns.
    pub fn take(
        repo: &Repo,
        touched: &BTreeSet<String>,
        copies: &Path,
    ) -> Result<Self, IntegrateError> {
        std::fs::create_dir_all(copies).map_err(IntegrateError::io(copies))?;
        let changes = repo.changes()?;
        let modified = changes.iter().filter(|change| !change.untracked);
        let all: BTreeSet<PathBuf> = modified
            .map(|change| change.path.clone())
            .chain(touched.iter().map(PathBuf::from))
            .collect();
        let mut paths = Vec::new();
        for path in all {
            let before =
                save(&repo.root().join(&path), copies).map_err(IntegrateError::io(&path))?;
            paths.push(TouchedPath { path, before });
        }
        crate::durable::sync_folder(copies).map_err(IntegrateError::io(copies))?;
        let untracked = changes.into_iter().filter(|change| change.untracked);
        Ok(Self {
            paths,
            new_folders: missing_folders(repo.root(), touched),
            untracked: untracked.map(|change| change.path).collect(),
            copies: copies.to_owned(),
        })
    }

    /// What an earlier process saved.
    pub fn of(started: &IntegrationStarted, copies: &Path) -> Self {
        Self {
            paths: started.paths.clone(),
            new_folders: started.new_folders.clone(),
            untracked: started.untracked.clone(),
            copies: copies.to_owned(),
        }
    }

    /// Brings the tree back; gives the files that were moved to `aside`. Doing it twice is doing it once.
    pub fn restore(&self, repo: &Repo, aside: &Path) -> Result<Vec<PathBuf>, IntegrateError> {
        for touched in &self.paths {
            self.restore_path(repo.root(), touched, aside)
                .map_err(IntegrateError::io(&touched.path))?;
        }
        let moved = self.clean_up(repo, aside)?;
        for folder in self.new_folders.iter().rev() {
            // Fails when something else was put there in the meantime; then it stays.
            let _ = std::fs::remove_dir(repo.root().join(folder));
        }
        Ok(moved)
    }

    /// What stands there now is copied aside first: after a kill it may hold an edit that a person made since.
    fn restore_path(&self, root: &Path, touched: &TouchedPath, aside: &Path) -> io::Result<()> {
        let path = root.join(&touched.path);
        if state_of(&path)?.as_ref() == Some(&touched.before) {
            return Ok(());
        }
        put_aside(&path, &aside.join(&touched.path))?;
        match &touched.before {
            BeforeState::Absent => remove(&path),
            BeforeState::Link { target } => {
                remove(&path)?;
                symlink(target, &path)
            }
            BeforeState::File { mode, sha256 } => {
                let content = std::fs::read(self.copies.join(sha256))?;
                crate::durable::write(&path, &content)?;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode))
            }
        }
    }

    /// What validation changed beyond the patch: new files go aside; clean tracked files come back from git, with
    /// a copy of what stood there going aside as well.
    fn clean_up(&self, repo: &Repo, aside: &Path) -> Result<Vec<PathBuf>, IntegrateError> {
        let saved: BTreeSet<&PathBuf> = self.paths.iter().map(|touched| &touched.path).collect();
        let mut moved = Vec::new();
        let mut from_git = Vec::new();
        for change in repo.changes()? {
            if saved.contains(&change.path) || self.untracked.contains(&change.path) {
                continue;
            }
            let from = repo.root().join(&change.path);
            put_aside(&from, &aside.join(&change.path))
                .map_err(IntegrateError::io(&change.path))?;
            if change.untracked {
                remove(&from).map_err(IntegrateError::io(&change.path))?;
            } else {
                from_git.push(change.path.clone());
            }
            moved.push(change.path);
        }
        repo.restore(&from_git)?;
        Ok(moved)
    }
}

/// The state of `path`, and a copy of its content under its digest.
fn save(path: &Path, copies: &Path) -> io::Result<BeforeState> {
    let state = state_of(path)?.unwrap_or(BeforeState::Absent);
    if let BeforeState::File { sha256, .. } = &state {
        crate::durable::write(&copies.join(sha256), &std::fs::read(path)?)?;
    }
    Ok(state)
}

/// `None` for what is neither a file nor a link (a folder, a submodule): such a path can't be restored from a copy.
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
        sha256: hexadecimal(&digest),
    }))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

fn put_aside(from: &Path, to: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(from).is_ok_and(|meta| meta.is_file()) {
        std::fs::create_dir_all(crate::durable::parent(to))?;
        std::fs::copy(from, to)?;
    }
    Ok(())
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
