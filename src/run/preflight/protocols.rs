//! The known protocols, built in or in files with their templates beside them, and the protocol of each task.

use crate::model::{Risk, Role};
use crate::plan::{ItemId, Metadata, SwarmOverrides};
use crate::platform::look;
use crate::protocol::{Definition, Protocol, Round, Templates, Tiers};
use crate::run::error::RunError;
use crate::schedule::Selected;
use crate::wave::Team;
use include_dir::{Dir, include_dir};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// Template files beside a protocol file, then the built-in ones.
struct TemplateFolder(Option<PathBuf>);

impl Templates for TemplateFolder {
    fn text(&self, name: &str) -> io::Result<Option<String>> {
        if let Some(folder) = &self.0
            && let Some(beside) = look::found(std::fs::read_to_string(folder.join(name)))?
        {
            return Ok(Some(beside));
        }
        let built_in = BUILT_IN.get_file(name);
        Ok(built_in.and_then(|file| Some(file.contents_utf8()?.to_owned())))
    }
}

/// The places where protocols are searched: the names in `mesh.yaml`, the built-in ones, then files.
#[derive(Clone, Copy, Debug)]
pub struct ProtocolSearchPath<'s> {
    /// The folder of relative paths.
    pub root: &'s Path,
    /// `protocols` of `mesh.yaml`: name -> file.
    pub named: &'s BTreeMap<String, PathBuf>,
}

/// The protocols that a run may need: the chosen one, and those that it can change to.
#[derive(Clone, Debug)]
pub struct Protocols {
    chosen: Chosen,
    by_name: BTreeMap<String, Protocol>,
    /// The chosen protocol, if it is a file of the user.
    own: Option<String>,
    /// Settings of the run, which override those of a task.
    overrides: SwarmOverrides,
}

#[derive(Clone, Debug)]
enum Chosen {
    One(String),
    ByRisk(Tiers),
}

/// The protocol for three roles.
const THREE_ROLES: &str = "swarm3";

impl Protocols {
    /// Loads the protocol called `name`, and all that it refers to.
    pub fn load(
        name: &str,
        search_path: ProtocolSearchPath<'_>,
        overrides: SwarmOverrides,
    ) -> Result<Self, RunError> {
        let mut by_name = BTreeMap::new();
        let chosen = match load(name, search_path)? {
            Definition::Rounds(protocol) => {
                let name = protocol.name.clone();
                add_protocol(*protocol, search_path, &mut by_name)?;
                Chosen::One(name)
            }
            Definition::Tiers(tiers) => {
                Chosen::ByRisk(add_tiers(&tiers, search_path, &mut by_name)?)
            }
        };
        if !by_name.contains_key(THREE_ROLES) {
            add_protocol(
                load_rounds(THREE_ROLES, search_path)?,
                search_path,
                &mut by_name,
            )?;
        }
        let own = match &chosen {
            Chosen::One(chosen) if !is_built_in(name, search_path) => Some(chosen.clone()),
            _ => None,
        };
        Ok(Self {
            chosen,
            by_name,
            own,
            overrides,
        })
    }

