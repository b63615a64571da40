//! A parsed line of a learnings file: the fields for ranking and display, borrowed from the line.
//!
//! Tolerant, because other programs write the file as well: unknown fields, unknown statuses and fields of another type are
//! accepted, and of a repeated key the last value counts. Invariant: the `learning` of a [`Record`] is not blank.

use super::draft;
use super::draft::{normalize_status, one_spaced};
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

    /// All fields, in order, including unknown ones.
    pub fn fields(&self) -> Map<String, Value> {
        // Never fails: the line is an object.
        serde_json::from_str(self.line).unwrap_or_default()
    }

    /// The id; may be empty.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What was learned.
    pub fn learning(&self) -> &str {
        &self.learning
    }

    /// The status, normalized: `Do More` is `do_more`.
    pub fn status(&self) -> String {
        normalize_status(&self.status)
    }

    /// How to apply it, if given.
    pub fn application(&self) -> Option<&str> {
        Some(&*self.application).filter(|text| !["", draft::NO_APPLICATION].contains(text))
    }

    /// Its evidence, if given.
    pub fn evidence(&self) -> impl Iterator<Item = &str> {
        let texts = self.evidence.iter().map(|text| &**text);
        texts.filter(|text| *text != draft::NO_EVIDENCE)
    }

    /// Its tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|text| &**text)
    }

    /// The files that were changed at capture.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|text| &**text)
    }

    /// The time of capture; `None` if invalid.
    pub fn captured_at(&self) -> Option<Timestamp> {
        self.captured_at.parse().ok()
    }

    /// The record that it supersedes, other than itself.
    pub fn supersedes_id(&self) -> Option<&str> {
        Some(&*self.supersedes_id).filter(|id| !id.is_empty() && *id != self.id)
    }

    /// The fingerprint, equal for the same learning; computed if the record has none.
    pub fn fingerprint(&self) -> Cow<'_, str> {
        match &*self.fingerprint {
            "" => draft::fingerprint(&self.status(), &one_spaced(&self.learning)).into(),
            given => given.into(),
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

/// Why a line can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The last line, without a line end and not JSON: an interrupted write.
    Torn,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Not JSON from this byte of the line on, 1-based.
    NotJson {
        /// 1-based, in bytes.
        column: usize,
    },
    /// JSON, but no object with a non-blank `learning`.
    NoLearning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_another_type_are_ignored_and_unknown_ones_are_kept() {
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
    fn a_missing_fingerprint_is_computed() {
        let line = r#"{"status":"Do More","learning":"RUN the focused  test first"}"#;
        let record = Record::parse(line).expect("a record");
        // printf %s 'do_more|run the focused test first' | sha1sum
        assert_eq!(record.fingerprint(), "2d252a1519d92f38");
    }

    #[test]
    fn a_line_that_is_no_strict_json_is_refused() {
        // The tolerant reader must refuse the escapes and nesting that the strict one refuses.
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
