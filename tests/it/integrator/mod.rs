//! The integrator's choices: where a patch is tried, where it is delivered, what is learned, who may write.

mod abandoning;
mod beside;
mod delivery;
mod hostile;
mod isolation;
mod killing;
mod learned;
mod locking;
mod meanwhile;
mod orphans;
mod reports;
mod violations;

use crate::fixture::*;
use serde_json::{Value, json};

/// The only event called `name`.
fn event(bench: &Bench, name: &str) -> Value {
    let mut all = bench
        .events()
        .into_iter()
        .filter(|(event, _)| event == name);
    let (_, body) = all.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(all.next().is_none(), "{name} more than once");
    body
}

/// The validation commands that were run, as `stage: command -> exit code`.
fn validations(bench: &Bench) -> Vec<String> {
    let finished = bench.events().into_iter();
    let finished = finished.filter(|(name, _)| name == "validation_finished");
    finished
        .map(|(_, body)| {
            let stage = body["stage"].as_str().unwrap_or("integration");
            let command = body["command"].as_str().expect("a command");
            format!("{stage}: {command} -> {}", body["exit_code"])
        })
        .collect()
}

fn detail(said: &Said) -> String {
    let detail = &report(said)["tasks"][0]["detail"];
    detail.as_str().unwrap_or("none").to_owned()
}

/// An answer of the synthesizer with a patch and validation commands of its own.
fn synthesis(bench: &Bench, patch: &str, commands: &[&str]) {
    let answer =
        json!({"decision_log": [], "patch": patch, "validation": commands, "residual_risk": "low"});
    bench.answer("a", "synthesis.synthesizer.1", &answer.to_string());
}