    /// All protocols that a task may use, now or later.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Protocol> {
        self.by_name.values()
    }

    /// The same, those first that a task begins with.
    pub(crate) fn chosen_first(&self) -> impl Iterator<Item = &Protocol> {
        let first = self.first_names();
        let later = self
            .by_name
            .keys()
            .filter(move |name| !self.first_names().contains(name));
        first
            .into_iter()
            .chain(later)
            .filter_map(|name| self.by_name.get(name))
    }

    /// All names by which roles can be bound: those of rows, and the authors of candidates.
    pub(crate) fn role_names(&self) -> BTreeSet<Role> {
        self.all().flat_map(list_role_names).collect()
    }

    /// The same for every protocol with a name. Skips protocols that can't be loaded.
    pub(crate) fn known_role_names(search_path: ProtocolSearchPath<'_>) -> BTreeSet<Role> {
        let protocols =
            known_names(search_path).filter_map(|name| load_rounds(name, search_path).ok());
        protocols
            .flat_map(|protocol| list_role_names(&protocol))
            .collect()
    }

    fn first_names(&self) -> Vec<&String> {
        match &self.chosen {
            Chosen::One(name) => vec![name],
            Chosen::ByRisk(tiers) => vec![&tiers.low, &tiers.medium, &tiers.high],
        }
    }

    /// The most rows of one unit in one wave.
    pub fn widest_round(&self) -> usize {
        let known = self
            .first_names()
            .into_iter()
            .filter_map(|name| self.by_name.get(name));
        known.map(Protocol::widest_round).max().unwrap_or(1)
    }

    /// The roles of every round, for every protocol that a task may use.
    pub fn teams(&self, search_path: ProtocolSearchPath<'_>) -> Vec<Team> {
        let teams = self.by_name.iter().flat_map(|(name, protocol)| {
            let is_own = self.own.as_ref() == Some(name);
            list_teams(protocol, !is_own && is_built_in(name, search_path))
        });
        teams.collect()
    }

    /// The roles of every round, for every protocol with a name. Skips protocols that can't be loaded.
    pub fn known_teams(search_path: ProtocolSearchPath<'_>) -> Vec<Team> {
        let teams = known_names(search_path).filter_map(|name| {
            let protocol = load_rounds(name, search_path).ok()?;
            Some(list_teams(&protocol, is_built_in(name, search_path)))
        });
        teams.flatten().collect()
    }

    /// Chooses the fallback of the chosen protocol, if there is one, and returns its name.
    pub fn use_fallback(&mut self) -> Option<String> {
        let Chosen::One(name) = &self.chosen else {
            return None;
        };
        let fallback = self.by_name.get(name)?.fallback.clone()?;
        self.chosen = Chosen::One(fallback.clone());
        Some(fallback)
    }

    /// Checks that there is a protocol for the task.
    pub fn check(&self, task: &Selected) -> Result<(), String> {
        match self.resolve(&task.id, task.metadata.as_ref(), None) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The protocol of a task: the one that its unit changed to (`changed`), else by the settings of the run, then its own, then
    /// its risk. `metadata` is `None` for a task without metadata.
    pub fn resolve(
        &self,
        item: &ItemId,
        metadata: Option<&Metadata>,
        changed: Option<&str>,
    ) -> Result<Protocol, RunError> {
        let refuse = |why: String| RunError::Swarm {
            item: item.clone(),
            why,
        };
        let swarm = metadata.map(|metadata| metadata.swarm).unwrap_or_default();
        let found = match changed {
            Some(name) => self
                .by_name
                .get(name)
                .ok_or_else(|| format!("it changed to protocol `{name}`, which no longer exists")),
            None => self.find_by_roles(
                self.default_protocol(metadata),
                self.overrides.roles.or(swarm.roles),
            ),
        };
        let mut protocol = found.map_err(refuse)?.clone();
        let threshold = self.threshold(metadata, &protocol);
        let overrides = &self.overrides;
        let (voters, select) = (protocol.voters().len(), protocol.select());
        let Some(gate) = &mut protocol.consensus else {
            return Ok(protocol);
        };
        if let Some((threshold, whose)) = threshold {
            if !(1..=voters).contains(&(threshold as usize)) {
                return Err(refuse(format!(
                    "{whose} is {threshold}, but there are {voters} voters"
                )));
            }
            gate.threshold = threshold;
        }
        if let Some(retries) = overrides.consensus_retries.or(swarm.consensus_retries) {
            gate.retries = retries;
        }
        // Candidates are chosen among by all voters.
        if select.is_none() {
            gate.early_vote = overrides
                .early_vote
                .or(swarm.early_vote)
                .unwrap_or(gate.early_vote);
        }
        Ok(protocol)
    }

    /// The consensus threshold that the run or the task sets, and the name of that setting. A threshold that was meant for a swarm
    /// of another size is ignored: two of three is not two of five.
    fn threshold(
        &self,
        metadata: Option<&Metadata>,
        protocol: &Protocol,
    ) -> Option<(u32, &'static str)> {
        const OF_RUN: &str =
            "the consensus threshold of the run (consensus_threshold=, its variable, or mesh.yaml)";
        const OF_TASK: &str = "`swarm.consensus_threshold` of the task";
        let swarm = metadata.map(|metadata| metadata.swarm).unwrap_or_default();
        let usual = self.default_protocol(metadata);
        let fits = |roles: Option<u32>| {
            let meant = self.find_by_roles(usual, roles).unwrap_or(usual);
            meant.voters().len() == protocol.voters().len()
        };
        let of_run = self.overrides.consensus_threshold;
        let of_run = of_run.filter(|_| fits(self.overrides.roles.or(swarm.roles)));
        let of_task = swarm.consensus_threshold.filter(|_| fits(swarm.roles));
        of_run
            .map(|threshold| (threshold, OF_RUN))
            .or(of_task.map(|threshold| (threshold, OF_TASK)))
    }

    /// The chosen protocol for a task of this risk.
    fn default_protocol(&self, metadata: Option<&Metadata>) -> &Protocol {
        let name = match &self.chosen {
            Chosen::One(name) => name,
            Chosen::ByRisk(tiers) => match metadata.map(|metadata| metadata.risk) {
                Some(Some(Risk::Low)) => &tiers.low,
                Some(Some(Risk::High)) | None => &tiers.high,
                Some(_) => &tiers.medium,
            },
        };
        &self.by_name[name]
    }

    /// `usual`, or the protocol with `roles` roles.
    fn find_by_roles<'p>(
        &'p self,
        usual: &'p Protocol,
        roles: Option<u32>,
    ) -> Result<&'p Protocol, String> {
        let Some(roles) = roles else {
            return Ok(usual);
        };
        let three = self.by_name.get(THREE_ROLES);
        let known = [Some(usual), three].into_iter().flatten();
        let mut known = known.chain(self.by_name.values());
        known
            .find(|protocol| protocol.roles.len() == roles as usize)
            .ok_or_else(|| {
                let have = self.by_name.values().map(|protocol| protocol.roles.len());
                let have: BTreeSet<usize> = have.collect();
                let have: Vec<String> = have.iter().rev().map(ToString::to_string).collect();
                format!(
                    "`swarm.roles` is {roles}; there are protocols for {} roles",
                    have.join(" and ")
                )
            })
    }
}

