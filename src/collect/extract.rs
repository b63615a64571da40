//! Finding the result object in what a worker printed.
//!
//! The rule (CONTRACT, section 2): the whole output when it is one JSON object, else its last fenced
//! `json` block, else its last line that is a JSON object.

use serde_json::{Map, Value};

/// A result object, with keys in the order in which they were written.
pub type Object = Map<String, Value>;

/// Why bytes are not a result object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// Not JSON at all.
    #[error("the result is not JSON: {0}")]
    NotJson(String),
    /// JSON, but an array, string, number, boolean or null.
    #[error("the result must be a JSON object, not {0}")]
    OtherType(&'static str),
}

/// Reads `bytes` as exactly one JSON object.
pub fn object(bytes: &[u8]) -> Result<Object, NotAnObject> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(NotAnObject::OtherType(type_name(&other))),
        Err(error) => Err(NotAnObject::NotJson(error.to_string())),
    }
}

/// The result object in a worker's standard output, where there is one.
pub fn from_stdout(bytes: &[u8]) -> Option<Object> {
    if let Ok(object) = object(bytes) {
        return Some(object);
    }
    let text = String::from_utf8_lossy(bytes);
    from_last_fence(&text).or_else(|| from_last_line(&text))
}

/// The last block that opens with ```` ```json ```` and is closed.
fn from_last_fence(text: &str) -> Option<Object> {
    let mut last = None;
    let mut open: Option<(&str, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let line = line.trim();
        match open {
            None => open = opening_fence(line).map(|fence| (fence, offset)),
            Some((fence, from))
                if line.starts_with(fence) && line.trim_start_matches(&fence[..1]).is_empty() =>
            {
                last = object(&text.as_bytes()[from..start]).ok().or(last);
                open = None;
            }
            Some(_) => {}
        }
    }
    last
}

/// The run of back-ticks or tildes of a line that opens a `json` block.
fn opening_fence(line: &str) -> Option<&str> {
    let mark = line
        .chars()
        .next()
        .filter(|mark| matches!(mark, '`' | '~'))?;
    let info = line.trim_start_matches(mark);
    let fence = &line[..line.len() - info.len()];
    (fence.len() >= 3 && info.trim().eq_ignore_ascii_case("json")).then_some(fence)
}

fn from_last_line(text: &str) -> Option<Object> {
    text.lines()
        .rev()
        .map(str::trim)
        .filter(|line| line.starts_with('{') && line.ends_with('}'))
        .find_map(|line| object(line.as_bytes()).ok())
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

    fn found(text: &str) -> Option<String> {
        from_stdout(text.as_bytes()).map(|object| Value::Object(object).to_string())
    }

    #[test]
    fn the_whole_output_wins_then_the_last_fence_then_the_last_line() {
        assert_eq!(
            found(" {\"b\":1,\n \"a\":2}\n").as_deref(),
            Some("{\"b\":1,\"a\":2}")
        );
        let prose =
            "First\n```json\n{\"n\":1}\n```\nno, rather:\n```json\n{\n\"n\": 2}\n```\n{\"n\":3}\n";
        assert_eq!(found(prose).as_deref(), Some("{\"n\":2}"));
        assert_eq!(
            found("log\n{\"n\":1}\n{\"n\":4}\nbye\n").as_deref(),
            Some("{\"n\":4}")
        );
        assert_eq!(found("[1]\n\"x\"\n"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn numbers_stay_as_they_were_reported() {
        assert_eq!(
            found("{\"a\":1.0,\"b\":12345678901234567890123,\"c\":0.10}").as_deref(),
            Some("{\"a\":1.0,\"b\":12345678901234567890123,\"c\":0.10}")
        );
    }

    #[test]
    fn broken_utf8_and_half_json_are_no_result() {
        assert_eq!(from_stdout(b"\xff\xfe{\"a\":"), None);
        assert_eq!(found("```json\n{\"a\":1}\n"), Some("{\"a\":1}".to_owned()));
    }
}
