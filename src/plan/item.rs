//! One item of the plan: its known fields, and those of other programs.
//!
//! The known fields are written in a fixed order; a foreign field keeps its place among them. Missing `notes` and lists are
//! filled in, id and step are trimmed, and an alias of a status is replaced by its name. Everything else of an unchanged item
//! is written as it was read.

use super::error::PlanError;
use super::foreign;
use super::foreign::{Fields, Foreign, ObjectWriter};
use super::id::ItemId;
use super::link::{Comment, Dep, position};
use super::metadata::{Metadata, MetadataError};
use super::status::Status;
use indexmap::IndexSet;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

/// One task of the plan. Clones share what they hold until one of them changes.
#[derive(Clone, Debug)]
pub struct Item(Arc<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    id: ItemId,
    step: String,
    status: Status,
    deps: Vec<Dep>,
    notes: String,
    comments: Vec<Comment>,
    foreign: Foreign,
    /// The metadata, once they were read; forgotten when a field changes that they may be in.
    metadata: OnceLock<Arc<Result<Metadata, MetadataError>>>,
    /// The item as a plan file has it, once it was written; forgotten with every change.
    written: OnceLock<Box<RawValue>>,
}

/// The known fields, in the order of writing.
const FIELDS: [&str; 6] = ["id", "step", "status", "deps", "notes", "comments"];

/// The fields that views derive. They are not read back from an exported view.
pub(super) const DERIVED: [&str; 2] = ["dep_state", "waiting_on"];

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
        let mut item = Item::from(Parts {
            id,
            step: String::new(),
            status: Status::Pending,
            deps: Vec::new(),
            notes: String::new(),
            comments: Vec::new(),
            foreign: Foreign::default(),
            metadata: OnceLock::new(),
            written: OnceLock::new(),
        });
        item.set_step(step)?;
        Ok(item)
    }

    /// Reads a JSON object. `place` (1-based) names the item in messages until its id is known.
    ///
    /// # Errors
    /// A missing id, step or list of dependencies, and any field of the wrong type.
    pub(super) fn read(value: &RawValue, place: usize) -> Result<Item, PlanError> {
        let place = format!("#{place}");
        let fields = foreign::fields(value).ok_or_else(|| PlanError::ItemField {
            item: place.clone(),
            field: "id",
            expected: "an item is a JSON object",
        })?;
        let id = required_text(&fields, "id", &place)?;
        let id = ItemId::try_from(id).map_err(|error| error.in_item(&place))?;
        let name = format!("'{id}'");
        Item::from_fields(id, &name, &fields)
    }

    fn from_fields(id: ItemId, name: &str, fields: &Fields) -> Result<Item, PlanError> {
        let foreign = Foreign::new(fields, |name| position(&FIELDS, name));
        if let Some(field) = foreign.find_unreadable() {
            return Err(PlanError::TooDeep {
                item: name.to_owned(),
                field: field.to_owned(),
            });
        }
        Ok(Item::from(Parts {
            id,
            step: required_text(fields, "step", name)?.trim().to_owned(),
            status: status(fields, name)?,
            deps: deps(fields, name)?,
            notes: notes(fields, name)?,
            comments: comments(fields, name)?,
            foreign,
            metadata: OnceLock::new(),
            written: OnceLock::new(),
        }))
    }

    /// The parts, to change them.
    fn parts(&mut self) -> &mut Parts {
        let parts = Arc::make_mut(&mut self.0);
        parts.written.take();
        parts
    }

    /// The id.
    pub fn id(&self) -> &ItemId {
        &self.0.id
    }

    /// The work to do; never blank.
    pub fn step(&self) -> &str {
        &self.0.step
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// The dependencies, each (id, kind) once, in file order.
    pub fn deps(&self) -> &[Dep] {
        &self.0.deps
    }

    /// The notes, as written; may be empty.
    pub fn notes(&self) -> &str {
        &self.0.notes
    }

    /// The comments, oldest first.
    pub fn comments(&self) -> &[Comment] {
        &self.0.comments
    }

    /// A field of another program, such as `priority`.
    pub fn field(&self, name: &str) -> Option<Value> {
        self.0.foreign.get(name)
    }

    /// What `read` makes of the item; it is called once, and again after a change.
    pub(super) fn metadata_or_read(
        &self,
        read: impl FnOnce() -> Result<Metadata, MetadataError>,
    ) -> Result<Metadata, MetadataError> {
        Result::clone(self.0.metadata.get_or_init(|| Arc::new(read())))
    }

    /// What `write` makes of the item; it is called once, and again after a change.
    pub(super) fn written_or_write(&self, write: impl FnOnce(&Item) -> Box<RawValue>) -> &RawValue {
        self.0.written.get_or_init(|| write(self))
    }

    pub(super) fn set_step(&mut self, step: &str) -> Result<(), PlanError> {
        let step = step.trim();
        if step.is_empty() {
            return Err(PlanError::EmptyOption { option: "--step" });
        }
        step.clone_into(&mut self.parts().step);
        Ok(())
    }

    pub(super) fn set_status(&mut self, status: Status) {
        self.parts().status = status;
    }

    /// Replaces the dependencies. An existing one keeps its foreign fields.
    pub(super) fn set_deps(&mut self, deps: Vec<Dep>) {
        let parts = self.parts();
        let before: HashMap<Dep, Dep> = std::mem::take(&mut parts.deps)
            .into_iter()
            .map(|dep| (dep.clone(), dep))
            .collect();
        parts.deps = dedup(deps);
        for dep in &mut parts.deps {
            if let Some(old) = before.get(dep) {
                let newer = std::mem::replace(&mut dep.foreign, old.foreign.clone());
                dep.foreign.overlay(newer);
            }
        }
    }

    pub(super) fn set_notes(&mut self, notes: &str) {
        let parts = self.parts();
        notes.clone_into(&mut parts.notes);
        parts.metadata.take();
    }

    pub(super) fn add_comment(&mut self, comment: Comment) {
        self.parts().comments.push(comment);
    }

    pub(super) fn set_comments(&mut self, comments: Vec<Comment>) {
        self.parts().comments = comments;
    }

    /// The fields of other programs.
    pub(super) fn foreign(&self) -> &Foreign {
        &self.0.foreign
    }

    pub(super) fn foreign_mut(&mut self) -> &mut Foreign {
        let parts = self.parts();
        parts.metadata.take();
        &mut parts.foreign
    }

    /// This item with `old` renamed to `new`, in its id and its dependencies.
    pub(super) fn renamed(mut self, old: &ItemId, new: &ItemId) -> Item {
        let rename = |id: &mut ItemId| {
            if id == old {
                id.clone_from(new);
            }
        };
        let parts = self.parts();
        rename(&mut parts.id);
        parts.metadata.take();
        parts.deps.iter_mut().for_each(|dep| rename(&mut dep.id));
        self
    }

    /// `newer` with the foreign fields that only this item has.
    pub(super) fn overlaid_with(&self, mut newer: Item) -> Item {
        let own = newer.foreign_mut();
        let newest = std::mem::replace(own, self.0.foreign.clone());
        own.overlay(newest);
        newer
    }

    /// This item without the fields that a view adds.
    pub(super) fn without_derived(mut self) -> Item {
        self.foreign_mut().remove(&DERIVED);
        self
    }
}

