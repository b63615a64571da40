//! A JSON value of any type, of which only texts are kept: for fields that another program may have written in another type.
//! Accepts all well-formed JSON, and borrows where possible.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A value.
pub(super) enum Loose<'a> {
    Text(Cow<'a, str>),
    /// The texts of a list.
    List(Vec<Cow<'a, str>>),
    /// An object, of which only the `paths` of a `context` are kept.
    Object {
        paths: Vec<Cow<'a, str>>,
    },
    /// A number, `true`, `false` or `null`.
    Other,
}

impl<'a> Loose<'a> {
    /// The text, or an empty one.
    pub(super) fn text(self) -> Cow<'a, str> {
        match self {
            Loose::Text(text) => text,
            _ => Cow::default(),
        }
    }

    /// The texts of a list, or a single text.
    pub(super) fn texts(self) -> Vec<Cow<'a, str>> {
        match self {
            Loose::Text(text) => vec![text],
            Loose::List(texts) => texts,
            _ => Vec::new(),
        }
    }

    /// The `paths` of an object.
    pub(super) fn paths(self) -> Vec<Cow<'a, str>> {
        match self {
            Loose::Object { paths } => paths,
            _ => Vec::new(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text)))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let mut texts = Vec::new();
        while let Some(value) = list.next_element::<Loose>()? {
            if let Loose::Text(text) = value {
                texts.push(text);
            }
        }
        Ok(Loose::List(texts))
    }

    /// Also for numbers, which `serde_json` shows as an object where it keeps them exactly as written.
    fn visit_map<M: MapAccess<'de>>(self, mut object: M) -> Result<Self::Value, M::Error> {
        let mut paths = Vec::new();
        while let Some((key, value)) = object.next_entry::<Loose, Loose>()? {
            if key.text() == "paths" {
                paths = value.texts();
            }
        }
        Ok(Loose::Object { paths })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }
}
