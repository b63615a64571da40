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
mod reports;
mod retries;
mod selection;
mod stopping;
mod ways_back;
mod what_a_worker_gets;
mod workbooks;

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SCHEMA: &str =
    r#"{"type":"object","required":["answer"],"properties":{"answer":{"type":"string"}}}"#;

/// `mesh spawn in.csv -o out.csv --instruction work OPTIONS -- COMMAND`.
fn arguments(options: impl Into<Args>, command: impl Into<Args>) -> Args {
    let options = options.into();
    let mut args = Args::from("spawn in.csv");
    for (name, value) in [("-o", "out.csv"), ("--instruction", "work")] {
        if !options.as_slice().iter().any(|own| own.starts_with(name)) {
            args = args.and(&[name, value]);
        }
    }
    args.and(options).and("--").and(command)
}

fn spawn(sandbox: &Sandbox, options: impl Into<Args>, command: impl Into<Args>) -> Said {
    sandbox.mesh(arguments(options, command))
}

/// The same with the fake agent, which may use `mesh report-result` and leaves its standard error in `said`.
fn spawn_agent(sandbox: &Sandbox, options: impl Into<Args>, behaviour: impl Into<Args>) -> Said {
    let options = Args::from("--env MESH --env SAID").and(options);
    let command = Args::from(&[fake_agent().as_str()]).and(behaviour);
    sandbox
        .command(arguments(options, command))
        .env("SAID", sandbox.path("said"))
        .run_to_end()
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
fn table(sandbox: &Sandbox, columns: impl Into<Args>) -> String {
    let columns = columns.into();
    let line = |row: BTreeMap<String, String>| {
        let cells = columns.as_slice().iter().map(|column| row[column].as_str());
        cells.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
    };
    rows(sandbox)
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// How the only row ended: status, attempts, error and result.
fn ended(sandbox: &Sandbox) -> String {
    table(sandbox, "status attempt_count last_error result_json")
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
    let mut records = sandbox.events_named(event);
    records.retain(|record| record["item_id"] == item);
    records.len()
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
    sandbox.mesh(&format!("resume {}", run_id(sandbox)))
}

/// Starts `mesh spawn` with its standard error in the file `talk`.
fn start(sandbox: &Sandbox, options: impl Into<Args>, command: impl Into<Args>) -> Child {
    let talk = std::fs::File::create(sandbox.path("talk")).expect("a file");
    // The time of the worker of a failed test is bounded.
    let options = options.into().and("--max-runtime-seconds 60");
    let mut mesh = sandbox.command(arguments(options, command));
    mesh.stdout(Stdio::null()).stderr(talk);
    mesh.spawn().expect("mesh starts")
}

fn finish(mut mesh: Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let status = mesh.wait().expect("mesh ends");
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).expect("an end")
}
