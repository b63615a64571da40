//! Reads hunks, also with wrong counts or without line numbers.
//!
//! A hunk with right counts ends where they say. A hunk with wrong or no counts ends where its lines do; if its end can't be
//! distinguished from prose, it is refused.

use super::error::PatchError;

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Context, ` `.
    Same,
    /// Removed, `-`.
    Removed,
    /// Added, `+`.
    Added,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whether it is context, removed or added.
    pub mark: Mark,
    /// The line without `\n`, but with `\r`. Bytes, because files may have any encoding.
    pub text: Vec<u8>,
    /// Whether a newline follows; false with `\ No newline at end of file`.
    pub is_ended: bool,
}

/// What the header of a hunk says about its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// `@@ -12,3 +12,4 @@`: the line number is in `old_start`.
    Line {
        /// It counts no old lines, so its lines go after that line.
        is_insertion: bool,
    },
    /// `@@`, `@@ ... @@`, `@@ def load(path):`: no number.
    Unnumbered {
        /// Lines that occur somewhere before it, in this order.
        headings: Vec<String>,
        /// Whether all of them must occur, as in the `*** Begin Patch` format. Otherwise they only choose among several places.
        is_strict: bool,
        /// `*** End of File`: the hunk reaches to the end.
        at_end: bool,
    },
}

/// Changed lines with their context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// The first line in the old file, 1-based; 0 for an empty file, or without a number.
    pub old_start: u32,
    /// The first line in the new file.
    pub new_start: u32,
    /// What the header says about its place.
    pub stated: Stated,
    /// The line of its header in the model's text, 1-based; for messages.
    pub line: usize,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Hunk {
    /// Number of lines with one of `marks`.
    pub fn count(&self, marks: &[Mark]) -> usize {
        let counted = self.lines.iter().filter(|line| marks.contains(&line.mark));
        counted.count()
    }

    /// Number of old lines.
    pub fn old_count(&self) -> usize {
        self.count(&[Mark::Same, Mark::Removed])
    }

    /// Number of new lines.
    pub fn new_count(&self) -> usize {
        self.count(&[Mark::Same, Mark::Added])
    }
}

/// The result of reading a hunk.
pub(super) struct ParsedHunk {
    pub hunk: Hunk,
    /// The line after it.
    pub next: usize,
    /// Its counts were wrong.
    pub is_recounted: bool,
}

/// The numbers of `@@ -1,3 +1,4 @@`.
#[derive(Clone, Copy)]
struct Ranges {
    old: (u32, u32),
    new: (u32, u32),
}

/// Reads the hunk whose header is line `at`. `empty` is the mark of an empty line, because many models omit the blank of an
/// empty context line, and the `+` of an empty line in a new file.
pub(super) fn read(
    lines: &[&str],
    at: usize,
    empty: Mark,
    is_strict: bool,
) -> Result<ParsedHunk, PatchError> {
    let header = lines.get(at).copied().unwrap_or_default();
    match ranges(header) {
        Some(ranges) => read_numbered(lines, at, empty, ranges),
        None => {
            let mut headings: Vec<String> = heading(header).into_iter().collect();
            let mut begin = at + 1;
            // `@@ class A` and below it `@@ def f`: nested headings.
            while let Some(line) = lines.get(begin).filter(|line| is_header(line)) {
                if ranges(line).is_some() {
                    break;
                }
                headings.extend(heading(line));
                begin += 1;
            }
            read_unnumbered(lines, (at, begin), empty, headings, is_strict)
        }
    }
}

/// Reads a hunk without a header, which may be the first one below `*** Update File:`.
pub(super) fn read_headless(
    lines: &[&str],
    at: usize,
    empty: Mark,
) -> Result<ParsedHunk, PatchError> {
    // The line above, the header of the file, shows whether the whole diff has CRLF line ends.
    let mut read = read_unnumbered(lines, (at.saturating_sub(1), at), empty, Vec::new(), true)?;
    read.hunk.line = at + 1;
    Ok(read)
}

