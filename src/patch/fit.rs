//! Fits a patch to a tree.
//!
//! The tree decides whether a diff without `diff --git` creates a file or edits one, where its hunks go, which bytes every
//! path has afterwards, and what is behind links and in submodules. It is read only through [`Tree`].

use super::change::{Change, Content, Kind, Mode, new_file};
use super::compose::{Composed, EditConflict, compose};
use super::correction::Correction;
use super::error::PatchError;
use super::hunk::{Hunk, Line, Mark, Stated};
use super::line_ends::LineEndFit;
use super::lines::{File, LineMatch, SearchBudget, compare_lines};
use super::misfit::Misfit;
use super::parsed::Patch;
use super::path_check::{PathChecker, changed_links, source_entry};
use super::place::{NoPlace, Place, old_lines, place_hunk};
use super::tree::{Outcome, Tree, TreeEntry};
use super::{line_ends, link, misfit, near};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn fit(mut patch: Patch, tree: &dyn Tree) -> Result<Patch, PatchError> {
    let links = changed_links(&patch.changes, tree)?;
    PathChecker::new(&patch.changes, &links, tree).check(&patch.changes)?;
    for (path, target) in &links {
        let forbid = |why| PatchError::forbidden(path, why);
        link::check(path, target, &links, tree).map_err(forbid)?;
    }
    let removed = patch.changes.iter().filter_map(Change::removes);
    let mut fitter = Fitter {
        tree,
        removed: removed.map(str::to_owned).collect(),
        mended: patch.corrections,
        work: SearchBudget::default(),
        misfits: Vec::new(),
        outcomes: BTreeMap::new(),
    };
    let mut changes = Vec::new();
    for sections in group_by_file(patch.changes) {
        changes.extend(fitter.fit_changes(sections)?);
    }
    if !fitter.misfits.is_empty() {
        let misfits = fitter.misfits;
        return Err(PatchError::Misfit { misfits });
    }
    patch.changes = changes;
    patch.corrections = fitter.mended;
    patch.outcomes = fitter.outcomes;
    Ok(patch)
}

/// Groups the changes that edit one file; otherwise keeps their order.
fn group_by_file(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let mut files: Vec<Vec<Change>> = Vec::new();
    let mut edited: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        let known = edited.get(&change.path).copied();
        match known.filter(|_| change.is_plain_edit()) {
            Some(index) => files[index].push(change),
            None => {
                if change.is_plain_edit() {
                    edited.insert(change.path.clone(), files.len());
                }
                files.push(vec![change]);
            }
        }
    }
    files
}

/// Fits one change after the other, and collects all that does not fit.
struct Fitter<'t> {
    tree: &'t dyn Tree,
    /// Removed paths, which other changes may create again.
    removed: BTreeSet<String>,
    mended: BTreeSet<Correction>,
    work: SearchBudget,
    misfits: Vec<Misfit>,
    outcomes: BTreeMap<String, Outcome>,
}

/// The result for a file whose hunks have places.
struct Placed {
    composed: Composed,
    mended: BTreeSet<Correction>,
}

