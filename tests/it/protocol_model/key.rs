//! What tells two states apart: all that decides what can happen next.
//!
//! Numbers of waves and attempts only name things, and of past rounds only what is asked of them counts. Roles that a protocol treats
//! alike ([`class`]) are not told apart: a state is the same if they change places.

use super::observer::SeenUnit;
use super::outcomes::Outcome;
use super::world::{Call, Disk, Setting};
use mesh::job::Status as RowStatus;
use mesh::model::{Role, RowKey};
use mesh::protocol::Answer;
use mesh::run::Unit;
use std::fmt::Write;

/// The state as text; `call` is what a call of the program holds beside it.
pub fn text(setting: &Setting, disk: &Disk, call: Option<&Call>) -> String {
    let mut text = String::new();
    for item in disk.plan.items() {
        let _ = write!(text, "{:?}{} ", item.status(), item.notes() == "prose");
    }
    for unit in &disk.state.units {
        write_unit(setting, disk, unit, &mut text);
    }
    for wave in disk.state.waves.iter().filter(|wave| wave.is_open()) {
        let compiled = &wave.compiled;
        let call = call.map(|call| {
            let is_running = call.running.contains_key(&compiled.wave);
            (is_running, call.ended.get(&compiled.wave))
        });
        let units = compiled
            .rows
            .iter()
            .filter_map(RowKey::parse)
            .map(|key| key.unit);
        let _ = write!(
            text,
            "\n{:?} {} {:?} {} {call:?} ",
            units.min(),
            compiled.max_concurrency,
            wave.failures,
            wave.refused.len(),
        );
    }
    let scenario = &setting.scenario;
    let has_budget = !scenario.budget[0].is_none() || !scenario.task_budget.is_none();
    if has_budget {
        let spent = disk.state.units.iter().map(|unit| unit.spent);
        let _ = write!(text, "{:?} ", spent.collect::<Vec<_>>());
    }
    if let Some(call) = call {
        write_call(call, disk.state.applied, &mut text);
        if has_budget {
            let _ = write!(text, "{:?} ", call.budget);
        }
    }
    let seen = &disk.seen;
    let numbers = (disk.state.reduced_concurrency, seen.concurrency);
    let counts = (seen.failures, seen.kills, seen.is_raised);
    let _ = write!(text, "\n{numbers:?} {counts:?}");
    text
}

fn write_call(call: &Call, applied: u64, text: &mut String) {
    let _ = write!(
        text,
        "\ncalled {:?} {:?} {} {:?} {} ",
        call.queue,
        call.closed,
        call.is_stopping,
        call.end,
        call.slots.taken(),
    );
    for (unit, patch) in &call.patches {
        let is_old = applied > patch.applied_before;
        let (is_validating, is_new) = (patch.is_validating, patch.is_new);
        let _ = write!(
            text,
            "{unit} {is_validating} {:?} {is_new} {} {is_old} ",
            patch.tried, patch.tries
        );
    }
}

fn write_unit(setting: &Setting, disk: &Disk, unit: &Unit, text: &mut String) {
    let ended = unit.ended.as_ref().map(|ended| &ended.status);
    let _ = write!(text, "\n{} {ended:?} ", unit.id);
    if ended.is_some() {
        return;
    }
    let state = &unit.state;
    let (protocol, _) = setting.protocol(&disk.plan, unit);
    let _ = write!(
        text,
        "{} {:?} {:?} {} {} ",
        protocol.name,
        state.fell_back_in,
        state.integration,
        unit.is_early,
        unit.open_integration.is_some()
    );
    let current = state.current_emissions();
    let mut before = None;
    for run in &state.rounds[..state.rounds.len() - current.len()] {
        if before != Some(&run.round) {
            let _ = write!(text, "{} ", run.round);
        }
        before = Some(&run.round);
    }
    let Some(last) = current.last() else {
        return;
    };
    let round = last.round.as_str();
    let nothing = SeenUnit::default();
    let seen = disk.seen.units.get(&unit.id).unwrap_or(&nothing);
    let mut patches: Vec<&String> = seen.patches.values().collect();
    patches.sort();
    let _ = write!(text, "{round} {patches:?} {} ", seen.tests.len());
    if let Some(tally) = state.current_tally() {
        let chosen = tally
            .chosen
            .as_ref()
            .and_then(|role| seen.patches.get(role));
        let _ = write!(
            text,
            "{} {} {} {chosen:?} ",
            tally.agree, tally.absent, tally.consensus
        );
    }
    let roles = protocol
        .round(&last.round)
        .map_or(&[][..], |round| &round.roles);
    let mut lines: Vec<String> = roles
        .iter()
        .map(|role| role_text(setting, disk, unit, seen, role))
        .collect();
    lines.sort();
    let _ = write!(text, "{lines:?}");
}

