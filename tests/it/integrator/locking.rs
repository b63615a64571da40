//! One writer for each repository, by name.

use super::*;
use crate::env::wait_for;
use std::process::Stdio;

#[test]
fn the_holder_of_the_repository_is_named() {
    let bench = Bench::new(&[Task::new("a")]);
    let gate = bench.beside("gate");
    let text = gate.display().to_string();
    let args = bench.agent_args(&[], &["--hold-at", "a.proposal.proposer.1", &text]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut first = bench
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    wait_for("the worker", || bench.beside("gate.held").exists());
    let second = bench.mesh(&["run", "--run-id", "S", "--", "true"]);
    let doctor = bench.mesh(&["doctor", "--", "/bin/sh"]);
    std::fs::write(&gate, "").expect("opened");
    assert!(first.wait().expect("ended").success());
    let named = format!(
        "another `mesh` is working in this repository: process {} on ",
        first.id()
    );
    assert_eq!(second.code, 3);
    assert!(second.err.contains(&named), "{}", second.err);
    assert!(second.err.contains("hint: wait for it"), "{}", second.err);
    assert_eq!(doctor.code, 1);
    assert!(doctor.out.contains(&named), "{}", doctor.out);
    assert_eq!(bench.read(".git/mesh.lock"), "", "given back");
}

#[test]
fn the_lock_of_a_dead_holder_is_taken_over_with_a_word_about_it() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("integration_started");
    let left: Value = serde_json::from_str(&bench.read(".git/mesh.lock")).expect("a holder");
    let said = bench.mesh(&["resume", "R"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let pid = &left["pid"];
    let note = format!("took over the lock of process {pid} on ");
    assert!(said.err.contains(&note), "{}", said.err);
    assert!(
        said.err.contains("ended without giving it back"),
        "{}",
        said.err
    );
    assert!(!bench.mesh(&["resume", "R"]).err.contains("took over"));
}

#[test]
fn a_record_of_another_machine_is_pointed_out() {
    let bench = Bench::new(&[Task::new("a")]);
    let record = json!({"pid": 7, "start_ticks": 1, "host": "elsewhere.example", "since": "2026-02-13T01:55:00Z"});
    bench.write(".git/mesh.lock", &record.to_string());
    let said = bench.run(&[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("process 7 on elsewhere.example, since 2026-02-13T01:55:00Z, which does not hold it as far as can be seen from here"),
        "{}",
        said.err
    );
}

#[test]
fn what_is_not_to_be_understood_in_the_lock_file_stops_nobody() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(".git/mesh.lock", "\u{0}garbage");
    let said = bench.run(&[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("took over"), "{}", said.err);
}
