//! Adapts the line ends of a patch to those of its file. In a file with mixed line ends, nothing is guessed: context lines may
//! have other line ends than the file, removed lines may not, and added lines have those of the patch.

use super::hunk::{Hunk, Line, Mark};
use super::lines::{File, LineEnds};

fn is_crlf(line: &&Line) -> bool {
    line.text.ends_with(b"\r")
}

/// Adapts the line ends of `hunks` to those of their file, if all lines of the patch differ from all of the file. `true` if
/// something changed.
pub(super) fn fit_file(mut hunks: Vec<&mut Hunk>, ends: LineEnds) -> bool {
    let lines = || hunks.iter().flat_map(|hunk| &hunk.lines);
    let ended = || lines().filter(|line| line.is_ended);
    let old = || ended().filter(|line| line.mark != Mark::Added);
    let is_crlf_file = match ends {
        LineEnds::Crlf if ended().count() > 0 && !lines().any(|line| is_crlf(&line)) => true,
        // A patch may intend to add lines with other line ends, so only the old lines count.
        LineEnds::Lf if old().count() > 0 && old().all(|line| is_crlf(&line)) => false,
        LineEnds::Lf | LineEnds::Crlf | LineEnds::Unclear => return false,
    };
    let all = hunks.iter_mut().flat_map(|hunk| &mut hunk.lines);
    all.for_each(|line| set_line_end(line, is_crlf_file));
    true
}

/// How the line ends of a hunk fit those of its file.
pub(super) enum LineEndFit {
    /// All old lines have the file's.
    Same,
    /// The added lines have those of the old lines now.
    Adapted,
    /// Only these context lines differ, given by their position in the file. The added lines are as the patch writes them.
    ContextDiffers(Vec<usize>),
}

/// An old line of a hunk beside its line of the file.
struct OldLine {
    /// In the file, counted from 0.
    at: usize,
    mark: Mark,
    /// Whether it ends with `\r\n` in the patch.
    is_crlf: bool,
    differs: bool,
}

/// Adapts a hunk at line `at` of a file with mixed line ends. `Err` describes an ambiguous case.
pub(super) fn fit_hunk(hunk: &mut Hunk, at: usize, file: &File<'_>) -> Result<LineEndFit, String> {
    let old = compare_line_ends(hunk, at, file);
    let Some(first) = old.iter().find(|line| line.differs) else {
        return Ok(LineEndFit::Same);
    };
    let is_crlf_patch = first.is_crlf;
    let added = || {
        let added = hunk.lines.iter().filter(|line| line.mark == Mark::Added);
        added.filter(|line| line.is_ended)
    };
    let is_clear = old
        .iter()
        .all(|line| line.differs && line.is_crlf == is_crlf_patch)
        && added().all(|line| is_crlf(&line) == is_crlf_patch);
    if is_clear && added().count() > 0 {
        let added = hunk.lines.iter_mut();
        added
            .filter(|line| line.mark == Mark::Added)
            .for_each(|line| set_line_end(line, !is_crlf_patch));
        return Ok(LineEndFit::Adapted);
    }
    let differing = old.iter().filter(|line| line.differs);
    match old
        .iter()
        .find(|line| line.differs && line.mark == Mark::Removed)
    {
        None => Ok(LineEndFit::ContextDiffers(
            differing.map(|line| line.at).collect(),
        )),
        // Lines that are only removed take their ends with them.
        Some(_) if added().count() == 0 => Ok(LineEndFit::Adapted),
        Some(removed) => Err(explain_removed(removed)),
    }
}

fn compare_line_ends(hunk: &Hunk, at: usize, file: &File<'_>) -> Vec<OldLine> {
    let here = file.lines.get(at..).unwrap_or_default();
    let old = hunk.lines.iter().filter(|line| line.mark != Mark::Added);
    old.zip(here)
        .zip(at..)
        .filter(|((line, there), _)| line.is_ended && there.is_ended)
        .map(|((line, there), at)| OldLine {
            at,
            mark: line.mark,
            is_crlf: is_crlf(&line),
            differs: is_crlf(&line) != there.text.ends_with(b"\r"),
        })
        .collect()
}

fn explain_removed(removed: &OldLine) -> String {
    let end = |is_crlf: bool| if is_crlf { "\\r\\n" } else { "\\n" };
    format!(
        "line {} of the file, which the hunk removes, ends with `{}`, in the patch with `{}`, and others differ; give each line the line end that the file has there",
        removed.at + 1,
        end(!removed.is_crlf),
        end(removed.is_crlf)
    )
}

fn set_line_end(line: &mut Line, is_crlf: bool) {
    match (line.is_ended, line.text.ends_with(b"\r")) {
        (true, false) if is_crlf => line.text.push(b'\r'),
        (_, true) if !is_crlf => drop(line.text.pop()),
        _ => {}
    }
}
