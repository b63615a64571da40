//! Parses JSON and keeps every number as written.
//!
//! `serde_json` reads `1e3` as `1e+3` and `1E-3` as `1e-3`, and an object with a certain private key as a number. A
//! worker's result must not change, so text with either is parsed here into raw values, one level at a time. Rejected:
//! passing raw text through the program, because schemas, lanes and columns need its values.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::fmt;

/// How deep values may be nested, as in `serde_json`.
pub const DEPTH_MAX: usize = 128;

/// Why a text is not a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct NotJson {
    /// 1-based.
    pub line: usize,
    /// 1-based, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl NotJson {
    /// At a byte of `text`.
    pub fn at(text: &str, offset: usize, message: String) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: offset - line_start + 1,
            message,
        }
    }
}

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        let mut message = error.to_string();
        if let Some(at) = message.rfind(" at line ") {
            message.truncate(at);
        }
        Self {
            line: error.line(),
            column: error.column(),
            message,
        }
    }
}

/// Reads `text` as one JSON value.
///
/// # Errors
/// Not JSON, or nested deeper than [`DEPTH_MAX`].
pub fn parse(text: &str) -> Result<Value, NotJson> {
    if !needs_care(text.as_bytes()) {
        return serde_json::from_str(text).map_err(NotJson::from);
    }
    let raw: &RawValue = serde_json::from_str(text)?;
    build(raw, text, 0)
}

/// Whether `serde_json` could change a value in `bytes`.
pub fn needs_care(bytes: &[u8]) -> bool {
    let is_exponent = |window: &[u8]| {
        window[0].is_ascii_digit()
            && matches!(window[1], b'e' | b'E')
            && matches!(window[2], b'0'..=b'9' | b'+' | b'-')
    };
    // An escape can spell the private key as well.
    bytes.windows(3).any(is_exponent) || bytes.contains(&b'$') || has_escaped(bytes)
}

fn has_escaped(bytes: &[u8]) -> bool {
    bytes
        .windows(6)
        .any(|window| window.eq_ignore_ascii_case(br"\u0024"))
}

/// The value of `raw`, a part of `text`.
fn build(raw: &RawValue, text: &str, depth: usize) -> Result<Value, NotJson> {
    let own = raw.get();
    let offset = own.as_ptr().addr() - text.as_ptr().addr();
    let inside = |error: serde_json::Error| {
        let NotJson { message, .. } = error.into();
        NotJson::at(text, offset, message)
    };
    if depth == DEPTH_MAX {
        let message = format!("nested deeper than {DEPTH_MAX} levels");
        return Err(NotJson::at(text, offset, message));
    }
    match own.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(own).map_err(inside)?;
            let mut object = Map::with_capacity(members.len());
            for (name, member) in members {
                object.insert(name, build(member, text, depth + 1)?);
            }
            Ok(Value::Object(object))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(own).map_err(inside)?;
            let items = items.into_iter();
            let values = items.map(|item| build(item, text, depth + 1));
            values.collect::<Result<_, _>>().map(Value::Array)
        }
        // Every public constructor of `Number` rewrites its exponent.
        Some(b'-' | b'0'..=b'9') => {
            Ok(Value::Number(Number::from_string_unchecked(own.to_owned())))
        }
        _ => serde_json::from_str(own).map_err(inside),
    }
}

/// The members of an object in order, including repeated names.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;
        impl<'t> Visitor<'t> for Taker {
            type Value = Members<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Members<'t>, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Taker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_kept_as_written() {
        for text in [
            r#"{"a":1e3}"#,
            r#"{"a":[1E3,1e+3,1E-3,-0.0,-0,1.0,0.10],"b":{"c":{"d":-1.5e10}}}"#,
            r#"[12345678901234567890,123456789012345678901234567890.5e400]"#,
            "1e3",
            r#"{"b":1e3,"a":"1e3","c":null,"d":true}"#,
        ] {
            assert_eq!(parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn the_last_of_repeated_names_counts_and_white_space_is_dropped() {
        let value = parse("{ \"b\" : 1e3 ,\n \"a\" : [ 1 ] , \"b\" : 2e2 }").expect("JSON");
        assert_eq!(value.to_string(), r#"{"b":2e2,"a":[1]}"#);
    }

    #[test]
    fn no_key_has_a_special_meaning() {
        for text in [
            r#"{"$serde_json::private::Number":"12"}"#,
            r#"{"a":{"$serde_json::private::Number":"x"}}"#,
            r#"{"a":{"$serde_json::private::RawValue":"{"}}"#,
        ] {
            assert_eq!(parse(text).expect(text).to_string(), text);
        }
        let escaped = r#"{"\u0024serde_json::private::Number":"12"}"#;
        assert!(parse(escaped).expect(escaped).is_object());
    }

    #[test]
    fn errors_have_the_same_position_on_both_paths() {
        for (text, error) in [
            ("{\"a\":1,}", "trailing comma at line 1 column 8"),
            ("{\n\"n\":1e3,\"a\": \"\\ud800\"}", "at line 2 column 14"),
            ("[1e3", "EOF while parsing a list at line 1 column 4"),
        ] {
            let message = parse(text).expect_err(text).to_string();
            assert!(message.contains(error), "{text}: {message}");
        }
        let deep = format!("{}1e3{}", "[".repeat(200), "]".repeat(200));
        let message = parse(&deep).expect_err("too deep").to_string();
        assert_eq!(
            message,
            "nested deeper than 128 levels at line 1 column 129"
        );
        let plain = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(parse(&plain).is_err());
    }
}
