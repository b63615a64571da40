//! One item of the plan: a JSON object that keeps whatever other programs put into it, with the
//! fields that the plan's rules need read out beside it.
//!
//! Invariant: the object and what was read out of it agree. Every change goes through a setter
//! here, which writes both.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Comment, Dep, PlanError, Status};

/// The id of an item, trimmed and not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemId(String);

/// One task of the plan.
#[derive(Clone, Debug)]
pub struct Item {
    id: ItemId,
    status: Status,
    deps: Vec<Dep>,
    comments: Vec<Comment>,
    object: Map<String, Value>,
}

/// The fields every item has in the file, in the order in which they are written.
const FIELDS: [&str; 6] = ["id", "step", "status", "deps", "notes", "comments"];

/// The fields that views derive. They are not taken in again from an exported view.
pub(super) const DERIVED: [&str; 2] = ["dep_state", "waiting_on"];

impl ItemId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ItemId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemId {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<ItemId, PlanError> {
        match text.trim() {
            "" => Err(PlanError::EmptyId),
            trimmed => Ok(ItemId(trimmed.to_owned())),
        }
    }
}

impl TryFrom<String> for ItemId {
    type Error = PlanError;

    fn try_from(text: String) -> Result<ItemId, PlanError> {
        text.parse()
    }
}

impl From<ItemId> for String {
    fn from(id: ItemId) -> String {
        id.0
    }
}

impl Item {
    /// A pending item without dependencies, notes or comments.
    ///
    /// # Errors
    /// [`PlanError::EmptyOption`] when `step` is blank.
    pub fn new(id: ItemId, step: &str) -> Result<Item, PlanError> {
        let mut object = Map::new();
        object.insert("id".to_owned(), id.as_str().into());
        object.insert("step".to_owned(), step.into());
        object.insert("status".to_owned(), Status::Pending.as_str().into());
        object.insert("deps".to_owned(), Value::Array(Vec::new()));
        object.insert("notes".to_owned(), "".into());
        object.insert("comments".to_owned(), Value::Array(Vec::new()));
        let mut item = Item {
            id,
            status: Status::Pending,
            deps: Vec::new(),
            comments: Vec::new(),
            object,
        };
        item.set_step(step)?;
        Ok(item)
    }

    /// Reads the file's form. `place` (1-based) names the item in a message as long as its id is
    /// not known.
    ///
    /// # Errors
    /// An id, step or list of dependencies that is not there, and any field of the wrong shape.
    pub(super) fn from_value(value: Value, place: usize) -> Result<Item, PlanError> {
        let place = format!("#{place}");
        let Value::Object(object) = value else {
            return Err(PlanError::ItemField {
                item: place,
                field: "id",
                expected: "an item is a JSON object",
            });
        };
        let id = text_field(&object, "id", &place)?;
        let id: ItemId = id
            .parse()
            .map_err(|error: PlanError| error.in_item(&place))?;
        let name = format!("'{id}'");
        let read = ReadFields::from_object(&object, &name)?;
        let mut item = Item {
            id,
            status: read.status,
            deps: Vec::new(),
            comments: read.comments,
            object: in_order(object),
        };
        item.object.insert("id".to_owned(), item.id.as_str().into());
        item.object.insert("step".to_owned(), read.step.into());
        item.object.insert("notes".to_owned(), read.notes.into());
        item.set_status(read.status);
        item.set_deps(read.deps);
        if !item.object["comments"].is_array() {
            item.object
                .insert("comments".to_owned(), Value::Array(Vec::new()));
        }
        Ok(item)
    }

    /// The id.
    pub fn id(&self) -> &ItemId {
        &self.id
    }

    /// What is to be done, in one line or more; never blank.
    pub fn step(&self) -> &str {
        self.text("step")
    }

    /// The status somebody set.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The dependencies, each (id, kind) once, in file order.
    pub fn deps(&self) -> &[Dep] {
        &self.deps
    }

    /// The notes, as written; may be empty.
    pub fn notes(&self) -> &str {
        self.text("notes")
    }

