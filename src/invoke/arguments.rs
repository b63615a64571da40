//! The `key=value` words directly after a token.
//!
//! A value with blanks is quoted, with quotes of any kind and without escapes. Punctuation at the end of an unquoted
//! value belongs to the sentence, unless it is the whole value or follows a slash (`plan_file=..`). A name that ends in
//! punctuation must be quoted.

use super::invocation::{AUTO, Argument, InvokeError, KEYS};
use super::words::{Ends, split_tail};

/// The maximum length of a key in bytes.
const KEY_BYTES_MAX: usize = 64;
const QUOTES: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’')];

/// The arguments of one token.
#[derive(Debug, Default)]
pub(super) struct Arguments<'a> {
    /// Key and value, as they were written.
    pub pairs: Vec<(&'a str, &'a str)>,
    /// The key whose quoted value is not closed.
    pub open_quote: Option<&'a str>,
}

impl<'a> Arguments<'a> {
    /// Parses the arguments in `line` from byte `at` on. Returns them, the offset after the last one, and what the
    /// punctuation there ends.
    pub fn parse(line: &'a str, mut at: usize, mut ends: Ends) -> (Self, usize, Ends) {
        let mut arguments = Self::default();
        while !ends.is_full_stop() {
            let rest = line[at..].trim_start();
            // The search is bounded by the length of a key, since the line may be long.
            let end = rest
                .bytes()
                .take(KEY_BYTES_MAX + 1)
                .position(|byte| byte == b'=');
            let split = end.map(|end| (&rest[..end], &rest[end + 1..]));
            let Some((key, value)) = split.filter(|(key, _)| is_key(key)) else {
                break;
            };
            let length = match quoted(value) {
                Some(Some((inside, tail))) => {
                    arguments.pairs.push((key, inside));
                    ends = Ends::from_tail(tail);
                    key.len() + 1 + (tail.as_ptr() as usize - value.as_ptr() as usize) + tail.len()
                }
                // The end of the value is unknown, so the rest of the line is not read.
                Some(None) => {
                    arguments.open_quote = Some(key);
                    return (arguments, line.len(), Ends::Nothing);
                }
                None => {
                    let word = first_word(value);
                    let (value, tail) = split_value(word);
                    arguments.pairs.push((key, value));
                    ends = Ends::from_tail(tail);
                    key.len() + 1 + word.len()
                }
            };
            at = line.len() - rest.len() + length;
        }
        (arguments, at, ends)
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.open_quote.is_none()
    }

    /// The arguments of a run.
    pub fn check(&self) -> Result<Vec<Argument>, InvokeError> {
        if let Some(key) = self.open_quote {
            return Err(InvokeError::OpenQuote(key.to_owned()));
        }
        let checked = self.pairs.iter().map(|(key, value)| {
            match KEYS.into_iter().find(|known| known == key) {
                Some("adapter") if *value != AUTO => {
                    Err(InvokeError::NamedAdapter((*value).to_owned()))
                }
                Some(key) => Ok(Argument {
                    key,
                    value: (*value).to_owned(),
                }),
                None => Err(InvokeError::UnknownKey((*key).to_owned())),
            }
        });
        checked.collect()
    }
}

/// Whether a word outside of the arguments looks like one of them.
pub(super) fn is_stray(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| {
        KEYS.contains(&key.trim_start_matches('-').replace('-', "_").as_str())
    })
}

fn is_key(text: &str) -> bool {
    text.len() <= KEY_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// For a value that begins with a quote: its content and the punctuation after it; inner `None` if it is not closed.
fn quoted(value: &str) -> Option<Option<(&str, &str)>> {
    let first = value.chars().next()?;
    let (_, close) = QUOTES.iter().find(|(open, _)| *open == first)?;
    let closed = value[first.len_utf8()..].split_once(*close);
    Some(closed.and_then(|(inside, rest)| {
        let tail = first_word(rest);
        split_tail(tail).0.is_empty().then_some((inside, tail))
    }))
}

fn first_word(text: &str) -> &str {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    &text[..end]
}

fn split_value(word: &str) -> (&str, &str) {
    let (value, tail) = split_tail(word);
    if !(value.is_empty() || value.ends_with('/')) {
        return (value, tail);
    }
    // The dots of `..` belong to the name.
    let dots = tail.find(|c| c != '.').unwrap_or(tail.len());
    word.split_at(value.len() + dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Vec<(&str, &str)>, &str, Ends) {
        let (arguments, at, ends) = Arguments::parse(line, 0, Ends::Nothing);
        (arguments.pairs, &line[at..], ends)
    }

    #[test]
    fn a_value_ends_at_a_blank_or_punctuation() {
        for (line, pairs, rest, ends) in [
            (
                " ids=a,b max_tasks=2",
                &[("ids", "a,b"), ("max_tasks", "2")] as &[_],
                "",
                Ends::Nothing,
            ),
            (
                " ids=a, max_tasks=2.",
                &[("ids", "a"), ("max_tasks", "2")],
                "",
                Ends::Sentence,
            ),
            (
                " ids=a. max_tasks=2",
                &[("ids", "a")],
                " max_tasks=2",
                Ends::Sentence,
            ),
            (
                " plan_file=.step/p.jsonl.",
                &[("plan_file", ".step/p.jsonl")],
                "",
                Ends::Sentence,
            ),
            (" plan_file=..", &[("plan_file", "..")], "", Ends::Nothing),
            (
                " plan_file=a/.., b",
                &[("plan_file", "a/..")],
                " b",
                Ends::Part,
            ),
            (" ids=", &[("ids", "")], "", Ends::Nothing),
            (
                " plan_file=\"a b\" c",
                &[("plan_file", "a b")],
                " c",
                Ends::Nothing,
            ),
            (
                " plan_file='a b'! c",
                &[("plan_file", "a b")],
                " c",
                Ends::Sentence,
            ),
            (
                " plan_file=“ä b”` c",
                &[("plan_file", "ä b")],
                " c",
                Ends::Nothing,
            ),
            (" a=b=c", &[("a", "b=c")], "", Ends::Nothing),
            (" --ids=a", &[], " --ids=a", Ends::Nothing),
            (" =a 1=b", &[], " =a 1=b", Ends::Nothing),
            ("", &[], "", Ends::Nothing),
        ] {
            assert_eq!(parsed(line), (pairs.to_vec(), rest, ends), "{line:?}");
        }
    }

    #[test]
    fn an_open_quote_is_refused() {
        for line in [" ids=\"a b", " ids='a'b c", " ids=“a\"", " ids=\""] {
            let (arguments, _, _) = Arguments::parse(line, 0, Ends::Nothing);
            assert_eq!(
                arguments.check(),
                Err(InvokeError::OpenQuote("ids".to_owned())),
                "{line:?}"
            );
        }
    }
}
