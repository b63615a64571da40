//! Finds the result object in a worker's output.
//!
//! The rule (CONTRACT, section 2): reasoning, a byte-order mark and terminal escapes are ignored; then the last
//! complete top-level object is the result, or with a schema the last one that fits it. [`pick`] applies it to standard
//! output, result files and the files of `mesh collect`.

use super::plain::{NotUtf8, Plain};
use super::reasoning::Blanked;
use super::scan::{NearMiss, Scan};
use super::{near, plain, reasoning, scan};
use crate::model::json;
use serde_json::{Map, Value};
use std::ops::Range;

/// A result object, with its keys in the written order and its numbers as written.
pub type Object = Map<String, Value>;

/// The most objects of one text that are checked against the schema, from the last one backwards.
const MEASURED_MAX: usize = 10_000;

/// Why bytes are not one result object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// Not JSON.
    #[error("the result is not JSON: {0}")]
    NotJson(String),
    /// Not text.
    #[error("the result is {0}")]
    NotUtf8(NotUtf8),
    /// JSON, but an array, string, number, boolean or null.
    #[error("the result must be a JSON object, not {0}")]
    OtherType(&'static str),
}

/// Reads `bytes` as exactly one JSON object.
///
/// # Errors
/// They are something else.
pub fn object(bytes: &[u8]) -> Result<Object, NotAnObject> {
    match value(bytes)? {
        Value::Object(object) => Ok(object),
        other => Err(NotAnObject::OtherType(type_name(&other))),
    }
}

/// Reads `bytes` as exactly one JSON value, after an optional byte-order mark.
///
/// # Errors
/// They are not UTF-8, or not JSON.
pub fn value(bytes: &[u8]) -> Result<Value, NotAnObject> {
    let text = plain::strict(bytes).map_err(NotAnObject::NotUtf8)?;
    json::parse(text).map_err(|error| NotAnObject::NotJson(error.to_string()))
}

/// The rules for the object to pick.
#[derive(Clone, Copy)]
pub struct PickRules<'w> {
    /// Whether an object fits the schema; without one every object does.
    pub fits: &'w dyn Fn(&Value) -> bool,
    /// How to read an answer in prose, if one is accepted.
    pub prose: Option<fn(&str) -> Option<Object>>,
}

/// The object that was picked.
#[derive(Debug, PartialEq)]
pub struct Picked {
    /// The object. It breaks the schema only if none fits.
    pub object: Object,
    /// It was read from prose.
    pub is_prose: bool,
    /// The fault of a later candidate that may have been meant as the answer.
    pub near: Option<String>,
}

/// Why no object was picked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing looks like an object.
    #[error("no JSON object{} in {bytes} bytes", if *is_unfinished { " outside of a reasoning block that is never closed" } else { "" })]
    Nothing {
        /// The size of the text.
        bytes: usize,
        /// The text ends inside a reasoning block.
        is_unfinished: bool,
    },
    /// Something looks like an object but is malformed.
    #[error("no complete JSON object: {0}")]
    Near(String),
    /// The answer contains bytes that are not UTF-8.
    #[error("the answer is {0}")]
    NotUtf8(NotUtf8),
}

/// Picks the result from a worker's output.
///
/// # Errors
/// There is none.
pub fn pick(bytes: &[u8], rules: &PickRules<'_>) -> Result<Picked, NoAnswer> {
    let plain = Plain::read(bytes);
    let blanked = reasoning::blank(&plain.text);
    let text = blanked.text.as_ref();
    let scan = scan::scan(text);
    let found = last_that_fits(text, &scan, rules);
    let from_prose = || {
        let all = 0..text.len();
        let read = rules.prose.filter(|_| plain.replaced_in(&all).is_none())?;
        read(text)
    };
    let prose = |object| Picked {
        object,
        is_prose: true,
        near: None,
    };
    match found {
        Found::Fits(object, range) => {
            not_utf8(&plain, &range)?;
            Ok(Picked {
                object,
                is_prose: false,
                near: None,
            })
        }
        Found::Other(object, range) => {
            // An answer in prose may mention objects that are not the answer.
            let is_other = |answer: &Object| answer.keys().all(|name| !object.contains_key(name));
            let fits = |answer: &Object| (rules.fits)(&Value::Object(answer.clone()));
            if let Some(answer) = from_prose().filter(|answer| is_other(answer) && fits(answer)) {
                return Ok(prose(answer));
            }
            not_utf8(&plain, &range)?;
            let near = scan.near.filter(|near| near.start() >= range.end);
            Ok(Picked {
                object,
                is_prose: false,
                near: near.map(|near| near::describe(text, &near)),
            })
        }
        Found::Nothing(why) => match from_prose() {
            Some(object) => Ok(prose(object)),
            None => {
                not_utf8(&plain, &(0..text.len()))?;
                Err(nothing(&blanked, bytes.len(), scan.near.as_ref(), why))
            }
        },
    }
}

