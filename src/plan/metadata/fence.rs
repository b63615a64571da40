//! Fenced blocks in notes: finding those with the info string `mesh`, and putting one there.
//!
//! A fence is that of CommonMark: three or more backticks or tildes, indented by at most three blanks, and closed by at least
//! as many of the same. All fences are followed, so that a `mesh` block quoted in another block is none. Unlike in a full
//! Markdown parser, a fence indented by four blanks or more, or after the `>` of a quote, opens no block, not even in a list
//! item. Of the content, only the names of the keys are known here.
//!
//! Notes may be large, so they are read once, and a block borrows from them.

use std::iter;
use std::ops::Range;

use super::fields::KEYS;

/// A metadata block of the notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block<'n> {
    /// The line of the opening fence, from 1; without a fence, the first line.
    pub line: usize,
    /// The first line of the content, from 1.
    pub text_line: usize,
    /// The content, with its indentation.
    pub body: &'n str,
    /// Whether there is a closing fence.
    pub is_closed: bool,
    /// The fence; `None` where the notes consist of the block.
    fence: Option<Fence<'n>>,
    /// Its bytes in the notes, from the opening fence to the closing one, without the line end of the latter.
    span: Range<usize>,
}

/// The info string of a metadata block.
const INFO: &str = "mesh";

/// All `mesh` blocks of the notes, in order.
pub(super) fn mesh_blocks(notes: &str) -> impl Iterator<Item = Block<'_>> {
    let mut lines = lines(notes);
    let next_block = move || {
        let (opening, fence) = lines
            .by_ref()
            .find_map(|line| Some((line, Fence::opening(line.text)?)))?;
        let closing = lines.by_ref().find(|line| fence.is_closed_by(line.text));
        Some(Block::fenced(notes, fence, opening, closing))
    };
    iter::from_fn(next_block).filter(Block::is_ours)
}

/// The notes as one block without a fence, if their first line begins with a key of the block.
pub(super) fn bare(notes: &str) -> Option<Block<'_>> {
    let is_blank =
        |text: &str| text.trim().is_empty() || text.starts_with('#') || text.trim_end() == "---";
    let first = lines(notes).find(|line| !is_blank(line.text))?;
    let (key, _) = first.text.split_once(':')?;
    KEYS.contains(&key.trim()).then(|| Block {
        line: 1,
        text_line: 1,
        body: notes,
        is_closed: true,
        fence: None,
        span: 0..without_line_end(notes).len(),
    })
}

/// The notes with `text` as their `mesh` block: it replaces `old`, with the same fence, or comes first, where no open fence
/// contains it. The text around it is unchanged.
pub(super) fn put(notes: &str, old: Option<&Block>, text: &str) -> String {
    let span = old.map_or(0..0, |block| block.span.clone());
    let (before, after) = (&notes[..span.start], &notes[span.end..]);
    let line_end = first_line_end(&notes[span.start..]);
    let fence = old.and_then(|block| block.fence).unwrap_or(Fence::OURS);
    let block = fence.around(text, line_end);
    match old {
        Some(_) => format!("{before}{block}{after}"),
        None if notes.is_empty() => format!("{block}{line_end}"),
        None => format!("{block}{line_end}{line_end}{notes}"),
    }
}

impl<'n> Block<'n> {
    fn fenced(notes: &'n str, fence: Fence<'n>, opening: Line, closing: Option<Line>) -> Block<'n> {
        let body_end = closing.map_or(notes.len(), |line| line.start);
        let end = closing.map_or(notes.len(), |line| line.start + line.text.len());
        Block {
            line: opening.number,
            text_line: opening.number + 1,
            body: &notes[opening.next..body_end],
            is_closed: closing.is_some(),
            fence: Some(fence),
            span: opening.start..end,
        }
    }

    fn is_ours(&self) -> bool {
        let info = self.fence.and_then(|f| f.info.split_whitespace().next());
        info == Some(INFO)
    }

    /// Whether the notes consist of the block, without a fence.
    pub fn is_bare(&self) -> bool {
        self.fence.is_none()
    }

    /// The content, without the indentation of the opening fence.
    pub fn text(&self) -> String {
        let indent = self.fence.map_or(0, |fence| fence.indent);
        let unindent = |line: &'n str| {
            let blanks = line.len() - line.trim_start_matches(' ').len();
            &line[blanks.min(indent)..]
        };
        self.body.split_inclusive('\n').map(unindent).collect()
    }
}