impl Fitter<'_> {
    /// Fits the changes of one file; empty if they do not fit.
    fn fit_changes(&mut self, mut sections: Vec<Change>) -> Result<Vec<Change>, PatchError> {
        if sections.len() > 1 {
            return Ok(self.fit_sections(sections));
        }
        match sections.pop() {
            Some(change) => Ok(self.fit_change(change)?.into_iter().collect()),
            None => Ok(Vec::new()),
        }
    }

    fn fit_change(&mut self, mut change: Change) -> Result<Option<Change>, PatchError> {
        let found = source_entry(&change, self.tree);
        if is_new(&change, &found) {
            change.kind = Kind::Add;
            change.new_mode = change.new_mode.or(Some(Mode::Plain));
            change.old_mode = None;
            if let Content::Hunks(hunks) = &mut change.content {
                *hunks = new_file(std::mem::take(hunks), change.new_mode)?;
            }
        }
        let is_taken =
            |path: &str| self.tree.at(path) != TreeEntry::Nothing && !self.removed.contains(path);
        let is_made = !matches!(change.kind, Kind::Edit | Kind::Delete);
        if is_made && is_taken(&change.path) {
            self.report_existing(&change);
            return Ok(None);
        }
        if found == TreeEntry::Nothing && change.kind != Kind::Add {
            self.report_missing(&change);
            return Ok(None);
        }
        if let Some(from) = change.removes() {
            self.outcomes
                .entry(from.to_owned())
                .or_insert(Outcome::Absent);
        }
        if matches!(change.content, Content::Binary(_)) {
            return Ok(Some(change));
        }
        Ok(match change.kind {
            Kind::Add => self.fit_addition(change),
            Kind::Delete => self.fit_deletion(change, &found),
            Kind::Edit | Kind::Rename { .. } | Kind::Copy { .. } => self.fit_edit(change, &found),
        })
    }

    fn fit_addition(&mut self, change: Change) -> Option<Change> {
        let mut content = Vec::new();
        for line in change.hunks().iter().flat_map(|hunk| &hunk.lines) {
            content.extend_from_slice(&line.text);
            content.extend(line.is_ended.then_some(b'\n'));
        }
        let is_link = change.new_mode == Some(Mode::Link);
        self.record_outcome(&change.path, is_link, content);
        Some(change)
    }

    /// Fits a deletion, which must list all lines of the file. The result has the file's own lines.
    fn fit_deletion(&mut self, mut change: Change, found: &TreeEntry) -> Option<Change> {
        let content = self.read_content(&change, found)?;
        let mut file = File::new(&content);
        let none = Hunk {
            old_start: 1,
            new_start: 0,
            stated: Stated::Line {
                is_insertion: false,
            },
            line: change.line,
            lines: Vec::new(),
        };
        let hunk = change.hunks().first().cloned().unwrap_or(none);
        let old = old_lines(&hunk);
        let is_all = old.len() == file.lines.len() && file.match_at(&old, 0).is_some();
        if !(is_all || change.is_whole) {
            let why = match file.match_at(&old, 0) {
                Some(_) => format!(
                    "the file has {}, and the hunk removes the first {}; a deletion lists all of them",
                    lines(file.lines.len()),
                    old.len()
                ),
                None => misfit::explain(&hunk, &NoPlace::Differs, &mut file, &mut self.work),
            };
            self.report_misfit(&change, Some((1, &hunk)), why);
            return None;
        }
        let lines = file.lines.iter().map(|line| Line {
            mark: Mark::Removed,
            text: line.text.to_vec(),
            is_ended: line.is_ended,
        });
        let lines: Vec<Line> = lines.collect();
        // Whatever numbers it has, if any.
        let hunk = Hunk {
            old_start: 1,
            new_start: 0,
            stated: Stated::Line {
                is_insertion: false,
            },
            line: hunk.line,
            lines,
        };
        let hunks = Some(hunk).filter(|hunk| !hunk.lines.is_empty());
        change.content = Content::Hunks(hunks.into_iter().collect());
        Some(change)
    }

    fn fit_edit(&mut self, mut change: Change, found: &TreeEntry) -> Option<Change> {
        if change.kind == Kind::Edit && change.hunks().is_empty() {
            return Some(change);
        }
        let content = self.read_content(&change, found)?;
        let placed = match place_all(&content, &[&change], &mut self.work) {
            Ok(placed) => placed,
            Err(misfits) => {
                self.misfits.extend(misfits);
                return None;
            }
        };
        self.mended.extend(placed.mended);
        let is_link = matches!(found, TreeEntry::Link(_));
        self.record_outcome(&change.path, is_link, placed.composed.content);
        change.content = Content::Hunks(placed.composed.hunks);
        Some(change)
    }

    /// Fits several sections for one file. Their line numbers refer to the file as it is, or, as git reads them, to the result
    /// of the section above. If both are possible with different results, the patch is refused.
    fn fit_sections(&mut self, sections: Vec<Change>) -> Vec<Change> {
        let Some(first) = sections.first().cloned() else {
            return Vec::new();
        };
        let found = source_entry(&first, self.tree);
        if found == TreeEntry::Nothing {
            self.report_missing(&first);
            return Vec::new();
        }
        let Some(content) = self.read_content(&first, &found) else {
            return Vec::new();
        };
        let all: Vec<&Change> = sections.iter().collect();
        let together = place_all(&content, &all, &mut self.work);
        let in_turn = place_in_turn(&content, &sections, &mut self.work);
        match (together, in_turn) {
            _ if self.work.is_spent() => {
                let why = misfit::TOO_LARGE.to_owned();
                self.report_misfit(&first, None, why);
                Vec::new()
            }
            (Ok(together), Some((_, after, _))) if together.composed.content != after => {
                let why = "its sections mean one thing when their line numbers count the lines of the file as it is, and another when each counts those that the section above leaves; put all hunks of the file below one header";
                self.report_misfit(&first, None, why.to_owned());
                Vec::new()
            }
            (Ok(together), _) => {
                self.mended.extend(together.mended);
                self.record_outcome(&first.path, false, together.composed.content);
                let content = Content::Hunks(together.composed.hunks);
                vec![Change { content, ..first }]
            }
            (Err(_), Some((sections, after, mended))) => {
                self.mended.extend(mended);
                self.record_outcome(&first.path, false, after);
                sections
            }
            (Err(misfits), None) => {
                self.misfits.extend(misfits);
                Vec::new()
            }
        }
    }

    fn record_outcome(&mut self, path: &str, is_link: bool, content: Vec<u8>) {
        let outcome = match is_link {
            true => Outcome::Link(content),
            false => Outcome::File(content),
        };
        self.outcomes.insert(path.to_owned(), outcome);
    }

    fn read_content(&mut self, change: &Change, found: &TreeEntry) -> Option<Vec<u8>> {
        let content = match found {
            TreeEntry::Link(target) => Some(target.clone().into_bytes()),
            _ => self.tree.content(change.source().unwrap_or(&change.path)),
        };
        if content.is_none() {
            self.report_misfit(change, None, "the file can't be read".to_owned());
        }
        content
    }

    fn report_existing(&mut self, change: &Change) {
        let why = match self.tree.at(&change.path) {
            TreeEntry::File => {
                let content = self.tree.content(&change.path).unwrap_or_default();
                let head = misfit::head(&File::new(&content));
                format!(
                    "the file exists, and the patch makes a new one. To change it, give a hunk with its old lines; {head}"
                )
            }
            _ => {
                "the patch makes a new file, and something that is no file stands there".to_owned()
            }
        };
        self.report_misfit(change, None, why);
    }

    fn report_missing(&mut self, change: &Change) {
        // Listing all paths is slow, so only the first missing files get suggestions.
        let near = match self.misfits.len() < NEAREST_MAX {
            true => near::nearest(change.source().unwrap_or(&change.path), self.tree.paths()),
            false => Vec::new(),
        };
        let near: Vec<String> = near
            .iter()
            .map(|path| format!("`{}`", misfit::escape_line(path.as_bytes())))
            .collect();
        let why = match near.is_empty() {
            true => {
                "there is no such file; paths are relative to the root of the repository".to_owned()
            }
            false => format!(
                "there is no such file; the nearest ones are {}",
                near.join(", ")
            ),
        };
        self.report_misfit(change, None, why);
    }

    fn report_misfit(&mut self, change: &Change, hunk: Option<(usize, &Hunk)>, why: String) {
        self.misfits.push(misfit_of(change, hunk, why));
    }
}

