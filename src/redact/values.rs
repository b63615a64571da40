//! Finds the values of secret variables in a text, also where the text was cut.

use super::escaping::spell_value;
use super::span::Span;
use super::variable_names::is_secret_name;
use aho_corasick::AhoCorasick;

/// A shorter value is no secret, or would be found in ordinary text.
const VALUE_BYTES_MIN: usize = 6;

/// How many `…` of a text are checked, from its end: messages are cut there, and a few may be joined.
const ELLIPSES_MAX: usize = 8;

/// Where a text was cut by its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Its beginning is missing.
    pub head: bool,
    /// Its end is missing.
    pub tail: bool,
}

/// The values of secret variables, in every spelling.
#[derive(Clone, Debug)]
pub(super) struct Values {
    finder: AhoCorasick,
    /// By pattern of the finder.
    spellings: Vec<Spelling>,
}

#[derive(Clone, Debug)]
struct Spelling {
    name: String,
    text: Vec<u8>,
}

impl Values {
    /// Those of `(name, value)` whose name marks a secret; `None` when there are none.
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut spellings: Vec<Spelling> = Vec::new();
        let secrets = variables
            .into_iter()
            .filter(|(name, _)| is_secret_name(name));
        for (name, value) in secrets {
            for text in spell_value(&value) {
                if text.len() >= VALUE_BYTES_MIN && !spellings.iter().any(|one| one.text == text) {
                    let name = name.clone();
                    spellings.push(Spelling { name, text });
                }
            }
        }
        if spellings.is_empty() {
            return None;
        }
        // Fails only beyond four billion states.
        let finder = AhoCorasick::new(spellings.iter().map(|one| &one.text)).ok()?;
        Some(Self { finder, spellings })
    }

    /// Adds the whole values in `text` to `spans`.
    pub(super) fn find(&self, text: &[u8], spans: &mut Vec<Span>) {
        // Most texts hold none, and the search for the first one is the fastest.
        let Some(first) = self.finder.find(text) else {
            return;
        };
        // An overlapping match begins at most the longest spelling earlier.
        let lengths = self.spellings.iter().map(|one| one.text.len());
        let begin = first
            .start()
            .saturating_sub(lengths.max().unwrap_or_default());
        for found in self.finder.find_overlapping_iter(&text[begin..]) {
            let spelling = &self.spellings[found.pattern().as_usize()];
            spans.push(spelling.span(begin + found.start(), begin + found.end()));
        }
    }

    /// Adds parts of values to `spans`: where the text was cut, and before each `…`.
    pub(super) fn find_parts(&self, text: &[u8], cut: Cut, spans: &mut Vec<Span>) {
        const ELLIPSIS: &[u8] = "…".as_bytes();
        let marks = (0..text.len()).rev().filter(|at| text[*at] == ELLIPSIS[0]);
        let marks = marks.filter(|at| text[*at..].starts_with(ELLIPSIS));
        let ends = cut.tail.then_some(text.len()).into_iter();
        let ends: Vec<usize> = ends.chain(marks.take(ELLIPSES_MAX)).collect();
        for spelling in &self.spellings {
            let value = &spelling.text;
            for &end in &ends {
                let is_head = |length: usize| text[..end].ends_with(&value[..length]);
                if let Some(length) = spelling.longest_part(is_head) {
                    spans.push(spelling.span(end - length, end));
                }
            }
            let is_tail = |length: usize| text.starts_with(&value[value.len() - length..]);
            if cut.head
                && let Some(length) = spelling.longest_part(is_tail)
            {
                spans.push(spelling.span(0, length));
            }
        }
    }
}

impl Spelling {
    fn span(&self, begin: usize, end: usize) -> Span {
        Span {
            begin,
            end,
            name: self.name.clone(),
            weight: self.text.len(),
        }
    }

    /// The length of the longest proper part that `is_found`.
    fn longest_part(&self, is_found: impl Fn(usize) -> bool) -> Option<usize> {
        (VALUE_BYTES_MIN..self.text.len())
            .rev()
            .find(|length| is_found(*length))
    }
}