fn read_numbered(
    lines: &[&str],
    at: usize,
    empty: Mark,
    ranges: Ranges,
) -> Result<ParsedHunk, PatchError> {
    let body = |empty: Mark| Body {
        lines,
        begin: at + 1,
        empty,
        is_crlf: lines[at].ends_with('\r'),
    };
    let read = |body: Body<'_>| {
        Ok(match body.read_counted(&ranges) {
            Some((read, next)) => (read, next, false),
            None => {
                let (read, next) = body.read_uncounted(Some(&ranges))?;
                (read, next, true)
            }
        })
    };
    // A new file has no context lines, unless the numbers are wrong.
    let from_nothing = ranges.old == (0, 0);
    let mut found = read(body(if from_nothing { Mark::Added } else { empty }))?;
    if from_nothing && found.0.iter().any(|line| line.mark != Mark::Added) {
        found = read(body(empty))?;
    }
    let (read, next, is_recounted) = found;
    let is_insertion = ranges.old.1 == 0 && read.iter().all(|line| line.mark == Mark::Added);
    let hunk = Hunk {
        old_start: ranges.old.0,
        new_start: ranges.new.0,
        stated: Stated::Line { is_insertion },
        line: at + 1,
        lines: read,
    };
    Ok(ParsedHunk {
        hunk,
        next,
        is_recounted,
    })
}

fn read_unnumbered(
    lines: &[&str],
    (at, begin): (usize, usize),
    empty: Mark,
    headings: Vec<String>,
    is_strict: bool,
) -> Result<ParsedHunk, PatchError> {
    let body = Body {
        lines,
        begin,
        empty,
        is_crlf: lines.get(at).is_some_and(|line| line.ends_with('\r')),
    };
    let (read, mut next) = body.read_uncounted(None)?;
    let at_end = lines
        .get(next)
        .is_some_and(|line| line.trim_end() == END_OF_FILE);
    next += usize::from(at_end);
    let stated = Stated::Unnumbered {
        headings,
        is_strict,
        at_end,
    };
    let hunk = Hunk {
        old_start: 0,
        new_start: 0,
        stated,
        line: at + 1,
        lines: read,
    };
    Ok(ParsedHunk {
        hunk,
        next,
        is_recounted: false,
    })
}

/// In the `*** Begin Patch` format: the hunk reaches to the end of the file.
const END_OF_FILE: &str = "*** End of File";

/// A line that begins a hunk, with numbers or without.
pub(super) fn is_header(line: &str) -> bool {
    line.starts_with("@@ ") || matches!(line, "@@" | "@@\r")
}

fn ranges(header: &str) -> Option<Ranges> {
    let (ranges, _) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(u32, u32)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    Some(Ranges {
        old: range(old)?,
        new: range(new)?,
    })
}

/// The heading in a header without numbers: the text after the second `@@`, or after the only one. `...` and
/// `-XX,YY +XX,YY` are not headings.
fn heading(header: &str) -> Option<String> {
    let text = header.trim_end_matches('\r').strip_prefix("@@")?;
    let (before, after) = text.split_once("@@").unwrap_or((text, ""));
    let is_said = |text: &&str| {
        let is_numbers = text.starts_with('-') && text.contains(" +");
        !text.is_empty() && !is_numbers && text.chars().any(|c| !".…?* ".contains(c))
    };
    let mut parts = [after.trim(), before.trim()].into_iter();
    parts.find(is_said).map(str::to_owned)
}

struct Body<'t> {
    lines: &'t [&'t str],
    begin: usize,
    empty: Mark,
    /// All lines of the diff end with CRLF, so the `\r` at the end of a line does not belong to the file.
    is_crlf: bool,
}

