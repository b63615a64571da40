//! `mesh spawn` through the real binary: what a worker gets, what may come back, what is written, what survives.
//!
//! The files in `cases/` are inputs and outputs recorded from the tool that this substrate re-opens.

mod at_once;
mod cancelling;
mod changed_behind;
mod edges;
mod encodings;
mod failures;
mod flattening;
mod found_answers;
mod going_on;
mod halting;
mod ids_and_output;
mod killing;
mod limits;
mod odd_inputs;
mod options;
mod output_bounds;
mod processes;
mod recorded;
mod refused_reports;
mod retries;
mod selection;
mod stopping;
mod ways_back;
mod what_a_worker_gets;

use crate::env::{Said, Sandbox, fake_agent, json_string, redacted, said, wait_for};
use insta::assert_snapshot;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SCHEMA: &str =
    r#"{"type":"object","required":["answer"],"properties":{"answer":{"type":"string"}}}"#;

/// `mesh spawn in.csv -o out.csv --instruction work OPTIONS -- COMMAND`.
fn arguments<'a>(options: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["spawn", "in.csv"];
    for (name, value) in [("-o", "out.csv"), ("--instruction", "work")] {
        let is_given = options.iter().any(|option| option.starts_with(name));
        if !is_given {
            args.extend([name, value]);
        }
    }
    args.extend(options);
    args.push("--");
    args.extend(command);
    args
}

fn spawn(sandbox: &Sandbox, options: &[&str], command: &[&str]) -> Said {
    sandbox.mesh(&arguments(options, command))
}

/// The same with the fake agent, which may use `mesh report-result` and leaves its standard error in `said`.
fn spawn_agent(sandbox: &Sandbox, options: &[&str], behaviour: &[&str]) -> Said {
    let agent = fake_agent();
    let command: Vec<&str> = std::iter::once(agent.as_str())
        .chain(behaviour.iter().copied())
        .collect();
    let options: Vec<&str> = ["--env", "MESH", "--env", "SAID"]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    let mut mesh = sandbox.command(&arguments(&options, &command));
    mesh.env("SAID", sandbox.path("said"));
    said(mesh.output().expect("mesh starts"))
}

/// A sandbox with `in.csv`.
fn with_rows(csv: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", csv);
    sandbox
}

fn with_schema(csv: &str) -> Sandbox {
    let sandbox = with_rows(csv);
    sandbox.write("schema.json", SCHEMA);
    sandbox
}

/// The output as column -> cell, row by row.
fn rows(sandbox: &Sandbox) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(sandbox.path("out.csv")).expect("an output");
    let rows = reader.deserialize().map(|row| row.expect("a row"));
    rows.collect()
}

/// Some columns of the output, a line for each row.
fn table(sandbox: &Sandbox, columns: &[&str]) -> String {
    let line = |row: &BTreeMap<String, String>| {
        let cells: Vec<&str> = columns.iter().map(|column| row[*column].as_str()).collect();
        cells.join(" | ").trim_end().to_owned()
    };
    rows(sandbox)
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// How the only row ended: status, attempts, error and result.
fn ended(sandbox: &Sandbox) -> String {
    table(
        sandbox,
        &["status", "attempt_count", "last_error", "result_json"],
    )
}

/// The result of the only row.
fn result(sandbox: &Sandbox) -> Value {
    let rows = rows(sandbox);
    assert_eq!(rows.len(), 1);
    serde_json::from_str(&rows[0]["result_json"])
        .unwrap_or_else(|error| panic!("{error}: {:?}", rows[0]))
}

/// What the ledger says while the job is under way; nothing before there is one.
fn ledger(sandbox: &Sandbox) -> String {
    let runs = std::fs::read_dir(sandbox.mesh_home().join("runs"));
    let of_run = |run: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(run.ok()?.path().join("ledger.jsonl")).ok()
    };
    runs.into_iter().flatten().filter_map(of_run).collect()
}

/// How often an event occurred for an item.
fn occurred(sandbox: &Sandbox, event: &str, item: &str) -> usize {
    let events = sandbox.events();
    let is_it = |(name, record): &&(String, Value)| name == event && record["item_id"] == item;
    events.iter().filter(is_it).count()
}

fn run_id(sandbox: &Sandbox) -> String {
    let folder = sandbox.only_run();
    folder
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

fn resume(sandbox: &Sandbox) -> Said {
    sandbox.mesh(&["resume", &run_id(sandbox)])
}

/// Starts `mesh spawn` with its standard error in the file `talk`.
fn start(sandbox: &Sandbox, options: &[&str], command: &[&str]) -> Child {
    let talk = std::fs::File::create(sandbox.path("talk")).expect("a file");
    // A worker whose test has failed waits for nobody: its time is bounded.
    let options = [options, &["--max-runtime-seconds", "60"]].concat();
    let mut mesh = sandbox.command(&arguments(&options, command));
    mesh.stdout(Stdio::null()).stderr(talk);
    mesh.spawn().expect("mesh starts")
}

fn finish(mut mesh: Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let status = mesh.wait().expect("mesh ends");
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).expect("an end")
}
