//! Runs without a person: limits that `mesh` chooses, and what a script is told when nothing could begin.

use crate::fixture::*;

/// Runs `mesh run --headless` without a plan of its own.
fn headless(sandbox: &Sandbox, args: impl Into<Args>) -> Said {
    sandbox.mesh(Args::from("run --headless").and(args))
}

#[test]
fn auto_runs_until_nothing_is_ready_also_what_becomes_ready_meanwhile() {
    let tasks = [
        Task::new("a"),
        Task::new("b").after(&["a"]),
        Task::new("c").after(&["b"]),
        Task::new("d"),
    ];
    let bench = Bench::new(&tasks);
    let said = bench
        .run("max_tasks=auto parallel_tasks=auto -j 16")
        .exits(0);
    said.err_has(
        "ids=a,d overrides=max_tasks=auto,parallel_tasks=auto,max_concurrency=16 concurrency=10\n",
    );
    said.err_has("\nparallel_tasks=auto: max(1, floor((16 - 2) / 5)) = 2\n");
    for id in ["a", "b", "c", "d"] {
        assert_eq!(bench.status_of(id), "completed", "{id}");
    }
    let settings = &bench.events_named("run_started")[0]["settings"];
    assert_eq!(settings["max_tasks"], "auto");
    assert_eq!(settings["parallel_tasks"], 2);
    assert_eq!(settings["max_wall_seconds"], 2700);
    let arithmetic = &settings["parallel_arithmetic"];
    assert_eq!(arithmetic["concurrency"], 16);
    assert_eq!(arithmetic["tasks"], 2);
}

#[test]
fn auto_uses_the_smaller_team_where_not_one_task_fits() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let dry = |args: &str| {
        let said = bench.mesh(
            Args::from("run --dry-run --headless")
                .and(args)
                .and("-- true"),
        );
        said.exits(0).err
    };
    let small = dry("parallel_tasks=auto -j 6");
    assert_contains(
        &small,
        "parallel_tasks=auto: max(1, floor((6 - 2) / 3)) = 1\n",
    );
    assert_contains(
        &small,
        "no task with 5 rows at once fits into 6; protocol `swarm3` instead",
    );
    let solo = dry("parallel_tasks=auto -j 6 --protocol solo");
    assert_contains(
        &solo,
        "parallel_tasks=auto: max(1, floor((6 - 2) / 1)) = 4\n",
    );
    let given = dry("max_tasks=auto max_wall_seconds=7 parallel_tasks=2 -j 16");
    assert_lacks(&given, "parallel_tasks=auto");
    for wrong in ["max_tasks=0", "max_tasks=automatic", "parallel_tasks=-1"] {
        let said = bench.mesh(&["run", wrong, "--", "true"]).exits(2);
        said.err_has("must be a number of at least 1, or auto");
    }
}

#[test]
fn a_budget_ends_an_automatic_run_which_can_be_resumed() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let said = bench.run("max_tasks=auto --max-rows 12").exits(4);
    said.err_has("mesh resume R");
    bench.mesh("resume R --max-rows 99").exits(0);
    assert_eq!(bench.status_of("b"), "completed");
}

#[test]
fn a_message_may_ask_for_auto_but_not_for_a_worker() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let message = "$mesh max_tasks=auto parallel_tasks=auto";
    let said = bench
        .mesh(&["invoke", "--dry-run", message, "--", "true"])
        .exits(0);
    assert_eq!(selected(&said), "a,b");
    let message = "$mesh adapter=codex";
    let said = bench.mesh(&["invoke", message, "--", "true"]).exits(2);
    said.err_has("`adapter=codex` can't be set from a message, which never chooses the worker");
    let message = "$mesh adapter=auto";
    bench
        .mesh(&["invoke", "--dry-run", message, "--", "true"])
        .exits(0);
    bench.mesh("run --dry-run adapter=auto -- true").exits(0);
}

#[test]
fn what_keeps_every_task_from_running_is_a_word_for_scripts() {
    let stopped = |said: Said, reason: &str| {
        let said = said.exits(3);
        said.out_starts_with(&format!(
            "mesh_headless_stop_reason={reason}\ndelegation_did_not_run=true: "
        ));
        said.err_starts_with("error: ");
    };
    let bare = Sandbox::with_repo(&[("a.txt", "a\n")]);
    stopped(headless(&bare, "-- true"), "plan_missing");
    stopped(
        headless(&bare, "plan_file=none.jsonl -- true"),
        "plan_missing",
    );

    let bench = Bench::new(&[Task::new("a")]);
    stopped(headless(&bench, "-- no-such-agent"), "no_adapter");
    stopped(
        headless(&bench, "--max-tokens 5 -- true"),
        "adapter_missing_capability",
    );
    bench.write(".codex/st-plan.jsonl", &bench.read(".step/st-plan.jsonl"));
    stopped(headless(&bench, "-- true"), "ambiguous_plan_file");
}

#[test]
fn a_held_repository_is_a_word_for_scripts() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let mut first = bench.command("run --run-id R --protocol solo -- sleep 600");
    let mut first = first.spawn().expect("mesh starts");
    let ledger = bench.mesh_home().join("runs/R/ledger.jsonl");
    let has_started =
        || std::fs::read_to_string(&ledger).is_ok_and(|text| text.contains("attempt_started"));
    wait_for("the worker", has_started);
    let said = headless(&bench, "--json ids=b -- true").exits(3);
    let object: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(object["headless_stop_reason"], "lock_held");
    assert!(object["delegation_did_not_run"].is_string());
    signal(first.id(), "-TERM");
    first.wait().expect("it ends");
}

#[test]
fn a_task_in_progress_that_can_not_be_run_does_not_keep_the_others_from_it() {
    let broken = Task::new("a")
        .status("in_progress")
        .notes("```mesh\nscop: [a]\n```\n");
    let bench = Bench::new(&[broken, Task::new("b")]);
    bench.run("max_tasks=auto").exits(2);
    let said = bench
        .run("--headless max_tasks=auto parallel_tasks=2")
        .exits(0);
    said.err_has("it is skipped");
    assert_eq!(bench.status_of("a"), "in_progress");
    assert_eq!(bench.status_of("b"), "completed");
}

#[test]
fn a_run_that_needs_no_worker_says_so() {
    let bench = Bench::new(&[Task::new("a").validation(&[])]);
    let said = bench.run("--headless").exits(1);
    said.out_has("\ndelegation_did_not_run=true: a was blocked (missing_validation)\n");
    let done = Bench::new(&[Task::new("a").status("completed")]);
    let said = done.run("--headless").exits(0);
    said.out_has("delegation_did_not_run=true: ");
}
