//! Answers of git that need no second call as long as nothing changed.

use super::memory::{FileMark, IndexListing, file_mark, index_mark, locked};
use super::records::{Change, PatchReport};
use super::{GitError, Repo};
use std::path::PathBuf;
use std::sync::Arc;

/// How many checked patches are remembered.
const CHECKED_MAX: usize = 256;

impl Repo {
    /// The index; git lists it again only after it changed.
    pub fn index(&self) -> Result<Arc<IndexListing>, GitError> {
        let path = self.git_dir()?.join("index");
        let mark = index_mark(&path);
        if let Some((known, listing)) = &*locked(&self.memory.index)
            && Some(*known) == mark
        {
            return Ok(Arc::clone(listing));
        }
        let bytes = self.list_index()?;
        let tracked = Self::tracked(&bytes);
        let listing = Arc::new(IndexListing { bytes, tracked });
        // If git read another index than the one with the mark, the next call sees another mark.
        *locked(&self.memory.index) = mark.map(|mark| (mark, Arc::clone(&listing)));
        Ok(listing)
    }

    /// The index, listed by git now. Fails if it is damaged.
    pub fn list_index(&self) -> Result<Vec<u8>, GitError> {
        self.read(&["ls-files", "-v", "--stage", "-z"])
    }

    /// Whether the setting `core.autocrlf` converts line ends. Git is asked again after a file with settings changed; files
    /// that those include are not looked at.
    pub(super) fn converts_line_ends(&self) -> Result<bool, GitError> {
        let marks: Vec<FileMark> = self
            .settings_files()?
            .iter()
            .map(|path| file_mark(path))
            .collect();
        if let Some((known, converts)) = &*locked(&self.memory.converts)
            && *known == marks
        {
            return Ok(*converts);
        }
        let value = self.read_if_any(&["config", "--get", "core.autocrlf"])?;
        let converts = value.is_some_and(|value| {
            let off = ["", "false", "no", "off", "0"];
            !off.contains(&value.to_lowercase().as_str())
        });
        *locked(&self.memory.converts) = Some((marks, converts));
        Ok(converts)
    }

    fn settings_files(&self) -> Result<Vec<PathBuf>, GitError> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let home = variable("HOME").unwrap_or_default();
        let user = variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        Ok(vec![
            self.common_dir()?.join("config"),
            self.git_dir()?.join("config.worktree"),
            variable("GIT_CONFIG_GLOBAL").unwrap_or_else(|| home.join(".gitconfig")),
            user.join("git/config"),
            variable("GIT_CONFIG_SYSTEM").unwrap_or_else(|| "/etc/gitconfig".into()),
        ])
    }

    /// What git reported about a patch that applied when the tree was as `key` says.
    pub(super) fn checked_before(&self, key: &str) -> Option<PatchReport> {
        let checked = locked(&self.memory.checked);
        let known = checked.iter().find(|(known, _)| known == key)?;
        Some(known.1.clone())
    }

    /// Remembers a patch that applies.
    pub(super) fn remember_checked(&self, key: &str, report: &PatchReport) {
        let mut checked = locked(&self.memory.checked);
        if checked.len() >= CHECKED_MAX {
            checked.pop_front();
        }
        checked.push_back((key.to_owned(), report.clone()));
    }

    /// Remembers the changes of the tree until [`Repo::forget_changes`].
    pub fn remember_changes(&self, changes: Vec<Change>) {
        *locked(&self.memory.changes) = Some(changes);
    }

    /// Forgets remembered changes: time passes in which the tree may change.
    pub fn forget_changes(&self) {
        *locked(&self.memory.changes) = None;
    }

    /// The changes that are remembered, or those that git finds now, which are remembered then.
    pub fn known_changes(&self) -> Result<Vec<Change>, GitError> {
        if let Some(known) = locked(&self.memory.changes).clone() {
            return Ok(known);
        }
        let changes = self.changes()?;
        self.remember_changes(changes.clone());
        Ok(changes)
    }

    /// The untracked files among the changes that are remembered.
    pub(super) fn remembered_untracked(&self) -> Option<Vec<PathBuf>> {
        let remembered = locked(&self.memory.changes);
        let untracked = remembered
            .as_ref()?
            .iter()
            .filter(|change| change.untracked);
        Some(untracked.map(|change| change.path.clone()).collect())
    }
}
