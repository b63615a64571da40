//! The fields of a JSON object that belong to other programs: kept as the text they were written in, each at its place
//! among the fields that are known here.
//!
//! Knows nothing of what any field means. Invariant: reading an object and writing it again gives every foreign field
//! back where it stood, byte for byte but for blanks between tokens and the escaping of non-ASCII text.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of an object, read as far as their names. Of a name that stands twice the last value counts, at the
/// place of the first, as every JSON parser in use has it.
pub(super) type Fields<'a> = IndexMap<String, &'a RawValue>;

/// Foreign fields, by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreign {
    fields: Vec<ForeignField>,
}

#[derive(Clone, Debug)]
struct ForeignField {
    /// How many of the known fields, in the order in which they are written, stand before it.
    place: usize,
    name: String,
    value: Box<RawValue>,
}

impl Foreign {
    /// Picks the foreign fields of an object. `known` gives the position of a field of ours in the order of writing,
    /// and `None` for a foreign one.
    pub(super) fn of(fields: &Fields, known: impl Fn(&str) -> Option<usize>) -> Foreign {
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

    /// The value of a field; `None` also for one that is nested too deeply to be read.
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

    /// Takes a field over from `other`: with its value, or its absence.
    pub(super) fn take_over(&mut self, name: &str, other: &Foreign) {
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

    /// The name of the first field whose value no JSON reader with the usual bound on nesting could show again.
    pub(super) fn unreadable(&self) -> Option<&str> {
        let is_nested = |text: &str| text.starts_with(['[', '{']);
        let is_readable = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        let found = self
            .fields
            .iter()
            .find(|field| is_nested(field.value.get()) && !is_readable(field.value.get()));
        found.map(|field| field.name.as_str())
    }

    /// Takes over the fields of `newer`: those that are here keep their place.
    pub(super) fn lay_over(&mut self, newer: Foreign) {
        for field in newer.fields {
            match self.fields.iter_mut().find(|own| own.name == field.name) {
                Some(own) => own.value = field.value,
                None => self.fields.push(field),
            }
        }
        self.fields.sort_by_key(|field| field.place);
    }

    /// Brings those fields up to date that are in both.
    pub(super) fn update_from(&mut self, newer: &Foreign) {
        for own in &mut self.fields {
            if let Some(field) = newer.fields.iter().find(|field| field.name == own.name) {
                own.value.clone_from(&field.value);
            }
        }
    }

    /// Drops fields by name.
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

    /// The next known field.
    pub(super) fn known(
        &mut self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        self.catch_up(self.position)?;
        self.position += 1;
        self.map.serialize_entry(name, value)
    }

    /// The next known field is not written in this object.
    pub(super) fn absent(&mut self) {
        self.position += 1;
    }

    /// Ends the object.
    pub(super) fn end(mut self) -> Result<M::Ok, M::Error> {
        self.catch_up(usize::MAX)?;
        self.map.end()
    }

    fn catch_up(&mut self, place: usize) -> Result<(), M::Error> {
        while let Some(field) = self.foreign.as_slice().first()
            && field.place <= place
        {
            self.map.serialize_entry(&field.name, &field.value)?;
            self.foreign.next();
        }
        Ok(())
    }
}

/// The fields of a JSON text, or `None` when it is something else than an object.
pub(super) fn fields(text: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(text.get()).ok()
}

/// The text of a JSON string, or `None` when it is something else.
pub(super) fn text(value: &RawValue) -> Option<String> {
    // A look at the first byte is cheaper than the parser's complaint.
    let is_text = value.get().starts_with('"');
    is_text.then(|| serde_json::from_str(value.get()).ok())?
}

/// The elements of a JSON list, or `None` when it is something else.
pub(super) fn list(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// Whether a field is there and not `null`.
pub(super) fn given<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a RawValue> {
    let value = fields.get(name).copied();
    value.filter(|value| value.get() != "null")
}

/// A JSON text as a message shows it: not longer than a line.
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
        Foreign::of(&fields, position)
    }

    /// The object with `a`, `b` and `c` all null.
    fn written(foreign: &Foreign) -> String {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut out);
        let mut object = ObjectWriter::begin(&mut serializer, foreign).expect("begun");
        for name in ["a", "b", "c"] {
            object.known(name, &()).expect("written");
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
    fn newer_fields_are_laid_over() {
        let mut own = foreign(r#"{"x":1,"a":null,"y":2}"#);
        own.lay_over(foreign(r#"{"w":0,"a":null,"b":null,"x":3}"#));
        assert_eq!(
            written(&own),
            r#"{"x":3,"w":0,"a":null,"y":2,"b":null,"c":null}"#
        );
    }

    #[test]
    fn nesting_beyond_the_usual_bound_is_found() {
        let deep = format!(r#"{{"x":[1],"y":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(foreign(&deep).unreadable(), Some("y"));
        assert_eq!(foreign(r#"{"x":[[1]]}"#).unreadable(), None);
    }
}
