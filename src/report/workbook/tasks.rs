//! The sheets Tasks and Votes of a run of a plan.

use super::value::Value;
use super::waves::Waves;
use crate::model::{RowKey, UnitId};
use crate::report::plan_report::{Report, TaskReport};
use crate::run::{State, Unit};
use std::collections::HashMap;

/// The titles of the sheet Tasks.
pub const TASK_COLUMNS: [&str; 14] = [
    "task",
    "status",
    "reason",
    "detail",
    "votes",
    "changed paths",
    "validation",
    "refused answers",
    "tokens",
    "cost",
    "commit",
    "waves",
    "first wave",
    "last wave",
];
/// The most votes with a column of their own; protocols allow fewer.
const VOTES_MAX: usize = 50;

/// The rows of Tasks, with links to the first and the last wave of each.
pub fn tasks(state: &State, waves: &Waves) -> Vec<Vec<Value>> {
    let spans = wave_spans(state);
    let report = Report::of(state);
    let tasks = report.iter().flat_map(|report| &report.tasks);
    tasks
        .map(|task| {
            let span = spans.get(task.id.as_str());
            let mut values = task_values(task);
            let link = |wave: u32| match waves.place(wave) {
                Some(place) => Value::Row(format!("{wave:03}"), place.clone()),
                None => Value::text(format!("{wave:03}")),
            };
            values.extend(match span {
                Some(span) => [Value::count(span.count), link(span.first), link(span.last)],
                None => [Value::count(0), Value::Empty, Value::Empty],
            });
            values
        })
        .collect()
}

fn task_values(task: &TaskReport) -> Vec<Value> {
    let lines = |lines: Vec<String>| Value::text(lines.join("\n"));
    let paths = task.changed_paths.iter();
    let validation = task.validation.iter();
    let refusals = task.refusals.iter();
    let usage = task.usage.as_ref();
    vec![
        Value::text(&task.id),
        Value::text(&task.state),
        Value::text(task.reason.clone().unwrap_or_default()),
        Value::text(task.detail.clone().unwrap_or_default()),
        Value::count(task.consensus_attempts as u64),
        lines(paths.map(|path| path.display().to_string()).collect()),
        lines(
            validation
                .map(|one| format!("{}: {}", one.command, one.outcome))
                .collect(),
        ),
        lines(
            refusals
                .map(|one| format!("{}: {}: {}", one.row, one.code, one.detail))
                .collect(),
        ),
        usage.map_or(Value::Empty, |usage| Value::count(usage.tokens())),
        Value::dollars(usage.and_then(|usage| usage.cost_usd)),
        Value::text(
            task.commit
                .as_ref()
                .map_or(String::new(), |commit| commit.id.clone()),
        ),
    ]
}

/// The waves of a task.
struct Span {
    first: u32,
    last: u32,
    count: u64,
}

fn wave_spans(state: &State) -> HashMap<String, Span> {
    let mut spans: HashMap<String, Span> = HashMap::new();
    for wave in &state.waves {
        let number = wave.compiled.wave.0;
        for key in wave.compiled.rows.iter().filter_map(RowKey::parse) {
            let span = spans.entry(key.unit.to_string()).or_insert(Span {
                first: number,
                last: 0,
                count: 0,
            });
            span.count += u64::from(span.last != number);
            span.last = number;
        }
    }
    spans
}

/// The titles of the sheet Votes: a column for each vote.
pub fn vote_columns(state: &State) -> Vec<String> {
    let votes = state.units.iter().map(|unit| unit.state.tallies.len());
    let votes = votes.max().unwrap_or(0).min(VOTES_MAX);
    let titles = ["task", "role"].map(str::to_owned).into_iter();
    let numbered = (1..=votes).map(|number| format!("vote {number}"));
    titles
        .chain(numbered)
        .chain(["reasons".to_owned()])
        .collect()
}

/// The rows of Votes: for each task its roles and, last, the counts.
pub fn votes(state: &State, columns: &[String]) -> Vec<Vec<Value>> {
    let votes = columns.len().saturating_sub(3);
    let units = state
        .units
        .iter()
        .filter(|unit| !unit.state.tallies.is_empty());
    units.flat_map(|unit| unit_votes(unit, votes)).collect()
}

fn unit_votes(unit: &Unit, votes: usize) -> Vec<Vec<Value>> {
    let tallies = &unit.state.tallies;
    let mut roles: Vec<&str> = Vec::new();
    for line in tallies.iter().flat_map(|tally| &tally.votes) {
        if !roles.contains(&line.role.as_str()) {
            roles.push(line.role.as_str());
        }
    }
    let mut rows: Vec<_> = roles
        .iter()
        .map(|role| role_votes(unit, role, votes))
        .collect();
    let counts = tallies.iter().map(|tally| {
        let (agree, of) = (tally.agree, tally.agree + tally.disagree + tally.absent);
        format!("{agree} of {of} agree, {} needed", tally.threshold)
    });
    rows.push(vote_row(
        &unit.id,
        "all",
        counts.collect(),
        votes,
        String::new(),
    ));
    rows
}

fn role_votes(unit: &Unit, role: &str, votes: usize) -> Vec<Value> {
    let (mut cells, mut reasons) = (Vec::new(), Vec::new());
    for (number, tally) in (1..).zip(&unit.state.tallies) {
        let line = tally.votes.iter().find(|line| line.role.as_str() == role);
        cells.push(line.map_or(String::new(), |line| line.vote.clone()));
        if let Some(line) = line.filter(|line| !line.reason.is_empty()) {
            reasons.push(format!("{number}: {}", line.reason));
        }
    }
    vote_row(&unit.id, role, cells, votes, reasons.join("\n"))
}

fn vote_row(
    unit: &UnitId,
    role: &str,
    mut cells: Vec<String>,
    votes: usize,
    reasons: String,
) -> Vec<Value> {
    cells.resize(votes, String::new());
    let texts = [unit.to_string(), role.to_owned()].into_iter();
    texts
        .chain(cells)
        .chain([reasons])
        .map(Value::text)
        .collect()
}
