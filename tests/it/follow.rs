//! `mesh run --follow`: a run that waits for its plan.

use crate::fixture::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// A run `R` that follows its plan, with the recorded answers.
fn follow(bench: &Bench, args: impl Into<Args>) -> Child {
    let args = Args::from("--follow").and(args);
    let mut command = bench.replay_command(args);
    command.env("MESH_POLL_MS", "20");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("mesh starts")
}

/// Waits until the plan has `status` for a task.
fn wait_until(bench: &Bench, id: &str, status: &str) {
    wait_for(&format!("{id} to be {status}"), || {
        bench.status_of(id) == status
    });
}

fn cancelled(bench: &Bench, child: Child) -> Said {
    bench.mesh("cancel R").exits(0);
    said(child.wait_with_output().expect("it ends")).exits(4)
}

#[test]
fn a_run_that_follows_takes_what_becomes_ready_until_it_is_cancelled() {
    let later = Task::new("b").status("deferred");
    let bench = Bench::new(&[Task::new("a"), later, Task::new("c").after(&["b"])]);
    let mut run = bench.replay_command(Args::from("--follow").and("parallel_tasks=auto"));
    let printed = std::fs::File::create(bench.beside("printed")).expect("a file");
    run.env("MESH_POLL_MS", "20");
    let mut run = run.stdout(Stdio::null()).stderr(printed).spawn();
    let run = run.as_mut().expect("mesh starts");
    wait_until(&bench, "a", "completed");
    wait_for("it to wait", || {
        let printed = read_file(bench.beside("printed"));
        printed.contains("nothing is ready; waiting for the plan, until: mesh cancel R\n")
    });
    bench.mesh("st set-status --id b --status pending").exits(0);
    wait_until(&bench, "c", "completed");
    assert_eq!(bench.status_of("b"), "completed");
    bench.mesh("cancel R").exits(0);
    assert_eq!(run.wait().expect("it ends").code(), Some(4));
    let printed = read_file(bench.beside("printed"));
    assert_contains(&printed, "stopping: requested by mesh cancel\n");
    let ends = bench.events_named("run_finished");
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0]["status"], "cancelled");
    bench.mesh("audit R").exits(0);
}

#[test]
fn a_line_sums_up_the_run_every_hour() {
    let bench = Bench::new(&[Task::new("a")]);
    let mut command = bench.replay_command("--follow");
    command
        .env("MESH_POLL_MS", "20")
        .env("MESH_HOUR_MS", "300")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut run = command.spawn().expect("mesh starts");
    let lines = BufReader::new(run.stderr.take().expect("standard error")).lines();
    let mut sums = lines.filter_map(|line| {
        let line = line.expect("text");
        line.starts_with("so far: 1 task completed, 0 blocked, 0 in flight; ")
            .then_some(line)
    });
    // More than one: it is repeated.
    for _ in 0..2 {
        let line = sums.next().expect("a line");
        assert!(line.ends_with(" workers started"), "{line}");
    }
    bench.mesh("cancel R").exits(0);
    assert!(sums.count() < 100, "not at every look at the plan");
    assert_eq!(run.wait().expect("it ends").code(), Some(4));
}

#[test]
fn a_run_can_follow_a_plan_in_which_nothing_is_ready_yet() {
    let bench = Bench::new(&[Task::new("a").status("deferred")]);
    bench
        .mesh("run --dry-run -- true")
        .exits(0)
        .out_has("No runnable tasks");
    let run = follow(&bench, "");
    let ledger = bench.mesh_home().join("runs/R/ledger.jsonl");
    wait_for("the run", || ledger.exists());
    // An edit of the tree while nothing runs is no violation.
    bench.write("a.txt", "old\nedited\n");
    bench.write("a.txt", "old\n");
    bench.mesh("st set-status --id a --status pending").exits(0);
    wait_until(&bench, "a", "completed");
    cancelled(&bench, run).out_lacks("Violations\n  wave");
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").status("deferred")]);
    bench.write("mesh.yaml", "max_rows: 12\nretries: 0\n");
    let run = follow(&bench, "");
    wait_until(&bench, "a", "completed");
    bench.write("mesh.yaml", "max_rows: 40\nretries: 2\n");
    signal(run.id(), "-HUP");
    wait_for("the new limits", || {
        !bench.events_named("run_resumed").is_empty()
    });
    bench.write("mesh.yaml", "retries: none\n");
    signal(run.id(), "-HUP");
    bench.mesh("st set-status --id b --status pending").exits(0);
    wait_until(&bench, "b", "completed");
    let said = cancelled(&bench, run);
    said.err_has("mesh.yaml was read again: its limits hold for rows that start now\n");
    said.err_has("the limits stay as they are: ");
}

#[test]
fn a_wall_clock_budget_ends_the_waiting() {
    let bench = Bench::new(&[Task::new("a").status("deferred")]);
    let run = follow(&bench, "--max-wall-seconds 2");
    let said = said(run.wait_with_output().expect("it ends")).exits(4);
    said.err_has("resume with: mesh resume R\n");
    let budgets = bench.events_named("budget_reached");
    assert_eq!(budgets[0]["budget"], "max_wall_seconds");
}

#[test]
fn a_run_that_was_killed_while_it_waited_is_resumed_and_waits_again() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").status("deferred")]);
    let mut run = follow(&bench, "");
    wait_until(&bench, "a", "completed");
    run.kill().expect("killed");
    run.wait().expect("it ends");
    let mut resumed = bench.command("resume R");
    resumed.env("MESH_POLL_MS", "20");
    resumed.stdout(Stdio::piped()).stderr(Stdio::piped());
    let resumed = resumed.spawn().expect("mesh starts");
    bench.mesh("st set-status --id b --status pending").exits(0);
    wait_until(&bench, "b", "completed");
    bench.write("mesh.yaml", "max_rows: 90\n");
    signal(resumed.id(), "-HUP");
    wait_for("the new limit", || {
        !bench.events_named("run_resumed").is_empty()
    });
    cancelled(&bench, resumed);
}