/// The last top-level object in a text.
pub fn last(bytes: &[u8]) -> Option<Object> {
    let rules = PickRules {
        fits: &|_| true,
        prose: None,
    };
    pick(bytes, &rules).ok().map(|picked| picked.object)
}

enum Found {
    Fits(Object, Range<usize>),
    /// The last object; none fits.
    Other(Object, Range<usize>),
    /// No object, but perhaps a malformed one.
    Nothing(Option<String>),
}

fn last_that_fits(text: &str, scan: &Scan, rules: &PickRules<'_>) -> Found {
    let (mut last, mut why) = (None, None);
    for range in scan.objects.iter().rev().take(MEASURED_MAX) {
        let value = match json::parse(&text[range.clone()]) {
            Ok(value) => value,
            Err(error) => {
                why.get_or_insert(error.message);
                continue;
            }
        };
        let fits = (rules.fits)(&value);
        let Value::Object(object) = value else {
            continue;
        };
        if fits {
            return Found::Fits(object, range.clone());
        }
        last.get_or_insert((object, range.clone()));
    }
    match last {
        Some((object, range)) => Found::Other(object, range),
        None => Found::Nothing(why),
    }
}

fn not_utf8(plain: &Plain<'_>, range: &Range<usize>) -> Result<(), NoAnswer> {
    plain
        .replaced_in(range)
        .map_or(Ok(()), |found| Err(NoAnswer::NotUtf8(found)))
}