impl From<Parts> for Item {
    fn from(parts: Parts) -> Self {
        Item(Arc::new(parts))
    }
}

impl Serialize for Item {
    /// A JSON object, with the foreign fields.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = ObjectWriter::begin(serializer, &self.0.foreign)?;
        object.field("id", &self.0.id)?;
        object.field("step", &self.0.step)?;
        object.field("status", self.0.status.as_str())?;
        object.field("deps", &self.0.deps)?;
        object.field("notes", &self.0.notes)?;
        object.field("comments", &self.0.comments)?;
        object.end()
    }
}

impl FromStr for Item {
    type Err = PlanError;

    /// Parses one JSON object.
    fn from_str(text: &str) -> Result<Item, PlanError> {
        let value = serde_json::from_str(text)
            .map_err(|error| super::lines::invalid_json(&error, error.line()))?;
        Item::read(value, 1)
    }
}

fn wrong(item: &str, field: &'static str, expected: &'static str) -> PlanError {
    PlanError::ItemField {
        item: item.to_owned(),
        field,
        expected,
    }
}

/// A text field that is present and not blank.
fn required_text(fields: &Fields, field: &'static str, item: &str) -> Result<String, PlanError> {
    let text = fields.get(field).and_then(|value| foreign::text(value));
    text.filter(|text| !text.trim().is_empty())
        .ok_or_else(|| wrong(item, field, "a text that is not empty"))
}

fn status(fields: &Fields, item: &str) -> Result<Status, PlanError> {
    let Some(value) = fields.get("status") else {
        return Ok(Status::Pending);
    };
    let text = foreign::text(value).ok_or_else(|| wrong(item, "status", "a text"))?;
    text.parse().map_err(|error: PlanError| error.in_item(item))
}

fn deps(fields: &Fields, item: &str) -> Result<Vec<Dep>, PlanError> {
    let values = fields.get("deps").and_then(|value| foreign::list(value));
    let values = values.ok_or_else(|| wrong(item, "deps", "a list, which may be empty"))?;
    let deps: Result<Vec<Dep>, PlanError> = values.into_iter().map(Dep::read).collect();
    Ok(dedup(deps.map_err(|error| error.in_item(item))?))
}

/// The first of each dependency, in order.
fn dedup(deps: Vec<Dep>) -> Vec<Dep> {
    let deps: IndexSet<Dep> = deps.into_iter().collect();
    deps.into_iter().collect()
}

fn notes(fields: &Fields, item: &str) -> Result<String, PlanError> {
    match foreign::given(fields, "notes") {
        None => Ok(String::new()),
        Some(value) => foreign::text(value).ok_or_else(|| wrong(item, "notes", "a text")),
    }
}