/// Whether `name` is that of a built-in protocol that no file replaces.
fn is_built_in(name: &str, search_path: ProtocolSearchPath<'_>) -> bool {
    !search_path.named.contains_key(name) && BUILT_IN.get_file(format!("{name}.yaml")).is_some()
}

/// The names of the built-in protocols, and of those of `mesh.yaml`.
fn known_names<'s>(search_path: ProtocolSearchPath<'s>) -> impl Iterator<Item = &'s str> {
    let is_protocol = |path: &Path| path.extension().is_some_and(|end| end == "yaml");
    let built_in = BUILT_IN.files().map(|file| file.path());
    let built_in = built_in.filter(move |path| is_protocol(path));
    let built_in = built_in.filter_map(|path| path.file_stem()?.to_str());
    built_in.chain(search_path.named.keys().map(String::as_str))
}

fn list_role_names(protocol: &Protocol) -> Vec<Role> {
    let roles = protocol.roles.iter();
    roles
        .flat_map(|role| [role.clone(), protocol.author_of(role)])
        .collect()
}

fn list_teams(protocol: &Protocol, is_built_in: bool) -> Vec<Team> {
    let rounds = protocol.rounds.iter().chain(protocol.hydration.as_deref());
    let team = |round: &Round| Team {
        protocol: protocol.name.clone(),
        round: round.name.clone(),
        roles: round.roles.clone(),
        lane: round.lane,
        schema: is_built_in.then(|| round.schema.source().clone()),
    };
    rounds.map(team).collect()
}

/// Adds `protocol` and the chain of those it falls back to.
fn add_protocol(
    protocol: Protocol,
    search_path: ProtocolSearchPath<'_>,
    by_name: &mut BTreeMap<String, Protocol>,
) -> Result<(), RunError> {
    let mut next = Some(protocol);
    while let Some(protocol) = next {
        let fallback = protocol.fallback.clone();
        by_name.insert(protocol.name.clone(), protocol);
        next = match fallback {
            Some(name) if !by_name.contains_key(&name) => Some(load_rounds(&name, search_path)?),
            _ => None,
        };
    }
    Ok(())
}