fn nothing(
    blanked: &Blanked<'_>,
    bytes: usize,
    near: Option<&NearMiss>,
    why: Option<String>,
) -> NoAnswer {
    let text = blanked.text.as_ref();
    if let Some(why) = why {
        return NoAnswer::Near(why);
    }
    if let Some(near) = near {
        return NoAnswer::Near(near::describe(text, near));
    }
    match json::parse(text) {
        Ok(value) => NoAnswer::Near(format!("{}; an object is asked for", type_name(&value))),
        Err(_) => NoAnswer::Nothing {
            bytes,
            is_unfinished: blanked.is_unfinished,
        },
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_n(value: &Value) -> bool {
        value.get("n").is_some()
    }

    fn found(text: &str) -> Option<String> {
        last(text.as_bytes()).map(|object| Value::Object(object).to_string())
    }

    fn with_n(text: &[u8]) -> Result<Picked, String> {
        let rules = PickRules {
            fits: &has_n,
            prose: None,
        };
        pick(text, &rules).map_err(|error| error.to_string())
    }

    fn why(text: &str) -> String {
        with_n(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn the_last_object_counts_wherever_it_is() {
        let whole = " {\"b\":1,\n \"a\":2}\n";
        assert_eq!(found(whole).as_deref(), Some("{\"b\":1,\"a\":2}"));
        for text in [
            "First\n```json\n{\"n\":1}\n```\nno, rather:\n```\n{\n\"n\": 2}\n```\n",
            "log\n{\"n\":1}\n{\"n\":2}\nbye\n",
            "```json\n{\"n\":1}\n```\n{\"n\":2}\n",
            "<think>{\"n\":1}</think>It is {\"n\":2}.\n<think>{\"n\":3}</think>",
            "<think>{\"n\":2}\n</think>\u{1b}[1m{\"n\": \u{1b}[32m2\u{1b}[0m}\n",
            "{\"n\":2}\n{\"n\":3,}\n",
        ] {
            assert_eq!(found(text).as_deref(), Some("{\"n\":2}"), "{text}");
        }
        assert_eq!(found("[1]\n\"x\"\n"), None);
        assert_eq!(found("<think>{\"n\":1}"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn with_a_schema_the_last_valid_object_counts() {
        let picked = with_n(b"{\"n\":1}\n{\"n\":2}\n{\"level\":\"info\"}").expect("one");
        assert_eq!(picked.object["n"], 2);
        let picked = with_n(b"{\"m\":1}\n{\"m\":2}\n{\"n\":3,}").expect("one");
        assert_eq!(picked.object["m"], 2);
        assert_eq!(
            picked.near.as_deref(),
            Some("trailing comma at line 3 column 7")
        );
    }

    #[test]
    fn numbers_are_kept_as_written() {
        let text = "{\"a\":1.0,\"b\":12345678901234567890123,\"c\":0.10,\"d\":1e3}";
        assert_eq!(found(text).as_deref(), Some(text));
    }

    #[test]
    fn errors_name_the_fault_and_its_position() {
        for (text, error) in [
            (
                "{\"n\": 1, \"s\": \"a\",}",
                "trailing comma at line 1 column 18",
            ),
            ("So:\n{\"n\": [1,]}", "trailing comma at line 2 column 9"),
            // The comma is named, not the bracket after it.
            ("{\"n\": 1,\n}", "trailing comma at line 1 column 8"),
            (
                "[{\"n\": 1}]",
                "a JSON array; an object is asked for (line 1 column 1)",
            ),
            ("\"x\"", "a string; an object is asked for"),
            (
                "{\"n\": 1, \"s\": \"abc",
                "cut off at line 1 column 19: never closed: the string that begins at line 1 column 15, the `{` at line 1 column 1",
            ),
            (
                "{\"a\": [{\"n\": 1},",
                "cut off at line 1 column 17: never closed: the `[` at line 1 column 7, the `{` at line 1 column 1",
            ),
            (
                "{'n': 1}",
                "single quotes at line 1 column 2; JSON has double quotes",
            ),
            (
                "{\"n\": 'x'}",
                "single quotes at line 1 column 7; JSON has double quotes",
            ),
            (
                "{\n  // one\n  \"n\": 1}",
                "a comment at line 2 column 3; JSON has none",
            ),
            (
                "{\"n\": True}",
                "`True` at line 1 column 7 is no JSON value",
            ),
            ("{n: 1}", "a key without double quotes at line 1 column 2"),
            (
                "{\"a\": 1 \"n\": 2}",
                "a comma is missing at line 1 column 9",
            ),
            (
                "{“n”: 1}",
                "a typographic quote at line 1 column 2; JSON has \"",
            ),
            (
                "{\"n\": \"a\nb\"}",
                "a line break at line 1 column 9 in the string that begins at line 1 column 7; write it as \\n, or close the string",
            ),
        ] {
            assert_eq!(
                why(text),
                format!("no complete JSON object: {error}"),
                "{text}"
            );
        }
        assert_eq!(why("hello"), "no JSON object in 5 bytes");
        assert_eq!(
            why("<think>{}"),
            "no JSON object outside of a reasoning block that is never closed in 9 bytes"
        );
    }

    #[test]
    fn prose_is_read_only_without_an_object_and_never_from_reasoning() {
        let vote = |text: &str| {
            let rules = PickRules {
                fits: &|value| value.get("vote").is_some() && value.get("reason").is_some(),
                prose: Some(crate::verdict::prose::read),
            };
            let picked = pick(text.as_bytes(), &rules).ok()?;
            Some(picked.object.get("vote")?.as_str()?.to_owned())
        };
        for (text, expected) in [
            (
                "<think>vote: agree\nreason: x</think>\nvote: disagree\nreason: y",
                Some("disagree"),
            ),
            (
                "vote: agree\nreason: x\n</think>\nvote: disagree\nreason: y",
                Some("disagree"),
            ),
            ("<think>\nvote: agree\nreason: x\n</think>\nHm.", None),
            ("<think>\nvote: agree\nreason: x\n", None),
            (
                "It sets {\"a\":1} now.\nvote: agree\nreason: x",
                Some("agree"),
            ),
            ("\u{1b}[1mvote: agree\u{1b}[0m\nreason: x", Some("agree")),
            // The object is an answer, though incomplete.
            (
                "vote: agree\nreason: x\n{\"vote\":\"disagree\"}",
                Some("disagree"),
            ),
        ] {
            assert_eq!(vote(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn invalid_bytes_spoil_only_the_answer_that_contains_them() {
        assert!(with_n(b"log caf\xe9\n{\"n\":1}").is_ok());
        assert_eq!(
            with_n(b"x\n{\"n\":\"caf\xe9\"}").expect_err("refused"),
            "the answer is not valid UTF-8: byte 0xE9 at line 2 column 10 (byte offset 11)"
        );
        assert_eq!(
            object(b"{\"a\":\"\xff\"}")
                .expect_err("refused")
                .to_string(),
            "the result is not valid UTF-8: byte 0xFF at line 1 column 7 (byte offset 6)"
        );
        assert!(with_n(b"\xff\xfe{\"a\":").is_err());
        assert!(object("\u{feff}{}".as_bytes()).is_ok());
    }
}
