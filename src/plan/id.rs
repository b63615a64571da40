//! The id of an item.

use super::error::PlanError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The id of an item, trimmed and not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemId(pub(super) String);

impl ItemId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ItemId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemId {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<ItemId, PlanError> {
        match text.trim() {
            "" => Err(PlanError::EmptyId),
            trimmed => Ok(ItemId(trimmed.to_owned())),
        }
    }
}

impl TryFrom<String> for ItemId {
    type Error = PlanError;

    fn try_from(text: String) -> Result<ItemId, PlanError> {
        text.parse()
    }
}
