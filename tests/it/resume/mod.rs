//! `mesh resume`: a run that was killed at any event of its ledger ends as if it had not been.

mod integrations;
mod killed;
mod ledger;
mod left_workers;
mod stopped;

use crate::fixture::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

/// One author and two voters, so that a whole run has few events.
const DUO: &str = "\
name: duo
roles: [synthesizer, skeptic]
rounds:
  - {name: synthesis, roles: [synthesizer], lane: patch, prompt: synthesis.md, schema: synthesis.json}
  - {name: vote, roles: [synthesizer, skeptic], lane: read_only, prompt: vote.md, schema: vote.json, inputs: [synthesis]}
consensus: {round: vote, threshold: 2, retries: 1, retry_from: synthesis}
";

const RUN: [&str; 2] = ["max_tasks=2", "protocol=duo.yaml"];

/// One task that ends completed and one that ends blocked, in a tree with changes of its own.
fn two_tasks() -> Bench {
    let a = Task::new("a").validation(&["echo x >made-by-a", "grep -q new a.txt"]);
    let b = Task::new("b").validation(&["echo x >made-by-b; false"]);
    let bench = Bench::with_files(&[a, b], &[("duo.yaml", DUO)]);
    bench.write("kept.txt", "changed by me\n");
    bench.write("mine.txt", "untracked\n");
    bench
}

/// What must not depend on a kill: the tree, the plan's statuses and comments, and the report.
#[derive(Debug, PartialEq)]
struct Outcome {
    tree: Vec<(std::path::PathBuf, u32, Vec<u8>)>,
    plan: Vec<(String, Vec<String>)>,
    report: Value,
}

fn outcome(bench: &Bench, said: &Said) -> Outcome {
    let plan = ["a", "b"].map(|id| (bench.status_of(id), bench.comments(id)));
    Outcome {
        tree: bench.tree(),
        plan: plan.into(),
        report: without_timing(report(said)),
    }
}

/// The report without what a kill may change: attempts, slots, when something was learned, and how long something took.
fn without_timing(report: Value) -> Value {
    let text = without_learning_times(&report.to_string());
    let mut report: Value = serde_json::from_str(&text).expect("JSON");
    for task in report["tasks"].as_array_mut().expect("tasks") {
        task["moved_aside"] = Value::Null;
        for run in task["validation"].as_array_mut().expect("commands") {
            run["duration_ms"] = Value::Null;
        }
    }
    for key in ["adapter", "slots"] {
        report[key] = Value::Null;
    }
    report
}

/// Every row that had its result when the program was killed was not started again.
fn nothing_ran_twice(events: &[(String, Value)]) {
    let mut reported = BTreeSet::new();
    let mut accepted = BTreeSet::new();
    for (index, (name, record)) in events.iter().enumerate() {
        assert_eq!(record["seq"], index + 1);
        let item = record["item_id"].to_string();
        match name.as_str() {
            "attempt_started" => assert!(!reported.contains(&item), "{item} ran again"),
            "attempt_reported" => assert!(reported.insert(item.clone()), "{item} counted twice"),
            "verdict" => assert!(accepted.insert(item.clone()), "{item} judged twice"),
            _ => {}
        }
    }
}

fn run_until(bench: &Bench, fault: &str) -> Option<i32> {
    let code = bench.run_with_kill(&RUN, fault).code;
    Some(code).filter(|code| *code > 128).map(|code| code - 128)
}

/// Starts a run whose row `held` blocks, calls `stop`, unblocks the row, and returns the exit status.
fn stopped(bench: &Bench, held: &str, stop: impl Fn(u32, &Path)) -> std::process::ExitStatus {
    let gate = bench.beside("gate");
    let text = gate.display().to_string();
    let log = bench.beside("log").display().to_string();
    let args = bench.agent_args("-j 1", &["--log", &log, "--hold-at", held, &text]);
    let stderr = bench.beside("stderr");
    let file = std::fs::File::create(&stderr).expect("a file");
    let mut child = bench
        .command(&args)
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("started");
    wait_for("the row", || bench.beside("gate.held").exists());
    stop(child.id(), &stderr);
    std::fs::write(&gate, "").expect("opened");
    child.wait().expect("ended")
}

fn signal_and_wait(process: u32, name: &str, stderr: &Path, text: &str) {
    signal(process, name);
    wait_for(text, || {
        std::fs::read_to_string(stderr).is_ok_and(|said| said.contains(text))
    });
}

/// How often each row was started.
fn started(bench: &Bench, row: &str) -> usize {
    let log = read_file(bench.beside("log"));
    log.lines().filter(|line| *line == row).count()
}
