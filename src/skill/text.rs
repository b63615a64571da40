//! The files of the skill.

use crate::audit;
use crate::invoke::KEYS;
use crate::model::BlockReason;
use crate::platform::sha256_of_bytes;
use crate::template::{Braces, Template};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The files of the skill, the one that agents look for first.
pub const FILES: [&str; 2] = ["SKILL.md", "policy.md"];
const SKILL: &str = include_str!("../../templates/skill/SKILL.md");
const POLICY: &str = include_str!("../../templates/skill/policy.md");
const PROTOCOL: &str = include_str!("../../templates/swarm.yaml");
/// Before the hash in the last line.
const MARK: &str = "<!-- written by mesh skill install; sha256 of the text above: ";
const MARK_END: &str = " -->\n";
/// The guardrails, each with the rule of the audit that judges it, and what the rule does not say.
const GUARDRAILS: [(&str, &str, &str); 6] = [
    ("Dependencies decide the order", "dependency_order", ""),
    ("One writer", "single_writer", ""),
    ("One concurrency number", "one_concurrency_number", ""),
    ("Backpressure after a bad wave", "backpressure", ""),
    ("Waves that any runner can work", "portable_waves", ""),
    (
        "One vocabulary from one source",
        "portable_waves",
        "; this file and the skill are written by the program, and `mesh skill check` finds a copy that differs",
    ),
];

#[derive(Deserialize)]
struct Protocol {
    roles: Vec<String>,
    rounds: Vec<Round>,
    consensus: Consensus,
}

#[derive(Deserialize)]
struct Round {
    name: String,
}

#[derive(Deserialize)]
struct Consensus {
    threshold: u32,
    retries: u32,
}

/// The text of one of [`FILES`], with its last line.
pub fn text(file: &str) -> String {
    let template = if file == FILES[0] { SKILL } else { POLICY };
    let values = values();
    // `{column}` and the like are no names of ours, and stay as they are.
    let body = Template::parse(template, Braces::Plain)
        .render(|name| values.get(name).map(String::as_str));
    let hash = sha256_of_bytes(body.as_bytes());
    format!("{body}{MARK}{hash}{MARK_END}")
}

/// Whether `text` is as some `mesh` wrote it.
pub fn is_as_written(text: &str) -> bool {
    let parts = text.rsplit_once(MARK);
    parts.is_some_and(|(body, rest)| {
        rest.strip_suffix(MARK_END) == Some(sha256_of_bytes(body.as_bytes()).as_str())
    })
}

fn values() -> BTreeMap<&'static str, String> {
    let protocol: Protocol =
        serde_yaml::from_str(PROTOCOL).expect("the built-in protocol is tested");
    let rounds: Vec<String> = protocol
        .rounds
        .into_iter()
        .map(|round| round.name)
        .collect();
    let consensus = protocol.consensus;
    BTreeMap::from([
        ("keys", quoted(&KEYS.map(|key| format!("{key}=…")))),
        ("rounds", quoted(&rounds)),
        ("roles", quoted(&protocol.roles)),
        ("votes", protocol.roles.len().to_string()),
        ("threshold", consensus.threshold.to_string()),
        ("retries", consensus.retries.to_string()),
        (
            "reasons",
            quoted(&BlockReason::ALL.map(BlockReason::as_str)),
        ),
        ("guardrails", guardrails()),
    ])
}

fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    let words = words.iter().map(|word| format!("`{}`", word.as_ref()));
    words.collect::<Vec<_>>().join(", ")
}

fn guardrails() -> String {
    let mut text = String::new();
    let rules = audit::rules();
    let rule = |name: &str| rules.iter().find(|(known, _)| *known == name);
    for (number, (title, check, more)) in (1..).zip(GUARDRAILS) {
        let (name, rule) = rule(check).expect("a rule of the audit");
        let _ = writeln!(text, "{number}. {title}: {rule} (`{name}`){more}.");
    }
    text.push_str("\nAnd what a run must be able to show:\n\n");
    for (name, rule) in rules {
        if GUARDRAILS.iter().all(|(_, check, _)| *check != name) {
            let _ = writeln!(text, "- {rule} (`{name}`).");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_knows_whether_it_was_edited() {
        for file in FILES {
            let text = text(file);
            assert!(is_as_written(&text), "{file}");
            assert!(!is_as_written(&text.replacen("mesh", "mash", 1)), "{file}");
            assert!(!is_as_written(&format!("{text}more\n")), "{file}");
        }
        assert!(!is_as_written(""));
    }

    #[test]
    fn the_skill_has_the_form_that_agents_read() {
        let skill = text(FILES[0]);
        let (front, body) = skill
            .strip_prefix("---\n")
            .and_then(|rest| rest.split_once("\n---\n"))
            .expect("front matter");
        let front: BTreeMap<String, String> = serde_yaml::from_str(front).expect("YAML");
        assert_eq!(front["name"], "mesh");
        assert!((1..=1024).contains(&front["description"].chars().count()));
        for value in values().into_keys() {
            let name = format!("{{{value}}}");
            assert!(
                !skill.contains(&name) && !text(FILES[1]).contains(&name),
                "{name}"
            );
        }
        assert!(body.contains("`no_consensus`") && body.contains("{column}"));
        assert!(body.lines().count() < 500);
    }
}
