//! The fields of the metadata, and their YAML.

use crate::model::Risk;
use serde::{Deserialize, Serialize};

/// How a task is to be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Paths and globs the task may change; never empty.
    pub scope: Vec<String>,
    /// Paths and globs in which a test may be written that shows the fault first; empty if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test_scope: Vec<String>,
    /// The conditions that must hold when it is done.
    pub acceptance: Vec<String>,
    /// Shell commands that must succeed when it is done.
    pub validation: Vec<String>,
    /// How much damage a mistake can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// The task's own swarm settings.
    #[serde(skip_serializing_if = "SwarmOverrides::is_default")]
    pub swarm: SwarmOverrides,
    /// Whether an empty `validation` is intended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
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
    /// Whether a vote ends when its outcome is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_vote: Option<bool>,
}

impl Metadata {
    /// All paths and globs that the task may change, with those of its test.
    pub fn reach(&self) -> Vec<String> {
        self.scope.iter().chain(&self.test_scope).cloned().collect()
    }

    /// The text of the block, without its fence.
    pub fn to_yaml(&self) -> String {
        to_yaml(self)
    }

    /// The same without the key `validation`.
    pub(super) fn to_yaml_without_validation(&self) -> String {
        let mut block = serde_yaml::to_value(self).expect(IS_YAML);
        if let Some(fields) = block.as_mapping_mut() {
            fields.shift_remove("validation");
        }
        to_yaml(&block)
    }
}

impl SwarmOverrides {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const IS_YAML: &str = "lists of texts and numbers are YAML";

fn to_yaml(block: &impl Serialize) -> String {
    serde_yaml::to_string(block).expect(IS_YAML)
}

/// The keys of the block.
pub(super) const KEYS: [&str; 7] = [
    "scope",
    "test_scope",
    "acceptance",
    "validation",
    "risk",
    "swarm",
    "allow_no_validation",
];

/// The keys of its `swarm` mapping.
pub(super) const SWARM_KEYS: [&str; 4] = [
    "roles",
    "consensus_threshold",
    "consensus_retries",
    "early_vote",
];
