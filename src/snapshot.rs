//! The workers' scratch copy of the repository, and the watch over the user's own tree.
//!
//! Workers of a plan never run in the user's tree: they get HEAD plus uncommitted changes plus untracked files that
//! git does not ignore, copied. After a wave the tree and the plan file are compared with before.

use crate::git::{GitError, Repo};
use crate::template;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Why no snapshot could be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Git could not list the files.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be copied.
    #[error("snapshot of `{}`", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

/// Makes `target` a fresh copy of the work tree.
pub fn make(repo: &Repo, target: &Path) -> Result<(), SnapshotError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SnapshotError::Copy { path, source }
    };
    match std::fs::remove_dir_all(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(target)(error)),
        _ => {}
    }
    std::fs::create_dir_all(target).map_err(failed(target))?;
    for path in repo.files()? {
        copy(&repo.root().join(&path), &target.join(&path)).map_err(failed(&path))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(from) {
        Ok(metadata) => metadata.file_type(),
        // Deleted in the tree, but not yet in the index.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    std::fs::create_dir_all(crate::durable::parent(to))?;
    if kind.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)
    } else if kind.is_file() {
        std::fs::copy(from, to).map(drop)
    } else {
        // A submodule or a socket: nothing that a patch could touch.
        Ok(())
    }
}

/// What the user's tree looked like: every changed path with its content, and the plan file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    files: BTreeMap<PathBuf, Option<[u8; 32]>>,
}

impl Fingerprint {
    /// Takes the fingerprint of `repo`, with `watched` files in any case.
    pub fn take(repo: &Repo, watched: &[&Path]) -> Result<Self, SnapshotError> {
        let changed = repo.changes()?.into_iter().map(|change| change.path);
        let watched = watched
            .iter()
            .map(|path| path.strip_prefix(repo.root()).unwrap_or(path).to_owned());
        let files = changed.chain(watched).map(|path| {
            let digest = std::fs::read(repo.root().join(&path)).ok();
            (path, digest.map(|bytes| Sha256::digest(&bytes).into()))
        });
        Ok(Self {
            files: files.collect(),
        })
    }

    /// The paths that differ between the two.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let paths = self.files.keys().chain(other.files.keys());
        let mut differing: Vec<PathBuf> = paths
            .filter(|path| self.files.get(*path) != other.files.get(*path))
            .cloned()
            .collect();
        differing.sort();
        differing.dedup();
        differing
    }
}

/// The names of the repository's files, as Markdown for a prompt that asks which of them matter.
pub fn names_as_markdown(repo: &Repo) -> Result<String, SnapshotError> {
    const NAMES_MAX: usize = 2000;
    let files = repo.files()?;
    let names = files
        .iter()
        .take(NAMES_MAX)
        .map(|path| format!("- `{}`\n", path.display()));
    let mut text: String = names.collect();
    if files.len() > NAMES_MAX {
        text.push_str(&format!("- and {} more\n", files.len() - NAMES_MAX));
    }
    Ok(text)
}

/// The files of a scope with their contents, as Markdown for a prompt: names always, contents up to a bound.
pub fn scope_as_markdown(
    repo: &Repo,
    scope: &crate::scope::Scope,
) -> Result<String, SnapshotError> {
    const BYTES_MAX: usize = 48 * 1024;
    let mut text = String::new();
    for path in repo.files()? {
        let name = path.display().to_string();
        if !scope.covers(&name) {
            continue;
        }
        match std::fs::read_to_string(repo.root().join(&path)) {
            Ok(content) if text.len() + content.len() <= BYTES_MAX => {
                let fence = template::fence_for(&content);
                text.push_str(&format!("`{name}`:\n\n{fence}\n{content}"));
                if !content.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&format!("{fence}\n\n"));
            }
            Ok(content) => {
                text.push_str(&format!("`{name}`: {} bytes, not shown\n\n", content.len()))
            }
            Err(_) => text.push_str(&format!("`{name}`: not text\n\n")),
        }
    }
    if text.is_empty() {
        text.push_str("No file of the scope exists yet.\n");
    }
    Ok(text)
}
