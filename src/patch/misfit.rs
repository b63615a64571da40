//! Explains why a hunk does not apply, so that its author can correct it: the first line that differs, what the file has there,
//! and the kind of difference.

use super::hunk::{Hunk, Line, Mark, Stated};
use super::likeness::{Difference, is_invisible, skeleton};
use super::lines::{File, FileLine, SearchBudget, compare_lines};
use super::place::{NoPlace, find_places, old_lines, stated_line};
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Display;

/// Limit of the problems that a message lists.
pub(super) const MISFITS_MAX: usize = 12;
/// The message when the limit of searching is reached.
pub(super) const TOO_LARGE: &str = "the old lines do not stand at the stated lines, and the file is too large to search for all such hunks; give the right line numbers, below one header";
/// Lines of a file that a message shows.
const HEAD_LINES: usize = 4;
/// Characters of a line that a message shows.
const CHARS_MAX: usize = 120;
/// Limit of the places that are compared with a hunk to find the nearest.
const CANDIDATES_MAX: usize = 200;

/// A change that does not apply to the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The file, as a message shows it.
    pub path: String,
    /// The number of the hunk, from 1, and its header; `None` for the whole file.
    pub hunk: Option<(usize, String)>,
    /// The line of the patch, 1-based.
    pub line: usize,
    /// What is wrong, and what the file has.
    pub why: String,
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path)?;
        match &self.hunk {
            Some((number, header)) => write!(
                f,
                ", hunk {number} (`{header}`, line {} of the patch)",
                self.line
            )?,
            None => write!(f, " (line {} of the patch)", self.line)?,
        }
        write!(f, ": {}", self.why)
    }
}

/// Joins the first problems to one line.
pub(super) fn join_misfits(misfits: &[Misfit]) -> String {
    let shown = misfits.iter().take(MISFITS_MAX).map(Misfit::to_string);
    let mut told = shown.collect::<Vec<_>>().join("; ");
    if let Some(more @ 1..) = misfits.len().checked_sub(MISFITS_MAX) {
        told += &format!("; and {more} more");
    }
    told
}

/// A text as a message shows it: on one line, cut, and with invisible characters escaped.
pub(super) fn escape_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == CHARS_MAX {
            shown.push('…');
            break;
        }
        let is_plain = c == ' ' || !(c.is_control() || c.is_whitespace() || is_invisible(c));
        match is_plain {
            true => shown.push(c),
            false => shown.extend(c.escape_default()),
        }
    }
    shown
}

