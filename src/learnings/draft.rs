//! A draft -> the record to append: normalization, defaults, fingerprint, id.
//!
//! Knows no files. Invariant: the `learning` of a [`NewRecord`] is not blank.

use super::context::Context;
use super::error::LearningsError;
use indexmap::IndexSet;
use jiff::Timestamp;
use serde::Serialize;
use sha1::{Digest, Sha1};

/// The default status.
const STATUS_DEFAULT: &str = "review_later";
/// The default evidence.
pub(super) const NO_EVIDENCE: &str = "none_provided";
/// The default application.
pub(super) const NO_APPLICATION: &str = "capture_follow_up_later";
/// The default source.
const SOURCE_DEFAULT: &str = "skill:learnings";

/// A learning as the user gives it. A blank text counts as missing.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The status: `codify_now`, `do_more`, `do_less`, `review_later`, or any other word.
    pub status: String,
    /// What was learned.
    pub learning: String,
    /// Its evidence.
    pub evidence: Vec<String>,
    /// How to apply it.
    pub application: String,
    /// Its tags; each text may hold several, separated by commas.
    pub tags: Vec<String>,
    /// Related records.
    pub related_ids: Vec<String>,
    /// The record that it supersedes.
    pub supersedes_id: String,
    /// The program that captured it.
    pub source: String,
}

/// A record to append, with its keys in the order of the format.
#[derive(Clone, Debug, Serialize)]
pub struct NewRecord {
    id: String,
    captured_at: String,
    status: String,
    learning: String,
    evidence: Vec<String>,
    application: String,
    context: Context,
    source: String,
    fingerprint: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_ids: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    supersedes_id: String,
}

impl NewRecord {
    /// The record of `draft`, captured at `now`.
    ///
    /// # Errors
    /// [`LearningsError::Empty`].
    pub fn new(draft: &Draft, context: Context, now: Timestamp) -> Result<Self, LearningsError> {
        let learning = one_spaced(&draft.learning);
        if learning.is_empty() {
            return Err(LearningsError::Empty);
        }
        let status = normalize_status(&draft.status);
        let fingerprint = fingerprint(&status, &learning);
        let mut evidence = non_blank(&draft.evidence);
        if evidence.is_empty() {
            evidence.push(NO_EVIDENCE.to_owned());
        }
        let tags = draft.tags.iter().flat_map(|tags| tags.split(','));
        Ok(Self {
            id: id(now, &fingerprint),
            captured_at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            status,
            learning,
            evidence,
            application: or_default(one_spaced(&draft.application), NO_APPLICATION),
            context,
            source: or_default(one_spaced(&draft.source), SOURCE_DEFAULT),
            fingerprint,
            tags: dedup(tags.map(word)),
            related_ids: dedup(non_blank(&draft.related_ids)),
            supersedes_id: one_spaced(&draft.supersedes_id),
        })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its status.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// The fingerprint, equal for the same learning.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its line in the file, with a line end.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("texts and lists of texts can be written");
        line.push(b'\n');
        line
    }
}

/// A status in the format of [`word`], or the default.
pub(super) fn normalize_status(text: &str) -> String {
    or_default(word(text), STATUS_DEFAULT)
}

/// The format of statuses and tags: lower case, with `_` for each run of other characters than `a-z0-9`, but none at the ends.
pub(super) fn word(text: &str) -> String {
    let lower = text.to_lowercase();
    let parts = lower.split(|c: char| !matches!(c, 'a'..='z' | '0'..='9'));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

/// Trimmed, with one blank for each run of white space.
pub(super) fn one_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn fingerprint(status: &str, learning: &str) -> String {
    let digest = Sha1::digest(format!("{status}|{}", learning.to_lowercase()));
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `lrn-20260213T015500Z-1a2b3c4d`: the time and the first 8 digits of the fingerprint.
fn id(now: Timestamp, fingerprint: &str) -> String {
    format!("lrn-{}-{:.8}", now.strftime("%Y%m%dT%H%M%SZ"), fingerprint)
}

fn or_default(text: String, default: &str) -> String {
    if text.is_empty() {
        return default.to_owned();
    }
    text
}

fn non_blank(texts: &[String]) -> Vec<String> {
    let texts = texts.iter().map(|text| one_spaced(text));
    texts.filter(|text| !text.is_empty()).collect()
}

/// The first of each text that is not empty, in order.
fn dedup(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let texts = texts.into_iter().filter(|text| !text.is_empty());
    texts.collect::<IndexSet<String>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-02-13T01:55:00.9Z".parse().expect("a time")
    }

    fn line(draft: &Draft) -> String {
        let context = Context {
            repo: "owner/name".to_owned(),
            branch: "main".to_owned(),
            paths: vec!["src/a.rs".to_owned()],
        };
        let record = NewRecord::new(draft, context, now()).expect("a record");
        String::from_utf8(record.line()).expect("UTF-8")
    }

    #[test]
    fn a_bare_learning_gets_all_defaults_and_no_optional_key() {
        let draft = Draft {
            learning: " Größe \t é\n汉字 ".to_owned(),
            ..Draft::default()
        };
        // printf %s 'review_later|größe é 汉字' | sha1sum
        let expected = r#"{"id":"lrn-20260213T015500Z-8302a192","captured_at":"2026-02-13T01:55:00Z","status":"review_later","learning":"Größe é 汉字","evidence":["none_provided"],"application":"capture_follow_up_later","context":{"repo":"owner/name","branch":"main","paths":["src/a.rs"]},"source":"skill:learnings","fingerprint":"8302a192e062339f"}"#;
        assert_eq!(line(&draft), format!("{expected}\n"));
    }

    #[test]
    fn given_values_are_normalized_and_in_order() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let draft = Draft {
            status: " Do--More! ".to_owned(),
            learning: "Run the  Focused test\nfirst".to_owned(),
            evidence: texts(&["one\ntwo", " ", "three"]),
            application: " put it\tfirst ".to_owned(),
            tags: texts(&["Unit Test,ci,", "CI", ",,", "ci/cd"]),
            related_ids: texts(&[" lrn-2 ", "", "lrn-1", "lrn-2"]),
            supersedes_id: " lrn-0 ".to_owned(),
            source: "mesh".to_owned(),
        };
        // printf %s 'do_more|run the focused test first' | sha1sum
        let expected = r#"{"id":"lrn-20260213T015500Z-2d252a15","captured_at":"2026-02-13T01:55:00Z","status":"do_more","learning":"Run the Focused test first","evidence":["one two","three"],"application":"put it first","context":{"repo":"owner/name","branch":"main","paths":["src/a.rs"]},"source":"mesh","fingerprint":"2d252a1519d92f38","tags":["unit_test","ci","ci_cd"],"related_ids":["lrn-2","lrn-1"],"supersedes_id":"lrn-0"}"#;
        assert_eq!(line(&draft), format!("{expected}\n"));
    }

    #[test]
    fn a_blank_learning_is_refused() {
        for learning in ["", " \n\t\u{a0}\u{3000}"] {
            let draft = Draft {
                learning: learning.to_owned(),
                ..Draft::default()
            };
            let refused = NewRecord::new(&draft, Context::default(), now());
            assert!(
                matches!(refused, Err(LearningsError::Empty)),
                "{learning:?}"
            );
        }
    }

    #[test]
    fn words_are_small_letters_digits_and_single_underscores() {
        for (text, expected) in [
            ("codify_now", "codify_now"),
            ("__A  b__", "a_b"),
            ("v1.2", "v1_2"),
            ("é", ""),
            ("naïve", "na_ve"),
        ] {
            assert_eq!(word(text), expected);
        }
    }
}