impl Body<'_> {
    /// Reads as many lines as the header says; `None` if its counts are wrong.
    fn read_counted(&self, ranges: &Ranges) -> Option<(Vec<Line>, usize)> {
        let (mut old, mut new) = (ranges.old.1, ranges.new.1);
        let mut read = Vec::new();
        let mut at = self.begin;
        while old > 0 || new > 0 {
            if self.take_newline_mark(at, &mut read) {
                at += 1;
                continue;
            }
            let line = self.line(at)?;
            match line.mark {
                Mark::Same => {
                    old = old.checked_sub(1)?;
                    new = new.checked_sub(1)?;
                }
                Mark::Removed => old = old.checked_sub(1)?,
                Mark::Added => new = new.checked_sub(1)?,
            }
            read.push(line);
            at += 1;
        }
        at += usize::from(self.take_newline_mark(at, &mut read));
        let is_followed_by_more = self.line(at).is_some()
            && !is_blank(self.lines[at])
            && !is_file_header(self.lines, at)
            && !is_lone_header(self.lines, at)
            && !is_signature(self.lines, at);
        (!is_followed_by_more).then_some((read, at))
    }

    /// Reads all lines up to one that can't belong to a hunk.
    fn read_uncounted(&self, ranges: Option<&Ranges>) -> Result<(Vec<Line>, usize), PatchError> {
        let mut read = Vec::new();
        let mut at = self.begin;
        let mut blanks = 0;
        while at < self.lines.len() && !self.is_end(at) {
            if is_lone_header(self.lines, at) {
                let message = "this may be a line of the hunk above or the header of another file; put right counts into the `@@` line above, or a `diff --git` line before this one";
                return Err(PatchError::at(at + 1, message));
            }
            if self.take_newline_mark(at, &mut read) {
                at += 1;
                continue;
            }
            match self.line(at) {
                Some(line) => read.push(line),
                None if blanks > 0 => break,
                None => return Err(self.unreadable_line(at)),
            }
            blanks = if is_blank(self.lines[at]) {
                blanks + 1
            } else {
                0
            };
            at += 1;
        }
        // Empty lines at the end belong to the hunk only if they make its counts right.
        let (marks, counted) = match self.empty {
            Mark::Added => (
                [Mark::Added, Mark::Added],
                ranges.map(|ranges| ranges.new.1),
            ),
            _ => (
                [Mark::Same, Mark::Removed],
                ranges.map(|ranges| ranges.old.1),
            ),
        };
        let count = read
            .iter()
            .filter(|line| marks.contains(&line.mark))
            .count();
        let excess = counted.and_then(|counted| count.checked_sub(counted as usize));
        let excess = excess.filter(|excess| *excess <= blanks).unwrap_or(blanks);
        read.truncate(read.len() - excess);
        Ok((read, at))
    }

    fn unreadable_line(&self, at: usize) -> PatchError {
        let message = "the hunk above counts its lines wrong or not at all, and this one begins with neither ` `, `+` nor `-`; put the right counts into its `@@` line, and end the diff with a blank line or a fence";
        PatchError::at(at + 1, message)
    }

    fn is_end(&self, at: usize) -> bool {
        let line = self.lines[at];
        is_header(line)
            || line.starts_with("diff ")
            || line.starts_with("*** ")
            || is_fence(line)
            || is_file_header(self.lines, at)
            || is_signature(self.lines, at)
    }

    fn line(&self, at: usize) -> Option<Line> {
        let mut text = *self.lines.get(at)?;
        if self.is_crlf {
            text = text.strip_suffix('\r').unwrap_or(text);
        }
        let (mark, text) = match text.as_bytes().first() {
            None => (self.empty, text),
            Some(b'\r') if text.len() == 1 => (self.empty, text),
            Some(b' ') => (Mark::Same, &text[1..]),
            Some(b'-') => (Mark::Removed, &text[1..]),
            Some(b'+') => (Mark::Added, &text[1..]),
            Some(_) => return None,
        };
        let text = text.as_bytes().to_vec();
        Some(Line {
            mark,
            text,
            is_ended: true,
        })
    }

    /// Applies `\ No newline at end of file`, in any language, to the line above.
    fn take_newline_mark(&self, at: usize, read: &mut [Line]) -> bool {
        let is_mark = self
            .lines
            .get(at)
            .is_some_and(|line| line.starts_with("\\ "));
        match read.last_mut() {
            Some(line) if is_mark => {
                line.is_ended = false;
                true
            }
            _ => false,
        }
    }
}

pub(super) fn is_blank(line: &str) -> bool {
    matches!(line, "" | "\r")
}

/// A line that opens or closes a fenced block. No line of a hunk begins like this.
pub(super) fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// `--- old`, `+++ new`, `@@`: three lines, because the first two could also belong to a hunk.
fn is_file_header(lines: &[&str], at: usize) -> bool {
    let begins = |offset: usize, text: &str| {
        let line = lines.get(at + offset);
        line.is_some_and(|line| line.starts_with(text))
    };
    begins(0, "--- ") && begins(1, "+++ ") && begins(2, "@@")
}

/// One of the two header lines without the other, directly above a hunk.
pub(super) fn is_lone_header(lines: &[&str], at: usize) -> bool {
    let line = lines.get(at).copied().unwrap_or_default();
    let is_name = line.starts_with("--- ") || line.starts_with("+++ ");
    is_name && lines.get(at + 1).is_some_and(|line| is_header(line))
}

/// `-- ` and a version, the signature of `git format-patch`.
fn is_signature(lines: &[&str], at: usize) -> bool {
    let bare = |offset: usize| {
        lines
            .get(at + offset)
            .map(|line| line.trim_end_matches('\r'))
    };
    bare(0) == Some("-- ")
        && bare(1).is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        && bare(2).is_none_or(str::is_empty)
}
