//! Removes reasoning blocks of models: `<think>…</think>` and similar.
//!
//! Reasoning is a draft, so it is blanked out before the answer is searched for. Line breaks stay, and with them all
//! positions. A closing tag without an opening one ends a block that the prompt opened; an unclosed block extends to
//! the end of the text. Tags in strings of a JSON object and in lines of a diff are data.
//!
//! Some models write channels instead (`<|channel|>analysis<|message|>…<|end|>`): each header starts a section, which
//! the next header or an end token closes. Every channel except `final` is a draft. If there is a final channel, only
//! its text counts, wherever it is.

use super::fence::Block;
use super::{fence, scan};
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
/// The delimiters of tags of different models.
const BRACKETS: [(char, char); 3] = [('<', '>'), ('[', ']'), ('◁', '▷')];
/// The longest tag, with attributes.
const TAG_BYTES_MAX: usize = 200;

/// The start and the end of a channel's header.
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// The tokens that end a channel's message, apart from the next header.
const SECTION_ENDS: [&str; 4] = ["<|end|>", "<|return|>", "<|call|>", "<|start|>"];

/// A text without its reasoning.
pub struct Blanked<'t> {
    /// The text, with spaces in place of reasoning.
    pub text: Cow<'t, str>,
    /// The text ends inside a block.
    pub is_unfinished: bool,
}

/// Blanks out the reasoning in `text`.
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
    // Everything before this was blanked by an earlier unmatched closing tag.
    let mut blanked = 0;
    for tag in &tags {
        match (tag.mark, opened) {
            (Mark::Opens, None) => opened = Some(tag.span.start),
            (Mark::Opens, Some(_)) => {}
            (Mark::Closes, None) => {
                blank(blanked..tag.span.end);
                blanked = tag.span.end;
            }
            (Mark::Closes | Mark::SectionEnds, Some(start)) => {
                blank(start..tag.span.end);
                opened = None;
            }
            (Mark::SectionEnds, None) => blank(tag.span.clone()),
            (Mark::Draft, draft) => opened = Some(draft.unwrap_or(tag.span.start)),
            (Mark::Final, draft) => {
                blank(draft.unwrap_or(tag.span.start)..tag.span.end);
                opened = None;
            }
        }
    }
    if let Some(start) = opened {
        blank(start..text.len());
    }
    outside_of_final(&tags, text.len())
        .into_iter()
        .for_each(&mut blank);
    // Only whole characters were blanked, so it is still valid text.
    let text = String::from_utf8(kept).unwrap_or_default();
    Blanked {
        text: Cow::Owned(text),
        is_unfinished: opened.is_some(),
    }
}

/// The ranges outside the final channel's messages; none without such a channel.
fn outside_of_final(tags: &[Tag], length: usize) -> Vec<Range<usize>> {
    let mut outside = Vec::new();
    // The start of the current outside range, if in one.
    let mut from = Some(0);
    for tag in tags {
        match tag.mark {
            Mark::Final => outside.extend(from.take().map(|from| from..tag.span.start)),
            Mark::Draft | Mark::SectionEnds => _ = from.get_or_insert(tag.span.start),
            Mark::Opens | Mark::Closes => {}
        }
    }
    if !outside.is_empty() {
        outside.extend(from.map(|from| from..length));
    }
    outside
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// `<think>`
    Opens,
    /// `</think>`
    Closes,
    /// The header of a draft channel.
    Draft,
    /// The header of the final channel.
    Final,
    /// A token that ends a channel's message.
    SectionEnds,
}

impl Mark {
    /// Whether this mark ends the block that `open` started.
    fn ends(self, open: Self) -> bool {
        match open {
            Self::Opens => self == Self::Closes,
            _ => matches!(self, Self::Draft | Self::Final | Self::SectionEnds),
        }
    }
}

struct Tag {
    span: Range<usize>,
    mark: Mark,
}

