//! `mesh run`: which tasks, which waves and rows, how votes and refusals go on, and what is reported.

mod adapters;
mod answers;
mod candidates;
mod dispatch;
mod faults;
mod full_disk;
mod git_calls;
mod hands_off;
mod hydration;
mod kept_patches;
mod odd_repositories;
mod patch_output;
mod places;
mod preflight;
mod protocols;
mod report;
mod reproduction;
mod selection;
mod task_budgets;
mod teams;
mod votes;
mod waves;
mod words;
mod workspaces;

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::{Value, json};

fn preflight(said: &Said) -> &str {
    said.err.lines().next().unwrap_or_default()
}

/// ` in 0.0s` and the like, which differ from run to run.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive(['\n', ' ']);
    let redacted = words.map(|word| {
        let number = word.trim_end().trim_end_matches(':').strip_suffix('s');
        match number.and_then(|number| number.parse::<f64>().ok()) {
            Some(_) => word.replace(number.unwrap_or_default(), "N"),
            None => word.to_owned(),
        }
    });
    redacted.collect()
}

/// An answer whose patch changes one file from `old`.
fn synthesis(file: &str, to: &str) -> String {
    json!({"decision_log": [], "patch": edit(file, "old", to), "validation": [], "residual_risk": "low"}).to_string()
}
