//! A list of items outside a plan file: what `export` writes and `import-plan` reads.

use super::error::PlanError;
use super::file::{read_bounded, write_atomically};
use super::foreign;
use super::item::Item;
use super::json::items;
use super::lines::invalid_json;
use super::state::Plan;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::io::Write;
use std::path::Path;

/// Reads a snapshot file; see [`parse`].
///
/// # Errors
/// [`PlanError::Io`], [`PlanError::TooLarge`], or as [`parse`].
pub fn load(file: &Path) -> Result<Vec<Item>, PlanError> {
    let bytes = read_bounded(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        PlanError::InvalidJson {
            line,
            message: error.to_string(),
        }
    })?;
    parse(text)
}

/// Writes a whole snapshot file, or leaves it unchanged.
///
/// # Errors
/// [`PlanError::Io`].
pub fn save(file: &Path, text: &str) -> Result<(), PlanError> {
    write_atomically(file, |out| out.write_all(text.as_bytes()))
}

/// The items of a snapshot: a JSON list of items, or an object with one under `items`. Derived fields (`dep_state`,
/// `waiting_on`) are dropped, so that the output of `show --format json` can be read.
///
/// # Errors
/// [`PlanError::InvalidJson`], [`PlanError::SnapshotShape`], [`PlanError::DuplicateItem`], or what
/// is wrong in an item.
pub fn parse(text: &str) -> Result<Vec<Item>, PlanError> {
    let value: &RawValue = serde_json::from_str(text).map_err(|error| {
        let marker = super::lines::conflict_marker(text.as_bytes());
        marker.unwrap_or_else(|| invalid_json(&error, error.line()))
    })?;
    let list = match foreign::fields(value) {
        Some(fields) => fields.get("items").copied(),
        None => Some(value),
    };
    let list = list.filter(|list| list.get().starts_with('['));
    let items = items(list.ok_or(PlanError::SnapshotShape)?)?;
    Ok(items.into_iter().map(Item::without_derived).collect())
}

/// The snapshot of a plan: `{"items":[…]}`, indented by two, with a line end.
pub fn render(plan: &Plan) -> String {
    indented(plan.items().iter().map(Indentable))
}

/// `{"items":[…]}`, indented by two, with a line end.
pub(super) fn indented(items: impl Iterator<Item = impl Serialize>) -> String {
    #[derive(Serialize)]
    struct Snapshot<I> {
        items: I,
    }
    let items: Vec<_> = items.collect();
    let text = serde_json::to_string_pretty(&Snapshot { items });
    text.expect("items are JSON, and not nested too deeply") + "\n"
}

/// An item as a JSON value, so that its foreign values, which the plan holds as text, are indented as well.
struct Indentable<'a>(&'a Item);

impl Serialize for Indentable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = serde_json::to_value(self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_and_an_object_are_the_same_snapshot() {
        let item = r#"{"id":"a","step":"s","deps":[],"dep_state":"ready","waiting_on":[],"priority":"low"}"#;
        for text in [format!("[{item}]"), format!("{{\"items\":[{item}]}}")] {
            let items = parse(&text).expect("a good snapshot");
            assert_eq!(items.len(), 1);
            assert!(items[0].field("dep_state").is_none() && items[0].field("priority").is_some());
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for (text, message) in [
            (
                "7",
                "snapshot must be an array of items or object with items",
            ),
            (
                "{}",
                "snapshot must be an array of items or object with items",
            ),
            (
                "[\n{]",
                "invalid JSON at line 2: key must be a string (column 2)",
            ),
            (
                r#"[{"id":"a","step":"s","deps":[]},{"id":" a","step":"s","deps":[]}]"#,
                "duplicate item id in snapshot: 'a'",
            ),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), message);
        }
    }
}
