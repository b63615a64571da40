//! A protocol file: rounds, roles, lanes, the consensus gate and its retries.
//!
//! ```yaml
//! name: swarm
//! roles: [proposer, critic_a]
//! hydration: {role: proposer, prompt: hydrate.md, schema: hydrate.json}                  # optional
//! rounds:
//!   - {name: proposal, roles: [proposer], lane: read_only, prompt: proposal.md, schema: proposal.json, inputs: []}
//! consensus: {round: vote, threshold: 4, retries: 2, retry_from: critique}               # optional
//! fallback: swarm3                                                                        # optional
//! ```
//!
//! or, for the protocol by risk, the names of three others:
//!
//! ```yaml
//! name: tiered
//! tiers: {low: solo, medium: duo, high: swarm}
//! ```
//!
//! `prompt` and `schema` name files beside the protocol file, or built-in templates. A protocol that can't
//! work is refused with the file, the line and the reason.

use crate::model::{Lane, Role, RoundName};
use crate::template::{Braces, Template};
use crate::verdict::{Schema, SchemaError};
use serde::Deserialize;
use std::collections::HashSet;

/// Why a protocol was refused.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// YAML that does not parse or does not have the shape of a protocol.
    #[error("protocol `{file}`{at}: {message}")]
    Yaml {
        /// The file or built-in.
        file: String,
        /// `, line 3, column 5`, where known.
        at: String,
        /// What the parser says.
        message: String,
    },
    /// It parses, but can't work.
    #[error("protocol `{file}`, line {line}: {message}")]
    Unusable {
        /// The file or built-in.
        file: String,
        /// The first line that names the culprit.
        line: usize,
        /// Why.
        message: String,
    },
    /// A prompt or schema file is not there.
    #[error("protocol `{file}`, line {line}: no template `{name}` in its folder or built in")]
    NoTemplate {
        /// The file or built-in.
        file: String,
        /// The first line that names it.
        line: usize,
        /// The template.
        name: String,
    },
    /// A prompt asks for a value that there is none of.
    #[error(
        "template `{template}` of protocol `{file}`, line {line}: unknown placeholder `{{{name}}}`{}",
        nearest(near)
    )]
    Placeholder {
        /// The file or built-in.
        file: String,
        /// The template's file.
        template: String,
        /// The line in the template, counted from 1.
        line: usize,
        /// What stands between the braces.
        name: String,
        /// Known names that look like it, best first.
        near: Vec<&'static str>,
    },
    /// A result schema is not one.
    #[error("protocol `{file}`")]
    Schema {
        /// The file or built-in.
        file: String,
        /// What is wrong with the schema.
        #[source]
        source: SchemaError,
    },
}

impl ProtocolError {
    /// What helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            ProtocolError::Placeholder { name, .. } => {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}"));
                let known = known.join(", ");
                Some(format!(
                    "known: {known}; for the text itself write {{{{{name}}}}}"
                ))
            }
            _ => None,
        }
    }
}

