//! One line of a learnings file, as it is read: what ranking and display need, borrowed from the text of the line.
//!
//! Tolerant, because other programs write here too: unknown fields, unknown statuses and fields of another type are
//! no errors; of a key that stands twice the last counts. Invariant: a [`Record`] has a `learning` that is not blank.

use super::draft;
use super::draft::{one_spaced, status_of};
use super::loose::Loose;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// One line of the learnings file.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    line: &'a str,
    id: Cow<'a, str>,
    captured_at: Cow<'a, str>,
    status: Cow<'a, str>,
    learning: Cow<'a, str>,
    evidence: Vec<Cow<'a, str>>,
    application: Cow<'a, str>,
    paths: Vec<Cow<'a, str>>,
    fingerprint: Cow<'a, str>,
    tags: Vec<Cow<'a, str>>,
    supersedes_id: Cow<'a, str>,
}

impl<'a> Record<'a> {
    /// The record on `line`.
    pub(crate) fn parse(line: &'a str) -> Result<Self, Flaw> {
        match serde_json::from_str::<Record>(line) {
            Ok(record) if record.learning.trim().is_empty() => Err(Flaw::NoLearning),
            Ok(record) => Ok(Self { line, ..record }),
            Err(_) => Err(match serde_json::from_str::<Loose>(line) {
                Ok(_) => Flaw::NoLearning,
                Err(error) => Flaw::NotJson {
                    column: error.column(),
                },
            }),
        }
    }

    /// All fields, in their order, those that are unknown here too.
    pub fn fields(&self) -> Map<String, Value> {
        // The line was read as an object before, so there is nothing to fail.
        serde_json::from_str(self.line).unwrap_or_default()
    }

    /// Its id; empty when another program gave it none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What was learned.
    pub fn learning(&self) -> &str {
        &self.learning
    }

    /// How firm it is, as a status is written: `Do More` is `do_more`.
    pub fn status(&self) -> String {
        status_of(&self.status)
    }

    /// What to do with it, when somebody said that.
    pub fn application(&self) -> Option<&str> {
        Some(&*self.application).filter(|text| !["", draft::NO_APPLICATION].contains(text))
    }

    /// What shows it, when somebody said that.
    pub fn evidence(&self) -> impl Iterator<Item = &str> {
        let texts = self.evidence.iter().map(|text| &**text);
        texts.filter(|text| *text != draft::NO_EVIDENCE)
    }

    /// Words to find it by.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|text| &**text)
    }

    /// The files that were changed when it was captured.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|text| &**text)
    }

    /// When it was captured; `None` when that is no time.
    pub fn captured_at(&self) -> Option<Timestamp> {
        self.captured_at.parse().ok()
    }

    /// The record that it takes the place of: another one than itself.
    pub fn supersedes_id(&self) -> Option<&str> {
        Some(&*self.supersedes_id).filter(|id| !id.is_empty() && *id != self.id)
    }

    /// What makes two records the same learning: its own, or computed when another program gave it none.
    pub fn fingerprint(&self) -> Cow<'_, str> {
        match &*self.fingerprint {
            "" => draft::fingerprint(&self.status(), &one_spaced(&self.learning)).into(),
            own => own.into(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a learning")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut record = Record::default();
        while let Some((key, value)) = map.next_entry::<Loose, Loose>()? {
            match &*key.text() {
                "id" => record.id = value.text(),
                "captured_at" => record.captured_at = value.text(),
                "status" => record.status = value.text(),
                "learning" => record.learning = value.text(),
                "evidence" => record.evidence = value.texts(),
                "application" => record.application = value.text(),
                "context" => record.paths = value.paths(),
                "fingerprint" => record.fingerprint = value.text(),
                "tags" => record.tags = value.texts(),
                "supersedes_id" => record.supersedes_id = value.text(),
                _ => {}
            }
        }
        Ok(record)
    }
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The last line, without its end and not JSON: a write that a kill or a full disk cut short.
    Torn,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Not JSON from this byte of the line on, 1-based.
    NotJson {
        /// 1-based, in bytes.
        column: usize,
    },
    /// JSON, but no object with a `learning` that is not blank.
    NoLearning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_another_type_are_left_out_and_unknown_ones_are_kept() {
        let line = r#"{"id":7,"new":{"paths":["no"],"a":[1.50,{"b":null}]},"learning":"l\u00e9","evidence":"bare","tags":{"a":1},"application":true,"captured_at":1e400,"context":{"repo":1,"paths":["p",2,["q"]]},"status":"Do More","status":"?"}"#;
        let record = Record::parse(line).expect("a record");
        assert_eq!((record.id(), record.learning()), ("", "lé"));
        assert_eq!(record.evidence().collect::<Vec<_>>(), ["bare"]);
        assert_eq!(record.tags().count(), 0);
        assert_eq!(record.application(), None);
        assert_eq!(record.captured_at(), None);
        assert_eq!(record.paths().collect::<Vec<_>>(), ["p"]);
        assert_eq!(record.status(), "review_later");
        let fields = serde_json::to_string(&record.fields()).expect("JSON");
        assert!(
            fields.starts_with(r#"{"id":7,"new":{"paths":["no"],"a":[1.50,{"b":null}]},"#),
            "{fields}"
        );
    }

    #[test]
    fn a_record_without_a_fingerprint_is_the_same_learning_all_the_same() {
        let line = r#"{"status":"Do More","learning":"RUN the focused  test first"}"#;
        let record = Record::parse(line).expect("a record");
        // printf %s 'do_more|run the focused test first' | sha1sum
        assert_eq!(record.fingerprint(), "2d252a1519d92f38");
    }

    #[test]
    fn what_is_read_as_a_record_has_all_its_fields() {
        // Escapes and nesting that the exact reader refuses must not pass the tolerant one.
        let deep = format!(
            r#"{{"learning":"l","x":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        for line in [
            r#"{"learning":"l","x":"\ud800"}"#,
            r#"{"learning":"l","x":-}"#,
            &deep,
        ] {
            assert!(Record::parse(line).is_err(), "{line}");
            assert!(serde_json::from_str::<Value>(line).is_err(), "{line}");
        }
    }
}
