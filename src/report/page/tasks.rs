//! The tasks of a run of a plan: state, votes, what the roles answered, patch and validation.

use super::text::{Limits, cut};
use super::timeline::Timeline;
use crate::model::{Stage, ValidationFinished};
use crate::report::log_tail::tail;
use crate::report::plan_report::Report;
use crate::report::view::{RunView, ViewRow};
use crate::run::Unit;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What the rows of a task say about it, gathered row by row.
#[derive(Clone, Debug, Default)]
pub struct FromRows {
    columns: HashMap<&'static str, String>,
    proposal: Value,
    critiques: Vec<Value>,
    decisions: Value,
    patch: Option<String>,
    span_ms: (i64, i64),
}

impl FromRows {
    /// Adds a row of the task; `header` names the cells of its wave.
    pub fn add(&mut self, row: &ViewRow, header: &[String]) {
        for name in ["objective", "depends_on", "risk", "scope"] {
            let at = header.iter().position(|column| column == name);
            if let Some(cell) = at.and_then(|at| row.fields.get(at)) {
                self.columns.insert(name, cell.clone());
            }
        }
        let (start, end) = row.span_ms;
        if start != 0 && (self.span_ms.0 == 0 || start < self.span_ms.0) {
            self.span_ms.0 = start;
        }
        self.span_ms.1 = self.span_ms.1.max(end);
        if let Some(result) = row.result.as_ref().filter(|_| !row.has_failed()) {
            self.add_result(result, row);
        }
    }

    /// Answers are told apart by their fields, since protocols name their rounds as they like.
    fn add_result(&mut self, result: &Value, row: &ViewRow) {
        if result.get("findings").is_some() {
            let mut critique = result.clone();
            critique["role"] = json!(row.role);
            self.critiques.push(critique);
        } else if let Some(patch) = result.get("patch").and_then(Value::as_str) {
            self.patch = Some(patch.to_owned());
            self.decisions = result.get("decision_log").cloned().unwrap_or_default();
        } else if result.get("plan").is_some() {
            self.proposal = result.clone();
        }
    }

    fn list(&self, name: &str) -> Vec<&str> {
        let cell = self
            .columns
            .get(name)
            .map(String::as_str)
            .unwrap_or_default();
        cell.split(';').filter(|part| !part.is_empty()).collect()
    }

    fn title(&self) -> &str {
        let objective = self.columns.get("objective").map(String::as_str);
        objective
            .and_then(|text| text.lines().next())
            .unwrap_or_default()
    }
}

/// The tasks of a run that `picks` picks, in the order of their admission.
pub fn tasks(
    run: &RunView,
    timeline: &Timeline,
    from_rows: &HashMap<String, FromRows>,
    limits: Limits,
    picks: impl Fn(&Unit) -> bool,
) -> Vec<Value> {
    let Some(report) = Report::of(run.state()) else {
        return Vec::new();
    };
    let nothing = FromRows::default();
    let units = run.state().units.iter().zip(&report.tasks);
    let units = units.filter(|(unit, _)| picks(unit));
    let task = |(unit, report): (&Unit, &crate::report::plan_report::TaskReport)| {
        let rows = from_rows.get(unit.id.as_str()).unwrap_or(&nothing);
        let patch = rows
            .patch
            .as_ref()
            .map(|patch| cut(patch, limits.text.max(16 * 1024)).0);
        let validation = unit.previews.iter().chain(&unit.state.validations);
        let validation = validation.map(|one| validation_json(one, run, limits));
        json!({
            "id": unit.id,
            "title": rows.title(),
            "deps": rows.list("depends_on"),
            "scope": rows.list("scope"),
            "risk": rows.columns.get("risk"),
            "state": report.state,
            "reason": report.reason,
            "detail": report.detail,
            "votes": votes(unit),
            "proposal": rows.proposal,
            "critiques": rows.critiques,
            "decisions": rows.decisions,
            "patch": patch,
            "changed_paths": report.changed_paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "validation": validation.collect::<Vec<_>>(),
            "integrations": timeline.integrations(&unit.id),
            "commit": report.commit,
            "cost_usd": report.usage.and_then(|usage| usage.cost_usd),
            "tokens": report.usage.map(|usage| usage.tokens()),
        })
    };
    units.map(task).collect()
}

fn votes(unit: &Unit) -> Vec<Value> {
    let tallies = unit.state.tallies.iter().enumerate();
    let vote = |(index, tally): (usize, &crate::model::Tally)| {
        json!({
            "number": index + 1,
            "agree": tally.agree,
            "disagree": tally.disagree,
            "absent": tally.absent,
            "threshold": tally.threshold,
            "lines": tally.votes,
        })
    };
    tallies.map(vote).collect()
}

fn validation_json(one: &ValidationFinished, run: &RunView, limits: Limits) -> Value {
    let stage = match one.stage {
        Stage::Integration => "integration",
        Stage::Before => "before",
        Stage::Preview => "preview",
    };
    let output = tail(&run.folder().path().join(&one.log_path), limits.log);
    json!({
        "command": one.command,
        "outcome": one.outcome(),
        "passed": one.passed(),
        "stage": stage,
        "duration_ms": one.duration_ms,
        "key_line": one.key_line,
        "output": output,
    })
}

/// The chain of dependent tasks that took longest: `{ms, tasks}`; none without tasks that ended.
pub fn longest_path(tasks: &[Value], from_rows: &HashMap<String, FromRows>) -> Option<Value> {
    let mut best: HashMap<&str, (i64, Vec<&str>)> = HashMap::new();
    // Tasks are admitted after their dependencies, or with them.
    for task in tasks {
        let id = task["id"].as_str()?;
        let (start, end) = from_rows.get(id).map_or((0, 0), |rows| rows.span_ms);
        let own = (end - start).max(0);
        let deps = task["deps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let before = deps
            .filter_map(|dep| best.get(dep))
            .max_by_key(|(ms, _)| *ms);
        let (mut ms, mut path) = before.cloned().unwrap_or_default();
        ms += own;
        path.push(id);
        best.insert(id, (ms, path));
    }
    let paths = tasks
        .iter()
        .filter_map(|task| best.get(task["id"].as_str()?));
    let (ms, path) = paths.max_by_key(|(ms, _)| *ms)?;
    Some(json!({"ms": ms, "tasks": path}))
}

/// An object without its members that are null or empty.
pub fn compact(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(_, value)| !is_empty(value));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
