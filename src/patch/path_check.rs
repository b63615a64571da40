//! Checks the paths of a patch against the tree: no path leads through a link, into a submodule or below a file.

use super::change::{Change, Content, Kind, Mode};
use super::error::PatchError;
use super::forbidden::Forbidden;
use super::hunk::{Line, Mark};
use super::spelling::folded;
use super::tree::{Tree, TreeEntry};
use std::collections::{BTreeMap, BTreeSet};

/// The entries at the paths, in the tree and after the patch.
pub(super) struct PathChecker<'a> {
    tree: &'a dyn Tree,
    /// The links of the patch, case-folded as on some file systems.
    links: BTreeSet<String>,
    removed: BTreeSet<&'a str>,
    written: BTreeSet<&'a str>,
}

impl<'a> PathChecker<'a> {
    pub fn new(
        changes: &'a [Change],
        links: &BTreeMap<String, String>,
        tree: &'a dyn Tree,
    ) -> Self {
        Self {
            tree,
            links: links.keys().map(|link| folded(link)).collect(),
            removed: changes.iter().filter_map(Change::removes).collect(),
            written: changes.iter().filter_map(Change::writes).collect(),
        }
    }

    /// Refuses paths at which no file of this repository can be.
    pub fn check(&self, changes: &[Change]) -> Result<(), PatchError> {
        for change in changes {
            for path in change.paths() {
                let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
                folders
                    .try_for_each(|folder| self.check_parent(folder))
                    .and_then(|()| check_entry(path, change, self.tree))
                    .map_err(|why| PatchError::forbidden(path, why))?;
            }
        }
        Ok(())
    }

    /// Refuses a parent that is not a folder of this repository.
    fn check_parent(&self, folder: &str) -> Result<(), Forbidden> {
        let name = folder.to_owned();
        let found = self.tree.at(folder);
        match found {
            TreeEntry::Submodule => return Err(Forbidden::InSubmodule { submodule: name }),
            TreeEntry::Link(_) => return Err(Forbidden::BehindLink { link: name }),
            TreeEntry::Nothing | TreeEntry::File | TreeEntry::Other => {}
        }
        if self.links.contains(&folded(folder)) {
            return Err(Forbidden::BehindLink { link: name });
        }
        let stays = found == TreeEntry::File && !self.removed.contains(folder);
        match stays || self.written.contains(folder) {
            true => Err(Forbidden::BelowFile { file: name }),
            false => Ok(()),
        }
    }
}

/// Refuses an entry that is not a file, and a link that is treated as one.
fn check_entry(path: &str, change: &Change, tree: &dyn Tree) -> Result<(), Forbidden> {
    let is_of_file =
        matches!(change.kind, Kind::Edit | Kind::Delete) && change.old_mode != Some(Mode::Link);
    match tree.at(path) {
        TreeEntry::Submodule => Err(Forbidden::Submodule),
        TreeEntry::Other => Err(Forbidden::NoFile),
        TreeEntry::Link(_) if is_of_file => Err(Forbidden::IsLink),
        TreeEntry::Nothing | TreeEntry::File | TreeEntry::Link(_) => Ok(()),
    }
}

/// The links that the patch creates or changes, with their targets.
pub(super) fn changed_links(
    changes: &[Change],
    tree: &dyn Tree,
) -> Result<BTreeMap<String, String>, PatchError> {
    let mut links = BTreeMap::new();
    for change in changes {
        let is_link = match change.kind {
            Kind::Delete => false,
            Kind::Add => change.new_mode == Some(Mode::Link),
            Kind::Edit => change.old_mode == Some(Mode::Link),
            Kind::Rename { .. } | Kind::Copy { .. } => {
                change.old_mode == Some(Mode::Link)
                    || matches!(source_entry(change, tree), TreeEntry::Link(_))
            }
        };
        if is_link {
            let target = link_target(change, tree);
            let target = target
                .ok_or_else(|| PatchError::forbidden(&change.path, Forbidden::LinkContent))?;
            links.insert(change.path.clone(), target);
        }
    }
    Ok(links)
}

/// The entry from which `change` takes its content.
pub(super) fn source_entry(change: &Change, tree: &dyn Tree) -> TreeEntry {
    tree.at(change.source().unwrap_or(&change.path))
}

/// The target of a link after `change`; `None` if its hunk does not give it in one line.
fn link_target(change: &Change, tree: &dyn Tree) -> Option<String> {
    let unended = |line: &Line, mark: Mark| line.mark == mark && !line.is_ended;
    let text = |line: &Line| String::from_utf8(line.text.clone()).ok();
    match (&change.content, &change.kind) {
        (Content::Binary(_), _) => None,
        (Content::Hunks(hunks), kind) => match (hunks.as_slice(), kind) {
            ([], Kind::Rename { .. } | Kind::Copy { .. } | Kind::Edit) => {
                match source_entry(change, tree) {
                    TreeEntry::Link(target) => Some(target),
                    _ => None,
                }
            }
            ([hunk], Kind::Add) => match hunk.lines.as_slice() {
                [new] if unended(new, Mark::Added) => text(new),
                _ => None,
            },
            ([hunk], _) => match hunk.lines.as_slice() {
                [old, new] if unended(old, Mark::Removed) && unended(new, Mark::Added) => text(new),
                _ => None,
            },
            _ => None,
        },
    }
}
