//! Rolling dispatch and lock step: who waits for whom when several tasks are in flight.

use super::*;
use std::process::{Child, Stdio};

/// Runs two tasks at once; the proposal of `a` waits until the gate is opened.
struct Held {
    bench: Bench,
    mesh: Child,
}

impl Held {
    fn new(dispatch: &str) -> Self {
        let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
        let gate = bench.beside("gate").display().to_string();
        let args = bench.agent_args(
            &["max_tasks=2", "parallel_tasks=2", dispatch],
            &["--hold-at", "a.proposal.proposer.1", &gate],
        );
        let mut command = bench.command(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mesh = command.spawn().expect("started");
        wait_for("the held worker", || bench.beside("gate.held").exists());
        Self { bench, mesh }
    }

    /// Opens the gate and waits for the end.
    fn open(self) -> (Bench, Said) {
        std::fs::write(self.bench.beside("gate"), "").expect("opened");
        let output = self.mesh.wait_with_output().expect("ended");
        (self.bench, said(output))
    }
}

#[test]
fn with_rolling_dispatch_a_task_completes_while_another_still_runs_its_first_row() {
    let held = Held::new("dispatch=rolling");
    wait_for("task b", || held.bench.status_of("b") == "completed");
    assert_eq!(held.bench.status_of("a"), "in_progress");
    let (bench, said) = held.open();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(bench.read("a.txt") + &bench.read("b.txt"), "new\nnew\n");
    assert!(
        violations(&bench).is_empty(),
        "b's patch is no violation of a's wave"
    );
}

#[test]
fn with_barriers_no_task_continues_before_the_wave_ends() {
    let held = Held::new("dispatch=barrier");
    let is_done = || {
        let reported = held.bench.trace("attempt_finished");
        reported == ["attempt_finished b.proposal.proposer.1"]
    };
    wait_for("b's proposal", is_done);
    assert_eq!(held.bench.waves().len(), 1);
    let (bench, said) = held.open();
    assert_eq!(said.code, 0, "{}", said.err);
    let rounds: Vec<String> = bench.waves().into_iter().map(|wave| wave.name).collect();
    assert_eq!(
        rounds,
        [
            "001-proposal.csv",
            "002-critique.csv",
            "003-synthesis.csv",
            "004-vote.csv"
        ]
    );
}

#[test]
fn all_waves_share_one_concurrency_limit() {
    let tasks: Vec<Task> = ["a", "b", "c", "d"].map(Task::new).into();
    let bench = Bench::new(&tasks);
    bench.run("max_tasks=4 parallel_tasks=4 -j 3").exits(0);
    let mut under_way = 0;
    let mut most = 0;
    for (name, record) in bench.events() {
        match name.as_str() {
            "attempt_started" => under_way += 1,
            "attempt_finished" => under_way -= 1,
            "wave_compiled" | "wave_started" => assert_eq!(record["max_concurrency"], 3),
            _ => {}
        }
        most = most.max(under_way);
    }
    assert_eq!(most, 3);
}

#[test]
fn the_longest_chain_is_started_first() {
    let tasks = [
        Task::new("a"),
        Task::new("b"),
        Task::new("c"),
        Task::new("d").after(&["c"]),
        Task::new("e").after(&["d"]),
    ];
    let ids = |dispatch: &str| {
        let args = ["--dry-run", "max_tasks=5", "parallel_tasks=2", dispatch];
        selected(&Bench::new(&tasks).run(&args))
    };
    assert_eq!(ids("dispatch=rolling"), "c,a");
    assert_eq!(ids("dispatch=barrier"), "a,b");
}

#[test]
fn with_one_task_at_a_time_the_plans_order_counts() {
    let tasks = [Task::new("a"), Task::new("b"), Task::new("c").after(&["b"])];
    let said = Bench::new(&tasks).run("--dry-run max_tasks=3");
    assert_eq!(selected(&said), "a");
}

#[test]
fn every_wave_in_flight_is_suspected() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.breaks(&["single_writer"]);
    let gate = bench.beside("gate").display().to_string();
    let kept = bench.path("kept.txt").display().to_string();
    let script = format!(
        "case $MESH_ITEM_ID in
        a.proposal.proposer.1) until [ -e {gate}.b ]; do sleep 0.02; done; echo meddled >>{kept};;
        b.proposal.proposer.1) : >{gate}.b; until grep -q meddled {kept}; do sleep 0.02; done;;
        esac; exec '{}' --answers '{}'",
        fake_agent(),
        bench.beside("answers").display(),
    );
    for name in ["a", "b"] {
        bench.answer(
            name,
            "proposal.proposer.2",
            r#"{"plan":["again"],"assumptions":[],"risk":"low","risks":[]}"#,
        );
    }
    let args = "run --run-id R max_tasks=2 parallel_tasks=2 sandbox=none";
    bench
        .mesh(Args::from(args).and(&["--", "sh", "-c", &script]))
        .exits(1);
    assert_eq!(violations(&bench), [json!(1), json!(2)]);
    let refused = |row: &str| {
        let events = bench.events();
        let verdict = events
            .iter()
            .find(|(name, record)| name == "verdict" && record["item_id"] == row);
        verdict.expect("a verdict").1["code"] == "violation"
    };
    assert!(refused("a.proposal.proposer.1") && refused("b.proposal.proposer.1"));
    assert_eq!(bench.status_of("b"), "completed", "it answered once more");
}