/// Escapes the invisible characters of `text`; keeps its lines.
pub(super) fn escape_invisible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match is_invisible(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// The header of `hunk`, for a message.
pub(super) fn header(hunk: &Hunk) -> String {
    match &hunk.stated {
        Stated::Line { .. } => format!(
            "@@ -{},{} +{},{} @@",
            hunk.old_start,
            hunk.old_count(),
            hunk.new_start,
            hunk.new_count()
        ),
        Stated::Unnumbered { headings, .. } => match headings.last() {
            Some(heading) => format!("@@ {}", escape_line(heading.as_bytes())),
            None => "@@".to_owned(),
        },
    }
}

/// The first lines of a file.
pub(super) fn head(file: &File<'_>) -> String {
    let lines = file.lines.iter().take(HEAD_LINES);
    let lines: Vec<String> = lines
        .map(|line| format!("`{}`", escape_line(line.text)))
        .collect();
    match lines.is_empty() {
        true => "it is empty".to_owned(),
        false => format!("it begins with the lines {}", lines.join(", ")),
    }
}

/// Explains why `hunk` has no place in `file`.
pub(super) fn explain(
    hunk: &Hunk,
    nowhere: &NoPlace,
    file: &mut File<'_>,
    work: &mut SearchBudget,
) -> String {
    let length = file.lines.len();
    match nowhere {
        NoPlace::Differs => explain_difference(hunk, file, work),
        NoPlace::Several { places } => format!(
            "its old lines stand at {}; say which by the line number in `@@ -LINE,COUNT +LINE,COUNT @@`, or by more lines of context",
            list_places(places)
        ),
        NoPlace::NotAfterHeading { heading } => format!(
            "no place where its old lines stand lies behind a line `{}`, as its `@@` says; give a whole line of the file that stands before them",
            escape_line(heading.as_bytes())
        ),
        NoPlace::NotAtEnd { at } => format!(
            "its old lines stand at line {}, which is not the end of the file, as `*** End of File` says; the file has {length} lines",
            at + 1
        ),
        NoPlace::Exists => format!(
            "the file exists; `@@ -0,0` makes a new one. To change it, give its old lines; {}",
            head(file)
        ),
        NoPlace::Unanchored => {
            "it has `+` lines alone, and nothing that says where they go; give the lines around them as context".to_owned()
        }
        NoPlace::PastEnd { behind } => format!(
            "it adds lines behind line {behind}, and the file has {length}; give the lines around them as context"
        ),
        NoPlace::Contradiction => format!(
            "`-{},0 +{}` contradict each other: lines that are added behind line {0} begin at line {}; give the lines around them as context",
            hunk.old_start,
            hunk.new_start,
            u64::from(hunk.old_start) + 1
        ),
        NoPlace::TooLarge => TOO_LARGE.to_owned(),
    }
}

fn list_places(places: &[usize]) -> String {
    const LISTED_MAX: usize = 10;
    let lines: Vec<String> = places
        .iter()
        .take(LISTED_MAX)
        .map(|at| (at + 1).to_string())
        .collect();
    let count = match places.len() {
        more if more > super::place::PLACES_MAX => format!("more than {} places", more - 1),
        count => format!("{count} places"),
    };
    let more = if places.len() > LISTED_MAX {
        ", …"
    } else {
        ""
    };
    format!("{count}: lines {}{more}", lines.join(", "))
}

fn explain_difference(hunk: &Hunk, file: &mut File<'_>, work: &mut SearchBudget) -> String {
    if let Some(at) = find_applied(hunk, file, work) {
        return format!(
            "the new lines are already there, at line {}; leave this hunk out, or look for what is still to be done",
            at + 1
        );
    }
    let old = old_lines(hunk);
    let Some((at, alike)) = nearest_place(&old, stated_line(hunk), file) else {
        let first = old.iter().find(|line| !line.text.trim_ascii().is_empty());
        let first = first.or(old.first()).map_or(&[][..], |line| &line.text);
        let there = stated_line(hunk).map(|at| match file.lines.get(at) {
            Some(line) => format!("; line {} is `{}`", at + 1, escape_line(line.text)),
            None => format!("; it has {} lines", file.lines.len()),
        });
        return format!(
            "none of its old lines stands in the file, the first one being `{}`{}",
            escape_line(first),
            there.unwrap_or_default()
        );
    };
    let unlike = |(index, line): &(usize, &&Line)| {
        let there = file.lines.get(at + index);
        there.is_none_or(|there| compare_lines(line, there).is_none())
    };
    let Some((index, line)) = old.iter().enumerate().find(unlike) else {
        return "its old lines stand in the file, but not so that it can be applied".to_owned();
    };
    let told = match file.lines.get(at + index) {
        Some(there) => describe_difference(line, there, at + index + 1),
        None => format!(
            "the file ends with line {}; the patch goes on with `{}`",
            file.lines.len(),
            escape_line(&line.text)
        ),
    };
    match old.len() {
        1 => told,
        count => format!(
            "{told} ({alike} of its {count} old lines stand there, from line {})",
            at + 1
        ),
    }
}

fn describe_difference(line: &Line, there: &FileLine<'_>, number: usize) -> String {
    let (ours, theirs) = (escape_line(&line.text), escape_line(there.text));
    let both = format!("the patch has `{ours}`, the file has `{theirs}`");
    match Difference::between(&line.text, there.text) {
        Difference::Nothing => format!(
            "line {number} of the file, `{theirs}`, has a line end; the patch says `\\ No newline at end of file`"
        ),
        Difference::WhiteSpace => {
            format!("line {number} of the file differs, only in white space: {both}")
        }
        Difference::LookAlike(ours, theirs) => format!(
            "line {number} of the file differs, only in characters that look alike: {both} (U+{:04X} in the patch, U+{:04X} in the file)",
            u32::from(ours),
            u32::from(theirs)
        ),
        Difference::Text => format!("line {number} of the file differs: {both}"),
    }
}

/// The line at which the new lines already are: the stated line, or the only one if the new lines say enough.
fn find_applied(hunk: &Hunk, file: &mut File<'_>, work: &mut SearchBudget) -> Option<usize> {
    let new = hunk.lines.iter().filter(|line| line.mark != Mark::Removed);
    let new: Vec<Line> = new
        .map(|line| Line {
            mark: Mark::Same,
            ..line.clone()
        })
        .collect();
    let new: Vec<&Line> = new.iter().collect();
    if new.is_empty() || !(hunk.count(&[Mark::Added]) > 0 || is_bracketed(hunk)) {
        return None;
    }
    let stated = stated_line(hunk).filter(|at| file.match_at(&new, *at).is_some());
    if stated.is_some() || !is_telling(hunk, &new) {
        return stated;
    }
    match find_places(&new, file, work)?.as_slice() {
        [(at, _)] => Some(*at),
        _ => None,
    }
}

/// Whether context stands on both sides of what the hunk removes, so that the context shows whether it is gone.
fn is_bracketed(hunk: &Hunk) -> bool {
    let ends = [hunk.lines.first(), hunk.lines.last()];
    ends.into_iter()
        .flatten()
        .all(|line| line.mark == Mark::Same)
}

/// Whether the new lines are enough to be known by, away from the stated line.
fn is_telling(hunk: &Hunk, new: &[&Line]) -> bool {
    let length = |line: &Line| line.text.trim_ascii().len();
    let mut added = hunk.lines.iter().filter(|line| line.mark == Mark::Added);
    let told = new.iter().filter(|line| length(line) > 0).count();
    added.any(|line| length(line) > 2) || told > 2
}

/// The place that is most similar to the old lines, and how many of them match there.
fn nearest_place(
    old: &[&Line],
    stated: Option<usize>,
    file: &mut File<'_>,
) -> Option<(usize, usize)> {
    // This many lines are enough to find the place.
    let old = &old[..old.len().min(CANDIDATES_MAX)];
    let wanted: Vec<String> = old.iter().map(|line| skeleton(&line.text)).collect();
    let guesses = candidate_places(&wanted, stated, file);
    let alike = |at: usize| {
        let here = file.lines.get(at..).unwrap_or_default();
        let pairs = old.iter().zip(&wanted).zip(here);
        // A match counts more than a line that only looks alike. Empty lines count nothing.
        let points = pairs.map(|((line, wanted), there)| match compare_lines(line, there) {
            found if wanted.is_empty() => (0, usize::from(found.is_some())),
            Some(_) => (2, 1),
            None => (usize::from(*wanted == skeleton(there.text)), 0),
        });
        points.fold((0, 0), |sum, point| (sum.0 + point.0, sum.1 + point.1))
    };
    let scored = guesses.into_iter().map(|at| (alike(at), at));
    let distance = |at: usize| stated.map_or(at, |stated| at.abs_diff(stated));
    let ((points, count), at) =
        scored.max_by_key(|((points, _), at)| (*points, std::cmp::Reverse(distance(*at))))?;
    (points > 0).then_some((at, count))
}

/// Candidate places: those of lines that look like one of `wanted`, the rarest lines first, up to the limit.
fn candidate_places(
    wanted: &[String],
    stated: Option<usize>,
    file: &mut File<'_>,
) -> BTreeSet<usize> {
    let mut rare: Vec<(usize, Vec<u32>)> = Vec::new();
    for (index, text) in wanted
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.is_empty())
    {
        let places = file.find_similar(text);
        // Of a frequent line, take the places around the stated line.
        let near = places.partition_point(|at| (*at as usize) < stated.unwrap_or_default());
        let from = near.saturating_sub(CANDIDATES_MAX / 2);
        let places = places[from..].iter().take(CANDIDATES_MAX).copied();
        rare.push((index, places.collect()));
    }
    rare.sort_by_key(|(_, places)| places.len());
    let mut guesses: BTreeSet<usize> = stated.into_iter().collect();
    for (index, places) in rare {
        let room = CANDIDATES_MAX.saturating_sub(guesses.len());
        let starts = places
            .iter()
            .filter_map(|at| (*at as usize).checked_sub(index));
        guesses.extend(starts.take(room));
    }
    guesses
}
