//! The `key=value` words right behind a token.
//!
//! A value that holds blanks stands in quotes of any kind, without escapes. Punctuation at the end of an unquoted
//! value belongs to the sentence, unless it is all there is or stands behind a slash (`plan_file=..`); a name that ends
//! in punctuation is quoted.

use super::invocation::{InvokeError, KEYS};
use super::words::{Ends, split_tail};

/// The most bytes of a key; what is longer is no key.
const KEY_BYTES_MAX: usize = 64;
const QUOTES: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’')];

/// The arguments of one token.
#[derive(Debug, Default)]
pub(super) struct Arguments<'a> {
    /// Key and value, as they were written.
    pub pairs: Vec<(&'a str, &'a str)>,
    /// The key whose value is not closed.
    pub open_quote: Option<&'a str>,
}

impl<'a> Arguments<'a> {
    /// Takes arguments from `line`, from byte `at` on. Gives them, the byte behind the last one, and what the
    /// punctuation behind it ends.
    pub fn take(line: &'a str, mut at: usize, mut ends: Ends) -> (Self, usize, Ends) {
        let mut arguments = Self::default();
        while !ends.is_full_stop() {
            let rest = line[at..].trim_start();
            // No further than a key is long: the line may be.
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
                    ends = Ends::of(tail);
                    key.len() + 1 + (tail.as_ptr() as usize - value.as_ptr() as usize) + tail.len()
                }
                // Nobody knows where the value ends, so nothing behind it is read.
                Some(None) => {
                    arguments.open_quote = Some(key);
                    return (arguments, line.len(), Ends::Nothing);
                }
                None => {
                    let word = first_word(value);
                    let (value, tail) = split_value(word);
                    arguments.pairs.push((key, value));
                    ends = Ends::of(tail);
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

    /// As a run takes them.
    pub fn checked(&self) -> Result<Vec<super::invocation::Argument>, InvokeError> {
        if let Some(key) = self.open_quote {
            return Err(InvokeError::OpenQuote(key.to_owned()));
        }
        let checked = self.pairs.iter().map(|(key, value)| {
            match KEYS.into_iter().find(|known| known == key) {
                Some(key) => Ok(super::invocation::Argument {
                    key,
                    value: (*value).to_owned(),
                }),
                None => Err(InvokeError::UnknownKey((*key).to_owned())),
            }
        });
        checked.collect()
    }
}

/// Whether a word that is no argument by its place looks like one of ours.
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

/// Of a value that begins with a quote: what is inside and the punctuation behind it, where it ends.
fn quoted(value: &str) -> Option<Option<(&str, &str)>> {
    let first = value.chars().next()?;
    let (_, close) = QUOTES.iter().find(|(open, _)| *open == first)?;
    let closed = value[first.len_utf8()..].split_once(*close);
    Some(closed.and_then(|(inside, behind)| {
        let tail = first_word(behind);
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
    // The dots of `..` are a name.
    let dots = tail.find(|c| c != '.').unwrap_or(tail.len());
    word.split_at(value.len() + dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &str) -> (Vec<(&str, &str)>, &str, Ends) {
        let (arguments, at, ends) = Arguments::take(line, 0, Ends::Nothing);
        (arguments.pairs, &line[at..], ends)
    }

    #[test]
    fn values_end_where_they_should() {
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
            assert_eq!(taken(line), (pairs.to_vec(), rest, ends), "{line:?}");
        }
    }

    #[test]
    fn quotes_that_do_not_end_the_value() {
        for line in [" ids=\"a b", " ids='a'b c", " ids=“a\"", " ids=\""] {
            let (arguments, _, _) = Arguments::take(line, 0, Ends::Nothing);
            assert_eq!(
                arguments.checked(),
                Err(InvokeError::OpenQuote("ids".to_owned())),
                "{line:?}"
            );
        }
    }
}
