//! Checks that a block is a mapping of known keys, each once, and that list entries are single texts.
//!
//! These are visitors, not checks of a parsed value, because the parser adds the place only to the errors of a visitor.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::fields::{KEYS, SWARM_KEYS};

/// The end of the message about a value that is no list.
pub(super) const LIST: &str = "expected a list of texts";

/// The end of the message about a list entry that is no text.
pub(super) const TEXT: &str = "expected a single text";

/// The first part of a block that does not match.
pub(super) struct Misfit {
    /// The key, if it is unknown; `swarm.…` for one in `swarm`.
    pub unknown_key: Option<String>,
    /// The error, with its place.
    pub error: serde_yaml::Error,
}

/// Checks the shape of `text`, which is valid YAML.
pub(super) fn check(text: &str) -> Result<(), Misfit> {
    let mut unknown_key = None;
    let block = Mapping {
        prefix: "",
        known: &KEYS,
        seen: Vec::new(),
        unknown_key: &mut unknown_key,
    };
    block
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| Misfit { unknown_key, error })
}

/// A mapping, or empty.
struct Mapping<'a> {
    /// The prefix of its keys in messages.
    prefix: &'static str,
    known: &'static [&'static str],
    seen: Vec<&'static str>,
    unknown_key: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Mapping<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Mapping<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a mapping of {}", self.known.join(", "))
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key(&mut self))? {
            match key {
                "scope" | "test_scope" | "acceptance" | "validation" => {
                    map.next_value::<List>()?;
                }
                "swarm" => map.next_value_seed(Mapping {
                    prefix: "swarm.",
                    known: &SWARM_KEYS,
                    seen: Vec::new(),
                    unknown_key: self.unknown_key,
                })?,
                "risk" => {
                    map.next_value::<Option<Entry>>()?;
                }
                "allow_no_validation" | "early_vote" => {
                    map.next_value::<Option<bool>>()?;
                }
                _ => {
                    map.next_value::<Option<Count>>()?;
                }
            }
        }
        Ok(())
    }
}

/// A known key of the mapping that was not given before.
struct Key<'m, 'a>(&'m mut Mapping<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "one of the keys {}", self.0.known.join(", "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<&'static str, E> {
        let Key(mapping) = self;
        let Some(&key) = mapping.known.iter().find(|&&known| known == text) else {
            *mapping.unknown_key = Some(format!("{}{text}", mapping.prefix));
            return Err(E::custom("unknown key"));
        };
        if mapping.seen.contains(&key) {
            return Err(E::custom(format!("`{key}` a second time")));
        }
        mapping.seen.push(key);
        Ok(key)
    }
}

/// A list, or empty.
struct List;

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List, D::Error> {
        deserializer.deserialize_any(List)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(LIST.trim_start_matches("expected "))
    }

    fn visit_unit<E: Error>(self) -> Result<List, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
        while list.next_element::<Entry>()?.is_some() {}
        Ok(self)
    }
}

/// An entry of a list: a text, also one that YAML reads as a number or a boolean, such as the command `true`.
struct Entry;

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_any(Entry)
    }
}

impl Visitor<'_> for Entry {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(TEXT.trim_start_matches("expected "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        match text.trim() {
            "" => self.visit_unit(),
            _ => Ok(self),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Entry, E> {
        Err(E::custom("an empty entry"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Entry, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Entry, E> {
        Ok(self)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Entry, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Entry, E> {
        Ok(self)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Entry, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Entry, E> {
        Ok(self)
    }
}

/// A setting of the swarm.
struct Count;

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        deserializer.deserialize_any(Count)
    }
}

impl Visitor<'_> for Count {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number from 0 to 4294967295")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        match u32::try_from(number) {
            Ok(_) => Ok(self),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }
}
