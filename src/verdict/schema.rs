//! Checks a result against its JSON Schema; reports every violation with its JSON pointer.

use super::plain;
use crate::model::{json, one_line};
use serde_json::Value;
use std::path::Path;

/// The most violations listed in one message.
pub const VIOLATIONS_MAX: usize = 8;

/// Why a schema was refused.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It can't be read.
    #[error("schema `{name}` can't be read")]
    Io {
        /// The file.
        name: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is not JSON.
    #[error("schema `{name}`, line {line}, column {column}: not valid JSON: {message}")]
    NotJson {
        /// The file or template.
        name: String,
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// The parser's message.
        message: String,
    },
    /// It is JSON, but not a schema, or a `$ref` needs the network.
    #[error("schema `{name}`{at}: {message}")]
    Invalid {
        /// The file or template.
        name: String,
        /// ` at /json/pointer` within the schema, or nothing.
        at: String,
        /// The compiler's message.
        message: String,
    },
}

/// A compiled schema.
#[derive(Clone, Debug)]
pub struct Schema {
    source: Value,
    validator: std::sync::Arc<jsonschema::Validator>,
}

impl Schema {
    /// Reads and compiles the schema file at `path`.
    pub fn read(path: &Path) -> Result<Self, SchemaError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| SchemaError::Io {
            name: name.clone(),
            source,
        })?;
        match plain::strict(&bytes) {
            Ok(text) => Self::parse(&name, text),
            Err(found) => Err(SchemaError::NotJson {
                name,
                line: found.line,
                column: found.column,
                message: format!("byte 0x{:02X} is not UTF-8", found.byte),
            }),
        }
    }

    /// Compiles schema text; `name` is for messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, SchemaError> {
        let source = json::parse(text).map_err(|error| SchemaError::NotJson {
            name: name.to_owned(),
            line: error.line,
            // An empty file has no columns.
            column: error.column.max(1),
            message: match text.trim() {
                "" => "it is empty".to_owned(),
                _ => error.message,
            },
        })?;
        Self::compile(name, source)
    }

    /// Compiles a schema value. Draft 2020-12 unless its `$schema` names another.
    pub fn compile(name: &str, source: Value) -> Result<Self, SchemaError> {
        let validator = jsonschema::validator_for(&source).map_err(|error| {
            let at = error.instance_path().to_string();
            SchemaError::Invalid {
                name: name.to_owned(),
                at: if at.is_empty() {
                    at
                } else {
                    format!(" at {at}")
                },
                message: error.to_string(),
            }
        })?;
        Ok(Self {
            source,
            validator: std::sync::Arc::new(validator),
        })
    }

    /// The schema itself.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether `result` fits.
    pub fn is_valid(&self, result: &Value) -> bool {
        self.validator.is_valid(result)
    }

    /// `Err` has one line with every violation: `/pointer: what is wrong; …`.
    pub fn check(&self, result: &Value) -> Result<(), String> {
        let mut violations: Vec<String> = self
            .validator
            .iter_errors(result)
            .map(|error| {
                let at = error.instance_path().to_string();
                one_line(&format!("{}: {}", pointer(&at), error.masked()))
            })
            .collect();
        if violations.is_empty() {
            return Ok(());
        }
        let more = violations.len().saturating_sub(VIOLATIONS_MAX);
        violations.truncate(VIOLATIONS_MAX);
        if more > 0 {
            violations.push(format!("and {more} more"));
        }
        Err(violations.join("; "))
    }
}

/// The root has an empty pointer, which reads badly in a message.
fn pointer(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_violation_is_named_with_its_pointer() {
        let schema = Schema::compile(
            "s",
            json!({"type":"object","required":["b"],"properties":{"a":{"type":"integer"}}}),
        )
        .expect("a schema");
        let text = schema.check(&json!({"a":"x"})).expect_err("violations");
        assert!(
            text.contains("/a: ") && text.contains("\"b\" is a required property"),
            "{text}"
        );
        assert_eq!(schema.check(&json!({"b":1})), Ok(()));
    }

    #[test]
    fn schema_errors_name_their_position() {
        let message = |text: &str| {
            Schema::parse("s.json", text)
                .expect_err("refused")
                .to_string()
        };
        assert!(
            message("{\n \"type\": }")
                .starts_with("schema `s.json`, line 2, column 10: not valid JSON: ")
        );
        assert_eq!(
            message(""),
            "schema `s.json`, line 1, column 1: not valid JSON: it is empty"
        );
        assert!(message("{\"type\": \"objekt\"}").starts_with("schema `s.json` at /type: "));
        let remote = message("{\"$ref\": \"http://example.invalid/s.json\"}");
        assert!(remote.starts_with("schema `s.json`"), "{remote}");
    }

    #[test]
    fn an_older_draft_is_read_by_its_own_rules() {
        let schema = Schema::parse(
            "s",
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}"#,
        )
        .expect("draft 7");
        assert!(schema.check(&json!([1])).is_err());
    }
}
