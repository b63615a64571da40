//! Fenced blocks in notes: finding the one with the info string `mesh`, and putting one there.
//!
//! Fences as CommonMark has them: three or more backticks or tildes, indented by at most three
//! blanks, closed by at least as many of the same. Every fence is followed, so that a `mesh` block
//! quoted inside another block is not one. Of what stands inside, only the
//! names of the keys are known here.

use super::KEYS;

/// A block of notes that is metadata by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of the opening fence, from 1; of the first line where there is no fence.
    pub line: usize,
    /// The line of the block's first own line, from 1.
    pub text_line: usize,
    /// What stands between the fences, the fence's own indentation taken off.
    pub text: String,
    /// Whether there is a closing fence.
    pub is_closed: bool,
}

/// The info string that marks a block as ours.
const INFO: &str = "mesh";

/// All `mesh` blocks of the notes, in order.
pub(super) fn mesh_blocks(notes: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Fence, Block)> = None;
    for (at, line) in notes.lines().enumerate() {
        match &mut open {
            None => {
                let block = Block {
                    line: at + 1,
                    text_line: at + 2,
                    text: String::new(),
                    is_closed: false,
                };
                open = Fence::opening(line).map(|fence| (fence, block));
            }
            Some((fence, block)) if fence.is_closed_by(line) => {
                block.is_closed = true;
                blocks.extend(
                    open.take()
                        .filter(|(fence, _)| fence.is_ours())
                        .map(|(_, block)| block),
                );
            }
            Some((fence, block)) => {
                block.text.push_str(fence.unindented(line));
                block.text.push('\n');
            }
        }
    }
    blocks.extend(
        open.filter(|(fence, _)| fence.is_ours())
            .map(|(_, block)| block),
    );
    blocks
}

/// The notes as one block without a fence, when their first line begins with one of the block's
/// keys.
pub(super) fn bare(notes: &str) -> Option<Block> {
    let says_something =
        |line: &&str| !line.trim().is_empty() && !line.starts_with('#') && line.trim_end() != "---";
    let (key, _) = notes.lines().find(says_something)?.split_once(':')?;
    let block = || Block {
        line: 1,
        text_line: 1,
        text: notes.to_owned(),
        is_closed: true,
    };
    KEYS.contains(&key.trim_end()).then(block)
}

/// The notes with `text` in a `mesh` block: where there is one, or where the notes are one, in its
/// place; else in front, where no open fence can swallow it.
pub(super) fn put(notes: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let block = format!("{fence}{INFO}\n{}\n{fence}\n", text.trim_end());
    match mesh_blocks(notes).as_slice() {
        [old] if old.is_closed => {
            let lines: Vec<&str> = notes.split_inclusive('\n').collect();
            let end = old.line + old.text.lines().count() + 1;
            let (before, after) = (lines[..old.line - 1].concat(), lines[end..].concat());
            format!("{before}{block}{after}")
        }
        [] if bare(notes).is_some() || notes.trim().is_empty() => block,
        _ => format!("{block}\n{notes}"),
    }
}

/// An opening fence.
#[derive(Debug)]
struct Fence<'a> {
    mark: char,
    count: usize,
    indent: usize,
    info: &'a str,
}

impl<'a> Fence<'a> {
    fn opening(line: &'a str) -> Option<Fence<'a>> {
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
            info: info.trim(),
        })
    }

    fn is_ours(&self) -> bool {
        self.info.split_whitespace().next() == Some(INFO)
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let Some((_, rest)) = unindented(line.trim_end()) else {
            return false;
        };
        rest.len() >= self.count && rest.chars().all(|c| c == self.mark)
    }

    fn unindented<'b>(&self, line: &'b str) -> &'b str {
        let blanks = line
            .bytes()
            .take(self.indent)
            .take_while(|&byte| byte == b' ')
            .count();
        &line[blanks..]
    }
}

/// The indentation, which is at most three blanks, and the rest.
fn unindented(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches(' ');
    let indent = line.len() - rest.len();
    (indent <= 3).then_some((indent, rest))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(notes: &str) -> Vec<String> {
        mesh_blocks(notes)
            .into_iter()
            .map(|block| block.text)
            .collect()
    }

    #[test]
    fn fences_of_both_kinds_and_any_small_indentation_are_found() {
        for notes in [
            "```mesh\na: 1\n```",
            "~~~~ mesh\na: 1\n~~~~~",
            "text\n   ```mesh x\n   a: 1\n  ```  \nmore",
        ] {
            assert_eq!(texts(notes), ["a: 1\n"], "{notes}");
        }
    }

    #[test]
    fn what_only_looks_like_a_block_is_none() {
        for notes in [
            "    ```mesh\n    a: 1\n    ```",
            "``mesh\n``",
            "```meshed\n```",
            "````md\n```mesh\n```\n````",
            "```mesh```",
        ] {
            assert!(texts(notes).is_empty(), "{notes}");
        }
    }

    #[test]
    fn a_shorter_or_other_fence_does_not_close() {
        let blocks = mesh_blocks("````mesh\n```\n~~~~\n");
        assert_eq!(blocks.len(), 1);
        assert!(!blocks[0].is_closed);
    }

    #[test]
    fn bare_notes_begin_with_a_known_key() {
        assert!(bare("\n# why\nscope:\n  - a\n").is_some());
        for notes in ["Scope: all", "see scope: there", "", "note: x\nscope: []"] {
            assert!(bare(notes).is_none(), "{notes}");
        }
    }

    #[test]
    fn a_block_is_put_in_the_place_of_the_old_one() {
        assert_eq!(
            put("a\n```mesh\nold\nolder\n```\nb", "new\n"),
            "a\n```mesh\nnew\n```\nb"
        );
        assert_eq!(put("scope: []", "new"), "```mesh\nnew\n```\n");
        assert_eq!(put("~~~\nopen", "new"), "```mesh\nnew\n```\n\n~~~\nopen");
        assert_eq!(put("", "a: ````"), "`````mesh\na: ````\n`````\n");
    }
}
