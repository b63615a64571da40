//! The dependencies and comments of an item, each with the fields of other programs.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::PlanError;
use super::foreign;
use super::foreign::{Fields, Foreign, ObjectWriter};
use super::id::ItemId;

/// One dependency: the item waits until the item `id` is completed. Dependencies of the same id and kind are equal.
#[derive(Clone, Debug)]
pub struct Dep {
    /// The item to wait for.
    pub id: ItemId,
    /// The kind (`type` in the file). Items wait for every kind.
    pub kind: DepKind,
    pub(super) foreign: Foreign,
}

/// The kind of a dependency, in kebab-case; `blocks` unless the file says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DepKind(Cow<'static, str>);

/// One comment; no part of it is blank.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The time, as written: UTC, `2026-02-09T20:02:00Z`.
    pub ts: String,
    /// The author.
    pub author: String,
    /// The text.
    pub text: String,
    foreign: Foreign,
}

/// The fields of a dependency's object, in the order of writing.
const DEP_FIELDS: [&str; 2] = ["id", "type"];

/// The fields of a comment's object, in the order of writing.
pub(super) const COMMENT_FIELDS: [&str; 3] = ["ts", "author", "text"];

/// The default kind.
const BLOCKS: &str = "blocks";

impl Dep {
    /// A dependency on `id`.
    pub fn new(id: ItemId, kind: DepKind) -> Dep {
        Dep {
            id,
            kind,
            foreign: Foreign::default(),
        }
    }

    /// Parses the list `a,b:type` of the command line. The type follows the last colon, so that an id with a colon can be
    /// written as `x:1:blocks`. An empty text is an empty list.
    ///
    /// # Errors
    /// [`PlanError::EmptyDepToken`] for `a,,b` and `:type`, [`PlanError::InvalidDepKind`].
    pub fn parse_list(text: &str) -> Result<Vec<Dep>, PlanError> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(str::parse).collect()
    }

    /// Reads a JSON value: an id, or an object with `id` and optionally `type`.
    pub(super) fn read(value: &RawValue) -> Result<Dep, PlanError> {
        let invalid = || PlanError::InvalidDep {
            found: foreign::excerpt(value).into_owned(),
        };
        let id = |text: String| ItemId::try_from(text).map_err(|_| invalid());
        if let Some(text) = foreign::text(value) {
            return Ok(Dep::new(id(text)?, DepKind::default()));
        }
        let fields = foreign::fields(value).ok_or_else(invalid)?;
        let text = fields.get("id").and_then(|value| foreign::text(value));
        Ok(Dep {
            id: id(text.ok_or_else(invalid)?)?,
            kind: kind(&fields)?,
            foreign: Foreign::new(&fields, |name| position(&DEP_FIELDS, name)),
        })
    }
}

fn kind(fields: &Fields) -> Result<DepKind, PlanError> {
    let Some(value) = foreign::given(fields, "type") else {
        return Ok(DepKind::default());
    };
    match foreign::text(value) {
        Some(text) => text.parse(),
        None => Err(PlanError::InvalidDepKind {
            found: foreign::excerpt(value).into_owned(),
        }),
    }
}

pub(super) fn position(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

impl PartialEq for Dep {
    fn eq(&self, other: &Dep) -> bool {
        (&self.id, &self.kind) == (&other.id, &other.kind)
    }
}

impl Eq for Dep {}

impl Hash for Dep {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.id, &self.kind).hash(state);
    }
}

impl Serialize for Dep {
    /// An object with `id` and `type`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = ObjectWriter::begin(serializer, &self.foreign)?;
        object.field("id", &self.id)?;
        object.field("type", self.kind.as_str())?;
        object.end()
    }
}

impl FromStr for Dep {
    type Err = PlanError;

    fn from_str(token: &str) -> Result<Dep, PlanError> {
        let (id, kind) = match token.rsplit_once(':') {
            // `a:` has no type.
            Some((id, kind)) if kind.trim().is_empty() => (id, DepKind::default()),
            Some((id, kind)) => (id, kind.parse()?),
            None => (token, DepKind::default()),
        };
        let id = id.parse().map_err(|_| PlanError::EmptyDepToken)?;
        Ok(Dep::new(id, kind))
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
        DepKind(Cow::Borrowed(BLOCKS))
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
        Ok(match text {
            BLOCKS => DepKind::default(),
            other => DepKind(Cow::Owned(other.to_owned())),
        })
    }
}

impl Comment {
    /// A comment at `ts`, truncated to whole seconds.
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
            foreign: Foreign::default(),
        })
    }

    /// Reads a JSON object.
    pub(super) fn read(value: &RawValue) -> Result<Comment, PlanError> {
        let fields = foreign::fields(value).unwrap_or_default();
        Comment::from_fields(&fields, |name| position(&COMMENT_FIELDS, name))
    }

    /// Reads the three parts of a comment from the fields of an object. `known` marks the fields that are not foreign.
    pub(super) fn from_fields(
        fields: &Fields,
        known: impl Fn(&str) -> Option<usize>,
    ) -> Result<Comment, PlanError> {
        let part = |name: &'static str| {
            let text = fields.get(name).and_then(|value| foreign::text(value));
            text.filter(|text| !text.trim().is_empty())
                .ok_or(PlanError::InvalidComment { missing: name })
        };
        Ok(Comment {
            ts: part("ts")?,
            author: part("author")?,
            text: part("text")?,
            foreign: Foreign::new(fields, known),
        })
    }

    /// Whether the three parts are equal, whatever the foreign fields.
    pub(super) fn is_same(&self, other: &Comment) -> bool {
        (&self.ts, &self.author, &self.text) == (&other.ts, &other.author, &other.text)
    }
}

impl Serialize for Comment {
    /// A JSON object.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = ObjectWriter::begin(serializer, &self.foreign)?;
        object.field("ts", &self.ts)?;
        object.field("author", &self.author)?;
        object.field("text", &self.text)?;
        object.end()
    }
}

/// A time in the format of the plan file: UTC, whole seconds, `Z`.
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
        let text = r#"{"ts":"x","author":" ","text":"y"}"#;
        let error = Comment::read(serde_json::from_str(text).expect("JSON"));
        assert!(matches!(
            error,
            Err(PlanError::InvalidComment { missing: "author" })
        ));
    }
}