    /// The comments, oldest first.
    pub fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// Any field of the item as it stands in the file, known here or not.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// The whole item as it stands in the file.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.object
    }

    pub(super) fn set_step(&mut self, step: &str) -> Result<(), PlanError> {
        let step = step.trim();
        if step.is_empty() {
            return Err(PlanError::EmptyOption { option: "--step" });
        }
        self.object.insert("step".to_owned(), step.into());
        Ok(())
    }

    pub(super) fn set_status(&mut self, status: Status) {
        self.status = status;
        self.object
            .insert("status".to_owned(), status.as_str().into());
    }

    /// Replaces the dependencies. One that was there before keeps its object, and with it another
    /// writer's fields.
    pub(super) fn set_deps(&mut self, deps: Vec<Dep>) {
        let before = self
            .object
            .get("deps")
            .and_then(Value::as_array)
            .map_or([].as_slice(), Vec::as_slice);
        // The first of two equal ones is the one that stays.
        let originals: HashMap<Dep, &Value> = before
            .iter()
            .rev()
            .filter_map(|value| Some((Dep::from_value(value).ok()?, value)))
            .collect();
        let mut seen = HashSet::new();
        let kept: Vec<Dep> = deps
            .into_iter()
            .filter(|dep| seen.insert(dep.clone()))
            .collect();
        let values = kept
            .iter()
            .map(|dep| dep.to_value(originals.get(dep).copied()))
            .collect();
        self.deps = kept;
        self.object.insert("deps".to_owned(), Value::Array(values));
    }

    pub(super) fn set_notes(&mut self, notes: &str) {
        self.object.insert("notes".to_owned(), notes.into());
    }

    pub(super) fn add_comment(&mut self, comment: Comment) {
        let value = comment.to_value();
        if let Some(Value::Array(comments)) = self.object.get_mut("comments") {
            comments.push(value);
        }
        self.comments.push(comment);
    }

    /// This item with every field of `newer` laid over it; fields that only this item has stay.
    pub(super) fn overlaid_with(&self, newer: Item) -> Item {
        let mut object = self.object.clone();
        object.extend(newer.object);
        Item { object, ..newer }
    }

    /// Drops what a view adds, for an item that was read back from a view.
    pub(super) fn without_derived(mut self) -> Item {
        for field in DERIVED {
            self.object.shift_remove(field);
        }
        self
    }

    fn text(&self, field: &str) -> &str {
        self.object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

impl Serialize for Item {
    /// The file's form, unknown fields included.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    /// The file's form; refuses what a plan file would refuse.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        Item::from_value(Value::deserialize(deserializer)?, 1).map_err(D::Error::custom)
    }
}

/// The known fields of an item's object, read and checked.
struct ReadFields {
    step: String,
    status: Status,
    deps: Vec<Dep>,
    notes: String,
    comments: Vec<Comment>,
}

impl ReadFields {
    fn from_object(object: &Map<String, Value>, name: &str) -> Result<ReadFields, PlanError> {
        let wrong = |field, expected| PlanError::ItemField {
            item: name.to_owned(),
            field,
            expected,
        };
        let step = text_field(object, "step", name)?;
        let status = match object.get("status") {
            None => Status::Pending,
            Some(Value::String(text)) => text
                .parse()
                .map_err(|error: PlanError| error.in_item(name))?,
            Some(_) => return Err(wrong("status", "a text")),
        };
        let Some(Value::Array(deps)) = object.get("deps") else {
            return Err(wrong("deps", "a list, which may be empty"));
        };
        let notes = match object.get("notes") {
            None | Some(Value::Null) => "",
            Some(Value::String(notes)) => notes,
            Some(_) => return Err(wrong("notes", "a text")),
        };
        let comments = match object.get("comments") {
            None | Some(Value::Null) => [].as_slice(),
            Some(Value::Array(comments)) => comments,
            Some(_) => return Err(wrong("comments", "a list")),
        };
        let read = || -> Result<ReadFields, PlanError> {
            Ok(ReadFields {
                step,
                status,
                deps: deps.iter().map(Dep::from_value).collect::<Result<_, _>>()?,
                notes: notes.to_owned(),
                comments: comments
                    .iter()
                    .map(Comment::from_value)
                    .collect::<Result<_, _>>()?,
            })
        };
        read().map_err(|error| error.in_item(name))
    }
}

