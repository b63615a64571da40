//! Applies placed hunks to a file, and rebuilds them from the file's own lines, with three lines of context and right numbers, so
//! that git finds no other place for them.

use super::hunk::{Hunk, Line, Mark, Stated};
use super::lines::{File, FileLine};
use std::ops::Range;

/// Lines of context around a change, as git has by default.
const CONTEXT: usize = 3;

/// Lines that replace others.
#[derive(Clone, Debug)]
struct Edit {
    /// The first line, counted from 0.
    at: usize,
    removed: usize,
    added: Vec<NewLine>,
    /// The hunk that it comes from.
    hunk: usize,
}

#[derive(Clone, Debug)]
struct NewLine {
    text: Vec<u8>,
    is_ended: bool,
}

/// Why placed hunks contradict each other; messages name the second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EditConflict {
    /// They change the same lines, or one keeps a line that the other removes.
    Overlap { first: usize, second: usize },
    /// A line without a newline would be followed by another one.
    OpenLine { hunk: usize },
}

/// The result for one file.
#[derive(Debug)]
pub(super) struct Composed {
    pub content: Vec<u8>,
    pub hunks: Vec<Hunk>,
    /// The file has no newline at its end, the patch ignores that, and there is still none.
    pub is_end_kept: bool,
}

/// Applies `hunks`, each with the line at which it begins, to `file`.
pub(super) fn compose(file: &File<'_>, hunks: &[(usize, Hunk)]) -> Result<Composed, EditConflict> {
    let lines = &file.lines;
    let mut edits = Vec::new();
    let mut kept = Vec::new();
    for (number, (at, hunk)) in hunks.iter().enumerate() {
        collect_edits(number, *at, hunk, &mut edits, &mut kept);
    }
    edits.sort_by_key(|edit| (edit.at, edit.removed > 0));
    check_conflicts(&edits, &kept)?;
    let is_end_kept = fix_final_newline(lines, hunks, &mut edits)?;
    Ok(Composed {
        content: apply_edits(lines, &edits),
        hunks: rebuild_hunks(lines, &edits),
        is_end_kept,
    })
}

/// Collects the edits of one hunk, and the lines that it keeps.
fn collect_edits(
    number: usize,
    at: usize,
    hunk: &Hunk,
    edits: &mut Vec<Edit>,
    kept: &mut Vec<(usize, usize)>,
) {
    let mut cursor = at;
    let mut open: Option<Edit> = None;
    for line in &hunk.lines {
        if line.mark == Mark::Same {
            edits.extend(open.take());
            kept.push((cursor, number));
            cursor += 1;
            continue;
        }
        let edit = open.get_or_insert_with(|| Edit {
            at: cursor,
            removed: 0,
            added: Vec::new(),
            hunk: number,
        });
        if line.mark == Mark::Removed {
            edit.removed += 1;
            cursor += 1;
        } else {
            edit.added.push(NewLine {
                text: line.text.clone(),
                is_ended: line.is_ended,
            });
        }
    }
    edits.extend(open);
}

fn check_conflicts(edits: &[Edit], kept: &[(usize, usize)]) -> Result<(), EditConflict> {
    let overlap = |first: usize, second: usize| EditConflict::Overlap {
        first: first.min(second),
        second: first.max(second),
    };
    for pair in edits.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        let is_same_gap = first.at == second.at && first.removed == 0 && second.removed == 0;
        if first.at + first.removed > second.at || is_same_gap {
            return Err(overlap(first.hunk, second.hunk));
        }
    }
    for (line, hunk) in kept {
        // Only the last edit that begins at or before the line can remove it.
        let next = edits.partition_point(|edit| edit.at <= *line);
        let here = edits[..next].iter().rev().find(|edit| edit.removed > 0);
        if let Some(edit) = here.filter(|edit| edit.at + edit.removed > *line) {
            return Err(overlap(edit.hunk, *hunk));
        }
    }
    Ok(())
}

