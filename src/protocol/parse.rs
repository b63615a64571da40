//! Reads the text of a protocol file, with its templates, into a checked [`Definition`].

use super::check::check;
use super::definition::{Definition, Protocol, Round, Select};
use super::error::ProtocolError;
use super::file::{Outline, ProtocolFile, RoundFile, TiersFile};
use super::placeholders::{find_similar, find_unknown};
use crate::model::{Role, yaml_error};
use crate::template::{Braces, Template};
use crate::verdict::Schema;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;

/// The source of prompt and schema texts, so that this module reads no files.
pub trait Templates {
    /// The text of template `name`, if it exists.
    ///
    /// # Errors
    /// It can't be read.
    fn text(&self, name: &str) -> io::Result<Option<String>>;
}

impl Definition {
    /// Reads and checks a protocol file; `file` is its name in messages.
    pub fn parse(file: &str, text: &str, templates: &dyn Templates) -> Result<Self, ProtocolError> {
        let outline: Outline = parse_yaml(file, text)?;
        if outline.tiers.is_some() {
            return parse_yaml(file, text).map(|file: TiersFile| Definition::Tiers(file.tiers));
        }
        Protocol::parse(file, text, templates)
            .map(|protocol| Definition::Rounds(Box::new(protocol)))
    }
}

impl Protocol {
    /// Reads and checks a protocol file with rounds; `file` is its name in messages.
    pub fn parse(file: &str, text: &str, templates: &dyn Templates) -> Result<Self, ProtocolError> {
        let parsed: ProtocolFile = parse_yaml(file, text)?;
        check(&parsed).map_err(|unusable| ProtocolError::Unusable {
            file: file.to_owned(),
            line: find_line(text, &unusable.word),
            message: unusable.message,
        })?;
        let hydration = parsed.hydration.map(RoundFile::from);
        let gated = parsed.consensus.is_some();
        let load = |round| load_round(round, gated, file, text, templates);
        Ok(Self {
            name: parsed.name,
            roles: list_roles(&parsed.roles.names, &parsed.rounds),
            bindings: Arc::new(parsed.roles.bindings),
            rounds: parsed
                .rounds
                .into_iter()
                .map(load)
                .collect::<Result<_, _>>()?,
            consensus: parsed.consensus,
            hydration: hydration.map(load).transpose()?.map(Arc::new),
            fallback: parsed.fallback,
            promotion: None,
        })
    }
}

/// All roles that rows have, in order: candidates stand in the place of their author.
fn list_roles(named: &[Role], rounds: &[RoundFile]) -> Vec<Role> {
    let several = rounds.iter().find(|round| round.candidates.is_some());
    let also_alone = |author: &Role| {
        let alone = rounds.iter().filter(|round| round.candidates.is_none());
        alone
            .flat_map(|round| &round.roles)
            .any(|role| role == author)
    };
    let rows_of = |role: &Role| match several {
        Some(round) if round.roles.contains(role) => {
            let alone = also_alone(role).then(|| role.clone());
            alone.into_iter().chain(round.row_roles()).collect()
        }
        _ => vec![role.clone()],
    };
    // The name of a candidate is there for its binding only.
    let is_candidate = |role: &&Role| {
        several.is_some_and(|round| round.row_roles().contains(role)) && !also_alone(role)
    };
    let named = named.iter().filter(|role| !is_candidate(role));
    named.flat_map(rows_of).collect()
}

fn load_round(
    round: RoundFile,
    gated: bool,
    file: &str,
    text: &str,
    templates: &dyn Templates,
) -> Result<Round, ProtocolError> {
    let template = |name: &str| {
        let (file, line) = (file.to_owned(), find_line(text, name));
        let name = name.to_owned();
        match templates.text(&name) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(ProtocolError::NoTemplate { file, line, name }),
            Err(source) => Err(ProtocolError::Unreadable {
                file,
                line,
                name,
                source,
            }),
        }
    };
    let schema = Schema::parse(&round.schema, &template(&round.schema)?).map_err(|source| {
        ProtocolError::Schema {
            file: file.to_owned(),
            source,
        }
    })?;
    let prompt = template(&round.prompt)?;
    if let Some((line, name)) = find_unknown(&prompt) {
        return Err(ProtocolError::Placeholder {
            file: file.to_owned(),
            template: sibling(file, &round.prompt),
            near: find_similar(&name),
            line,
            name,
        });
    }
    let by_default = match gated {
        true => Select::Vote,
        false => Select::Evidence,
    };
    Ok(Round {
        roles: round.row_roles(),
        is_test: round.test,
        select: round.candidates.map(|_| round.select.unwrap_or(by_default)),
        prompt: Template::parse(&prompt, Braces::Escaped),
        schema,
        name: round.name,
        lane: round.lane,
        inputs: round.inputs,
    })
}

/// The name of a file in the folder of `file`, for messages.
fn sibling(file: &str, name: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

/// The first line with `word` as a whole word: the parser does not keep the positions of values.
fn find_line(text: &str, word: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    text.lines()
        .position(|line| {
            let line = line.split(" #").next().unwrap_or(line);
            line.split(|c: char| !is_part(c)).any(|token| token == word)
        })
        .map_or(1, |index| index + 1)
}

fn parse_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ProtocolError> {
    serde_yaml::from_str(text).map_err(|error| {
        let place = yaml_error::place(&error, text);
        let at = place.map(|(line, column)| format!(", line {line}, column {column}"));
        ProtocolError::Yaml {
            file: file.to_owned(),
            at: at.unwrap_or_default(),
            message: yaml_error::message(&error, 1),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Templates for Fixed {
        fn text(&self, name: &str) -> io::Result<Option<String>> {
            Ok((name != "missing.md").then(|| "{}".to_owned()))
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
    fn roles_are_bound_in_a_mapping_and_candidates_one_by_one() {
        let text = GOOD
            .replace(
                "roles: [author, skeptic]\n",
                "roles: {author: {model: m}, author_2: {effort: high}, skeptic: {adapter: codex}}\n",
            )
            .replace("lane: patch,", "lane: patch, candidates: 2,")
            .replace("roles: [author, skeptic], lane", "roles: [skeptic], lane")
            .replace("threshold: 2", "threshold: 1");
        let protocol = Protocol::parse("p.yaml", &text, &Fixed).expect("usable");
        let names: Vec<&str> = protocol.roles.iter().map(Role::as_str).collect();
        assert_eq!(names, ["author_1", "author_2", "skeptic"]);
        let authors = protocol
            .roles
            .iter()
            .map(|role| protocol.author_of(role).to_string());
        assert_eq!(authors.collect::<Vec<_>>(), ["author", "author", "skeptic"]);
        let bound = protocol
            .bindings
            .iter()
            .map(|(role, it)| format!("{role}={it}"));
        let bound: Vec<String> = bound.collect();
        assert_eq!(bound, ["author=:m", "author_2=::high", "skeptic=codex"]);
        assert_eq!(
            refusal(
                "[author, skeptic]\nrounds",
                "{author: {}, skeptic: , judge: {model: m}}\nrounds"
            ),
            "protocol `p.yaml`, line 2: `roles` binds `judge`, which no round has"
        );
        assert!(
            refusal(
                "[author, skeptic]\nrounds",
                "{author: {}, skeptic: {adaptor: x}}\nrounds"
            )
            .contains("adaptor")
        );
    }

    #[test]
    fn an_unusable_protocol_is_refused_with_its_line() {
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
