//! Replaces the secrets in texts and JSON values.

use super::span::merge_spans;
use super::token_formats::find_tokens;
use super::values::{Cut, Values};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Knows the secrets to replace. The default one knows only the formats of tokens.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    values: Option<Values>,
}

impl Redactor {
    /// One that also knows the values of variables, as `(name, value)`; those whose name does not mark a secret are ignored.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            values: Values::new(variables),
        }
    }

    /// Redacts the output of a program, perhaps cut. Borrows the same bytes when they hold no secret.
    pub fn redact_bytes<'t>(&self, text: &'t [u8], cut: Cut) -> Cow<'t, [u8]> {
        self.replace(text, cut, &mut |_| {})
    }

    /// Redacts a text. Where it was shortened, it holds a `…`.
    pub fn redact_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replace_in_text(text, &mut |_| {})
    }

    /// Redacts the strings and keys of a JSON value, and numbers that are a secret. Returns the names of the secrets found.
    pub fn redact_json(&self, value: &mut Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.replace_in_json(value, &mut |name| {
            found.insert(name.to_owned());
        });
        found
    }

    fn replace_in_json(&self, value: &mut Value, note: &mut dyn FnMut(&str)) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.replace_in_text(text, note) {
                    *text = clean;
                }
            }
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.replace_in_json(value, note)),
            Value::Object(fields) => {
                fields
                    .values_mut()
                    .for_each(|value| self.replace_in_json(value, note));
                self.replace_in_keys(fields, note);
            }
            Value::Number(number) if self.values.is_some() => {
                let digits = number.to_string();
                if let Cow::Owned(clean) = self.replace_in_text(&digits, note) {
                    *value = Value::String(clean);
                }
            }
            Value::Number(_) | Value::Null | Value::Bool(_) => {}
        }
    }

    fn replace_in_keys(&self, fields: &mut Map<String, Value>, note: &mut dyn FnMut(&str)) {
        if fields
            .keys()
            .all(|key| matches!(self.redact_text(key), Cow::Borrowed(_)))
        {
            return;
        }
        for (key, value) in std::mem::take(fields) {
            let clean = self.replace_in_text(&key, note).into_owned();
            let numbered = (2..).map(|number| format!("{clean}-{number}"));
            let mut names = std::iter::once(clean.clone()).chain(numbered);
            let free = names.find(|name| !fields.contains_key(name));
            fields.insert(free.unwrap_or(clean), value);
        }
    }

    fn replace_in_text<'t>(&self, text: &'t str, note: &mut dyn FnMut(&str)) -> Cow<'t, str> {
        match self.replace(text.as_bytes(), Cut::default(), note) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Whole characters are replaced, so this is UTF-8.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    fn replace<'t>(&self, text: &'t [u8], cut: Cut, note: &mut dyn FnMut(&str)) -> Cow<'t, [u8]> {
        let mut spans = find_tokens(text);
        if let Some(values) = &self.values {
            values.find(text, &mut spans);
            values.find_parts(text, cut, &mut spans);
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut copied = 0;
        for span in merge_spans(spans) {
            note(&span.name);
            clean.extend_from_slice(&text[copied..span.begin]);
            clean.extend_from_slice(marker(&span.name).as_bytes());
            copied = span.end;
        }
        clean.extend_from_slice(&text[copied..]);
        Cow::Owned(clean)
    }
}

/// The text that replaces a secret.
pub fn marker(name: &str) -> String {
    format!("[redacted:{name}]")
}
