//! What validation commands decide.

use super::*;

#[test]
fn no_validation_command_blocks_unless_that_is_meant() {
    let (bench, said) = run_one(Task::new("a").validation(&[]));
    assert_eq!(
        (
            said.code,
            reason(&said).as_str(),
            bench.read("a.txt").as_str()
        ),
        (1, "missing_validation", "old\n")
    );
    assert!(
        bench.comments("a")[0].contains("missing_validation"),
        "{:?}",
        bench.comments("a")
    );

    let (bench, said) = run_one(
        Task::new("a")
            .without_validation()
            .more("allow_no_validation: true"),
    );
    assert_eq!((said.code, bench.read("a.txt").as_str()), (0, "new\n"));
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: completed; vote 1: 5 agree, 0 disagree; validation: none run; mesh_run_id=R");
}

#[test]
fn a_failed_validation_blocks_with_its_outcome() {
    let (bench, said) =
        run_one(Task::new("a").validation(&["true", "echo the reason; exit 7", "touch never"]));
    assert_eq!((said.code, bench.status_of("a").as_str()), (1, "blocked"));
    let validation = report(&said)["tasks"][0]["validation"].clone();
    let facts = validation
        .as_array()
        .expect("commands")
        .iter()
        .map(|run| (run["outcome"].clone(), run["key_line"].clone()));
    assert_eq!(
        facts.collect::<Vec<_>>(),
        [
            (json!("exit 0"), json!("")),
            (json!("exit 7"), json!("the reason"))
        ]
    );
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: blocked; reason: validation_failed (`echo the reason; exit 7`: exit 7); vote 1: 5 agree, 0 disagree; validation: `true` exit 0, `echo the reason; exit 7` exit 7; learnings: lrn-TIME-b500a582; mesh_run_id=R");
    assert!(
        !bench.path("never").exists(),
        "nothing runs after the failure"
    );
}

#[test]
fn a_validation_that_runs_too_long_is_ended() {
    let bench = Bench::new(&[Task::new("a").validation(&["sleep 600"])]);
    let before = bench.tree();
    let said = bench
        .run("--json validation_timeout_seconds=1 grace_seconds=1")
        .exits(1);
    assert_eq!(reason(&said), "validation_failed");
    assert_eq!(
        report(&said)["tasks"][0]["validation"][0]["outcome"],
        "timed out"
    );
    assert_eq!(bench.tree(), before);
}

#[test]
fn a_blocked_task_does_not_stop_the_next_one() {
    let bench = Bench::new(&[
        Task::new("a").validation(&["false"]),
        Task::new("b"),
        Task::new("c").after(&["a"]),
    ]);
    bench.run("max_tasks=3").exits(1);
    assert_eq!(
        ["a", "b", "c"].map(|id| bench.status_of(id)),
        ["blocked", "completed", "pending"]
    );
}

// Restored.
