//! Answers of git that need no second call as long as nothing changed.

use super::memory::{
    AttributeSettings, IndexListing, KnownChanges, SettingsMark, file_marks, index_mark, locked,
};
use super::records::{Change, PatchReport};
use super::{GitError, Repo, path_of};
use crate::platform::clock;
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

    /// The files with settings as they are. Files that those include are not looked at.
    pub fn settings_mark(&self) -> Result<SettingsMark, GitError> {
        let files = self.settings_files()?;
        Ok(SettingsMark(file_marks(&files)?))
    }

    /// The settings for attributes. Git is asked again after a file with settings changed.
    pub(super) fn attribute_settings(&self) -> Result<AttributeSettings, GitError> {
        let mark = self.settings_mark()?;
        if let Some((known, settings)) = &*locked(&self.memory.attributes)
            && *known == mark
        {
            return Ok(settings.clone());
        }
        let value = self.read_if_any(&["config", "--get", "core.autocrlf"])?;
        let settings = AttributeSettings {
            converts_line_ends: value.is_some_and(|value| {
                let off = ["", "false", "no", "off", "0"];
                !off.contains(&value.to_lowercase().as_str())
            }),
            files: self.attribute_files()?,
        };
        *locked(&self.memory.attributes) = Some((mark, settings.clone()));
        Ok(settings)
    }

    /// The files outside of the tree that git reads attributes from; `None` if it does not tell.
    fn attribute_files(&self) -> Result<Option<Vec<PathBuf>>, GitError> {
        if self
            .read_if_any(&["config", "--get", "attr.tree"])?
            .is_some()
        {
            return Ok(None);
        }
        let mut files = vec![self.common_dir()?.join("info/attributes")];
        for variable in ["GIT_ATTR_SYSTEM", "GIT_ATTR_GLOBAL"] {
            // Before git 2.41 it does not know the variable, and exits with 129.
            let output = self.output(&["var", variable])?;
            match output.status.code() {
                Some(0) => {
                    let path = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
                    files.push(path_of(path));
                }
                Some(1) => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(files))
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

    /// Remembers the changes of the tree, which git began to look for at `since_ns`, until [`Repo::forget_changes`].
    pub fn remember_changes(&self, changes: Vec<Change>, since_ns: i128) -> KnownChanges {
        let known = KnownChanges {
            all: Arc::new(changes),
            since_ns,
        };
        *locked(&self.memory.changes) = Some(known.clone());
        known
    }

    /// Forgets remembered changes: time passes in which the tree may change.
    pub fn forget_changes(&self) {
        *locked(&self.memory.changes) = None;
    }

    /// The changes that are remembered.
    pub fn remembered_changes(&self) -> Option<KnownChanges> {
        locked(&self.memory.changes).clone()
    }

    /// The changes that are remembered, or those that git finds now, which are remembered then.
    pub fn known_changes(&self) -> Result<KnownChanges, GitError> {
        if let Some(known) = self.remembered_changes() {
            return Ok(known);
        }
        let since_ns = clock::now().as_nanosecond();
        Ok(self.remember_changes(self.changes()?, since_ns))
    }

    /// The untracked files among the changes that are remembered.
    pub(super) fn remembered_untracked(&self) -> Option<Vec<PathBuf>> {
        let remembered = self.remembered_changes()?;
        let untracked = remembered.all.iter().filter(|change| change.untracked);
        Some(untracked.map(|change| change.path.clone()).collect())
    }
}
