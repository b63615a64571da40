//! The fields of a protocol file, as YAML.

use super::definition::{Consensus, HYDRATION, Tiers};
use crate::model::{Lane, Role, RoundName};
use serde::Deserialize;

/// The field that only a file of tiers has.
#[derive(Deserialize)]
pub(super) struct Outline {
    pub tiers: Option<serde_yaml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtocolFile {
    pub name: String,
    pub roles: Vec<Role>,
    pub hydration: Option<HydrationFile>,
    pub rounds: Vec<RoundFile>,
    pub consensus: Option<Consensus>,
    pub fallback: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TiersFile {
    #[serde(rename = "name")]
    _name: String,
    pub tiers: Tiers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HydrationFile {
    pub role: Role,
    pub prompt: String,
    pub schema: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoundFile {
    pub name: RoundName,
    pub roles: Vec<Role>,
    pub lane: Lane,
    pub prompt: String,
    pub schema: String,
    #[serde(default)]
    pub inputs: Vec<RoundName>,
}

impl From<HydrationFile> for RoundFile {
    fn from(file: HydrationFile) -> Self {
        Self {
            name: RoundName::new(HYDRATION),
            roles: vec![file.role],
            lane: Lane::ReadOnly,
            prompt: file.prompt,
            schema: file.schema,
            inputs: Vec::new(),
        }
    }
}
