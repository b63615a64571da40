//! From the text of a `mesh` block to [`Metadata`], or to what is wrong with it and on which line.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml::Value as Yaml;

use super::fence::Block;
use super::{KEYS, Metadata, MetadataError, Risk, SWARM_KEYS, SwarmOverrides};
use crate::plan::ItemId;

/// The largest block that is read.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Reads the block of `item`. The keys are looked at before the values, so that a misspelt key is
/// reported as that and not as one that is missing.
pub(super) fn read(item: &ItemId, block: &Block) -> Result<Metadata, MetadataError> {
    Reader { item, block }.read()
}

struct Reader<'a> {
    item: &'a ItemId,
    block: &'a Block,
}

impl Reader<'_> {
    fn read(&self) -> Result<Metadata, MetadataError> {
        self.check_text()?;
        let keys =
            match serde_yaml::from_str(&self.block.text).map_err(|error| self.not_yaml(&error))? {
                Yaml::Mapping(keys) => keys,
                Yaml::Null => serde_yaml::Mapping::new(),
                _ => {
                    return Err(self.broken(
                        0,
                        "expected a mapping with scope, acceptance and validation".to_owned(),
                    ));
                }
            };
        self.check_keys(&keys)?;
        let given: Given =
            serde_yaml::from_str(&self.block.text).map_err(|error| self.not_yaml(&error))?;
        let metadata = Metadata::from(given);
        match metadata.blank_entry() {
            Some(key) => Err(self.broken(
                key_line(&self.block.text, key),
                format!("`{key}` has an empty entry"),
            )),
            None => Ok(metadata),
        }
    }

    /// What must be refused before a parser sees it.
    fn check_text(&self) -> Result<(), MetadataError> {
        if self.block.text.len() > BLOCK_BYTES_MAX {
            return Err(MetadataError::TooLarge {
                item: self.item.clone(),
                bytes_max: BLOCK_BYTES_MAX,
            });
        }
        match alias_line(&self.block.text) {
            Some(line) => Err(self.broken(
                line,
                "a YAML alias is not accepted; write the value out".to_owned(),
            )),
            None => Ok(()),
        }
    }

    fn check_keys(&self, keys: &serde_yaml::Mapping) -> Result<(), MetadataError> {
        let item = self.item.clone();
        if let Some(key) = unknown_key(keys) {
            let line = self.block.text_line + key_line(&self.block.text, &key);
            return Err(MetadataError::UnknownKey { item, key, line });
        }
        match missing_keys(keys) {
            missing if missing.is_empty() => Ok(()),
            keys => Err(MetadataError::Incomplete { item, keys }),
        }
    }

    /// An error on a line of the block (from 0), told as a line of the notes (from 1).
    fn broken(&self, line: usize, message: String) -> MetadataError {
        MetadataError::Broken {
            item: self.item.clone(),
            line: self.block.text_line + line,
            message,
        }
    }

    /// The parser's complaint, without its own position: that counts the lines of the block.
    fn not_yaml(&self, error: &serde_yaml::Error) -> MetadataError {
        let line = error.location().map_or(0, |at| at.line().saturating_sub(1));
        let text = error.to_string();
        self.broken(
            line,
            text.split(" at line ").next().unwrap_or(&text).to_owned(),
        )
    }
}

/// The block's keys, as read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    scope: Option<Vec<String>>,
    acceptance: Option<Vec<String>>,
    validation: Option<Vec<String>>,
    risk: Option<Risk>,
    swarm: Option<SwarmOverrides>,
    allow_no_validation: Option<bool>,
}

impl From<Given> for Metadata {
    fn from(given: Given) -> Metadata {
        let trimmed = |list: Option<Vec<String>>| -> Vec<String> {
            list.unwrap_or_default()
                .iter()
                .map(|entry| entry.trim().to_owned())
                .collect()
        };
        Metadata {
            scope: trimmed(given.scope),
            acceptance: trimmed(given.acceptance),
            validation: trimmed(given.validation),
            risk: given.risk,
            swarm: given.swarm.unwrap_or_default(),
            allow_no_validation: given.allow_no_validation.unwrap_or(false),
        }
    }
}

