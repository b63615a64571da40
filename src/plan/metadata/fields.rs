//! The fields of the metadata, and their YAML.

use super::error::MetadataError;
use crate::model::Risk;
use crate::plan::item::Item;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a task is to be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Paths and globs the task may change; never empty.
    pub scope: Vec<String>,
    /// The conditions that must hold when it is done.
    pub acceptance: Vec<String>,
    /// Shell commands that must succeed when it is done.
    pub validation: Vec<String>,
    /// How much damage a mistake can do.
    pub risk: Option<Risk>,
    /// The task's own swarm settings.
    pub swarm: SwarmOverrides,
    /// Whether an empty `validation` is intended.
    pub allow_no_validation: bool,
}

/// The swarm settings of a task; `None` for that of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwarmOverrides {
    /// How many roles work on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<u32>,
    /// How many of them must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consensus_threshold: Option<u32>,
    /// How often critique, synthesis and vote are retried without consensus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consensus_retries: Option<u32>,
}

impl Metadata {
    /// The text of the block, without its fence.
    pub fn to_yaml(&self) -> String {
        Written::new(self).to_yaml()
    }
}

/// The keys of the block.
pub(super) const KEYS: [&str; 6] = [
    "scope",
    "acceptance",
    "validation",
    "risk",
    "swarm",
    "allow_no_validation",
];

/// The keys of its `swarm` mapping.
pub(super) const SWARM_KEYS: [&str; 3] = ["roles", "consensus_threshold", "consensus_retries"];

/// The block's keys, as written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) scope: &'a [String],
    pub(super) acceptance: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) validation: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) risk: Option<Risk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) swarm: Option<SwarmOverrides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allow_no_validation: Option<bool>,
}

impl<'a> Written<'a> {
    pub(super) fn new(metadata: &'a Metadata) -> Self {
        let swarm = metadata.swarm;
        Self {
            scope: &metadata.scope,
            acceptance: &metadata.acceptance,
            validation: Some(&metadata.validation),
            risk: metadata.risk,
            swarm: (swarm != SwarmOverrides::default()).then_some(swarm),
            allow_no_validation: metadata.allow_no_validation.then_some(true),
        }
    }

    pub(super) fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("lists of texts and numbers are YAML")
    }
}

/// The texts of a list in `field`; none may be empty.
pub(super) fn texts(
    item: &Item,
    field: &'static str,
    entries: &[Value],
) -> Result<Vec<String>, MetadataError> {
    let text = |entry: &Value| match entry.as_str().map(str::trim) {
        None | Some("") => None,
        Some(text) => Some(text.to_owned()),
    };
    let texts: Option<Vec<String>> = entries.iter().map(text).collect();
    texts.ok_or_else(|| broken_field(item, field))
}

pub(super) fn missing(item: &Item) -> MetadataError {
    let item = item.id().clone();
    MetadataError::Missing { item }
}

pub(super) fn broken_field(item: &Item, field: &'static str) -> MetadataError {
    let item = item.id().clone();
    MetadataError::BrokenField { item, field }
}