/// Limit of the missing files for which the nearest paths are suggested.
const NEAREST_MAX: usize = 5;

fn misfit_of(change: &Change, hunk: Option<(usize, &Hunk)>, why: String) -> Misfit {
    Misfit {
        path: misfit::escape_line(change.source().unwrap_or(&change.path).as_bytes()),
        hunk: hunk.map(|(number, hunk)| (number, misfit::header(hunk))),
        line: hunk.map_or(change.line, |(_, hunk)| hunk.line),
        why,
    }
}

fn lines(count: usize) -> String {
    match count {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    }
}

/// Places all hunks of `sections` in one file as it is.
fn place_all(
    content: &[u8],
    sections: &[&Change],
    work: &mut SearchBudget,
) -> Result<Placed, Vec<Misfit>> {
    let mut file = File::new(content);
    let mut mended = BTreeSet::new();
    let mut hunks: Vec<(&Change, Hunk)> = Vec::new();
    for change in sections {
        hunks.extend(change.hunks().iter().map(|hunk| (*change, hunk.clone())));
    }
    if line_ends::fit_file(
        hunks.iter_mut().map(|(_, hunk)| hunk).collect(),
        file.line_ends(),
    ) {
        mended.insert(Correction::LineEnds);
    }
    let mut shift = 0;
    let mut placed = Vec::new();
    let mut misfits = Vec::new();
    for (index, (change, hunk)) in hunks.iter_mut().enumerate() {
        let found = match place_hunk(hunk, &mut file, shift, work) {
            Ok(found) => line_ends::fit_hunk(hunk, found.at, &file).map(|line_ends| {
                mended.extend(line_end_corrections(&change.path, line_ends));
                found
            }),
            Err(nowhere) if misfits.len() < misfit::MISFITS_MAX => {
                Err(misfit::explain(hunk, &nowhere, &mut file, work))
            }
            Err(_) => Err("it does not apply either".to_owned()),
        };
        shift += hunk.new_count() as i64 - hunk.old_count() as i64;
        match found {
            Ok(found) => {
                mended.extend(placement_corrections(&change.path, hunk, found, &file));
                placed.push((found.at, hunk.clone()));
            }
            Err(why) => misfits.push(misfit_of(change, Some((index + 1, hunk)), why)),
        }
    }
    if !misfits.is_empty() {
        return Err(misfits);
    }
    match compose(&file, &placed) {
        Ok(composed) => {
            if composed.is_end_kept {
                let path = sections.first().map(|change| change.path.clone());
                mended.extend(path.map(|path| Correction::OpenEnd { path }));
            }
            Ok(Placed { composed, mended })
        }
        Err(clash) => {
            let (at, why) = match clash {
                EditConflict::Overlap { first, second } => (
                    second,
                    format!("it changes or keeps lines that hunk {} changes; make one hunk of both", first + 1),
                ),
                EditConflict::OpenLine { hunk } => (
                    hunk,
                    "`\\ No newline at end of file` stands below a line that is not the last one of the file; leave it out".to_owned(),
                ),
            };
            Err(hunks
                .get(at)
                .map(|(change, hunk)| misfit_of(change, Some((at + 1, hunk)), why))
                .into_iter()
                .collect())
        }
    }
}

