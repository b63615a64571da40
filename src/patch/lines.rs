//! A file as lines, and how like one of them a line of a hunk is. Nothing here guesses: a line is the same, or it differs in
//! its end or in trailing blanks, or it is another one.

use super::hunk::{Line, Mark};
use std::collections::HashMap;

/// A line of a file: without `\n`, with `\r`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileLine<'c> {
    pub text: &'c [u8],
    /// Whether a line end follows; only the last line may have none.
    pub is_ended: bool,
}

/// How the lines of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// `\n`, all of them.
    Lf,
    /// `\r\n`, all of them.
    Crlf,
    /// Some so and some so, or there is no line end at all.
    Unclear,
}

/// How like each other a line of a hunk and one of the file are, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// Byte for byte.
    Exact,
    /// But for the line end.
    LineEnd,
    /// But for blanks at the end; only of a line that stays.
    Blanks,
}

/// How many lines may be looked at for one patch. A search over the whole file is linear, but a patch may ask for a thousand of
/// them in a file of millions of lines.
const LINES_MAX: u64 = 30_000_000;

/// What is left of the bound on searching.
#[derive(Debug)]
pub(super) struct Work(u64);

impl Default for Work {
    fn default() -> Self {
        Self(LINES_MAX)
    }
}

impl Work {
    #[cfg(test)]
    pub fn bounded(lines: u64) -> Self {
        Self(lines)
    }

    /// Takes `lines` off; `None` when there are not as many left.
    pub fn take(&mut self, lines: usize) -> Option<()> {
        let left = self.0.checked_sub(lines as u64);
        self.0 = left.unwrap_or_default();
        left.map(drop)
    }

    /// Whether something was not looked for any more.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// A file as lines, with an index of them once it is asked for.
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

    /// Where lines stand that are `text` but for blanks at the end; `None` when the file is too large to look.
    pub fn standing(&mut self, text: &[u8], work: &mut Work) -> Option<&[u32]> {
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

    /// Where lines stand that an eye would take for `skeleton`.
    pub fn looking_like(&mut self, skeleton: &str) -> &[u32] {
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

    /// How well `old` stands at line `at` (from 0); `None` when some line of it is another one.
    pub fn fits(&self, old: &[&Line], at: usize) -> Option<Likeness> {
        let here = self.lines.get(at..at.checked_add(old.len())?)?;
        let mut worst = Likeness::Exact;
        for (line, there) in old.iter().zip(here) {
            worst = worst.max(likeness(line, there)?);
        }
        Some(worst)
    }
}

/// How like `line` the one of the file is; `None` when it is another one.
pub(super) fn likeness(line: &Line, there: &FileLine<'_>) -> Option<Likeness> {
    // A mark for a missing line end that is there after all: what goes must be right, what stays is as the tree has it.
    let is_end_denied = !line.is_ended && there.is_ended;
    if is_end_denied && line.mark == Mark::Removed {
        return None;
    }
    let worst = if is_end_denied {
        Likeness::LineEnd
    } else {
        Likeness::Exact
    };
    // A line without an end has no `\r` either, whatever the patch has seen of it.
    let is_open = !there.is_ended && without_return(&line.text) == there.text;
    if line.text == there.text || is_open {
        Some(worst)
    } else if without_return(&line.text) == without_return(there.text) {
        Some(Likeness::LineEnd)
    } else if line.mark == Mark::Same && without_blanks(&line.text) == without_blanks(there.text) {
        Some(Likeness::Blanks)
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
