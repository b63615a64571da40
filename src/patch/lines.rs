//! The lines of a file, and their comparison with the lines of a hunk: they are equal, or differ only in the line end or in
//! trailing blanks, or differ.

use super::hunk::{Line, Mark};
use std::collections::HashMap;

/// A line of a file, without `\n`, but with `\r`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileLine<'c> {
    pub text: &'c [u8],
    /// Whether a newline follows; only the last line may have none.
    pub is_ended: bool,
}

/// The line ends of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// All are `\n`.
    Lf,
    /// All are `\r\n`.
    Crlf,
    /// Mixed, or there is none.
    Unclear,
}

/// How well a line of a hunk matches one of the file; the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LineMatch {
    /// Byte for byte.
    Exact,
    /// Except for the line end.
    LineEnd,
    /// Except for trailing blanks; only for a context line.
    Blanks,
}

/// Limit of the lines that are examined for one patch. A search of the whole file is linear, but a patch may need a thousand
/// searches in a file of millions of lines.
const LINES_MAX: u64 = 30_000_000;

/// The number of lines that may still be examined.
#[derive(Debug)]
pub(super) struct SearchBudget(u64);

impl Default for SearchBudget {
    fn default() -> Self {
        Self(LINES_MAX)
    }
}

impl SearchBudget {
    #[cfg(test)]
    pub fn bounded(lines: u64) -> Self {
        Self(lines)
    }

    /// Subtracts `lines`; `None` if fewer are left.
    pub fn take(&mut self, lines: usize) -> Option<()> {
        let left = self.0.checked_sub(lines as u64);
        self.0 = left.unwrap_or_default();
        left.map(drop)
    }

    /// Whether the limit was reached.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// The lines of a file, with an index that is built on first use.
pub(super) struct File<'c> {
    pub lines: Vec<FileLine<'c>>,
    index: Option<HashMap<&'c [u8], Vec<u32>>>,
    skeletons: Option<HashMap<String, Vec<u32>>>,
}

impl<'c> File<'c> {
    pub fn new(content: &'c [u8]) -> Self {
        let lines = content.split_inclusive(|byte| *byte == b'\n');
        let line = |line: &'c [u8]| match line.strip_suffix(b"\n") {
            Some(text) => FileLine {
                text,
                is_ended: true,
            },
            None => FileLine {
                text: line,
                is_ended: false,
            },
        };
        Self {
            lines: lines.map(line).collect(),
            index: None,
            skeletons: None,
        }
    }

    pub fn line_ends(&self) -> LineEnds {
        let ended = || self.lines.iter().filter(|line| line.is_ended);
        let crlf = ended().filter(|line| line.text.ends_with(b"\r")).count();
        match (crlf, ended().count()) {
            (_, 0) => LineEnds::Unclear,
            (0, _) => LineEnds::Lf,
            (crlf, all) if crlf == all => LineEnds::Crlf,
            _ => LineEnds::Unclear,
        }
    }

    /// The positions of lines that equal `text` except for trailing blanks; `None` if the search exceeds the limit.
    pub fn find_line(&mut self, text: &[u8], work: &mut SearchBudget) -> Option<&[u32]> {
        if self.index.is_none() {
            work.take(self.lines.len())?;
            let mut index: HashMap<&[u8], Vec<u32>> = HashMap::new();
            for (at, line) in self.lines.iter().enumerate() {
                let at = u32::try_from(at).ok()?;
                index.entry(without_blanks(line.text)).or_default().push(at);
            }
            self.index = Some(index);
        }
        let standing = self.index.as_ref()?.get(without_blanks(text));
        Some(standing.map_or(&[], Vec::as_slice))
    }

    /// The positions of lines with this skeleton.
    pub fn find_similar(&mut self, skeleton: &str) -> &[u32] {
        let lines = &self.lines;
        let index = self.skeletons.get_or_insert_with(|| {
            let mut index: HashMap<String, Vec<u32>> = HashMap::new();
            for (at, line) in (0..).zip(lines) {
                let skeleton = super::likeness::skeleton(line.text);
                index.entry(skeleton).or_default().push(at);
            }
            index
        });
        index.get(skeleton).map_or(&[], Vec::as_slice)
    }

    /// How well the lines `old` match at line `at`, counted from 0; `None` if one of them differs.
    pub fn match_at(&self, old: &[&Line], at: usize) -> Option<LineMatch> {
        let here = self.lines.get(at..at.checked_add(old.len())?)?;
        let mut worst = LineMatch::Exact;
        for (line, there) in old.iter().zip(here) {
            worst = worst.max(compare_lines(line, there)?);
        }
        Some(worst)
    }
}

/// How well `line` matches the one of the file; `None` if it differs.
pub(super) fn compare_lines(line: &Line, there: &FileLine<'_>) -> Option<LineMatch> {
    // The patch says that there is no newline, but there is one. A removed line must match; a context line need not.
    let is_end_denied = !line.is_ended && there.is_ended;
    if is_end_denied && line.mark == Mark::Removed {
        return None;
    }
    let worst = if is_end_denied {
        LineMatch::LineEnd
    } else {
        LineMatch::Exact
    };
    // A line without a newline has no `\r` either.
    let is_open = !there.is_ended && without_return(&line.text) == there.text;
    if line.text == there.text || is_open {
        Some(worst)
    } else if without_return(&line.text) == without_return(there.text) {
        Some(LineMatch::LineEnd)
    } else if line.mark == Mark::Same && without_blanks(&line.text) == without_blanks(there.text) {
        Some(LineMatch::Blanks)
    } else {
        None
    }
}

pub(super) fn without_return(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\r").unwrap_or(text)
}

pub(super) fn without_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c);
    let end = text.iter().rposition(|byte| !is_blank(byte));
    &text[..end.map_or(0, |end| end + 1)]
}
