//! Renders a round's prompt: its template, filled with the task and the earlier answers.
//!
//! | placeholder | value |
//! | --- | --- |
//! | `task_id`, `objective`, `mesh_meta`, `files` | the task, its metadata as YAML, the files of its scope |
//! | `step`, `role`, `attempt` | the round, the role that answers, the number of the emission |
//! | `proposal`, `critiques`, `synthesis`, `patch` | earlier answers, as JSON or a fenced diff |
//! | `checks` | the result of the mechanical checks on the patch |
//! | `dissent` | the last tally and the reasons of the votes against |
//! | `test` | the test that fails without the patch, as a fenced diff |
//! | `candidates` | the patches to choose from, with their checks |
//! | `feedback` | why the previous answer of this role was refused |

use super::candidates::{remaining, select};
use super::consensus::{AGREE, NOT_ASKED};
use super::definition::{HYDRATION, Protocol, Round};
use super::placeholders::PLACEHOLDERS;
use super::state::{Answer, UnitState};
use crate::model::{Lane, Role, RoundName};
use crate::template;
use serde_json::Value;
use std::collections::BTreeMap;

/// The part of a prompt that describes the task.
#[derive(Clone, Debug)]
pub struct TaskContext {
    /// The plan item's id.
    pub task_id: String,
    /// Its step text.
    pub objective: String,
    /// Its metadata as YAML.
    pub mesh_meta: String,
    /// The files of its scope, as Markdown.
    pub files: String,
}

/// The prompt of `role` in emission `attempt` of `round`.
pub fn render(
    protocol: &Protocol,
    round: &Round,
    role: &Role,
    attempt: u32,
    task: &TaskContext,
    state: &UnitState,
) -> String {
    // In the order of `PLACEHOLDERS`.
    let values = [
        task.task_id.clone(),
        task.objective.clone(),
        task.mesh_meta.clone(),
        task.files.clone(),
        step(round).to_owned(),
        role.to_string(),
        attempt.to_string(),
        answers(protocol, state, "proposal", round),
        answers(protocol, state, "critique", round),
        answers(protocol, state, "synthesis", round),
        fenced(latest_patch(protocol, state)),
        checks(protocol, state),
        dissent(state),
        feedback(state, round, role),
        candidates(protocol, state),
        test(protocol, state),
    ];
    let values = values.map(|value| escape_input_end(&value));
    let values: BTreeMap<&str, String> = PLACEHOLDERS.into_iter().zip(values).collect();
    round
        .prompt
        .render(|name| values.get(name).map(String::as_str))
}

/// The name of the round's step in prompts.
fn step(round: &Round) -> &str {
    match round.name.as_str() {
        HYDRATION => "hydrate_meta",
        name => name,
    }
}

/// Escapes `</input`: prompts put each value between lines `<input …>` and `</input>`, and no value may close it.
fn escape_input_end(value: &str) -> String {
    value.trim_end().replace("</input", "<\\/input")
}

/// The accepted answers of an earlier round, if it is an input of this one; the patch has its own placeholder.
fn answers(protocol: &Protocol, state: &UnitState, name: &str, of: &Round) -> String {
    let name = RoundName::new(name);
    if !of.inputs.contains(&name) || protocol.round(&name).is_none() {
        return "none".to_owned();
    }
    let blocks = state
        .accepted_answers(&name)
        .into_iter()
        .map(|(role, value)| {
            let mut value = value.clone();
            if let Value::Object(object) = &mut value {
                object.shift_remove("patch");
            }
            let text = format!("{value:#}");
            let fence = template::fence_for(&text);
            format!("{role}:\n\n{fence}json\n{text}\n{fence}")
        });
    let text = blocks.collect::<Vec<_>>().join("\n\n");
    match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    }
}

fn fenced(patch: Option<&str>) -> String {
    match patch {
        Some(text) => {
            let fence = template::fence_for(text);
            format!("{fence}diff\n{}\n{fence}", text.trim_end_matches('\n'))
        }
        None => "none".to_owned(),
    }
}

