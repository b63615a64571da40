//! JSON, for programs.

use super::terminal_is_tame;
use serde_json::{Deserializer, Value};

/// JSON values, one after the other.
pub fn json_is_valid(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for value in Deserializer::from_slice(bytes).into_iter() {
        collect(
            &value.map_err(|error: serde_json::Error| error.to_string())?,
            &mut texts,
        );
    }
    Ok(texts)
}

/// The same on standard output, which may be a terminal.
pub fn printed_json_is_tame(bytes: &[u8]) -> Result<Vec<String>, String> {
    terminal_is_tame(bytes)?;
    json_is_valid(bytes)
}

/// One event a line, numbered without a gap.
pub fn ledger_has_a_record_a_line(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    let lines = bytes.strip_suffix(b"\n").ok_or("no line end at the end")?;
    for (line, number) in lines.split(|byte| *byte == b'\n').zip(1_u64..) {
        let record: Value =
            serde_json::from_slice(line).map_err(|error| format!("line {number}: {error}"))?;
        if record["v"] != 1 || record["seq"] != number || !record["event"].is_string() {
            return Err(format!("line {number} is no record: {record}"));
        }
        collect(&record, &mut texts);
    }
    Ok(texts)
}

/// All strings, also of keys.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => {
            for (name, value) in members {
                texts.push(name.clone());
                collect(value, texts);
            }
        }
        _ => {}
    }
}
