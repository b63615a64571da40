//! The protocols at hand: built in, or a file with its templates beside it.

use super::RunError;
use crate::plan::{ItemId, SwarmOverrides};
use crate::protocol::{Protocol, Templates};
use crate::schedule::Selected;
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// Template files beside a protocol file, then the built-in ones.
struct Beside(Option<PathBuf>);

impl Templates for Beside {
    fn text(&self, name: &str) -> Option<String> {
        let beside = self
            .0
            .as_ref()
            .and_then(|folder| std::fs::read_to_string(folder.join(name)).ok());
        beside.or_else(|| Some(BUILT_IN.get_file(name)?.contents_utf8()?.to_owned()))
    }
}

/// The protocols that a run may need.
#[derive(Clone, Debug)]
pub struct Protocols {
    chosen: Protocol,
    three: Protocol,
}

impl Protocols {
    /// Loads the protocol called `name`: a built-in one, or a file (relative to `root`).
    pub fn load(name: &str, root: &Path) -> Result<Self, RunError> {
        Ok(Self {
            chosen: load(name, root)?,
            three: load("swarm3", root)?,
        })
    }

    /// The protocol of a run without task overrides.
    pub fn chosen(&self) -> &Protocol {
        &self.chosen
    }

    /// Whether there is a protocol for what the task asks.
    pub fn check(&self, task: &Selected) -> Result<(), String> {
        match self.of_task(&task.id, &task.metadata.swarm) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The protocol of one task: its own `swarm` settings go before the run's.
    pub fn of_task(&self, item: &ItemId, overrides: &SwarmOverrides) -> Result<Protocol, RunError> {
        let refuse = |why: String| RunError::Swarm {
            item: item.clone(),
            why,
        };
        let mut protocol = match overrides.roles {
            None => self.chosen.clone(),
            Some(roles) if roles as usize == self.chosen.roles.len() => self.chosen.clone(),
            Some(3) => self.three.clone(),
            Some(roles) => {
                let have = self.chosen.roles.len();
                return Err(refuse(format!(
                    "`swarm.roles` is {roles}; there are protocols for {have} and 3 roles"
                )));
            }
        };
        let voters = protocol.rounds.last().map_or(0, |round| round.roles.len());
        if let Some(threshold) = overrides.consensus_threshold {
            if threshold == 0 || threshold as usize > voters {
                return Err(refuse(format!(
                    "`swarm.consensus_threshold` is {threshold}, but there are {voters} voters"
                )));
            }
            protocol.consensus.threshold = threshold;
        }
        if let Some(retries) = overrides.consensus_retries {
            protocol.consensus.retries = retries;
        }
        Ok(protocol)
    }
}

fn load(name: &str, root: &Path) -> Result<Protocol, RunError> {
    if let Some(file) = BUILT_IN.get_file(format!("{name}.yaml")) {
        let text = file.contents_utf8().unwrap_or_default();
        return Ok(Protocol::parse(name, text, &Beside(None))?);
    }
    let path = root.join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        let known = BUILT_IN
            .files()
            .filter(|file| file.path().extension().is_some_and(|e| e == "yaml"));
        return Err(RunError::NoProtocol {
            name: name.to_owned(),
            known: known
                .filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()))
                .collect(),
        });
    };
    let folder = path.parent().map(Path::to_owned);
    Ok(Protocol::parse(name, &text, &Beside(folder))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_protocols_are_usable_and_a_task_may_ask_for_three_roles() {
        let protocols = Protocols::load("swarm", Path::new("/nowhere")).expect("built in");
        let item = ItemId::try_from("st-1".to_owned()).expect("an id");
        let three = SwarmOverrides {
            roles: Some(3),
            consensus_retries: Some(0),
            ..SwarmOverrides::default()
        };
        let protocol = protocols.of_task(&item, &three).expect("three roles");
        assert_eq!(
            (
                protocol.name.as_str(),
                protocol.consensus.threshold,
                protocol.consensus.retries
            ),
            ("swarm3", 3, 0)
        );
        let seven = SwarmOverrides {
            roles: Some(7),
            ..SwarmOverrides::default()
        };
        let refusal = protocols
            .of_task(&item, &seven)
            .expect_err("refused")
            .to_string();
        assert!(refusal.contains("`swarm.roles` is 7"), "{refusal}");
    }
}