type InTurn = (Vec<Change>, Vec<u8>, BTreeSet<Correction>);

/// Places each section in the result of the one above, as git does.
fn place_in_turn(content: &[u8], sections: &[Change], work: &mut SearchBudget) -> Option<InTurn> {
    let mut content = content.to_vec();
    let mut mended = BTreeSet::new();
    let mut changes = Vec::new();
    for change in sections {
        work.take(1 + content.len() / 64)?;
        let placed = place_all(&content, &[change], work).ok()?;
        mended.extend(placed.mended);
        content = placed.composed.content;
        changes.push(Change {
            content: Content::Hunks(placed.composed.hunks),
            ..change.clone()
        });
    }
    Some((changes, content, mended))
}

/// The corrections that the line ends of a hunk imply.
fn line_end_corrections(path: &str, line_ends: LineEndFit) -> Vec<Correction> {
    match line_ends {
        LineEndFit::Same => Vec::new(),
        LineEndFit::Adapted => vec![Correction::LineEnds],
        LineEndFit::ContextDiffers(lines) => {
            let told = lines.into_iter().map(|at| Correction::ContextLineEnd {
                path: path.to_owned(),
                line: at as u64 + 1,
            });
            told.collect()
        }
    }
}

/// The corrections that the place of a hunk implies.
fn placement_corrections(
    path: &str,
    hunk: &Hunk,
    found: Place,
    file: &File<'_>,
) -> Vec<Correction> {
    let mut told = Vec::new();
    let place = || Correction::Place {
        path: path.to_owned(),
        stated: hunk.old_start,
        line: found.at as u64 + 1,
    };
    let is_unstated = matches!(hunk.stated, Stated::Unnumbered { .. });
    if found.is_moved || is_unstated {
        told.push(place());
    }
    if found.likeness == LineMatch::Blanks {
        let here = file.lines.get(found.at..).unwrap_or_default();
        let pairs = old_lines(hunk).into_iter().zip(here).zip(found.at..);
        let differing = pairs
            .filter(|((line, there), _)| compare_lines(line, there) == Some(LineMatch::Blanks));
        told.extend(differing.map(|(_, at)| Correction::Blanks {
            path: path.to_owned(),
            line: at as u64 + 1,
        }));
    }
    told
}

/// Whether the change creates a file although its header says `--- a/x`: many models write `@@ -0,0 +1 @@` like this.
fn is_new(change: &Change, found: &TreeEntry) -> bool {
    let is_from_nothing = |hunk: &Hunk| hunk.old_count() == 0 && hunk.old_start <= 1;
    let hunks = change.hunks();
    let is_edit = change.kind == Kind::Edit && *found == TreeEntry::Nothing;
    is_edit && !hunks.is_empty() && hunks.iter().all(is_from_nothing)
}