/// A text that is there and not blank, trimmed.
fn text_field(
    object: &Map<String, Value>,
    field: &'static str,
    item: &str,
) -> Result<String, PlanError> {
    match object.get(field).and_then(Value::as_str).map(str::trim) {
        None | Some("") => Err(PlanError::ItemField {
            item: item.to_owned(),
            field,
            expected: "a text that is not empty",
        }),
        Some(text) => Ok(text.to_owned()),
    }
}

/// The object with all of [`FIELDS`], these in their order, and every other field where it stood
/// among them.
fn in_order(mut object: Map<String, Value>) -> Map<String, Value> {
    let names: Vec<String> = object.keys().cloned().collect();
    let mut slots_left = names
        .iter()
        .filter(|name| FIELDS.contains(&name.as_str()))
        .count();
    let mut fields = FIELDS.into_iter();
    let mut ordered = Map::with_capacity(names.len() + FIELDS.len());
    for name in names {
        if !FIELDS.contains(&name.as_str()) {
            let value = object.get_mut(&name).map(Value::take).unwrap_or_default();
            ordered.insert(name, value);
            continue;
        }
        slots_left -= 1;
        // Fields that were missing have no place of their own: they follow the last one that had.
        let count = if slots_left == 0 { FIELDS.len() } else { 1 };
        for field in fields.by_ref().take(count) {
            let value = object.get_mut(field).map(Value::take).unwrap_or_default();
            ordered.insert(field.to_owned(), value);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(value: Value) -> Item {
        Item::from_value(value, 1).expect("a good item")
    }

    fn text(item: &Item) -> String {
        serde_json::to_string(item).expect("items serialize")
    }

    #[test]
    fn unknown_fields_stay_where_they_are() {
        let line = r#"{"id":"a","priority":"high","step":"Do","status":"pending","deps":[{"id":"b","type":"blocks","since":3}],"claim":{"by":"x"},"notes":"","comments":[{"ts":"t","author":"u","text":"v","mood":1.50}],"proof":null}"#;
        assert_eq!(text(&item(serde_json::from_str(line).expect("JSON"))), line);
    }

    #[test]
    fn missing_fields_are_filled_in_and_known_ones_ordered() {
        let item = item(
            json!({"x": 1, "step": " Do ", "id": " a ", "deps": ["b", {"id": "b", "type": "blocks"}], "y": 2}),
        );
        assert_eq!(
            text(&item),
            r#"{"x":1,"id":"a","step":"Do","status":"pending","deps":[{"id":"b","type":"blocks"}],"notes":"","comments":[],"y":2}"#
        );
    }

    #[test]
    fn set_deps_keeps_the_object_of_a_dependency_that_stays() {
        let mut item = item(json!({"id": "a", "step": "s", "deps": [{"id": "b", "since": 3}]}));
        item.set_deps(Dep::parse_list("c,b").expect("a good list"));
        assert_eq!(
            item.field("deps"),
            Some(
                &json!([{"id": "c", "type": "blocks"}, {"id": "b", "since": 3, "type": "blocks"}])
            )
        );
    }

    #[test]
    fn a_broken_item_is_named() {
        for (value, message) in [
            (
                json!({"id": "a", "step": "s"}),
                "item 'a' needs `deps`: a list, which may be empty",
            ),
            (
                json!({"step": "s", "deps": []}),
                "item #1 needs `id`: a text that is not empty",
            ),
            (
                json!({"id": "a", "step": " ", "deps": []}),
                "item 'a' needs `step`: a text that is not empty",
            ),
            (json!([]), "item #1 needs `id`: an item is a JSON object"),
            (
                json!({"id": "a", "step": "s", "deps": [7]}),
                "invalid dependency 7; expected an id or {\"id\",\"type\"} (item 'a')",
            ),
        ] {
            assert_eq!(
                Item::from_value(value, 1).expect_err(message).to_string(),
                message
            );
        }
    }
}
