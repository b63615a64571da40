//! What a person is told: which rows failed and why, what is ambiguous, how to let a command in.

use super::*;

#[test]
fn runs_are_listed_with_what_their_rows_came_to() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "n\n1\n2\n3\n");
    let script = "echo why it failed >&2; test $MESH_ITEM_ID != row-2 && echo '{\"a\":1}'";
    sandbox
        .mesh(&[
            "spawn",
            "in.csv",
            "-o",
            "out.csv",
            "--run-id",
            "R",
            "--instruction",
            "do {n}",
            "--",
            "/bin/sh",
            "-c",
            script,
        ])
        .exits(1);
    let list = sandbox.mesh("runs list");
    list.out_has("2 ok, 1 failed");
    let log = sandbox.mesh_home().join("runs/R/logs/001/row-2.1.err");
    let shown = sandbox.mesh("runs show R");
    for wanted in [
        "rows: 2 of 3 completed, 1 failed",
        "used: not reported by this agent",
        "row-2  worker_exit: exit code 1: why it failed",
        &format!("log: {}", log.display()),
        "--row row-2",
    ] {
        assert!(shown.out.contains(wanted), "{wanted}: {}", shown.out);
    }
    let row = sandbox.mesh("runs show R --row row-2");
    for wanted in [
        "row row-2 failed",
        "do 2",
        "Attempt 1: failed after",
        "why it failed",
        "used: not reported",
    ] {
        assert!(row.out.contains(wanted), "{wanted}: {}", row.out);
    }
    let row = sandbox.mesh("runs show R --row row-1 --json");
    let row: Value = serde_json::from_str(&row.out).expect("JSON");
    assert_eq!(
        (&row["row"]["status"], &row["row"]["result"]),
        (&json!("completed"), &json!({"a": 1}))
    );
    assert!(row["prompt"].as_str().expect("a prompt").contains("do 1"));
    let none = sandbox.mesh("runs show R --row row-9").exits(2);
    none.err_has("run `R` has no row `row-9`");
}

#[test]
fn many_failed_rows_are_counted_and_named_on_request() {
    let sandbox = Sandbox::new();
    let numbers: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    sandbox.write("in.csv", &format!("n\n{}\n", numbers.join("\n")));
    let args = "spawn in.csv -o out.csv --run-id R --instruction x -- /bin/false";
    sandbox.mesh(args).exits(1);
    let shown = sandbox.mesh("runs show R").out;
    assert_contains(&shown, "and 10 more: mesh runs show R --failed");
    let all = sandbox.mesh("runs show R --failed").out;
    assert_eq!(all.matches("worker_exit: exit code 1").count(), 30, "{all}");
}

#[test]
fn plan_runs_show_their_rows_as_well() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    std::fs::remove_dir_all(bench.beside("answers/b")).expect("removed");
    let said = bench.run("max_tasks=2").exits(1);
    let list = bench.mesh("runs list").out;
    assert!(list.contains("1 completed, 1 blocked"), "{list}");
    let shown = bench.mesh("runs show R").out;
    assert_contains(&shown, "b.proposal.proposer.1  worker_exit: ");
    assert_contains(&shown, "    log: ");
    let row = bench
        .mesh("runs show R --row a.synthesis.synthesizer.1")
        .out;
    assert_contains(&row, "row a.synthesis.synthesizer.1 completed");
    assert_contains(&row, "\"patch\"");
    // Nobody learns from a worker that never answered.
    let about_b =
        |(name, body): &(String, Value)| name == "learning_appended" && body["unit"] == "b";
    assert!(!bench.events().iter().any(about_b));
    for text in [
        &said.err,
        &said.out,
        &shown,
        &bench.comments("b").join("\n"),
    ] {
        for code in ["no_response", "worker_exit", "timeout"] {
            assert!(!text.contains(&format!("{code}: {code}")), "{text}");
        }
    }
}

#[test]
fn an_uncommitted_edit_in_the_way_is_named() {
    let patch = edit("a.txt", "old", "new");
    let bench = Bench::new(&[Task::new("a").patches(&[&patch, &patch])]);
    bench.write("a.txt", "mine\n");
    let said = bench.run("--json").exits(1);
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["reason"], "ambiguous_integration");
    let told = "your uncommitted edit of `a.txt` touches the same lines";
    assert!(
        task["detail"].as_str().expect("text").starts_with(told),
        "{task}"
    );
    assert!(bench.comments("a")[0].contains(told));
    said.err_has(told);
}

#[test]
fn a_task_that_must_fail_for_lack_of_validation_costs_no_rows() {
    let bench = Bench::new(&[Task::new("a").notes("")]);
    let proposal = json!({
        "mesh": {"scope": ["a.txt"], "acceptance": ["x"], "validation": ["./check it"], "risk": "low"},
        "plan": ["edit"], "assumptions": [], "risk": "low", "risks": [],
    });
    bench.answer("a", "hydrate.proposer.1", &proposal.to_string());
    let said = bench.run("--json").exits(1);
    assert_eq!(bench.rows(), ["a.hydrate.proposer.1"]);
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["reason"], "missing_validation");
    let detail = task["detail"].as_str().expect("text");
    for wanted in [
        "`./check it`",
        "--validation-allow './check it'",
        "--trust-proposed-validation",
        "notes",
    ] {
        assert!(detail.contains(wanted), "{wanted}: {detail}");
    }
    let bench = Bench::new(&[Task::new("a").validation(&[])]);
    bench.run("").exits(1);
    assert_eq!(
        bench
            .events()
            .iter()
            .filter(|(name, _)| name == "attempt_started")
            .count(),
        0
    );
    let bench = Bench::new(&[Task::new("a")
        .validation(&[])
        .more("allow_no_validation: true")]);
    bench.run("").exits(0);
}