/// Decides whether the new file ends with a newline. A file without one keeps none, unless the patch marks that line.
fn fix_final_newline(
    lines: &[FileLine<'_>],
    hunks: &[(usize, Hunk)],
    edits: &mut Vec<Edit>,
) -> Result<bool, EditConflict> {
    let length = lines.len();
    let is_open = lines.last().is_some_and(|line| !line.is_ended);
    // Lines are added after the last one, which gets a newline: as in git's diffs, it is removed and added again.
    if let Some(edit) = edits.last_mut().filter(|edit| is_open && edit.at == length)
        && let Some(last) = lines.last()
    {
        let mut back = NewLine {
            text: last.text.to_vec(),
            is_ended: true,
        };
        let is_crlf = edit
            .added
            .first()
            .is_some_and(|line| line.text.ends_with(b"\r"));
        back.text
            .extend((is_crlf && !last.text.ends_with(b"\r")).then_some(b'\r'));
        if !edit.added.is_empty() {
            edit.at -= 1;
            edit.removed += 1;
            edit.added.insert(0, back);
        }
        // If another edit changed that line, join the two edits.
        let count = edits.len();
        if count >= 2 && edits[count - 2].at + edits[count - 2].removed > edits[count - 1].at {
            let mut last = edits.remove(count - 1);
            last.added.remove(0);
            edits[count - 2].added.extend(last.added);
        }
    }
    let mut is_end_kept = false;
    let count = edits.len();
    for (index, edit) in edits.iter_mut().enumerate() {
        let is_last = index + 1 == count && edit.at + edit.removed == length;
        let Some((last, above)) = edit.added.split_last_mut() else {
            continue;
        };
        if above.iter().any(|line| !line.is_ended) || !(last.is_ended || is_last) {
            return Err(EditConflict::OpenLine { hunk: edit.hunk });
        }
        if is_last && is_open && last.is_ended && !marks_missing_newline(hunks, length) {
            last.is_ended = false;
            // Remove the whole line end.
            if last.text.ends_with(b"\r") {
                last.text.pop();
            }
            is_end_kept = true;
        }
    }
    Ok(is_end_kept)
}

/// Whether a hunk marks the last line of the old file as one without a line end.
fn marks_missing_newline(hunks: &[(usize, Hunk)], length: usize) -> bool {
    hunks.iter().any(|(at, hunk)| {
        let mut old = hunk.lines.iter().filter(|line| line.mark != Mark::Added);
        let reaches = at + hunk.old_count() == length;
        reaches && old.next_back().is_some_and(|line| !line.is_ended)
    })
}

fn apply_edits(lines: &[FileLine<'_>], edits: &[Edit]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut put = |text: &[u8], is_ended: bool| {
        content.extend_from_slice(text);
        if is_ended {
            content.push(b'\n');
        }
    };
    let mut next = 0;
    for edit in edits {
        lines[next..edit.at]
            .iter()
            .for_each(|line| put(line.text, line.is_ended));
        edit.added
            .iter()
            .for_each(|line| put(&line.text, line.is_ended));
        next = edit.at + edit.removed;
    }
    lines[next..]
        .iter()
        .for_each(|line| put(line.text, line.is_ended));
    content
}

fn rebuild_hunks(lines: &[FileLine<'_>], edits: &[Edit]) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let mut shift = 0_i64;
    let mut rest = edits;
    while !rest.is_empty() {
        let is_near = |pair: &[Edit]| pair[1].at - (pair[0].at + pair[0].removed) <= 2 * CONTEXT;
        let together = 1 + rest.windows(2).take_while(|pair| is_near(pair)).count();
        let (group, after) = rest.split_at(together);
        hunks.extend(rebuild_hunk(lines, group, &mut shift));
        rest = after;
    }
    hunks
}

fn rebuild_hunk(lines: &[FileLine<'_>], group: &[Edit], shift: &mut i64) -> Option<Hunk> {
    let (first, last) = (group.first()?, group.last()?);
    let begin = first.at.saturating_sub(CONTEXT);
    let end = (last.at + last.removed + CONTEXT).min(lines.len());
    let mut all = Vec::new();
    let keep = |all: &mut Vec<Line>, range: Range<usize>, mark: Mark| {
        all.extend(lines[range].iter().map(|line| Line {
            mark,
            text: line.text.to_vec(),
            is_ended: line.is_ended,
        }));
    };
    let mut next = begin;
    for edit in group {
        keep(&mut all, next..edit.at, Mark::Same);
        keep(&mut all, edit.at..edit.at + edit.removed, Mark::Removed);
        all.extend(edit.added.iter().map(|line| Line {
            mark: Mark::Added,
            text: line.text.clone(),
            is_ended: line.is_ended,
        }));
        next = edit.at + edit.removed;
    }
    keep(&mut all, next..end, Mark::Same);
    let mut hunk = Hunk {
        old_start: 0,
        new_start: 0,
        stated: Stated::Line {
            is_insertion: end == begin,
        },
        line: 0,
        lines: all,
    };
    let (old, new) = (hunk.old_count(), hunk.new_count());
    let start = |begin: i64, count: usize| u32::try_from(begin + i64::from(count > 0));
    hunk.old_start = start(begin as i64, old).ok()?;
    hunk.new_start = start(begin as i64 + *shift, new).ok()?;
    *shift += new as i64 - old as i64;
    Some(hunk)
}
