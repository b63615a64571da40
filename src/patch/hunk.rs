//! Hunks: reading them although their counts are wrong.
//!
//! A hunk whose counts are right ends where they say. One whose counts are wrong ends where its lines do; where that
//! can't be told from prose, it is refused.

use super::PatchError;

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Stays; ` `.
    Same,
    /// Goes; `-`.
    Removed,
    /// Comes; `+`.
    Added,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What happens to it.
    pub mark: Mark,
    /// Without its line end; with the `\r` of a file that has them.
    pub text: String,
    /// Whether a line end follows. `\ No newline at end of file` says that none does.
    pub is_ended: bool,
}

/// A run of changed lines with those around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Where it begins in the old file, 1-based; 0 in an empty one.
    pub old_start: u32,
    /// Where it begins in the new file.
    pub new_start: u32,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Hunk {
    /// How many lines with one of `marks` it has.
    pub fn count(&self, marks: &[Mark]) -> usize {
        let counted = self.lines.iter().filter(|line| marks.contains(&line.mark));
        counted.count()
    }

    /// How many lines the old file has here.
    pub fn old_count(&self) -> usize {
        self.count(&[Mark::Same, Mark::Removed])
    }

    /// How many lines the new file has here.
    pub fn new_count(&self) -> usize {
        self.count(&[Mark::Same, Mark::Added])
    }
}

/// A hunk that was read, and how.
pub(super) struct Read {
    pub hunk: Hunk,
    /// The line after it.
    pub next: usize,
    /// Its counts were wrong.
    pub is_recounted: bool,
}

/// The numbers of `@@ -1,3 +1,4 @@`.
struct Ranges {
    old: (u32, u32),
    new: (u32, u32),
}

/// Reads the hunk whose header is line `at`. `empty` is what a line without any character stands for: many a model drops
/// the blank of an empty context line, and the `+` of an empty line in a new file.
pub(super) fn read(lines: &[&str], at: usize, empty: Mark) -> Result<Read, PatchError> {
    let header = lines.get(at).copied().unwrap_or_default();
    let ranges = ranges(header).ok_or_else(|| {
        PatchError::at(
            at + 1,
            "a hunk header has to look like `@@ -12,7 +12,8 @@`, with the line numbers",
        )
    })?;
    let body = Body {
        lines,
        begin: at + 1,
        // Nothing can stay of what was not there.
        empty: if ranges.old == (0, 0) {
            Mark::Added
        } else {
            empty
        },
        is_crlf: header.ends_with('\r'),
    };
    let (read, next, is_recounted) = match body.counted(&ranges) {
        Some((read, next)) => (read, next, false),
        None => {
            let (read, next) = body.uncounted(&ranges)?;
            (read, next, true)
        }
    };
    let hunk = Hunk {
        old_start: ranges.old.0,
        new_start: ranges.new.0,
        lines: read,
    };
    Ok(Read {
        hunk,
        next,
        is_recounted,
    })
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

struct Body<'t> {
    lines: &'t [&'t str],
    begin: usize,
    empty: Mark,
    /// The diff went through something that ends all lines with CRLF; the `\r` at the end of a line is not the file's.
    is_crlf: bool,
}

impl Body<'_> {
    /// The lines that the header counts; `None` when it counts them wrong.
    fn counted(&self, ranges: &Ranges) -> Option<(Vec<Line>, usize)> {
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
            && !is_signature(self.lines, at);
        (!is_followed_by_more).then_some((read, at))
    }

    /// All lines up to something that is none of a hunk.
    fn uncounted(&self, ranges: &Ranges) -> Result<(Vec<Line>, usize), PatchError> {
        let mut read = Vec::new();
        let mut at = self.begin;
        let mut blanks = 0;
        while at < self.lines.len() && !self.is_end(at) {
            if self.take_newline_mark(at, &mut read) {
                at += 1;
                continue;
            }
            match self.line(at) {
                Some(line) => read.push(line),
                None if blanks > 0 => break,
                None => return Err(self.no_line(at)),
            }
            blanks = if is_blank(self.lines[at]) {
                blanks + 1
            } else {
                0
            };
            at += 1;
        }
        // Empty lines at the end belong to the hunk when with them its header counts right after all.
        let (marks, counted) = match self.empty {
            Mark::Added => ([Mark::Added, Mark::Added], ranges.new.1),
            _ => ([Mark::Same, Mark::Removed], ranges.old.1),
        };
        let count = read
            .iter()
            .filter(|line| marks.contains(&line.mark))
            .count();
        let excess = count.checked_sub(counted as usize);
        let excess = excess.filter(|excess| *excess <= blanks).unwrap_or(blanks);
        read.truncate(read.len() - excess);
        Ok((read, at))
    }

    fn no_line(&self, at: usize) -> PatchError {
        let message = "the hunk above counts its lines wrong, and this one begins with neither ` `, `+` nor `-`; put the right counts into its `@@` line, and end the diff with a blank line or a fence";
        PatchError::at(at + 1, message)
    }

    fn is_end(&self, at: usize) -> bool {
        let line = self.lines[at];
        line.starts_with("@@ ")
            || line.starts_with("diff ")
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
        let text = text.to_owned();
        Some(Line {
            mark,
            text,
            is_ended: true,
        })
    }

    /// `\ No newline at end of file`, in whatever language, belongs to the line above.
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

/// A line that opens or closes a fenced block; no line of a hunk begins like this.
pub(super) fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// `--- old`, `+++ new`, `@@`: three lines, since the first two could be lines of a hunk as well.
fn is_file_header(lines: &[&str], at: usize) -> bool {
    let begins = |offset: usize, text: &str| {
        let line = lines.get(at + offset);
        line.is_some_and(|line| line.starts_with(text))
    };
    begins(0, "--- ") && begins(1, "+++ ") && begins(2, "@@ ")
}

/// `-- ` and a version, as `git format-patch` ends its mails.
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
