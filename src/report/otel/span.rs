//! One span, as OTLP writes it in JSON: ids in hexadecimal, 64-bit numbers as strings, enums as numbers.

use crate::model::RunId;
use crate::platform::sha256_of_bytes;
use serde_json::{Map, Value, json};

/// Digits of a trace id and of a span id.
const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// `Span.SpanKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work of mesh.
    Internal = 1,
    /// A call of another process.
    Client = 3,
}

/// What makes an id: the run, and the kind and names of a part of it.
#[derive(Clone, Debug)]
pub struct Ids {
    run: String,
}

impl Ids {
    /// The ids of a run.
    pub fn of(run: &RunId) -> Self {
        Self {
            run: run.to_string(),
        }
    }

    /// 16 bytes.
    pub fn trace(&self) -> String {
        self.digits(&["trace"], TRACE_DIGITS)
    }

    /// 8 bytes.
    pub fn span(&self, names: &[&str]) -> String {
        self.digits(names, SPAN_DIGITS)
    }

    /// Names can't run into each other: each is written as JSON.
    fn digits(&self, names: &[&str], count: usize) -> String {
        let mut hash = sha256_of_bytes(json!([self.run, names]).to_string().as_bytes());
        hash.truncate(count);
        hash
    }
}

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    id: String,
    parent: Option<String>,
    name: String,
    kind: Kind,
    span_ms: (i64, i64),
    attributes: Vec<Value>,
    error: Option<String>,
}

impl Span {
    /// A span without a parent; times are milliseconds since 1970, and an end before the start becomes the start.
    pub fn new(id: String, name: impl Into<String>, kind: Kind, span_ms: (i64, i64)) -> Self {
        Self {
            id,
            parent: None,
            name: name.into(),
            kind,
            span_ms: (span_ms.0, span_ms.1.max(span_ms.0)),
            attributes: Vec::new(),
            error: None,
        }
    }

    /// Puts it below another span.
    pub fn below(mut self, parent: String) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Adds an attribute; none without a value.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => json!({"stringValue": text}),
            Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
            Value::Number(number) => json!({"intValue": number.to_string()}),
            Value::Bool(bool) => json!({"boolValue": bool}),
            _ => return self,
        };
        self.attributes.push(json!({"key": key, "value": value}));
        self
    }

    /// Marks it as failed with this code; an empty one changes nothing.
    pub fn failed(mut self, code: &str) -> Self {
        if code.is_empty() {
            return self;
        }
        self.error = Some(code.to_owned());
        self.with("error.type", code)
    }

    /// The span as JSON.
    pub fn json(self, trace: &str) -> Value {
        let nanos = |ms: i64| format!("{}", i128::from(ms.max(0)) * 1_000_000);
        let mut span = Map::new();
        span.insert("traceId".to_owned(), json!(trace));
        span.insert("spanId".to_owned(), json!(self.id));
        if let Some(parent) = self.parent {
            span.insert("parentSpanId".to_owned(), json!(parent));
        }
        span.insert("name".to_owned(), json!(self.name));
        span.insert("kind".to_owned(), json!(self.kind as u8));
        let (start, end) = self.span_ms;
        span.insert("startTimeUnixNano".to_owned(), json!(nanos(start)));
        span.insert("endTimeUnixNano".to_owned(), json!(nanos(end)));
        span.insert("attributes".to_owned(), Value::Array(self.attributes));
        let status = match self.error {
            Some(code) => json!({"code": ERROR, "message": code}),
            None => json!({}),
        };
        span.insert("status".to_owned(), status);
        Value::Object(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_lengths_and_names_do_not_run_together() {
        let ids = Ids::of(&RunId::new("R"));
        assert_eq!((ids.trace().len(), ids.span(&["run"]).len()), (32, 16));
        assert_ne!(ids.span(&["row", "1", "1"]), ids.span(&["row", "11"]));
        assert_ne!(ids.trace(), Ids::of(&RunId::new("S")).trace());
    }

    #[test]
    fn numbers_are_strings_and_an_end_is_never_before_its_start() {
        let span = Span::new("i".to_owned(), "n", Kind::Client, (1_700_000_000_123, 5))
            .with("tokens", 7)
            .with("cost", 0.5)
            .with("nothing", Value::Null)
            .failed("timeout")
            .json("t");
        assert_eq!(
            span.to_string(),
            r#"{"traceId":"t","spanId":"i","name":"n","kind":3,"startTimeUnixNano":"1700000000123000000","endTimeUnixNano":"1700000000123000000","attributes":[{"key":"tokens","value":{"intValue":"7"}},{"key":"cost","value":{"doubleValue":0.5}},{"key":"error.type","value":{"stringValue":"timeout"}}],"status":{"code":2,"message":"timeout"}}"#
        );
    }
}
