//! `--flatten` and `--formula-cells`: results as cells of the output CSV.
//!
//! With `--flatten` every property of the schema's own top-level `properties` is a column `result.<name>` after the ten,
//! in schema order. `$ref` and `allOf` are not followed: which columns a file has must be plain from reading its schema.
//! A spreadsheet takes text that begins with certain characters for a formula and executes it; `result.*` cells and
//! error text are guarded against that (OWASP, "CSV Injection"), and nothing else: input columns are the user's, and
//! `result_json` begins with a brace. Knows values and text, neither files nor rows.

use crate::verdict::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use unicode_width::UnicodeWidthChar;

/// The prefix of every such column.
const PREFIX: &str = "result.";

/// The columns that `--flatten` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumns(Vec<String>);

/// The schema has no properties for such columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the output schema has no `properties` at its top level to make columns of; `$ref` and `allOf` are not followed"
)]
pub struct NoProperties;

/// What to do with text in a result that a spreadsheet would execute: `keep`, `quote` or `reject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormulaCells {
    /// Write it unchanged.
    Keep,
    /// Write it with a `'` in front, which a spreadsheet shows as text.
    #[default]
    Quote,
    /// Refuse the result, so that its worker corrects it. Error texts, which no worker can correct, are quoted.
    Reject,
}

/// Not a value of [`FormulaCells`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `keep`, `quote` or `reject`")]
pub struct NotFormulaCells(String);

/// A property that a spreadsheet would execute. Shown like a schema violation: `/name: begins with …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    /// JSON pointer of the property.
    pub pointer: String,
    /// The first character of its text.
    pub begins_with: char,
}

impl ResultColumns {
    /// The columns of `schema`; an error if there are none.
    pub fn of(schema: &Value) -> Result<Self, NoProperties> {
        match schema.get("properties").and_then(Value::as_object) {
            Some(properties) if !properties.is_empty() => {
                Ok(Self(properties.keys().cloned().collect()))
            }
            _ => Err(NoProperties),
        }
    }

    /// The headers, `result.<name>`.
    pub fn headers(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|name| format!("{PREFIX}{name}"))
            .collect()
    }

    /// A cell for each column; all empty without a result.
    pub fn cells(&self, result: Option<&Object>, formula_cells: FormulaCells) -> Vec<String> {
        let value = |name: &String| result.and_then(|result| result.get(name));
        let cell = |name| value(name).map_or(String::new(), |value| cell(value, formula_cells));
        self.0.iter().map(cell).collect()
    }

    /// The properties of `result` that would become formulas, in column order; for [`FormulaCells::Reject`].
    pub fn formulas(&self, result: &Object) -> Vec<Formula> {
        let formula = |name: &String| {
            let text = result.get(name)?.as_str()?;
            Some(Formula {
                pointer: pointer(name),
                begins_with: formula_start(text)?,
            })
        };
        self.0.iter().filter_map(formula).collect()
    }
}

/// Text unchanged; numbers (with the digits of `result_json`), `true` and `false` as in JSON; arrays and objects as
/// compact JSON. `null` is an empty cell, like an absent property and as in jq's `@csv`; `result_json` distinguishes
/// the two.
fn cell(value: &Value, formula_cells: FormulaCells) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => formula_cells.guard(text),
        // -5 begins with a minus and is a number; nothing else here can begin with one.
        value => value.to_string(),
    }
}

impl FormulaCells {
    /// `text` as written in a cell.
    pub fn guard(self, text: &str) -> String {
        match (self, formula_start(text)) {
            (FormulaCells::Keep, _) | (_, None) => text.to_owned(),
            (FormulaCells::Quote | FormulaCells::Reject, Some(_)) => format!("'{text}"),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            FormulaCells::Keep => "keep",
            FormulaCells::Quote => "quote",
            FormulaCells::Reject => "reject",
        }
    }
}

/// The character for which a spreadsheet would execute `text`: `=`, `+`, `-` or `@`, also in full width, and after blanks or
/// characters without a width, which some importers drop; or a leading control character, of which tab, CR and LF are known to be
/// passed over. Text like `-5` counts: a worker that means a number can write one.
fn formula_start(text: &str) -> Option<char> {
    let first = text.chars().next().filter(|c| c.is_control());
    let is_dropped = |c: char| c.is_whitespace() || c.width() == Some(0);
    first.or_else(|| {
        let begins = text.trim_start_matches(is_dropped).chars().next();
        begins.filter(|c| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(*c))
    })
}

/// RFC 6901.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pointer, start) = (&self.pointer, self.begins_with.escape_default());
        write!(
            f,
            "{pointer}: begins with `{start}`, so a spreadsheet would take it for a formula"
        )
    }
}

impl FromStr for FormulaCells {
    type Err = NotFormulaCells;

    fn from_str(text: &str) -> Result<Self, NotFormulaCells> {
        [Self::Keep, Self::Quote, Self::Reject]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| NotFormulaCells(text.to_owned()))
    }
}

impl fmt::Display for FormulaCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