/// An opening fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fence<'n> {
    mark: char,
    count: usize,
    indent: usize,
    /// The text after the marks.
    info: &'n str,
}

impl<'n> Fence<'n> {
    /// The fence of a new block.
    const OURS: Fence<'static> = Fence {
        mark: '`',
        count: 3,
        indent: 0,
        info: INFO,
    };

    fn opening(line: &'n str) -> Option<Fence<'n>> {
        let (indent, rest) = unindented(line)?;
        let mark = rest.chars().next().filter(|&c| c == '`' || c == '~')?;
        let info = rest.trim_start_matches(mark);
        let count = rest.len() - info.len();
        // Backticks after backticks are inline code, not a fence.
        if count < 3 || (mark == '`' && info.contains('`')) {
            return None;
        }
        Some(Fence {
            mark,
            count,
            indent,
            info,
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let Some((_, rest)) = unindented(line) else {
            return false;
        };
        let after = rest.trim_start_matches(self.mark);
        rest.len() - after.len() >= self.count && after.trim_start_matches([' ', '\t']).is_empty()
    }

    /// The whole block with the content `text`, without a final line end. The fence is longer than any in `text`.
    fn around(&self, text: &str, line_end: &str) -> String {
        let longest = text.split(|c| c != self.mark).map(str::len).max();
        let count = self.count.max(longest.unwrap_or(0) + 1);
        let marks = self.mark.to_string().repeat(count);
        let opening = format!("{marks}{}", self.info);
        let lines = iter::once(opening.as_str())
            .chain(text.lines())
            .chain(iter::once(marks.as_str()));
        let indented = |line: &str| match line {
            "" => String::new(),
            line => format!("{:indent$}{line}", "", indent = self.indent),
        };
        lines.map(indented).collect::<Vec<_>>().join(line_end)
    }
}

/// One line of the notes.
#[derive(Clone, Copy)]
struct Line<'n> {
    /// From 1.
    number: usize,
    /// Without the line end.
    text: &'n str,
    /// Its offset in the notes, in bytes.
    start: usize,
    /// The offset of the next line.
    next: usize,
}

fn lines(notes: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    (1..)
        .zip(notes.split_inclusive('\n'))
        .map(move |(number, whole)| {
            let line = Line {
                number,
                text: without_line_end(whole),
                start,
                next: start + whole.len(),
            };
            start = line.next;
            line
        })
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// The line end of the first line of `text`; `\n` without one.
fn first_line_end(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The indentation of at most three blanks, and the rest. A tab counts as four.
fn unindented(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches(' ');
    let indent = line.len() - rest.len();
    (indent <= 3).then_some((indent, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(notes: &str) -> Vec<String> {
        mesh_blocks(notes).map(|block| block.text()).collect()
    }

    fn rewritten(notes: &str) -> String {
        let old = mesh_blocks(notes).next().or_else(|| bare(notes));
        put(notes, old.as_ref(), "new\n")
    }

    #[test]
    fn fences_of_both_kinds_are_found_up_to_three_blanks_indented() {
        for notes in [
            "```mesh\na: 1\n```",
            "~~~~ mesh\na: 1\n~~~~~",
            "~~~mesh `x`\na: 1\n~~~",
            "text\n   ```mesh x\n   a: 1\n  ```  \nmore",
            "  ```mesh\n a: 1\n```\t",
            "~~~\n```mesh\n```\n~~~\n```mesh\na: 1\n```",
        ] {
            assert_eq!(texts(notes), ["a: 1\n"], "{notes}");
        }
        assert_eq!(texts(" ~~~mesh\r\n  a:\r\n\r\n ~~~"), [" a:\r\n\r\n"]);
    }

    #[test]
    fn what_only_looks_like_a_block_is_none() {
        for notes in [
            "    ```mesh\n    a: 1\n    ```",
            "\t```mesh\n\ta: 1\n\t```",
            "> ```mesh\n> a: 1\n> ```",
            "- ```mesh\n  a: 1\n",
            "``mesh\n``",
            "```meshed\n```",
            "```yaml mesh\n```",
            "````md\n```mesh\n```\n````",
            "~~~\n```mesh\n```",
            "```mesh```",
            "```mesh `x`\n",
            "``~mesh\n```",
        ] {
            assert!(texts(notes).is_empty(), "{notes}");
        }
    }

    #[test]
    fn only_its_own_kind_of_line_closes_a_fence() {
        for line in [
            "```", "~~~~", "```` x", "    ````", "\t````", "````~", "> ````",
        ] {
            let notes = format!("````mesh\n{line}\nmore");
            let blocks: Vec<Block> = mesh_blocks(&notes).collect();
            assert_eq!(blocks.len(), 1, "{line}");
            assert!(!blocks[0].is_closed, "{line}");
            assert_eq!(blocks[0].body, &notes["````mesh\n".len()..], "{line}");
        }
    }

    #[test]
    fn lines_are_counted_from_one_whatever_ends_them() {
        let notes = "a\r\n\r\n```mesh\r\n```\r\nb\n```mesh\nopen";
        let lines: Vec<usize> = mesh_blocks(notes).map(|block| block.line).collect();
        assert_eq!(lines, [3, 6]);
    }

    #[test]
    fn bare_notes_begin_with_a_known_key() {
        for notes in ["\n# why\nscope:\n  - a\n", "---\n  risk : low", "swarm: {}"] {
            assert!(bare(notes).is_some(), "{notes}");
        }
        for notes in [
            "Scope: all",
            "see scope: there",
            "",
            "note: x\nscope: []",
            "scope",
        ] {
            assert!(bare(notes).is_none(), "{notes}");
        }
    }

    #[test]
    fn a_new_block_replaces_the_old_one() {
        for (notes, expected) in [
            ("a\n```mesh\nold\nolder\n```\nb", "a\n```mesh\nnew\n```\nb"),
            ("a\n```mesh\n```", "a\n```mesh\nnew\n```"),
            (
                "a\r\n```mesh\r\nold\r\n```\r\nb\n",
                "a\r\n```mesh\r\nnew\r\n```\r\nb\n",
            ),
            (
                "- a\n\n  ~~~~ mesh x\n old\n~~~~~~ \n  b",
                "- a\n\n  ~~~~ mesh x\n  new\n  ~~~~\n  b",
            ),
            (
                "~~~\n```mesh\n~~~\n```mesh\nold\n```\n\n",
                "~~~\n```mesh\n~~~\n```mesh\nnew\n```\n\n",
            ),
            ("scope: []", "```mesh\nnew\n```"),
            ("# why\r\nscope: []\r\n", "```mesh\r\nnew\r\n```\r\n"),
        ] {
            assert_eq!(rewritten(notes), expected, "{notes:?}");
        }
    }

    #[test]
    fn a_block_that_was_not_there_is_put_in_front() {
        for (notes, expected) in [
            ("", "```mesh\nnew\n```\n"),
            ("words", "```mesh\nnew\n```\n\nwords"),
            ("\n\n", "```mesh\nnew\n```\n\n\n\n"),
            ("~~~\nopen", "```mesh\nnew\n```\n\n~~~\nopen"),
            ("a\r\nb", "```mesh\r\nnew\r\n```\r\n\r\na\r\nb"),
        ] {
            assert_eq!(rewritten(notes), expected, "{notes:?}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_any_in_its_content() {
        let holding =
            |notes: &str, text: &str| put(notes, mesh_blocks(notes).next().as_ref(), text);
        assert_eq!(holding("", "a: ````"), "`````mesh\na: ````\n`````\n");
        assert_eq!(
            holding("~~~mesh\n~~~", "a: ```\n~~~"),
            "~~~~mesh\na: ```\n~~~\n~~~~"
        );
    }
}
