//! One line of a ledger: version, number, time, event.

use super::error::LedgerError;
use crate::model::{Event, json};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::path::Path;

/// The version that is written, and the highest that is read.
pub const VERSION: u64 = 1;

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number, from 1.
    pub seq: u64,
    /// UTC time of the append.
    pub ts: String,
    /// The event.
    pub event: Event,
}

/// Reads line `line` of the ledger at `path`.
pub(super) fn parse(path: &Path, line: u64, text: &[u8]) -> Result<Record, LedgerError> {
    let broken = |message: String| LedgerError::Broken {
        path: path.to_owned(),
        line,
        message,
    };
    let not_json = |error: String| broken(format!("not JSON: {error}"));
    let text = std::str::from_utf8(text).map_err(|error| not_json(error.to_string()))?;
    if let Some(record) = parse_usual(line, text) {
        return Ok(record);
    }
    let mut fields = match json::parse(text).map_err(|error| not_json(error.to_string()))? {
        Value::Object(fields) => fields,
        _ => return Err(not_json("not an object".to_owned())),
    };
    let version = take_number(&mut fields, "v").ok_or_else(|| broken("no version".to_owned()))?;
    if version > VERSION {
        return Err(LedgerError::Newer {
            path: path.to_owned(),
            line,
            found: version,
        });
    }
    let seq = take_number(&mut fields, "seq").ok_or_else(|| broken("no `seq`".to_owned()))?;
    if seq != line {
        return Err(broken(format!("`seq` is {seq}, expected {line}")));
    }
    let ts = take_text(&mut fields, "ts").ok_or_else(|| broken("no `ts`".to_owned()))?;
    let name = take_text(&mut fields, "event").ok_or_else(|| broken("no `event`".to_owned()))?;
    let event = Event::parse(&name, fields).map_err(|source| LedgerError::Event {
        path: path.to_owned(),
        line,
        source,
    })?;
    Ok(Record { seq, ts, event })
}

/// What every record begins with.
#[derive(Deserialize)]
struct Head<'t> {
    v: u64,
    seq: u64,
    #[serde(borrow)]
    ts: Cow<'t, str>,
    #[serde(borrow)]
    event: Cow<'t, str>,
}

/// A valid record of a known event, in less than half of the time that a map of its fields takes. `None` if it could be anything else.
fn parse_usual(line: u64, text: &str) -> Option<Record> {
    if json::needs_care(text.as_bytes()) {
        return None;
    }
    let head: Head<'_> = serde_json::from_str(text).ok()?;
    if head.v > VERSION || head.seq != line {
        return None;
    }
    Some(Record {
        seq: head.seq,
        event: Event::parse_record(&head.event, text)?,
        ts: head.ts.into_owned(),
    })
}

fn take_number(fields: &mut Map<String, Value>, key: &str) -> Option<u64> {
    fields.shift_remove(key)?.as_u64()
}

fn take_text(fields: &mut Map<String, Value>, key: &str) -> Option<String> {
    match fields.shift_remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}
