//! What hangs on an item: its dependencies and its comments.
//!
//! Both are views of a JSON object that stays with the item; fields that are unknown here live on
//! in that object.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{ItemId, PlanError};

/// One dependency: the item waits until the item `id` is completed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dep {
    /// The item waited for.
    pub id: ItemId,
    /// What kind of dependency it is (`type` in the file). Every kind is waited for.
    pub kind: DepKind,
}

/// The kind of a dependency, in kebab-case; `blocks` unless the file says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepKind(String);

/// One remark on an item; no part of it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// When, as the writer put it: UTC, `2026-02-09T20:02:00Z`.
    pub ts: String,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

impl Dep {
    /// A dependency of the default kind, `blocks`.
    pub fn on(id: ItemId) -> Dep {
        Dep {
            id,
            kind: DepKind::default(),
        }
    }

    /// Reads the command line's list `a,b:type`. The type stands after the last colon, so that an
    /// id that holds a colon can be written as `x:1:blocks`. An empty text is an empty list.
    ///
    /// # Errors
    /// [`PlanError::EmptyDepToken`] for `a,,b` and `:type`, [`PlanError::InvalidDepKind`].
    pub fn parse_list(text: &str) -> Result<Vec<Dep>, PlanError> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(str::parse).collect()
    }

    /// Reads the file's form: a bare id, or an object with `id` and perhaps `type`.
    pub(super) fn from_value(value: &Value) -> Result<Dep, PlanError> {
        let (id, kind) = match value {
            Value::String(id) => (id, &Value::Null),
            Value::Object(object) => {
                let Some(Value::String(id)) = object.get("id") else {
                    return Err(PlanError::InvalidDep {
                        found: value.to_string(),
                    });
                };
                (id, object.get("type").unwrap_or(&Value::Null))
            }
            other => {
                return Err(PlanError::InvalidDep {
                    found: other.to_string(),
                });
            }
        };
        let id = ItemId::from_str(id).map_err(|_| PlanError::InvalidDep {
            found: value.to_string(),
        })?;
        match kind {
            Value::Null => Ok(Dep::on(id)),
            Value::String(kind) => Ok(Dep {
                id,
                kind: kind.parse()?,
            }),
            other => Err(PlanError::InvalidDepKind {
                found: other.to_string(),
            }),
        }
    }

    /// The file's form, laid over `original` so that the fields of another writer stay where they
    /// are.
    pub(super) fn to_value(&self, original: Option<&Value>) -> Value {
        let mut object = original
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        object.insert("id".to_owned(), self.id.as_str().into());
        object.insert("type".to_owned(), self.kind.as_str().into());
        Value::Object(object)
    }
}

impl FromStr for Dep {
    type Err = PlanError;

    fn from_str(token: &str) -> Result<Dep, PlanError> {
        let (id, kind) = match token.rsplit_once(':') {
            Some((id, kind)) => (id, kind.parse()?),
            None => (token, DepKind::default()),
        };
        let id = id.parse().map_err(|_| PlanError::EmptyDepToken)?;
        Ok(Dep { id, kind })
    }
}

impl fmt::Display for Dep {
    /// `a`, or `a:type` where the kind is not `blocks`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == DepKind::default() {
            return write!(f, "{}", self.id);
        }
        write!(f, "{}:{}", self.id, self.kind)
    }
}

impl DepKind {
    /// The spelling in plan files.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for DepKind {
    fn default() -> DepKind {
        DepKind("blocks".to_owned())
    }
}

impl fmt::Display for DepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DepKind {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<DepKind, PlanError> {
        let text = text.trim();
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !text.split('-').all(is_word) {
            return Err(PlanError::InvalidDepKind {
                found: text.to_owned(),
            });
        }
        Ok(DepKind(text.to_owned()))
    }
}

impl Comment {
    /// A comment made at `ts`, which is cut to whole seconds.
    ///
    /// # Errors
    /// [`PlanError::EmptyOption`] when `author` or `text` is blank.
    pub fn new(ts: Timestamp, author: &str, text: &str) -> Result<Comment, PlanError> {
        let not_blank = |value: &str, option: &'static str| match value.trim() {
            "" => Err(PlanError::EmptyOption { option }),
            trimmed => Ok(trimmed.to_owned()),
        };
        Ok(Comment {
            ts: utc_seconds(ts),
            author: not_blank(author, "--author")?,
            text: not_blank(text, "--text")?,
        })
    }

    /// Reads the file's form.
    pub(super) fn from_value(value: &Value) -> Result<Comment, PlanError> {
        let part = |name: &str| match value.get(name).and_then(Value::as_str).map(str::trim) {
            None | Some("") => Err(PlanError::InvalidComment {
                missing: name.to_owned(),
            }),
            Some(text) => Ok(text.to_owned()),
        };
        Ok(Comment {
            ts: part("ts")?,
            author: part("author")?,
            text: part("text")?,
        })
    }

    /// The file's form.
    pub(super) fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("ts".to_owned(), self.ts.as_str().into());
        object.insert("author".to_owned(), self.author.as_str().into());
        object.insert("text".to_owned(), self.text.as_str().into());
        Value::Object(object)
    }
}

/// The plan file's form of a time: UTC, whole seconds, `Z`.
pub(super) fn utc_seconds(ts: Timestamp) -> String {
    ts.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_list_names_ids_and_kinds() {
        let deps = Dep::parse_list("a, b:discovered-from,x:1:blocks").expect("a good list");
        let shown: Vec<String> = deps.iter().map(Dep::to_string).collect();
        assert_eq!(shown, ["a", "b:discovered-from", "x:1"]);
        assert!(Dep::parse_list("  ").expect("an empty list").is_empty());
    }

    #[test]
    fn an_empty_token_is_refused() {
        for text in ["a,,b", "a,", ":blocks"] {
            let error = Dep::parse_list(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                "--deps contains an empty dependency token"
            );
        }
    }

    #[test]
    fn kinds_are_kebab_case() {
        for text in ["Blocks", "parent_child", "-x", "", "a--b"] {
            assert!(text.parse::<DepKind>().is_err(), "{text}");
        }
        assert!("parent-child".parse::<DepKind>().is_ok());
    }

    #[test]
    fn a_comment_needs_all_three_parts() {
        let error =
            Comment::from_value(&serde_json::json!({"ts": "x", "author": " ", "text": "y"}));
        assert!(matches!(error, Err(PlanError::InvalidComment { missing }) if missing == "author"));
    }
}
