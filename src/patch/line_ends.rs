//! Adapts the line ends of a patch to those of its file. In a file with mixed line ends, nothing is guessed.

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

/// Adapts a hunk at line `at` of a file with mixed line ends. `Err` describes an ambiguous case.
pub(super) fn fit_hunk(hunk: &mut Hunk, at: usize, file: &File<'_>) -> Result<bool, String> {
    let here = file.lines.get(at..).unwrap_or_default();
    let old = hunk.lines.iter().filter(|line| line.mark != Mark::Added);
    let pairs: Vec<(bool, bool)> = old
        .zip(here)
        .filter(|(line, there)| line.is_ended && there.is_ended)
        .map(|(line, there)| (is_crlf(&line), there.text.ends_with(b"\r")))
        .collect();
    let Some(differing) = pairs.iter().position(|(ours, theirs)| ours != theirs) else {
        return Ok(false);
    };
    let added = || {
        let added = hunk.lines.iter().filter(|line| line.mark == Mark::Added);
        added.filter(|line| line.is_ended)
    };
    let is_crlf_patch = pairs[differing].0;
    let is_clear = pairs
        .iter()
        .all(|(ours, theirs)| *ours == is_crlf_patch && *theirs != is_crlf_patch)
        && added().all(|line| is_crlf(&line) == is_crlf_patch);
    if added().count() > 0 && !is_clear {
        let end = |is_crlf: bool| if is_crlf { "\\r\\n" } else { "\\n" };
        return Err(format!(
            "line {} of the file, or one around it, ends with `{}`, in the patch with `{}`, and others differ; give each line the line end that the file has there",
            at + differing + 1,
            end(!is_crlf_patch),
            end(is_crlf_patch)
        ));
    }
    let added = hunk.lines.iter_mut();
    added
        .filter(|line| line.mark == Mark::Added)
        .for_each(|line| set_line_end(line, !is_crlf_patch));
    Ok(true)
}

fn set_line_end(line: &mut Line, is_crlf: bool) {
    match (line.is_ended, line.text.ends_with(b"\r")) {
        (true, false) if is_crlf => line.text.push(b'\r'),
        (_, true) if !is_crlf => drop(line.text.pop()),
        _ => {}
    }
}
