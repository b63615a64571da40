//! The words of a line, separated from the punctuation around them.

use super::invocation::TOKEN;
use super::vocabulary::ABBREVIATIONS;

/// Punctuation before a word.
const OPENING: &[char] = &[
    '`', '"', '\'', '(', '[', '{', '*', '“', '‘', '«', '„', '¡', '¿',
];
/// Punctuation after a word.
const CLOSING: &[char] = &[
    '`', '"', '\'', ')', ']', '}', '*', '”', '’', '»', '…', '.', ',', ';', ':', '!', '?', '。',
    '，', '、', '；', '：', '！', '？',
];

/// A word and its byte offsets in its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    /// Its start, including punctuation.
    pub start: usize,
    /// Its end, including punctuation.
    pub end: usize,
    /// The word without punctuation; may be empty.
    pub core: &'a str,
    /// What the punctuation after it ends.
    pub ends: Ends,
}

/// What punctuation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Nothing.
    Nothing,
    /// A part of a sentence: a comma or a dash.
    Part,
    /// An announcement: a colon.
    Announcement,
    /// A sentence.
    Sentence,
    /// A question.
    Question,
}

/// How a word contains the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenForm {
    /// The token alone, or as `[$mesh](path)`.
    Whole,
    /// As part of something else: `$mesh's`, `$mesh/SKILL.md`.
    Part,
}

/// The words of `line`.
pub(super) fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    line.split_whitespace().map(move |text| {
        let start = text.as_ptr() as usize - line.as_ptr() as usize;
        Word::new(start, text)
    })
}

impl<'a> Word<'a> {
    fn new(start: usize, text: &'a str) -> Self {
        let (core, tail) = split_tail(text.trim_start_matches(OPENING));
        let ends = match core {
            "-" | "–" | "—" => Ends::Part,
            core if is_one_of(core, &ABBREVIATIONS) && tail.starts_with('.') => Ends::Nothing,
            _ => Ends::from_tail(tail),
        };
        Self {
            start,
            end: start + text.len(),
            core,
            ends,
        }
    }

    pub fn is(&self, words: &[&str]) -> bool {
        is_one_of(self.core, words)
    }

    pub fn is_token(&self) -> bool {
        self.token() == Some(TokenForm::Whole)
    }

    pub fn token(&self) -> Option<TokenForm> {
        let rest = self.core.strip_prefix(TOKEN)?;
        match rest.chars().next() {
            None => Some(TokenForm::Whole),
            Some(']') if rest.starts_with("](") => Some(TokenForm::Whole),
            Some('\'' | '’' | '/') => Some(TokenForm::Part),
            Some(_) => None,
        }
    }

    /// Whether it is punctuation, a bullet or an emoji, and no part of the sentence.
    pub fn is_ornament(&self) -> bool {
        let is_plain = |c: char| c == '-' || !(c.is_ascii() || c.is_alphanumeric());
        self.core.chars().all(is_plain)
    }
}

impl Ends {
    /// What `tail`, the punctuation after a word, ends.
    pub fn from_tail(tail: &str) -> Self {
        let has = |marks: &[char]| tail.contains(marks);
        if has(&['?', '？']) {
            Ends::Question
        } else if has(&['.', '!', ';', '…', '。', '！', '；']) {
            Ends::Sentence
        } else if has(&[':', '：']) {
            Ends::Announcement
        } else if has(&[',', '，', '、']) {
            Ends::Part
        } else {
            Ends::Nothing
        }
    }

    /// Whether the sentence ends.
    pub fn is_full_stop(self) -> bool {
        matches!(self, Ends::Sentence | Ends::Question)
    }
}

/// `text` without the punctuation at its end, and that punctuation.
pub(super) fn split_tail(text: &str) -> (&str, &str) {
    text.split_at(text.trim_end_matches(CLOSING).len())
}

pub(super) fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other))
}
