//! Fenced blocks in a worker's output.
//!
//! More lenient than CommonMark: a fence may have any indentation, because models write them below list items. A fence
//! opens with three or more backticks or tildes and an info string. It is closed by a line with at least as many of the
//! same and nothing else, indented no further than the opening: a context line of a diff is indented one space further
//! than its fence.

use std::ops::Range;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'t> {
    /// The info string.
    pub info: &'t str,
    /// From the start of the opening line to the end of the closing line, or of the text.
    pub span: Range<usize>,
    /// The content between the fences.
    pub body: Range<usize>,
    /// Whether there is a closing fence.
    pub is_closed: bool,
}

impl Block<'_> {
    /// Whether it contains a patch, whose lines are data.
    pub fn is_patch(&self) -> bool {
        let word = self.info.split_whitespace().next().unwrap_or_default();
        ["diff", "patch"]
            .iter()
            .any(|kind| word.eq_ignore_ascii_case(kind))
    }
}

/// All blocks of a text, in order.
pub fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(Fence<'_>, Block<'_>)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(fence) = Fence::read(line) else {
            continue;
        };
        match open.take() {
            None if fence.opens() => {
                let block = Block {
                    info: fence.info,
                    span: start..text.len(),
                    body: at..text.len(),
                    is_closed: false,
                };
                open = Some((fence, block));
            }
            Some((opening, block)) if fence.closes(&opening) => blocks.push(Block {
                span: block.span.start..at,
                body: block.body.start..start,
                is_closed: true,
                ..block
            }),
            other => open = other,
        }
    }
    blocks.extend(open.map(|(_, block)| block));
    blocks
}

/// A line that starts with a run of marks.
struct Fence<'t> {
    marks: &'t str,
    info: &'t str,
    indent: usize,
}

impl<'t> Fence<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let bare = line.trim_start();
        let mark = bare.chars().next().filter(|mark| "`~".contains(*mark))?;
        let info = bare.trim_start_matches(mark);
        let marks = &bare[..bare.len() - info.len()];
        (marks.len() >= 3).then(|| Self {
            marks,
            info: info.trim(),
            indent: line.len() - bare.len(),
        })
    }

    /// Backticks after backticks are inline code.
    fn opens(&self) -> bool {
        self.marks.starts_with('~') || !self.info.contains('`')
    }

    fn closes(&self, opening: &Fence<'_>) -> bool {
        self.info.is_empty()
            && self.marks.starts_with(opening.marks)
            && self.indent <= opening.indent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&str, &str, bool)> {
        let blocks = blocks(text).into_iter();
        blocks
            .map(|block| (block.info, &text[block.body], block.is_closed))
            .collect()
    }

    #[test]
    fn every_kind_of_block_is_found() {
        assert_eq!(shown("a\n```json\n{}\n```\nb"), [("json", "{}\n", true)]);
        assert_eq!(shown("~~~\n```\nx\n~~~~\n"), [("", "```\nx\n", true)]);
        assert_eq!(
            shown("```json title=\"x\"\n1\n```\n  ```\n2\n  ```\n"),
            [("json title=\"x\"", "1\n", true), ("", "2\n", true)]
        );
        assert_eq!(
            shown("```diff\n ```\n+x\n```\n"),
            [("diff", " ```\n+x\n", true)]
        );
        assert_eq!(shown("```json\n{}"), [("json", "{}", false)]);
        assert_eq!(shown("```{}``` is inline\n``no"), []);
    }
}
