//! The operations on a patch: parse the model's text, check it, fit it to the tree, and write the text that git applies.

use super::change::{Change, Kind};
use super::correction::Correction;
use super::error::PatchError;
use super::limits::Limits;
use super::parsed::Patch;
use super::rules::Rules;
use super::tree::Tree;
use super::write::ChangeList;
use crate::model::one_line;
use std::collections::{BTreeMap, BTreeSet};

impl Patch {
    /// Parses the diff in `text`, with or without prose and fences around it.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, PatchError> {
        if text.len() as u64 > limits.bytes_max {
            return Err(PatchError::TooLarge {
                bytes: text.len(),
                bytes_max: limits.bytes_max,
            });
        }
        let sections = crate::patch::read::sections(text.trim_start_matches('\u{feff}'))?;
        if sections.is_empty() {
            return Err(PatchError::Empty);
        }
        let mut mended = BTreeSet::new();
        if sections.iter().any(|section| section.is_recounted) {
            mended.insert(Correction::Counts);
        }
        let changes = crate::patch::change::changes(sections)?;
        if changes.is_empty() {
            return Err(PatchError::NoChange);
        }
        each_path_once(&changes)?;
        Ok(Self {
            changes,
            corrections: mended,
            outcomes: BTreeMap::new(),
        })
    }

    /// Refuses what no patch may do, independent of the tree, and paths outside the scope.
    pub fn check(&self, rules: &Rules<'_>) -> Result<(), PatchError> {
        self.changes
            .iter()
            .try_for_each(|change| rules.check(change))?;
        rules.check_size(&self.changes)
    }

    /// Fits the patch to its tree: places every hunk. Refuses hunks without a place, and paths that lead through links, into
    /// submodules or out of the tree.
    pub fn fit(self, tree: &dyn Tree) -> Result<Self, PatchError> {
        crate::patch::fit::fit(self, tree)
    }

    /// Every path that is written, created or removed.
    pub fn paths(&self) -> BTreeSet<String> {
        let paths = |change: &Change| {
            let paths = [change.writes(), change.removes()];
            paths.map(|path| path.map(str::to_owned))
        };
        self.changes.iter().flat_map(paths).flatten().collect()
    }

    /// The text that git applies with `-p1`. Parsing it gives the same patch.
    pub fn bytes(&self) -> Vec<u8> {
        self.changes
            .iter()
            .flat_map(crate::patch::write::text)
            .collect()
    }

    /// The text for messages; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// What git must report about the text.
    pub fn listed(&self) -> ChangeList {
        crate::patch::write::list_changes(&self.changes)
    }
}

/// Refuses to change a path twice, except for several edits of one file. Other results would depend on an order that the
/// checks do not consider: one change could create a link, and the next could change its target.
fn each_path_once(changes: &[Change]) -> Result<(), PatchError> {
    let mut writers: BTreeMap<&str, &Change> = BTreeMap::new();
    let mut removers: BTreeSet<&str> = BTreeSet::new();
    for change in changes {
        let twice = |path: &str| {
            let path = one_line(path);
            let message =
                format!("`{path}` is changed a second time; put all its changes in one place");
            PatchError::at(change.line, message)
        };
        if let Some(path) = change.removes().filter(|path| !removers.insert(path)) {
            return Err(twice(path));
        }
        let earlier = change
            .writes()
            .and_then(|path| writers.insert(path, change));
        if earlier.is_some_and(|earlier| !(earlier.is_plain_edit() && change.is_plain_edit())) {
            return Err(twice(&change.path));
        }
    }
    let is_removed =
        |change: &&Change| change.kind == Kind::Edit && removers.contains(change.path.as_str());
    match changes.iter().find(is_removed) {
        Some(edit) => {
            let path = one_line(&edit.path);
            let message = format!("`{path}` is edited here and removed elsewhere in the patch");
            Err(PatchError::at(edit.line, message))
        }
        None => Ok(()),
    }
}
