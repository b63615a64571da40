//! The fields of a JSON object that belong to other programs: kept as text, each at its place among the known fields.
//!
//! Knows the meaning of no field. Invariant: an object that is read and written again has every foreign field at its old
//! place, with the same bytes except for blanks between tokens and the escaping of characters from U+007F on.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of an object by name, with unparsed values. For a repeated name, the last value is at the place of the first, as
/// in common JSON parsers.
pub(super) type Fields<'a> = IndexMap<String, &'a RawValue>;

/// Foreign fields, by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreign {
    fields: Vec<ForeignField>,
}

#[derive(Clone, Debug)]
struct ForeignField {
    /// How many of the known fields, in the order of writing, are before it.
    place: usize,
    name: String,
    value: Box<RawValue>,
}

impl Foreign {
    /// The foreign fields of an object. `known` returns the position of a known field in the order of writing, and `None` for a
    /// foreign one.
    pub(super) fn new(fields: &Fields, known: impl Fn(&str) -> Option<usize>) -> Foreign {
        let mut place = 0;
        let mut foreign = Foreign::default();
        for (name, value) in fields {
            match known(name) {
                Some(position) => place = place.max(position + 1),
                None => foreign.fields.push(ForeignField {
                    place,
                    name: name.clone(),
                    value: (*value).to_owned(),
                }),
            }
        }
        foreign
    }

    /// The value of a field; `None` also if it is nested too deeply to be parsed.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        serde_json::from_str(field.value.get()).ok()
    }

    /// The names of the fields, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// The text of a field's value.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(field.value.get())
    }

    /// Copies a field from `other`, or removes it if it is absent there.
    pub(super) fn copy_field(&mut self, name: &str, other: &Foreign) {
        let theirs = other.fields.iter().find(|field| field.name == name);
        let own = self.fields.iter_mut().find(|field| field.name == name);
        match (own, theirs) {
            (Some(own), Some(theirs)) => own.value.clone_from(&theirs.value),
            (None, Some(theirs)) => {
                self.fields.push(theirs.clone());
                self.fields.sort_by_key(|field| field.place);
            }
            (_, None) => self.remove(&[name]),
        }
    }

    /// The name of the first field whose value is nested too deeply for common JSON readers.
    pub(super) fn find_unreadable(&self) -> Option<&str> {
        let is_nested = |text: &str| text.starts_with(['[', '{']);
        let is_readable = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        let found = self
            .fields
            .iter()
            .find(|field| is_nested(field.value.get()) && !is_readable(field.value.get()));
        found.map(|field| field.name.as_str())
    }

    /// Copies all fields of `newer`; existing ones keep their place.
    pub(super) fn overlay(&mut self, newer: Foreign) {
        for field in newer.fields {
            match self.fields.iter_mut().find(|own| own.name == field.name) {
                Some(own) => own.value = field.value,
                None => self.fields.push(field),
            }
        }
        self.fields.sort_by_key(|field| field.place);
    }

    /// Copies the values of those fields of `newer` that exist.
    pub(super) fn update_from(&mut self, newer: &Foreign) {
        for own in &mut self.fields {
            if let Some(field) = newer.fields.iter().find(|field| field.name == own.name) {
                own.value.clone_from(&field.value);
            }
        }
    }

    /// Removes fields by name.
    pub(super) fn remove(&mut self, names: &[&str]) {
        self.fields
            .retain(|field| !names.contains(&field.name.as_str()));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Writes an object: the known fields in their order, the foreign ones at their places.
pub(super) struct ObjectWriter<'a, M> {
    map: M,
    foreign: std::slice::Iter<'a, ForeignField>,
    position: usize,
}

impl<'a, M: SerializeMap> ObjectWriter<'a, M> {
    /// Begins the object.
    pub(super) fn begin<S>(serializer: S, foreign: &'a Foreign) -> Result<Self, S::Error>
    where
        S: Serializer<SerializeMap = M, Error = M::Error>,
    {
        Ok(ObjectWriter {
            map: serializer.serialize_map(None)?,
            foreign: foreign.fields.iter(),
            position: 0,
        })
    }

    /// Writes the next known field.
    pub(super) fn field(
        &mut self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        self.write_foreign(self.position)?;
        self.position += 1;
        self.map.serialize_entry(name, value)
    }

    /// Skips the next known field.
    pub(super) fn skip_field(&mut self) {
        self.position += 1;
    }

    /// Ends the object.
    pub(super) fn end(mut self) -> Result<M::Ok, M::Error> {
        self.write_foreign(usize::MAX)?;
        self.map.end()
    }

    fn write_foreign(&mut self, place: usize) -> Result<(), M::Error> {
        while let Some(field) = self.foreign.as_slice().first()
            && field.place <= place
        {
            self.map.serialize_entry(&field.name, &field.value)?;
            self.foreign.next();
        }
        Ok(())
    }
}

/// The fields of a JSON object; `None` for another value.
pub(super) fn fields(text: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(text.get()).ok()
}

/// The text of a JSON string; `None` for another value.
pub(super) fn text(value: &RawValue) -> Option<String> {
    // Checking the first byte is cheaper than a parser error.
    let is_text = value.get().starts_with('"');
    is_text.then(|| serde_json::from_str(value.get()).ok())?
}

/// The elements of a JSON list; `None` for another value.
pub(super) fn list(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The value of a field, unless it is missing or `null`.
pub(super) fn given<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a RawValue> {
    let value = fields.get(name).copied();
    value.filter(|value| value.get() != "null")
}

/// A JSON text for a message, cut to a line.
pub(super) fn excerpt(value: &RawValue) -> Cow<'_, str> {
    const CHARS_MAX: usize = 80;
    let text = value.get();
    match text.char_indices().nth(CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(name: &str) -> Option<usize> {
        ["a", "b", "c"].iter().position(|known| *known == name)
    }

    fn foreign(text: &str) -> Foreign {
        let fields: Fields = serde_json::from_str(text).expect("an object");
        Foreign::new(&fields, position)
    }

    /// The object with `a`, `b` and `c` all null.
    fn written(foreign: &Foreign) -> String {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut out);
        let mut object = ObjectWriter::begin(&mut serializer, foreign).expect("begun");
        for name in ["a", "b", "c"] {
            object.field(name, &()).expect("written");
        }
        object.end().expect("ended");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn fields_keep_their_places_and_their_text() {
        for text in [
            r#"{"x":1e3,"a":null,"y":{"k":1,"k":2},"b":null,"c":null,"z":0.10}"#,
            r#"{"a":null,"b":null,"c":null}"#,
        ] {
            assert_eq!(written(&foreign(text)), text);
        }
    }

    #[test]
    fn a_field_after_a_known_one_stays_after_it_when_others_are_added_or_moved() {
        assert_eq!(
            written(&foreign(r#"{"b":null,"x":1,"a":null,"y":2}"#)),
            r#"{"a":null,"b":null,"x":1,"y":2,"c":null}"#
        );
    }

    #[test]
    fn newer_fields_replace_older_ones() {
        let mut own = foreign(r#"{"x":1,"a":null,"y":2}"#);
        own.overlay(foreign(r#"{"w":0,"a":null,"b":null,"x":3}"#));
        assert_eq!(
            written(&own),
            r#"{"x":3,"w":0,"a":null,"y":2,"b":null,"c":null}"#
        );
    }

    #[test]
    fn nesting_beyond_the_usual_bound_is_found() {
        let deep = format!(r#"{{"x":[1],"y":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(foreign(&deep).find_unreadable(), Some("y"));
        assert_eq!(foreign(r#"{"x":[[1]]}"#).find_unreadable(), None);
    }
}
