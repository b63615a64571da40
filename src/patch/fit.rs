//! A patch and the tree that it is for: what only the tree can tell.
//!
//! Whether a diff without `diff --git` makes a file or edits one, which line ends a file has, and what lies behind
//! links and in submodules. The tree is asked through [`Tree`]; nothing here reads a file.

use super::change::{Change, Content, Kind, Mode};
use super::hunk::{Hunk, Line, Mark};
use super::rules::Forbidden;
use super::{Mended, Patch, PatchError, link};
use std::collections::{BTreeMap, BTreeSet};

/// How the lines of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnds {
    /// `\n`, all of them.
    Lf,
    /// `\r\n`, all of them.
    Crlf,
    /// Some so and some so, or there is no line end at all.
    Unclear,
}

impl LineEnds {
    /// Those of `content`.
    pub fn of(content: &[u8]) -> Self {
        let (mut lf, mut crlf) = (false, false);
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            crlf |= line.ends_with(b"\r\n");
            lf |= line.ends_with(b"\n") && !line.ends_with(b"\r\n");
        }
        match (lf, crlf) {
            (true, false) => LineEnds::Lf,
            (false, true) => LineEnds::Crlf,
            _ => LineEnds::Unclear,
        }
    }
}

/// What stands at a path of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file.
    File,
    /// A symbolic link, and where it points.
    Link(String),
    /// A submodule, or another repository within this one.
    Submodule,
    /// A folder, or something stranger.
    Other,
}

/// The tree that a patch is for.
pub trait Tree {
    /// What stands at `path`, relative to the root.
    fn at(&self, path: &str) -> Found;

    /// How the lines of the file at `path` end.
    fn line_ends(&self, path: &str) -> LineEnds;
}

pub(super) fn fit(mut patch: Patch, tree: &dyn Tree) -> Result<Patch, PatchError> {
    let links = links(&patch.changes, tree)?;
    Ground::new(&patch.changes, &links, tree).check(&patch.changes)?;
    for (path, target) in &links {
        let forbid = |why| PatchError::forbidden(path, why);
        link::check(path, target, &links, tree).map_err(forbid)?;
    }
    // A file may be edited many times, and may be large.
    let mut ends: BTreeMap<String, LineEnds> = BTreeMap::new();
    for change in &mut patch.changes {
        let found = source(change, tree);
        if is_new(change, &found) {
            change.kind = Kind::Add;
            change.new_mode = change.new_mode.or(Some(Mode::Plain));
            change.old_mode = None;
        }
        if found == Found::File && !change.hunks().is_empty() {
            let path = change.source().unwrap_or(&change.path).to_owned();
            let ends = ends
                .entry(path)
                .or_insert_with_key(|path| tree.line_ends(path));
            if let Content::Hunks(hunks) = &mut change.content
                && fit_line_ends(hunks, *ends)
            {
                patch.mended.insert(Mended::LineEnds);
            }
        }
    }
    Ok(patch)
}

/// Where files can stand: in the tree, and after the patch.
struct Ground<'a> {
    tree: &'a dyn Tree,
    /// The links of the patch, with case folded: some file systems do so.
    links: BTreeSet<String>,
    removed: BTreeSet<&'a str>,
    written: BTreeSet<&'a str>,
}

impl<'a> Ground<'a> {
    fn new(changes: &'a [Change], links: &BTreeMap<String, String>, tree: &'a dyn Tree) -> Self {
        Self {
            tree,
            links: links.keys().map(|link| link.to_lowercase()).collect(),
            removed: changes.iter().filter_map(Change::removes).collect(),
            written: changes.iter().filter_map(Change::writes).collect(),
        }
    }

    /// Refuses paths where no file of this repository can stand.
    fn check(&self, changes: &[Change]) -> Result<(), PatchError> {
        for change in changes {
            for path in change.paths() {
                let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
                folders
                    .try_for_each(|folder| self.above(folder))
                    .and_then(|()| itself(path, change, self.tree))
                    .map_err(|why| PatchError::forbidden(path, why))?;
            }
        }
        Ok(())
    }

    /// Refuses what is not a folder of this repository.
    fn above(&self, folder: &str) -> Result<(), Forbidden> {
        let name = folder.to_owned();
        let found = self.tree.at(folder);
        match found {
            Found::Submodule => return Err(Forbidden::InSubmodule { submodule: name }),
            Found::Link(_) => return Err(Forbidden::BehindLink { link: name }),
            Found::Nothing | Found::File | Found::Other => {}
        }
        if self.links.contains(&folder.to_lowercase()) {
            return Err(Forbidden::BehindLink { link: name });
        }
        let stays = found == Found::File && !self.removed.contains(folder);
        match stays || self.written.contains(folder) {
            true => Err(Forbidden::BelowFile { file: name }),
            false => Ok(()),
        }
    }
}