/// Adds the protocols of all tiers; each is promoted to the one above it.
fn add_tiers(
    tiers: &Tiers,
    search_path: ProtocolSearchPath<'_>,
    by_name: &mut BTreeMap<String, Protocol>,
) -> Result<Tiers, RunError> {
    let [low, medium, high] =
        [&tiers.low, &tiers.medium, &tiers.high].map(|name| load_rounds(name, search_path));
    let (mut low, mut medium, high) = (low?, medium?, high?);
    let names = Tiers {
        low: low.name.clone(),
        medium: medium.name.clone(),
        high: high.name.clone(),
    };
    low.promotion = Some(names.medium.clone()).filter(|name| *name != low.name);
    medium.promotion = Some(names.high.clone()).filter(|name| *name != medium.name);
    for tier in [&mut low, &mut medium] {
        // Promotion takes precedence over the fallback.
        tier.fallback = tier.fallback.take().filter(|_| tier.promotion.is_none());
    }
    for protocol in [low, medium, high] {
        add_protocol(protocol, search_path, by_name)?;
    }
    Ok(names)
}

fn load_rounds(name: &str, search_path: ProtocolSearchPath<'_>) -> Result<Protocol, RunError> {
    match load(name, search_path)? {
        Definition::Rounds(protocol) => Ok(*protocol),
        Definition::Tiers(_) => Err(RunError::NoRounds {
            name: name.to_owned(),
        }),
    }
}