/// What is known of a role in the current round.
fn role_text(setting: &Setting, disk: &Disk, unit: &Unit, seen: &SeenUnit, role: &Role) -> String {
    let state = &unit.state;
    let current = state.current_emissions();
    let round = current.last().map_or("", |run| run.round.as_str());
    let mut text = format!("{} ", class(round, role));
    let mut answers = current.iter().filter_map(|run| run.answer(role));
    let had_retry = answers.any(|answer| matches!(answer, Answer::Retry { .. }));
    let _ = write!(text, "{had_retry} {} ", state.count_faults(role));
    let _ = match state.current_answers().get(role) {
        None => write!(text, "- "),
        Some(Answer::Open) => write!(text, "open "),
        Some(Answer::Accepted(place)) => {
            let answer = place.read(&setting.outcomes.lines).expect("a known answer");
            write!(text, "{} ", outcome_text(&Outcome::Answer(answer), seen))
        }
        Some(Answer::Retry { .. }) => write!(text, "retry "),
        Some(Answer::Rejected { code, .. }) => {
            write!(text, "rejected {} ", code == "does_not_apply")
        }
        Some(Answer::Fault { is_final, .. }) => write!(text, "fault {is_final} "),
    };
    let checked = current.iter().rev().find_map(|run| run.checked.get(role));
    let evidence = checked.and_then(|checked| checked.evidence.as_ref());
    let _ = write!(text, "{:?} ", evidence.map(|evidence| &evidence.result));
    write_row(setting, disk, unit, seen, role, &mut text);
    let vote = seen.votes.get(role).filter(|_| round == "vote");
    let vote = vote.map(|vote| voted(vote, seen));
    let _ = write!(text, "{vote:?} {:?}", seen.counts(role));
    text
}

/// The row of a role without a verdict.
fn write_row(
    setting: &Setting,
    disk: &Disk,
    unit: &Unit,
    seen: &SeenUnit,
    role: &Role,
    text: &mut String,
) {
    let open = disk.state.waves.iter().filter(|wave| wave.is_open());
    for wave in open {
        let rows = (0..).zip(&wave.compiled.rows);
        let keys = rows.filter_map(|(index, id)| Some((index, RowKey::parse(id)?)));
        let mut own = keys.filter(|(_, key)| key.unit == unit.id && key.role == *role);
        let Some((index, _)) = own.next() else {
            continue;
        };
        let _ = write!(text, "row {} ", wave.is_judged(index));
        if let Some(item) = wave.job.item(index) {
            let (begun, failures) = (item.attempts > 0, item.failures);
            let _ = write!(text, "{:?} {begun} {failures} ", item.status);
            let place = match item.status {
                RowStatus::Pending => None,
                RowStatus::Running | RowStatus::Completed => item.reported,
                RowStatus::Failed => item.finished,
            };
            if let Some(place) = place {
                let outcome = setting.outcomes.at(place.get());
                let _ = write!(text, "{} ", outcome_text(outcome, seen));
            }
        }
    }
}

/// An outcome, with a vote for a candidate as one for its patch.
fn outcome_text(outcome: &Outcome, seen: &SeenUnit) -> String {
    match outcome {
        Outcome::Answer(answer) if answer["vote"].is_string() => {
            voted(answer["vote"].as_str().unwrap_or_default(), seen)
        }
        outcome => outcome.name(),
    }
}

fn voted(vote: &str, seen: &SeenUnit) -> String {
    let patch = seen.patches.get(&Role::new(vote));
    patch.map_or(vote.to_owned(), |patch| format!("for {patch}"))
}

/// The roles of a round that are treated alike have one name: candidates, the two critics, and in a vote all others.
pub fn class<'r>(round: &str, role: &'r Role) -> &'r str {
    match (round, role.as_str()) {
        (_, "critic_a" | "critic_b") => "critic",
        ("vote", _) => "voter",
        (_, role) if role.starts_with("author_") => "author_",
        (_, role) => role,
    }
}