fn nearest(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{{{name}}}`")).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; nearest: {}", names.join(", ")),
    }
}

/// Where prompt and schema texts come from; reading files is the caller's business.
pub trait Templates {
    /// The text of template `name`, if there is one.
    fn text(&self, name: &str) -> Option<String>;
}

/// What a protocol file says.
#[derive(Clone, Debug)]
pub enum Definition {
    /// Rounds.
    Rounds(Box<Protocol>),
    /// Other protocols, by the risk of the task.
    Tiers(Tiers),
}

/// Names of protocols by risk; a unit that would be blocked goes up one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// For low risk.
    pub low: String,
    /// For medium risk, and where nothing is said.
    pub medium: String,
    /// For high risk.
    pub high: String,
}

/// A checked protocol.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Its name.
    pub name: String,
    /// All roles, in the order in which rows are written.
    pub roles: Vec<Role>,
    /// The rounds, in order.
    pub rounds: Vec<Round>,
    /// The gate; without one, the patch stands on the mechanical checks and its validation alone.
    pub consensus: Option<Consensus>,
    /// How to ask for metadata that a task lacks.
    pub hydration: Option<Round>,
    /// The protocol of a unit whose workers give no usable answer.
    pub fallback: Option<String>,
    /// The next tier: the protocol of a unit that would be blocked. Set by who puts tiers together.
    pub promotion: Option<String>,
}

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    /// Its name.
    pub name: RoundName,
    /// Who answers, one row each.
    pub roles: Vec<Role>,
    /// What the rows may return.
    pub lane: Lane,
    /// The prompt.
    pub prompt: Template,
    /// The schema of an answer.
    pub schema: Schema,
    /// Earlier rounds whose answers the prompt may show.
    pub inputs: Vec<RoundName>,
}

/// The round that asks for metadata, which stands before all others.
pub const HYDRATION: &str = "hydrate";

/// The consensus gate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consensus {
    /// The round whose answers are votes; the last one.
    pub round: RoundName,
    /// How many must agree.
    pub threshold: u32,
    /// How often to go back when too few agree.
    pub retries: u32,
    /// Where to.
    pub retry_from: RoundName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtocolFile {
    name: String,
    roles: Vec<Role>,
    hydration: Option<HydrationFile>,
    rounds: Vec<RoundFile>,
    consensus: Option<Consensus>,
    fallback: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TiersFile {
    #[serde(rename = "name")]
    _name: String,
    tiers: Tiers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HydrationFile {
    role: Role,
    prompt: String,
    schema: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundFile {
    name: RoundName,
    roles: Vec<Role>,
    lane: Lane,
    prompt: String,
    schema: String,
    #[serde(default)]
    inputs: Vec<RoundName>,
}

impl Definition {
    /// Reads and checks protocol text; `file` is for messages.
    pub fn parse(file: &str, text: &str, templates: &dyn Templates) -> Result<Self, ProtocolError> {
        let outline: Outline =
            serde_yaml::from_str(text).map_err(|error| yaml_error(file, &error))?;
        if outline.tiers.is_none() {
            return Protocol::parse(file, text, templates)
                .map(|protocol| Definition::Rounds(Box::new(protocol)));
        }
        let tiers: TiersFile =
            serde_yaml::from_str(text).map_err(|error| yaml_error(file, &error))?;
        Ok(Definition::Tiers(tiers.tiers))
    }
}

/// What tells the two kinds of file apart.
#[derive(Deserialize)]
struct Outline {
    tiers: Option<serde_yaml::Value>,
}

impl Protocol {
    /// Reads and checks the text of a protocol with rounds; `file` is for messages.
    pub fn parse(file: &str, text: &str, templates: &dyn Templates) -> Result<Self, ProtocolError> {
        let parsed: ProtocolFile =
            serde_yaml::from_str(text).map_err(|error| yaml_error(file, &error))?;
        check(&parsed).map_err(|(culprit, message)| ProtocolError::Unusable {
            file: file.to_owned(),
            line: line_of(text, &culprit),
            message,
        })?;
        let load = |round| load_round(round, file, text, templates);
        let rounds = parsed.rounds.into_iter();
        Ok(Self {
            name: parsed.name,
            roles: parsed.roles,
            rounds: rounds.map(load).collect::<Result<_, _>>()?,
            consensus: parsed.consensus,
            hydration: parsed
                .hydration
                .map(RoundFile::from)
                .map(load)
                .transpose()?,
            fallback: parsed.fallback,
            promotion: None,
        })
    }

    /// The round called `name`, also the one that asks for metadata.
    pub fn round(&self, name: &RoundName) -> Option<&Round> {
        let rounds = self.rounds.iter().chain(&self.hydration);
        rounds.into_iter().find(|round| round.name == *name)
    }

    /// Where the round called `name` stands.
    pub fn position(&self, name: &RoundName) -> Option<usize> {
        self.rounds.iter().position(|round| round.name == *name)
    }

    /// The round whose answer is the patch.
    pub fn patch_round(&self) -> Option<&Round> {
        self.rounds.iter().find(|round| round.lane == Lane::Patch)
    }

    /// Who votes.
    pub fn voters(&self) -> &[Role] {
        let gate = self.consensus.as_ref();
        let round = gate.and_then(|gate| self.round(&gate.round));
        round.map_or(&[], |round| &round.roles)
    }

    /// The most rows that one unit can have in one wave.
    pub fn widest_round(&self) -> usize {
        self.rounds
            .iter()
            .map(|round| round.roles.len())
            .max()
            .unwrap_or(1)
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
        }
    }
}

fn load_round(
    round: RoundFile,
    file: &str,
    text: &str,
    templates: &dyn Templates,
) -> Result<Round, ProtocolError> {
    let template = |name: &str| {
        templates
            .text(name)
            .ok_or_else(|| ProtocolError::NoTemplate {
                file: file.to_owned(),
                line: line_of(text, name),
                name: name.to_owned(),
            })
    };
    let schema = Schema::parse(&round.schema, &template(&round.schema)?).map_err(|source| {
        ProtocolError::Schema {
            file: file.to_owned(),
            source,
        }
    })?;
    let prompt = template(&round.prompt)?;
    if let Some((line, name)) = unknown_placeholder(&prompt) {
        return Err(ProtocolError::Placeholder {
            file: file.to_owned(),
            template: beside(file, &round.prompt),
            near: near(&name),
            line,
            name,
        });
    }
    Ok(Round {
        prompt: Template::parse(&prompt, Braces::Escaped),
        schema,
        name: round.name,
        roles: round.roles,
        lane: round.lane,
        inputs: round.inputs,
    })
}

/// The first placeholder of a prompt that nothing has a value for, with its line. Only what reads as a name is one:
/// templates show JSON to their readers, whose braces are text.
fn unknown_placeholder(prompt: &str) -> Option<(usize, String)> {
    let is_unknown = |name: &&str| {
        let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let word = name.trim();
        let is_word =
            word.starts_with(|c: char| c.is_alphabetic() || c == '_') && word.chars().all(is_part);
        let is_name = is_word || PLACEHOLDERS.contains(&spelled(name).as_str());
        is_name && !PLACEHOLDERS.contains(name)
    };
    // No placeholder goes over the end of a line.
    prompt.lines().enumerate().find_map(|(index, line)| {
        let template = Template::parse(line, Braces::Escaped);
        let name = template.names().into_iter().find(is_unknown)?.to_owned();
        Some((index + 1, name))
    })
}

/// A name as the known ones are spelled.
fn spelled(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' ', '.'], "_")
}

/// The known names that look like `name`, at most three, best first.
fn near(name: &str) -> Vec<&'static str> {
    const ALIKE: f64 = 0.75;
    let name = spelled(name);
    let mut near: Vec<(f64, &str)> = PLACEHOLDERS
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, &name), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(3).map(|(_, known)| known).collect()
}

/// The name of a file beside `file`, as a message shows it.
fn beside(file: &str, name: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

/// `Err((culprit, reason))`: the word to look for in the file, and what is wrong with it.
fn check(file: &ProtocolFile) -> Result<(), (String, String)> {
    let mut earlier: HashSet<&RoundName> = HashSet::new();
    if file.rounds.is_empty() {
        return Err(("rounds".to_owned(), "there are no rounds".to_owned()));
    }
    if let Some(hydration) = &file.hydration
        && !file.roles.contains(&hydration.role)
    {
        let role = &hydration.role;
        let reason = format!(
            "`hydration` has the unknown role `{role}`; roles: {}",
            known_roles(file)
        );
        return Err((role.to_string(), reason));
    }
    for round in &file.rounds {
        let name = &round.name;
        let fail = |culprit: &str, reason: String| Err((culprit.to_owned(), reason));
        if name.as_str() == HYDRATION {
            return fail(
                HYDRATION,
                format!(
                    "round `{HYDRATION}` is the one that `hydration` stands for; choose another name"
                ),
            );
        }
        if !is_word(name.as_str()) {
            return fail(
                name.as_str(),
                format!("round name `{name}` may hold only a-z, 0-9 and _"),
            );
        }
        if round.roles.is_empty() {
            return fail(name.as_str(), format!("round `{name}` has no roles"));
        }
        if let Some(role) = round.roles.iter().find(|role| !file.roles.contains(role)) {
            let known = known_roles(file);
            return fail(
                role.as_str(),
                format!("round `{name}` has the unknown role `{role}`; roles: {known}"),
            );
        }
        if let Some(role) = round.roles.iter().find(|role| !is_word(role.as_str())) {
            return fail(
                role.as_str(),
                format!("role name `{role}` may hold only a-z, 0-9 and _"),
            );
        }
        if let Some(input) = round.inputs.iter().find(|input| !earlier.contains(input)) {
            return fail(
                input.as_str(),
                format!("round `{name}` has the input `{input}`, which is no earlier round"),
            );
        }
        if !earlier.insert(name) {
            return fail(name.as_str(), format!("round `{name}` appears twice"));
        }
    }
    check_patch_lanes(file)?;
    check_consensus(file)
}

fn known_roles(file: &ProtocolFile) -> String {
    let known: Vec<&str> = file.roles.iter().map(Role::as_str).collect();
    known.join(", ")
}

fn check_patch_lanes(file: &ProtocolFile) -> Result<(), (String, String)> {
    let patching: Vec<&RoundFile> = file
        .rounds
        .iter()
        .filter(|round| round.lane == Lane::Patch)
        .collect();
    match patching.as_slice() {
        [round] if round.roles.len() == 1 => Ok(()),
        [round, ..] => Err((
            round.name.to_string(),
            "exactly one role of one round may have the lane `patch`: there is one author of the patch".to_owned(),
        )),
        [] => Err((
            "rounds".to_owned(),
            "no round has the lane `patch`, so there would be nothing to integrate".to_owned(),
        )),
    }
}

fn check_consensus(file: &ProtocolFile) -> Result<(), (String, String)> {
    let last = file.rounds.len() - 1;
    let Some(gate) = &file.consensus else {
        return match file.rounds[last].lane {
            Lane::Patch => Ok(()),
            Lane::ReadOnly => Err((
                file.rounds[last].name.to_string(),
                "without `consensus` the round with the patch is the last one: nobody would read the answers of those behind it".to_owned(),
            )),
        };
    };
    let position = |name: &RoundName| file.rounds.iter().position(|round| round.name == *name);
    let voters = file.rounds[last].roles.len();
    if position(&gate.round) != Some(last) {
        let reason = format!(
            "`consensus.round` is `{}`, which is not the last round: those behind it can't be reached",
            gate.round
        );
        return Err((gate.round.to_string(), reason));
    }
    if gate.threshold == 0 || gate.threshold as usize > voters {
        let reason = format!(
            "`consensus.threshold` is {}, but `{}` has {voters} voters",
            gate.threshold, gate.round
        );
        return Err(("threshold".to_owned(), reason));
    }
    if position(&gate.retry_from).is_none_or(|from| from >= last) {
        let reason = format!(
            "`consensus.retry_from` is `{}`, which is no round before the vote",
            gate.retry_from
        );
        return Err(("retry_from".to_owned(), reason));
    }
    Ok(())
}

/// Names go into row ids, which are taken apart at dots, and into file names.
fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The first line with `word` standing by itself: YAML positions of single values are not kept by the parser.
fn line_of(text: &str, word: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    text.lines()
        .position(|line| {
            let line = line.split(" #").next().unwrap_or(line);
            line.split(|c: char| !is_part(c)).any(|token| token == word)
        })
        .map_or(1, |index| index + 1)
}

fn yaml_error(file: &str, error: &serde_yaml::Error) -> ProtocolError {
    let text = error.to_string();
    let at = error
        .location()
        .map(|at| format!(", line {}, column {}", at.line(), at.column()));
    let message = match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    };
    ProtocolError::Yaml {
        file: file.to_owned(),
        at: at.unwrap_or_default(),
        message,
    }
}

/// Every placeholder there is a value for; a template with another one is refused.
pub const PLACEHOLDERS: [&str; 14] = [
    "task_id",
    "objective",
    "mesh_meta",
    "files",
    "step",
    "role",
    "attempt",
    "proposal",
    "critiques",
    "synthesis",
    "patch",
    "checks",
    "dissent",
    "feedback",
];

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Templates for Fixed {
        fn text(&self, name: &str) -> Option<String> {
            (name != "missing.md").then(|| "{}".to_owned())
        }
    }

    const GOOD: &str = "\
name: duo
roles: [author, skeptic]
rounds:
  - {name: draft, roles: [author], lane: patch, prompt: p.md, schema: s.json}
  - {name: vote, roles: [author, skeptic], lane: read_only, prompt: p.md, schema: s.json, inputs: [draft]}
consensus: {round: vote, threshold: 2, retries: 1, retry_from: draft}
";

    fn refusal(from: &str, to: &str) -> String {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        Protocol::parse("p.yaml", &text, &Fixed)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn a_good_protocol_is_read() {
        let protocol = Protocol::parse("p.yaml", GOOD, &Fixed).expect("usable");
        assert_eq!((protocol.rounds.len(), protocol.widest_round()), (2, 2));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_line() {
        let unknown = refusal("roles: [author], lane", "roles: [autor], lane");
        assert_eq!(
            unknown,
            "protocol `p.yaml`, line 4: round `draft` has the unknown role `autor`; roles: author, skeptic"
        );
        assert!(
            refusal("inputs: [draft]", "inputs: [critique]")
                .contains("line 5: round `vote` has the input `critique`")
        );
        assert!(
            refusal("threshold: 2", "threshold: 3")
                .contains("line 6: `consensus.threshold` is 3, but `vote` has 2 voters")
        );
        assert!(
            refusal("retry_from: draft", "retry_from: vote").contains("no round before the vote")
        );
        assert!(
            refusal("lane: patch", "lane: read_only").contains("no round has the lane `patch`")
        );
        assert!(
            refusal(
                "prompt: p.md, schema: s.json}",
                "prompt: missing.md, schema: s.json}"
            )
            .contains("line 4: no template `missing.md`")
        );
        assert!(
            refusal("lane: patch", "lane: write").starts_with("protocol `p.yaml`, line 4, column")
        );
        assert!(refusal("retries: 1", "retrys: 1").contains("retrys"));
    }
}
