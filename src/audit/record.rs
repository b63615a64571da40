//! One line of a ledger, as plain JSON.

use serde_json::Value;

/// An event.
#[derive(Debug)]
pub(super) struct Record {
    /// Its line, from 1.
    pub line: u64,
    /// Its sequence number.
    pub seq: Option<u64>,
    /// Its name.
    pub event: String,
    body: Value,
}

impl Record {
    /// `None` if the line is no event.
    pub fn parse(line: u64, bytes: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(bytes).ok()?;
        let event = body.get("event")?.as_str()?.to_owned();
        Some(Self {
            line,
            seq: body.get("seq").and_then(Value::as_u64),
            event,
            body,
        })
    }

    /// A field; null if there is none.
    pub fn field(&self, name: &str) -> &Value {
        &self.body[name]
    }

    /// A text; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// A number; 0 if there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.body[name].as_u64().unwrap_or_default()
    }

    /// The attempt that an event is about: wave, row and number.
    pub fn attempt(&self) -> (u64, String, u64) {
        (
            self.number("wave"),
            self.text("item_id").to_owned(),
            self.number("attempt"),
        )
    }
}
