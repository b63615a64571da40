//! One writer for each repository, by name.

use super::*;
use std::process::Stdio;

#[test]
fn the_holder_of_the_repository_is_named() {
    let bench = Bench::new(&[Task::new("a")]);
    let gate = bench.beside("gate");
    let text = gate.display().to_string();
    let args = bench.agent_args("", &["--hold-at", "a.proposal.proposer.1", &text]);
    let mut first = bench
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    wait_for("the worker", || bench.beside("gate.held").exists());
    let second = bench.mesh("run --run-id S -- true");
    let doctor = bench.mesh("doctor -- /bin/sh");
    std::fs::write(&gate, "").expect("opened");
    assert!(first.wait().expect("ended").success());
    let named = format!(
        "another `mesh` is running in this repository: process {} on ",
        first.id()
    );
    assert_eq!(second.code, 3);
    second.err_has(&named);
    second.err_has("hint: wait for it");
    assert_eq!(doctor.code, 1);
    doctor.out_has(&named);
    assert_eq!(bench.read(".git/mesh.lock"), "", "given back");
}

#[test]
fn a_stale_lock_is_replaced_with_a_warning() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("integration_started");
    let left: Value = serde_json::from_str(&bench.read(".git/mesh.lock")).expect("a holder");
    let said = bench.mesh("resume R").exits(0);
    let pid = &left["pid"];
    let note = format!("took over the lock of process {pid} on ");
    said.err_has(&note);
    said.err_has("ended without releasing it");
    assert!(!bench.mesh("resume R").err.contains("took over"));
}

#[test]
fn a_record_from_another_machine_is_reported() {
    let bench = Bench::new(&[Task::new("a")]);
    let record = json!({"pid": 7, "start_ticks": 1, "host": "elsewhere.example", "since": "2026-02-13T01:55:00Z"});
    bench.write(".git/mesh.lock", &record.to_string());
    let said = bench.run("").exits(0);
    said.err_has("process 7 on elsewhere.example, since 2026-02-13T01:55:00Z, which does not seem to hold it");
}

#[test]
fn an_unreadable_lock_file_blocks_no_command() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(".git/mesh.lock", "\u{0}garbage");
    let said = bench.run("").exits(0);
    said.err_lacks("took over");
}