/// The waves of the violations.
fn violations(bench: &Bench) -> Vec<Value> {
    let events = bench.events().into_iter();
    let found = events.filter(|(name, _)| name == "violation");
    found.map(|(_, record)| record["wave"].clone()).collect()
}

fn early_tasks() -> Vec<Task> {
    vec![
        Task::new("a"),
        Task::new("b")
            .after(&["a"])
            .validation(&["grep -q new a.txt && grep -q new b.txt"]),
        Task::new("c").after(&["a"]).scope(&["c.txt", "a.txt"]),
    ]
}

#[test]
fn with_advisory_dependencies_rows_go_ahead_and_the_patch_waits() {
    let bench = Bench::new(&early_tasks());
    let gate = bench.beside("gate").display().to_string();
    let args = ["max_tasks=3", "parallel_tasks=3", "deps=advisory"];
    let behaviour = ["--hold-at", "a.proposal.proposer.1", &gate];
    let args = bench.agent_args(&args, &behaviour);
    let mut command = bench.command(&args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mesh = command.spawn().expect("started");
    wait_for("the held worker", || bench.beside("gate.held").exists());
    wait_for("b's votes", || bench.trace("tally") == ["tally b"]);
    assert_eq!(
        ["a", "b", "c"].map(|id| bench.status_of(id)),
        ["in_progress", "pending", "pending"]
    );
    assert_eq!(bench.read("b.txt"), "old\n");
    std::fs::write(&gate, "").expect("opened");
    said(mesh.wait_with_output().expect("ended")).exits(0);
    assert_eq!(
        bench.trace("began_early plan_mutated"),
        [
            "plan_mutated a in_progress",
            "began_early b",
            "plan_mutated a completed",
            "plan_mutated b in_progress",
            "plan_mutated b completed",
            "plan_mutated c in_progress",
            "plan_mutated c completed",
        ]
    );
}

#[test]
fn what_was_begun_early_is_left_pending_when_its_dependency_is_blocked() {
    let mut tasks = early_tasks();
    tasks[0] = Task::new("a").agree(&[0]);
    let bench = Bench::new(&tasks);
    let said = bench
        .run("max_tasks=3 parallel_tasks=2 deps=advisory --json")
        .exits(1);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["blocked", "pending"]
    );
    assert_eq!(bench.read("b.txt"), "old\n");
    let states = report(&said)["tasks"].clone();
    assert_eq!(states[1]["state"], "pending");
}

#[test]
fn retried_rows_and_queued_rows_all_run_eventually() {
    let tasks: Vec<Task> = ["a", "b", "c", "d"].map(Task::new).into();
    let bench = Bench::new(&tasks);
    // Every first attempt says nothing.
    let script = format!(
        "cat >/dev/null; [ $MESH_ATTEMPT = 1 ] && exit 0; exec '{}' --answers '{}' </dev/null",
        fake_agent(),
        bench.beside("answers").display(),
    );
    let args = "run --run-id R max_tasks=4 parallel_tasks=4 -j 2";
    bench
        .mesh(Args::from(args).and(&["--", "sh", "-c", &script]))
        .exits(0);
    assert_eq!(bench.trace("attempt_started").len(), 2 * 40);
    assert_eq!(bench.trace("attempt_reported").len(), 40);
}
