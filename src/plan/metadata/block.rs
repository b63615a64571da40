//! The text of a `mesh` block -> its [`Metadata`], or an error with its line.
//!
//! Invariant: parsing takes bounded time. It grows with the bytes times the depth of brackets, so both are limited first. A
//! valid block is parsed four times, because each pass has its own error message.

use super::error::MetadataError;
use super::fence::Block;
use super::fields::{Metadata, SwarmOverrides};
use super::shape::Misfit;
use super::{shape, yaml};
use crate::model::{Risk, one_line, yaml_error};
use crate::plan::id::ItemId;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The largest block that is read. One that people or agents write has a few hundred bytes.
pub const BLOCK_BYTES_MAX: usize = 64 << 10;

/// The most opening brackets and braces in a block. If all are nested, the largest block takes some tenths of a second.
const BRACKETS_MAX: usize = 512;

const BLANKS: &str = "YAML does not allow tabs for indentation; use blanks";
const QUOTES: &str = "quote a text that holds `: ` or ` #`, or begins with a character such as `*`, `!`, `[` or a backtick";
const SINGLE_QUOTES: &str =
    "a backslash in double quotes begins an escape; put the text in single quotes";
const ONE: &str = "a block is one mapping, without `---` or `...`";
const DASHES: &str = "a list is written `[a, b]`, or as a line `- a` for each entry";
const FENCES: &str =
    "to have other text beside the mapping, put it between a line ```mesh and a line ```";

/// Reads the block of `item`. Keys are checked before values, so that a misspelt key is not reported as missing.
pub(super) fn read(item: &ItemId, block: &Block) -> Result<Metadata, MetadataError> {
    if block.body.len() > BLOCK_BYTES_MAX {
        return Err(MetadataError::TooLarge {
            item: item.clone(),
            line: block.line,
            bytes_max: BLOCK_BYTES_MAX,
        });
    }
    let text = block.text();
    Reader { item, block, text }.read()
}

struct Reader<'a> {
    item: &'a ItemId,
    block: &'a Block<'a>,
    text: String,
}

impl Reader<'_> {
    fn read(&self) -> Result<Metadata, MetadataError> {
        self.check_text()?;
        self.check_syntax()?;
        shape::check(&self.text).map_err(|misfit| self.misfit(misfit))?;
        let given: Option<Given> =
            serde_yaml::from_str(&self.text).map_err(|error| self.unfit(&error))?;
        self.complete(given.unwrap_or_default())
    }

    /// Refuses what would take the parser long, or what it would silently accept.
    fn check_text(&self) -> Result<(), MetadataError> {
        if let Some((at, c)) = yaml::unprintable(&self.text) {
            let message = format!("the character {} is not accepted", c.escape_unicode());
            return Err(self.broken(at, message, None));
        }
        if let Some(at) = yaml::bracket(&self.text, BRACKETS_MAX) {
            let message = format!("more than {BRACKETS_MAX} opening brackets and braces");
            return Err(self.broken(at, message, None));
        }
        if let Some(at) = yaml::directive(&self.text) {
            let message = "a YAML directive is not accepted".to_owned();
            return Err(self.broken(at, message, None));
        }
        if let Some(at) = yaml::anchor_alias_or_tag(&self.text) {
            let message = "a YAML anchor, alias or tag is not accepted".to_owned();
            return Err(self.broken(at, message, Some(QUOTES)));
        }
        Ok(())
    }

    fn check_syntax(&self) -> Result<(), MetadataError> {
        let Err(error) = serde_yaml::from_str::<IgnoredAny>(&self.text) else {
            return Ok(());
        };
        let message = yaml_error::message(&error, self.block.text_line);
        let hint = match &message {
            message if message.contains("escape") => SINGLE_QUOTES,
            _ if self.block.is_bare() => FENCES,
            _ => QUOTES,
        };
        Err(match error.location() {
            Some(place) if self.text.as_bytes().get(place.index()) == Some(&b'\t') => {
                let message = "a tab where YAML expects blanks".to_owned();
                self.broken(place.index(), message, Some(BLANKS))
            }
            Some(place) => self.broken(place.index(), message, Some(hint)),
            // The only error of the parser without a place.
            None => {
                let message = "a second YAML document".to_owned();
                let hint = if self.block.is_bare() { FENCES } else { ONE };
                self.broken(yaml::second_document(&self.text), message, Some(hint))
            }
        })
    }

    fn complete(&self, given: Given) -> Result<Metadata, MetadataError> {
        match given.missing() {
            missing if missing.is_empty() => Ok(Metadata::from(given)),
            keys => Err(MetadataError::Incomplete {
                item: self.item.clone(),
                line: self.block.line,
                keys,
                given: Box::new(Metadata::from(given)),
            }),
        }
    }

    fn misfit(&self, misfit: Misfit) -> MetadataError {
        match misfit.unknown_key {
            Some(key) => MetadataError::UnknownKey {
                item: self.item.clone(),
                key: one_line(&key),
                line: self.line(yaml::place(&misfit.error)),
            },
            None => self.unfit(&misfit.error),
        }
    }

    fn unfit(&self, error: &serde_yaml::Error) -> MetadataError {
        let message = yaml_error::message(error, self.block.text_line);
        let hint = match &message {
            message if message.ends_with(shape::LIST) => Some(DASHES),
            message if message.ends_with(shape::TEXT) => Some(QUOTES),
            _ => None,
        };
        self.broken(yaml::place(error), message, hint)
    }

    fn broken(&self, at: usize, message: String, hint: Option<&'static str>) -> MetadataError {
        MetadataError::Broken {
            item: self.item.clone(),
            line: self.line(at),
            message: one_line(&message),
            hint,
        }
    }

    /// The line in the notes of a byte of the block. An error at the end, such as an unclosed bracket, is on the last line.
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.trim_end().len())];
        self.block.text_line + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// The keys of the block, as read.
#[derive(Debug, Default, Deserialize)]
struct Given {
    scope: Option<Vec<String>>,
    test_scope: Option<Vec<String>>,
    acceptance: Option<Vec<String>>,
    validation: Option<Vec<String>>,
    risk: Option<Risk>,
    swarm: Option<SwarmOverrides>,
    allow_no_validation: Option<bool>,
}

impl Given {
    /// The required keys that are missing or have no value. An empty scope counts as missing: no patch could be within it.
    fn missing(&self) -> Vec<&'static str> {
        let may_lack_validation = self.allow_no_validation == Some(true);
        let lacks_validation = self.validation.is_none() && !may_lack_validation;
        let required = [
            ("scope", self.scope.as_ref().is_none_or(Vec::is_empty)),
            ("acceptance", self.acceptance.is_none()),
            ("validation", lacks_validation),
        ];
        let missing = required.into_iter().filter(|(_, is_missing)| *is_missing);
        missing.map(|(key, _)| key).collect()
    }
}

impl From<Given> for Metadata {
    fn from(given: Given) -> Metadata {
        let trimmed = |list: Option<Vec<String>>| -> Vec<String> {
            let entries = list.unwrap_or_default();
            entries
                .iter()
                .map(|entry| entry.trim().to_owned())
                .collect()
        };
        Metadata {
            scope: trimmed(given.scope),
            test_scope: trimmed(given.test_scope),
            acceptance: trimmed(given.acceptance),
            validation: trimmed(given.validation),
            risk: given.risk,
            swarm: given.swarm.unwrap_or_default(),
            allow_no_validation: given.allow_no_validation.unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests;
