//! Why a protocol was refused.

use super::placeholders::PLACEHOLDERS;
use crate::verdict::SchemaError;
use std::io;

/// Why a protocol was refused.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Invalid YAML, or not the fields of a protocol.
    #[error("protocol `{file}`{at}: {message}")]
    Yaml {
        /// The file or built-in.
        file: String,
        /// `, line 3, column 5`, where known.
        at: String,
        /// The parser's message.
        message: String,
    },
    /// A valid file whose protocol can't work.
    #[error("protocol `{file}`, line {line}: {message}")]
    Unusable {
        /// The file or built-in.
        file: String,
        /// The first line with the word at fault.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A prompt or schema file does not exist.
    #[error("protocol `{file}`, line {line}: no template `{name}` in its folder or built in")]
    NoTemplate {
        /// The file or built-in.
        file: String,
        /// The first line that names it.
        line: usize,
        /// The template.
        name: String,
    },
    /// A prompt or schema file in the protocol's folder can't be read, or is not UTF-8.
    #[error("protocol `{file}`, line {line}: template `{name}` can't be read")]
    Unreadable {
        /// The file or built-in.
        file: String,
        /// The first line that names it.
        line: usize,
        /// The template.
        name: String,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// A prompt has an unknown placeholder.
    #[error(
        "template `{template}` of protocol `{file}`, line {line}: unknown placeholder `{{{name}}}`{}",
        nearest(near)
    )]
    Placeholder {
        /// The file or built-in.
        file: String,
        /// The template's file.
        template: String,
        /// The line in the template, counted from 1.
        line: usize,
        /// The text between the braces.
        name: String,
        /// Similar known names, best first.
        near: Vec<&'static str>,
    },
    /// Invalid JSON Schema.
    #[error("protocol `{file}`")]
    Schema {
        /// The file or built-in.
        file: String,
        /// What is wrong with the schema.
        #[source]
        source: SchemaError,
    },
}

impl ProtocolError {
    /// The placeholders that a prompt may use.
    pub fn hint(&self) -> Option<String> {
        match self {
            ProtocolError::Placeholder { name, .. } => {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
                Some(format!(
                    "known: {known}; for the text itself write {{{{{name}}}}}"
                ))
            }
            _ => None,
        }
    }
}

fn nearest(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{{{name}}}`")).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; nearest: {}", names.join(", ")),
    }
}
