//! Blocks in which a model thinks aloud: `<think>…</think>` and its kin.
//!
//! What stands in them is a draft, so it is blanked out before anything is looked for. Line breaks stay: places in the
//! text remain what they were. A closing tag alone ends a block that the prompt had opened; one that is never closed goes on to
//! the end of the text. Tags in the strings of a JSON object, and in the lines of a diff, are data.

use super::fence::{self, Block};
use super::scan;
use std::borrow::Cow;
use std::ops::Range;

/// Names of tags, in lower case.
const NAMES: [&str; 6] = [
    "think",
    "thinking",
    "thought",
    "reasoning",
    "antthinking",
    "seed:think",
];
/// What tags stand between, in the ways of different models.
const BRACKETS: [(char, char); 3] = [('<', '>'), ('[', ']'), ('◁', '▷')];
/// The longest tag, with attributes.
const TAG_BYTES_MAX: usize = 200;

/// A text without its reasoning.
pub struct Blanked<'t> {
    /// The text; blanks in the place of what went.
    pub text: Cow<'t, str>,
    /// The text ends inside a block.
    pub is_unfinished: bool,
}

/// Blanks out all reasoning in `text`.
pub fn blank(text: &str) -> Blanked<'_> {
    let tags = tags(text);
    if tags.is_empty() {
        return Blanked {
            text: Cow::Borrowed(text),
            is_unfinished: false,
        };
    }
    let mut kept = text.as_bytes().to_vec();
    let mut blank = |range: Range<usize>| {
        let bytes = kept[range].iter_mut();
        bytes
            .filter(|byte| !matches!(**byte, b'\n' | b'\r'))
            .for_each(|byte| *byte = b' ');
    };
    let mut opened: Option<usize> = None;
    // The bytes in front of this were blanked by an earlier lone tag.
    let mut blanked = 0;
    for tag in tags {
        match (tag.closes, opened) {
            (false, None) => opened = Some(tag.span.start),
            (false, Some(_)) => {}
            (true, Some(start)) => {
                blank(start..tag.span.end);
                opened = None;
            }
            (true, None) => {
                blank(blanked..tag.span.end);
                blanked = tag.span.end;
            }
        }
    }
    if let Some(start) = opened {
        blank(start..text.len());
    }
    // Whole characters were blanked, byte by byte, so it is text still.
    let text = String::from_utf8(kept).unwrap_or_default();
    Blanked {
        text: Cow::Owned(text),
        is_unfinished: opened.is_some(),
    }
}

struct Tag {
    span: Range<usize>,
    closes: bool,
}

/// The tags that count, in order.
fn tags(text: &str) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let mut patches: Option<Vec<Block<'_>>> = None;
    let (mut at, mut line_start) = (0, 0);
    // No object begins in front of this: one that did is broken.
    let mut braces_from = 0;
    while let Some(next) = text[at..].find(['{', '<', '[', '◁', '\n']) {
        at += next;
        if text.as_bytes()[at] == b'\n' {
            at += 1;
            line_start = at;
            continue;
        }
        let is_inside = tags.last().is_some_and(|tag| !tag.closes);
        if text.as_bytes()[at] == b'{' {
            // In a block, braces mean nothing, however its drafts look.
            let end = (!is_inside && at >= braces_from).then(|| scan::object_at(text, at));
            match end {
                Some(Some(Ok(end))) => {
                    let last = text[at..end].rfind('\n');
                    line_start = last.map_or(line_start, |last| at + last + 1);
                    at = end;
                }
                Some(Some(Err(broken))) => {
                    braces_from = broken.at;
                    at += 1;
                }
                Some(None) | None => at += 1,
            }
            continue;
        }
        let Some(tag) = tag_at(text, at) else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        at = tag.span.end;
        let patches = patches.get_or_insert_with(|| {
            let blocks = fence::blocks(text).into_iter();
            blocks
                .filter(|block| block.is_closed && block.is_patch())
                .collect()
        });
        // Inside, only a closing tag counts, wherever it stands.
        let counts = match is_inside {
            true => tag.closes,
            false => !is_patch_line(text, patches, line_start),
        };
        if counts {
            tags.push(tag);
        }
    }
    tags
}

fn tag_at(text: &str, at: usize) -> Option<Tag> {
    let mut end = text.len().min(at + TAG_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let window = &text[at..end];
    let (open, close) = BRACKETS
        .into_iter()
        .find(|(open, _)| window.starts_with(*open))?;
    let inner = &window[open.len_utf8()..];
    let inner = &inner[..inner.find([close, '\n'])?];
    let is_tag = text[at + open.len_utf8() + inner.len()..].starts_with(close);
    let (closes, inner) = match inner.strip_prefix('/') {
        Some(inner) => (true, inner),
        None => (false, inner),
    };
    let name = inner.split_whitespace().next().unwrap_or_default();
    let is_name = match open {
        // In square brackets stands much else.
        '[' => inner == "THINK",
        _ => inner.starts_with(name) && NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)),
    };
    let length = open.len_utf8() + usize::from(closes) + inner.len() + close.len_utf8();
    (is_tag && is_name).then(|| Tag {
        span: at..at + length,
        closes,
    })
}

/// Whether the line at `start` is one that a patch adds, removes or shows.
fn is_patch_line(text: &str, patches: &[Block<'_>], start: usize) -> bool {
    let block = patches.partition_point(|block| block.body.end <= start);
    let is_inside = |block: &Block<'_>| block.body.contains(&start);
    patches.get(block).is_some_and(is_inside) && text[start..].starts_with(['+', '-', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> String {
        let words: Vec<String> = blank(text)
            .text
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        words.join(" ")
    }

    #[test]
    fn blocks_go_whatever_they_hold() {
        for (text, rest) in [
            ("<think>a</think>b", "b"),
            ("a <THINKING>b\n</Thinking> c", "a c"),
            ("<reasoning effort=\"high\">a</reasoning>b", "b"),
            ("[THINK]a[/THINK]b", "b"),
            ("◁think▷ä◁/think▷b", "b"),
            ("a\nb</think>c", "c"),
            ("a</think>b</think>c", "c"),
            ("<think>a <think>b</think>c</think>d", "d"),
            ("a<think>b", "a"),
            ("<think>{\"n\": \"x</think>b", "b"),
            ("{\"n\": \"x</think>b", "b"),
            (
                "<think>\n```diff\n+a\n</think>\nb\n```\nc\n```\n",
                "b ``` c ```",
            ),
            (
                "no tags, [x] <b> < think> <thinker>",
                "no tags, [x] <b> < think> <thinker>",
            ),
        ] {
            assert_eq!(left(text), rest, "{text}");
        }
    }

    #[test]
    fn tags_in_strings_and_in_patches_are_data() {
        for text in [
            r#"{"s":"</think>"}"#,
            r#"a {"s":"<think>"} b"#,
            "```diff\n-<think>\n+</think>\n```\n",
        ] {
            assert_eq!(blank(text).text, text);
            assert!(!blank(text).is_unfinished);
        }
    }

    #[test]
    fn places_stay_and_an_unfinished_block_is_known() {
        let blanked = blank("ab<think>\nä\n</think>{}");
        assert_eq!(blanked.text, "ab       \n  \n        {}");
        assert!(blank("a<think>b").is_unfinished && !blanked.is_unfinished);
    }

    #[test]
    fn many_tags_take_time_in_proportion() {
        for piece in [
            "</think>",
            "<think>",
            "{\"a\":",
            "{\"a\n",
            "<think></think>",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            assert_eq!(blank(&text).text.len(), text.len());
        }
    }
}