fn load(name: &str, search_path: ProtocolSearchPath<'_>) -> Result<Definition, RunError> {
    if let Some(file) = search_path.named.get(name) {
        let path = search_path.root.join(file);
        let text = std::fs::read_to_string(&path).map_err(RunError::io(&path))?;
        let folder = path.parent().map(Path::to_owned);
        let mut found = Definition::parse(&file.to_string_lossy(), &text, &TemplateFolder(folder))?;
        if let Definition::Rounds(protocol) = &mut found {
            // Other protocols and the ledger use this name.
            name.clone_into(&mut protocol.name);
        }
        return Ok(found);
    }
    if let Some(file) = BUILT_IN.get_file(format!("{name}.yaml")) {
        let text = file.contents_utf8().unwrap_or_default();
        return Ok(Definition::parse(name, text, &TemplateFolder(None))?);
    }
    let path = search_path.root.join(name);
    let read = look::reachable(std::fs::read_to_string(&path));
    let Some(text) = read.map_err(RunError::io(&path))? else {
        let known = BUILT_IN
            .files()
            .filter(|file| file.path().extension().is_some_and(|e| e == "yaml"));
        return Err(RunError::NoProtocol {
            name: name.to_owned(),
            known: known
                .filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()))
                .chain(search_path.named.keys().cloned())
                .collect(),
        });
    };
    let folder = path.parent().map(Path::to_owned);
    Ok(Definition::parse(name, &text, &TemplateFolder(folder))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocols(name: &str, overrides: SwarmOverrides) -> Protocols {
        let search_path = ProtocolSearchPath {
            root: Path::new("/nowhere"),
            named: &BTreeMap::new(),
        };
        Protocols::load(name, search_path, overrides).expect("built in")
    }

    /// The protocol of a task: name, threshold, retries.
    fn of(protocols: &Protocols, metadata: Option<&Metadata>, changed: Option<&str>) -> String {
        let item = ItemId::try_from("st-1".to_owned()).expect("an id");
        match protocols.resolve(&item, metadata, changed) {
            Ok(protocol) => match protocol.consensus {
                Some(gate) => format!("{} {} {}", protocol.name, gate.threshold, gate.retries),
                None => protocol.name,
            },
            Err(error) => error.to_string(),
        }
    }

    fn asks(swarm: SwarmOverrides) -> Metadata {
        Metadata {
            swarm,
            ..Metadata::default()
        }
    }

    const NONE: SwarmOverrides = SwarmOverrides {
        roles: None,
        consensus_threshold: None,
        consensus_retries: None,
        early_vote: None,
    };

    #[test]
    fn settings_of_the_run_override_the_task_and_the_protocol() {
        let three = SwarmOverrides {
            roles: Some(3),
            consensus_retries: Some(0),
            ..NONE
        };
        let one_retry = SwarmOverrides {
            consensus_retries: Some(1),
            ..NONE
        };
        assert_eq!(
            of(&protocols("swarm", NONE), Some(&asks(NONE)), None),
            "swarm 4 2"
        );
        assert_eq!(
            of(&protocols("swarm", NONE), Some(&asks(three)), None),
            "swarm3 3 0"
        );
        assert_eq!(
            of(&protocols("swarm", one_retry), Some(&asks(three)), None),
            "swarm3 3 1"
        );
        assert_eq!(
            of(&protocols("swarm", three), Some(&asks(one_retry)), None),
            "swarm3 3 0"
        );
        let seven = SwarmOverrides {
            roles: Some(7),
            ..NONE
        };
        assert_eq!(
            of(&protocols("swarm", NONE), Some(&asks(seven)), None),
            "item `st-1`: `swarm.roles` is 7; there are protocols for 5 and 3 roles"
        );
        let nine = SwarmOverrides {
            consensus_threshold: Some(9),
            ..NONE
        };
        assert_eq!(
            of(&protocols("swarm", NONE), Some(&asks(nine)), Some("swarm3")),
            "swarm3 3 2",
            "what is too much for a fallback is left out"
        );
        assert_eq!(
            of(
                &protocols("swarm", one_retry),
                Some(&asks(NONE)),
                Some("swarm3")
            ),
            "swarm3 3 1"
        );
        assert_eq!(
            of(&protocols("swarm", NONE), Some(&asks(nine)), None),
            "item `st-1`: `swarm.consensus_threshold` of the task is 9, but there are 5 voters"
        );
        assert_eq!(
            of(&protocols("swarm", nine), Some(&asks(NONE)), None),
            "item `st-1`: the consensus threshold of the run (consensus_threshold=, its variable, or mesh.yaml) is 9, but there are 5 voters"
        );
    }

    #[test]
    fn a_threshold_applies_only_to_a_swarm_of_its_size() {
        let swarm = |roles, consensus_threshold| SwarmOverrides {
            roles,
            consensus_threshold,
            consensus_retries: None,
            early_vote: None,
        };
        let two_of_three = asks(swarm(Some(3), Some(2)));
        let five = protocols("swarm", swarm(Some(5), None));
        assert_eq!(of(&five, Some(&two_of_three), None), "swarm 4 2");
        let five = protocols("swarm", swarm(Some(5), Some(5)));
        assert_eq!(of(&five, Some(&two_of_three), None), "swarm 5 2");
        let usual = protocols("swarm", NONE);
        assert_eq!(of(&usual, Some(&two_of_three), None), "swarm3 2 2");
        let three = protocols("swarm", swarm(Some(3), None));
        assert_eq!(of(&three, Some(&two_of_three), None), "swarm3 2 2");
        let of_five = asks(swarm(None, Some(2)));
        assert_eq!(of(&three, Some(&of_five), None), "swarm3 3 2");
        assert_eq!(of(&usual, Some(&of_five), Some("swarm3")), "swarm3 3 2");
        let tiered = protocols("tiered", swarm(None, Some(1)));
        let medium = Metadata::default();
        assert_eq!(of(&tiered, Some(&medium), None), "duo 1 2");
        assert_eq!(of(&tiered, Some(&medium), Some("swarm")), "swarm 4 2");
    }

    #[test]
    fn a_tier_is_chosen_by_risk_and_promotes_to_the_next() {
        let tiered = protocols("tiered", NONE);
        let risk = |risk| Metadata {
            risk,
            ..Metadata::default()
        };
        assert_eq!(of(&tiered, Some(&risk(Some(Risk::Low))), None), "solo");
        assert_eq!(of(&tiered, Some(&risk(None)), None), "duo 1 2");
        assert_eq!(
            of(&tiered, Some(&risk(Some(Risk::High))), None),
            "swarm 4 2"
        );
        assert_eq!(of(&tiered, None, None), "swarm 4 2");
        assert_eq!(
            of(&tiered, Some(&risk(Some(Risk::Low))), Some("duo")),
            "duo 1 2"
        );
        assert_eq!(tiered.by_name["solo"].promotion.as_deref(), Some("duo"));
        assert_eq!(tiered.by_name["duo"].promotion.as_deref(), Some("swarm"));
        assert_eq!(tiered.by_name["swarm"].promotion, None);
        assert_eq!(tiered.by_name["swarm"].fallback.as_deref(), Some("swarm3"));
        assert_eq!(tiered.widest_round(), 5);
    }
}