fn comments(fields: &Fields, item: &str) -> Result<Vec<Comment>, PlanError> {
    let Some(value) = foreign::given(fields, "comments") else {
        return Ok(Vec::new());
    };
    let values = foreign::list(value).ok_or_else(|| wrong(item, "comments", "a list"))?;
    let comments: Result<Vec<Comment>, PlanError> = values.into_iter().map(Comment::read).collect();
    comments.map_err(|error| error.in_item(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        text.parse().expect("a good item")
    }

    fn text(item: &Item) -> String {
        serde_json::to_string(item).expect("items serialize")
    }

    #[test]
    fn fields_keep_their_places() {
        let line = r#"{"id":"a","priority":"high","step":"Do","status":"pending","deps":[{"id":"b","type":"blocks","since":3}],"claim":{"by":"x"},"notes":"","comments":[{"ts":"t","author":"u","mood":1.50,"text":" v "}],"proof":1e3}"#;
        assert_eq!(text(&item(line)), line);
    }

    #[test]
    fn missing_fields_are_filled_in_and_known_ones_ordered() {
        let item = item(
            r#"{"x":1,"step":" Do ","id":" a ","deps":["b",{"id":"b","type":"blocks"}],"y":2}"#,
        );
        assert_eq!(
            text(&item),
            r#"{"x":1,"id":"a","step":"Do","status":"pending","deps":[{"id":"b","type":"blocks"}],"y":2,"notes":"","comments":[]}"#
        );
    }

    #[test]
    fn metadata_are_read_once_and_after_a_change_again() {
        let mut item = item(r#"{"id":"a","step":"s","deps":[]}"#);
        let scope = |item: &Item, scope: &str| {
            let metadata = Metadata {
                scope: vec![scope.to_owned()],
                ..Metadata::default()
            };
            let read = item.metadata_or_read(|| Ok(metadata));
            read.expect("read").scope.join(" ")
        };
        assert_eq!(scope(&item, "one"), "one");
        assert_eq!(scope(&item.clone(), "two"), "one");
        item.set_status(Status::Completed);
        assert_eq!(scope(&item, "two"), "one");
        item.set_notes("other");
        assert_eq!(scope(&item, "two"), "two");
        item.foreign_mut();
        assert_eq!(scope(&item, "three"), "three");
    }

    #[test]
    fn what_is_written_follows_every_change() {
        let mut item = item(r#"{"id":"a","step":"s","deps":["b"],"x":1}"#);
        let written = |item: &Item| {
            let write = |item: &Item| RawValue::from_string(text(item)).expect("JSON");
            assert_eq!(item.written_or_write(write).get(), text(item));
        };
        let first = item.clone();
        let changes: [fn(&mut Item); 7] = [
            |item| item.set_step("t").expect("a step"),
            |item| item.set_status(Status::Completed),
            |item| item.set_deps(Dep::parse_list("c").expect("a good list")),
            |item| item.set_notes("other"),
            |item| item.set_comments(Vec::new()),
            |item| item.foreign_mut().remove(&["x"]),
            |item| {
                let [old, new] = ["a", "z"].map(|id| id.parse().expect("an id"));
                *item = item.clone().renamed(&old, &new);
            },
        ];
        for change in changes {
            written(&item);
            change(&mut item);
            written(&item);
        }
        written(&item.overlaid_with(first.clone()));
        assert_eq!(
            text(&first),
            r#"{"id":"a","step":"s","status":"pending","deps":[{"id":"b","type":"blocks"}],"x":1,"notes":"","comments":[]}"#
        );
    }

    #[test]
    fn set_deps_keeps_the_foreign_fields_of_an_existing_dependency() {
        let mut item = item(r#"{"id":"a","step":"s","deps":[{"id":"b","since":3}]}"#);
        item.set_deps(Dep::parse_list("c,b,c").expect("a good list"));
        assert_eq!(
            serde_json::to_string(item.deps()).expect("deps serialize"),
            r#"[{"id":"c","type":"blocks"},{"id":"b","since":3,"type":"blocks"}]"#
        );
    }

    #[test]
    fn errors_name_the_item() {
        let deep = format!(
            r#"{{"id":"a","step":"s","deps":[],"x":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        for (text, message) in [
            (
                r#"{"id":"a","step":"s"}"#,
                "item 'a' needs `deps`: a list, which may be empty",
            ),
            (
                r#"{"step":"s","deps":[]}"#,
                "item #1 needs `id`: a text that is not empty",
            ),
            (
                r#"{"id":"a","step":" ","deps":[]}"#,
                "item 'a' needs `step`: a text that is not empty",
            ),
            ("[]", "item #1 needs `id`: an item is a JSON object"),
            (
                r#"{"id":"a","step":"s","deps":[7]}"#,
                "invalid dependency 7; expected an id or {\"id\",\"type\"} (item 'a')",
            ),
            (
                r#"{"id":"a","step":"s","deps":[],"comments":[{}]}"#,
                "comment needs a non-empty `ts` (item 'a')",
            ),
            (
                deep.as_str(),
                "item 'a': its field `x` is nested too deeply",
            ),
        ] {
            assert_eq!(
                text.parse::<Item>().expect_err(message).to_string(),
                message
            );
        }
    }
}