impl Metadata {
    fn blank_entry(&self) -> Option<&'static str> {
        let lists = [
            ("scope", &self.scope),
            ("acceptance", &self.acceptance),
            ("validation", &self.validation),
        ];
        lists
            .into_iter()
            .find(|(_, list)| list.iter().any(String::is_empty))
            .map(|(key, _)| key)
    }
}

fn unknown_key(keys: &serde_yaml::Mapping) -> Option<String> {
    let first_unknown = |mapping: &serde_yaml::Mapping, known: &[&str]| {
        let name = |key: &Yaml| {
            key.as_str()
                .map_or_else(|| "(not a text)".to_owned(), str::to_owned)
        };
        mapping
            .keys()
            .map(name)
            .find(|key| !known.contains(&key.as_str()))
    };
    let in_swarm = |swarm: &Yaml| {
        Some(format!(
            "swarm.{}",
            first_unknown(swarm.as_mapping()?, &SWARM_KEYS)?
        ))
    };
    first_unknown(keys, &KEYS).or_else(|| keys.get("swarm").and_then(in_swarm))
}

/// The required keys that are not there. A scope of nothing counts as none: no patch could be
/// within it.
fn missing_keys(keys: &serde_yaml::Mapping) -> Vec<&'static str> {
    let is_there = |key: &str| keys.get(key).is_some();
    let may_lack_validation = keys.get("allow_no_validation").and_then(Yaml::as_bool) == Some(true);
    let has_scope = match keys.get("scope") {
        None | Some(Yaml::Null) => false,
        Some(Yaml::Sequence(list)) => !list.is_empty(),
        Some(_) => true,
    };
    let mut missing = Vec::new();
    if !has_scope {
        missing.push("scope");
    }
    if !is_there("acceptance") {
        missing.push("acceptance");
    }
    if !is_there("validation") && !may_lack_validation {
        missing.push("validation");
    }
    missing
}

/// The line (from 0) on which a key of the block stands; for `swarm.x` that of `x`, for one that is
/// not found that of the block.
fn key_line(text: &str, key: &str) -> usize {
    let name = key.rsplit('.').next().unwrap_or(key);
    let begins = |line: &str| {
        line.trim_start()
            .trim_start_matches(['"', '\''])
            .starts_with(name)
    };
    text.lines()
        .position(|line| begins(line) && line.contains(':'))
        .unwrap_or(0)
}

/// The line (from 0) of the first alias (`*name`) to an anchor (`&name`). The parser would expand
/// it, and a few lines of aliases can stand for gigabytes.
///
/// The parser has no switch for it, and looking for `*name` in the text would also find it inside
/// quotes and literals. So every anchor gets another name, and the parser itself tells which alias
/// is then left without one.
fn alias_line(text: &str) -> Option<usize> {
    if !(text.contains('&') && text.contains('*')) {
        return None;
    }
    let error = serde_yaml::from_str::<IgnoredAny>(&with_anchors_renamed(text)).err()?;
    let is_alias = error.to_string().contains("unknown anchor");
    is_alias.then(|| error.location().map_or(0, |at| at.line().saturating_sub(1)))
}

/// The text with an ending on the name of every anchor, and of all that looks like one, that no
/// alias in it can have.
fn with_anchors_renamed(text: &str) -> String {
    let longest = text.split(|c| c != 'z').map(str::len).max().unwrap_or(0);
    let ending = "z".repeat(longest + 1);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut pieces = text.split('&');
    let mut renamed = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c| !is_name(c)).unwrap_or(piece.len());
        renamed.push('&');
        renamed.push_str(&piece[..end]);
        renamed.push_str(if end == 0 { "" } else { &ending });
        renamed.push_str(&piece[end..]);
    }
    renamed
}
