//! The fields of a protocol file, as YAML.

use super::definition::{Consensus, HYDRATION, Select, Tiers};
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
    pub candidates: Option<usize>,
    pub select: Option<Select>,
}

impl RoundFile {
    /// The roles of its rows: one for each candidate, if there are several.
    pub fn row_roles(&self) -> Vec<Role> {
        match (self.candidates, self.roles.as_slice()) {
            (Some(count), [author]) => (1..=count)
                .map(|number| Role::new(format!("{author}_{number}")))
                .collect(),
            _ => self.roles.clone(),
        }
    }
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
            candidates: None,
            select: None,
        }
    }
}