/// Refuses what is no file, and to take a link for one.
fn itself(path: &str, change: &Change, tree: &dyn Tree) -> Result<(), Forbidden> {
    let is_of_file =
        matches!(change.kind, Kind::Edit | Kind::Delete) && change.old_mode != Some(Mode::Link);
    match tree.at(path) {
        Found::Submodule => Err(Forbidden::Submodule),
        Found::Other => Err(Forbidden::NoFile),
        Found::Link(_) if is_of_file => Err(Forbidden::IsLink),
        Found::Nothing | Found::File | Found::Link(_) => Ok(()),
    }
}

/// `--- a/x`, `+++ b/x`, `@@ -0,0 +1 @@`, and there is no `x`: many a model writes a new file like this.
fn is_new(change: &Change, found: &Found) -> bool {
    let from_nothing = match change.hunks() {
        [hunk] => hunk.old_count() == 0,
        _ => false,
    };
    change.kind == Kind::Edit && from_nothing && *found == Found::Nothing
}

/// The links that the patch makes or sends elsewhere, with their targets.
fn links(changes: &[Change], tree: &dyn Tree) -> Result<BTreeMap<String, String>, PatchError> {
    let mut links = BTreeMap::new();
    for change in changes {
        let is_link = match change.kind {
            Kind::Delete => false,
            Kind::Add => change.new_mode == Some(Mode::Link),
            Kind::Edit => change.old_mode == Some(Mode::Link),
            Kind::Rename { .. } | Kind::Copy { .. } => {
                change.old_mode == Some(Mode::Link)
                    || matches!(source(change, tree), Found::Link(_))
            }
        };
        if is_link {
            let target = target(change, tree);
            let target = target
                .ok_or_else(|| PatchError::forbidden(&change.path, Forbidden::LinkContent))?;
            links.insert(change.path.clone(), target);
        }
    }
    Ok(links)
}

fn source(change: &Change, tree: &dyn Tree) -> Found {
    tree.at(change.source().unwrap_or(&change.path))
}

/// Where a link points after `change`; `None` when its hunk does not say it in one line.
fn target(change: &Change, tree: &dyn Tree) -> Option<String> {
    let unended = |line: &Line, mark: Mark| line.mark == mark && !line.is_ended;
    match (&change.content, &change.kind) {
        (Content::Binary(_), _) => None,
        (Content::Hunks(hunks), kind) => match (hunks.as_slice(), kind) {
            ([], Kind::Rename { .. } | Kind::Copy { .. } | Kind::Edit) => {
                match source(change, tree) {
                    Found::Link(target) => Some(target),
                    _ => None,
                }
            }
            ([hunk], Kind::Add) => match hunk.lines.as_slice() {
                [new] if unended(new, Mark::Added) => Some(new.text.clone()),
                _ => None,
            },
            ([hunk], _) => match hunk.lines.as_slice() {
                [old, new] if unended(old, Mark::Removed) && unended(new, Mark::Added) => {
                    Some(new.text.clone())
                }
                _ => None,
            },
            _ => None,
        },
    }
}

/// Gives the lines of `hunks` the line ends of their file, when all of the one differ from all of the other. `true` when
/// something was changed.
fn fit_line_ends(hunks: &mut [Hunk], ends: LineEnds) -> bool {
    let lines = || hunks.iter().flat_map(|hunk| &hunk.lines);
    let is_ended = |line: &&Line| line.is_ended;
    let is_crlf = |line: &Line| line.text.ends_with('\r');
    let is_old = |line: &&Line| line.mark != Mark::Added;
    match ends {
        LineEnds::Crlf if lines().any(|line| line.is_ended) && !lines().any(is_crlf) => {
            let all = hunks.iter_mut().flat_map(|hunk| &mut hunk.lines);
            all.filter(|line| line.is_ended)
                .for_each(|line| line.text.push('\r'));
            true
        }
        // Lines that come may have what those that go have not; so only the old ones are asked.
        LineEnds::Lf
            if lines().filter(is_ended).any(|line| is_old(&line))
                && lines().filter(is_ended).filter(is_old).all(is_crlf) =>
        {
            let all = hunks.iter_mut().flat_map(|hunk| &mut hunk.lines);
            for line in all.filter(|line| is_crlf(line)) {
                line.text.pop();
            }
            true
        }
        LineEnds::Lf | LineEnds::Crlf | LineEnds::Unclear => false,
    }
}
