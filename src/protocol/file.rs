//! The fields of a protocol file, as YAML.

use super::definition::{Consensus, HYDRATION, Select, Tiers};
use crate::model::{Lane, Role, RoleBinding, RoleBindings, RoundName};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// The field that only a file of tiers has.
#[derive(Deserialize)]
pub(super) struct Outline {
    pub tiers: Option<serde_yaml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtocolFile {
    pub name: String,
    pub roles: RoleList,
    pub hydration: Option<HydrationFile>,
    pub rounds: Vec<RoundFile>,
    pub consensus: Option<Consensus>,
    pub fallback: Option<String>,
}

/// `roles`: a list of names, or a mapping of names to what they are bound to.
#[derive(Default)]
pub(super) struct RoleList {
    pub names: Vec<Role>,
    pub bindings: RoleBindings,
}

impl<'de> Deserialize<'de> for RoleList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoleListVisitor)
    }
}

struct RoleListVisitor;

impl<'de> Visitor<'de> for RoleListVisitor {
    type Value = RoleList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of roles, or a mapping such as {skeptic: {adapter: codex}}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RoleList, A::Error> {
        let mut roles = RoleList::default();
        while let Some(name) = list.next_element()? {
            roles.names.push(name);
        }
        Ok(roles)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RoleList, A::Error> {
        let mut roles = RoleList::default();
        while let Some((name, binding)) = map.next_entry::<Role, Option<RoleBinding>>()? {
            roles.names.push(name.clone());
            if let Some(binding) = binding {
                roles.bindings.insert(name, binding);
            }
        }
        Ok(roles)
    }
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
    #[serde(default)]
    pub test: bool,
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
            test: false,
            candidates: None,
            select: None,
        }
    }
}