/// The answer of the round that writes a test, if the protocol has one.
pub fn latest_test<'s, A>(protocol: &Protocol, state: &'s UnitState<A>) -> Option<&'s A> {
    let round = protocol.test_round()?;
    state.accepted_answers(&round.name).into_values().next()
}

fn test(protocol: &Protocol, state: &UnitState) -> String {
    fenced(latest_test(protocol, state).and_then(|test| test.get("patch")?.as_str()))
}

/// The patch that was accepted last.
pub fn latest_patch<'s>(protocol: &Protocol, state: &'s UnitState) -> Option<&'s str> {
    latest_synthesis(protocol, state)?.get("patch")?.as_str()
}

/// The answer of the patch round that was accepted last.
pub fn latest_synthesis<'s, A>(protocol: &Protocol, state: &'s UnitState<A>) -> Option<&'s A> {
    let round = protocol.patch_round()?;
    if round.select.is_some() {
        return Some(select(protocol, state)?.patch);
    }
    state.accepted_answers(&round.name).into_values().next()
}

fn checks(protocol: &Protocol, state: &UnitState) -> String {
    let none = || "none".to_owned();
    if protocol.select().is_some() {
        let selected = select(protocol, state);
        return selected.map_or_else(none, |one| one.checks.to_owned());
    }
    let found = state.rounds.iter().rev().find(|run| {
        protocol
            .round(&run.round)
            .is_some_and(|round| round.lane == Lane::Patch && !round.is_test)
    });
    let checked = found.and_then(|run| run.checked.values().next());
    checked.map_or_else(none, |checked| checked.text.clone())
}

/// The candidates that evidence can't tell apart, each with its decision log, its patch and its checks.
fn candidates(protocol: &Protocol, state: &UnitState) -> String {
    let blocks = remaining(protocol, state).into_iter().map(|candidate| {
        let mut answer = candidate.patch.clone();
        let patch = match &mut answer {
            Value::Object(object) => object.shift_remove("patch"),
            _ => None,
        };
        let patch = patch.as_ref().and_then(Value::as_str).unwrap_or_default();
        let log = format!("{answer:#}");
        let (of_log, of_patch) = (template::fence_for(&log), template::fence_for(patch));
        format!(
            "Candidate `{}`:\n\n{of_log}json\n{log}\n{of_log}\n\n{of_patch}diff\n{}\n{of_patch}\n\n{}",
            candidate.role,
            patch.trim_end_matches('\n'),
            candidate.checks,
        )
    });
    match blocks.collect::<Vec<_>>().join("\n\n") {
        text if text.is_empty() => "none".to_owned(),
        text => text,
    }
}

fn dissent(state: &UnitState) -> String {
    let Some(tally) = state.tallies.last() else {
        return "none: this is the first vote cycle".to_owned();
    };
    let against = tally
        .votes
        .iter()
        .filter(|line| ![AGREE, NOT_ASKED].contains(&line.vote.as_str()));
    let lines = against.map(|line| format!("- {} ({}): {}", line.role, line.vote, line.reason));
    format!(
        "Vote {}: {} agree, {} disagree, {} absent; {} needed.\n\n{}",
        tally.attempt,
        tally.agree,
        tally.disagree,
        tally.absent,
        tally.threshold,
        lines.collect::<Vec<_>>().join("\n")
    )
}

fn feedback(state: &UnitState, round: &Round, role: &Role) -> String {
    let last = state
        .current_emissions()
        .iter()
        .rev()
        .filter(|run| run.round == round.name);
    let mut answers = last.filter_map(|run| run.answer(role));
    match answers.find(|answer| !matches!(answer, Answer::Open)) {
        Some(Answer::Retry { code, detail } | Answer::Rejected { code, detail }) => {
            format!("{code}: {detail}")
        }
        _ => "none".to_owned(),
    }
}