/// The significant tags, in order.
fn tags(text: &str) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let mut patches: Option<Vec<Block<'_>>> = None;
    let (mut at, mut line_start) = (0, 0);
    // No complete object starts before this: one that does is malformed.
    let mut braces_from = 0;
    while let Some(next) = text[at..].find(['{', '<', '[', '◁', '\n']) {
        at += next;
        if text.as_bytes()[at] == b'\n' {
            at += 1;
            line_start = at;
            continue;
        }
        let open = tags.last().map(|tag| tag.mark);
        let open = open.filter(|mark| matches!(mark, Mark::Opens | Mark::Draft));
        if text.as_bytes()[at] == b'{' {
            // Inside a block braces have no meaning.
            let end = (open.is_none() && at >= braces_from).then(|| scan::object_at(text, at));
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
        let Some(tag) = channel_at(text, at).or_else(|| tag_at(text, at)) else {
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
        // Inside a block only its end counts.
        let counts = match open {
            Some(open) => tag.mark.ends(open),
            None => !is_patch_line(text, patches, line_start),
        };
        if counts {
            tags.push(tag);
        }
    }
    tags
}

/// The part of `text` at `at` that a tag can span.
fn window(text: &str, at: usize) -> &str {
    let mut end = text.len().min(at + TAG_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[at..end]
}

fn tag_at(text: &str, at: usize) -> Option<Tag> {
    let window = window(text, at);
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
        // Square brackets have many other uses.
        '[' => inner == "THINK",
        _ => inner.starts_with(name) && NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)),
    };
    let length = open.len_utf8() + usize::from(closes) + inner.len() + close.len_utf8();
    (is_tag && is_name).then(|| Tag {
        span: at..at + length,
        mark: if closes { Mark::Closes } else { Mark::Opens },
    })
}

/// Reads a channel's header, up to its message, or a token that ends one.
fn channel_at(text: &str, at: usize) -> Option<Tag> {
    let rest = window(text, at);
    if let Some(token) = SECTION_ENDS.iter().find(|token| rest.starts_with(**token)) {
        return Some(Tag {
            span: at..at + token.len(),
            mark: Mark::SectionEnds,
        });
    }
    let header = rest.strip_prefix(CHANNEL)?.trim_start_matches(' ');
    let name_end = header.find(|c: char| !c.is_ascii_alphabetic());
    let name = &header[..name_end.unwrap_or(header.len())];
    let after_name = &header[name.len()..];
    // `to=…` and `<|constrain|>json` may precede the message.
    let line = after_name
        .find(['\n', '{'])
        .map_or(after_name, |end| &after_name[..end]);
    let message = line.find(MESSAGE).map_or(0, |at| at + MESSAGE.len());
    (!name.is_empty()).then(|| Tag {
        span: at..at + rest.len() - after_name.len() + message,
        mark: match name.eq_ignore_ascii_case("final") {
            true => Mark::Final,
            false => Mark::Draft,
        },
    })
}

/// Whether the line at `start` is a line of a patch.
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
    fn reasoning_blocks_are_removed_whatever_they_contain() {
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
    fn only_the_final_channel_counts_wherever_it_is() {
        const DRAFT: &str = "<|channel|>analysis<|message|>{\"n\":0} </think><|end|>";
        const LAST: &str = "<|channel|>final <|constrain|>json<|message|>{\"n\":1}";
        for (text, rest) in [
            (
                format!("{DRAFT}<|start|>assistant{LAST}<|return|>"),
                "{\"n\":1}",
            ),
            (
                format!("{LAST}<|end|><|start|>assistant{DRAFT}"),
                "{\"n\":1}",
            ),
            (format!("{LAST}{DRAFT}\n{{\"tokens\":5}}\n"), "{\"n\":1}"),
            (
                format!("{LAST}\n<|channel|>commentary to=x\n{{\"n\":2}}"),
                "{\"n\":1}",
            ),
            (format!("{{\"n\":3}}\n{DRAFT}{LAST}"), "{\"n\":1}"),
            (
                format!("<|channel|>analysis<|message|>{{\"n\":0}}{LAST}"),
                "{\"n\":1}",
            ),
            (format!("{LAST}<|end|>{LAST}"), "{\"n\":1} {\"n\":1}"),
            (format!("{DRAFT}{{\"n\":4}}"), "{\"n\":4}"),
            (DRAFT.to_owned(), ""),
            (
                "<think><|end|></think>{\"n\":1}<|end|>".to_owned(),
                "{\"n\":1}",
            ),
        ] {
            assert_eq!(left(&text), rest, "{text}");
        }
        let data = r#"{"s":"<|channel|>analysis<|message|>x"}"#;
        assert_eq!(blank(data).text, data);
        assert!(blank("<|channel|>analysis<|message|>{}").is_unfinished);
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
    fn positions_are_kept_and_an_unclosed_block_is_reported() {
        let blanked = blank("ab<think>\nä\n</think>{}");
        assert_eq!(blanked.text, "ab       \n  \n        {}");
        assert!(blank("a<think>b").is_unfinished && !blanked.is_unfinished);
    }

    #[test]
    fn many_tags_take_linear_time() {
        for piece in [
            "</think>",
            "<think>",
            "{\"a\":",
            "{\"a\n",
            "<think></think>",
            "<|channel|>final<|message|>",
            "<|channel|>final",
            "<|channel|>a<|end|>",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            assert_eq!(blank(&text).text.len(), text.len());
        }
    }
}
