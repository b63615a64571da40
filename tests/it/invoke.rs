//! `mesh invoke`: which messages start a run, and what the others are told.

use crate::fixture::*;
use insta::assert_snapshot;
use std::io::Write;
use std::process::Stdio;

/// `mesh invoke` as run `R` with the recorded answers.
fn invoke(bench: &Bench, args: impl Into<Args>) -> Said {
    let head = format!(
        "invoke --run-id R --adapter replay --answers {}",
        bench.answers()
    );
    bench.mesh(Args::from(&head).and(args))
}

/// The same with the message on standard input.
fn invoke_by_input(bench: &Bench, message: &[u8], args: impl Into<Args>) -> Said {
    let answers = bench.answers();
    let head: &[&str] = &["invoke", "-", "--run-id", "R", "--adapter", "replay"];
    let mut command = bench.command(Args::from(head).and(&["--answers", &answers]).and(args));
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("mesh starts");
    let mut input = child.stdin.take().expect("a pipe");
    // Whoever refuses a message need not read it to its end.
    let _ = input.write_all(message);
    drop(input);
    said(child.wait_with_output().expect("it ends"))
}

#[test]
fn the_token_accepts_run_arguments() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b"), Task::new("c")]);
    let said = invoke(&bench, "'Ok, tests pass. $mesh ids=c,b max_tasks=2!'").exits(0);
    assert_snapshot!(said.err.lines().next().unwrap_or_default(), @"mesh_preflight mesh_run_id=R plan_file=.step/st-plan.jsonl adapter=replay ids=b overrides=ids=c+b,max_tasks=2 concurrency=5");
    let states = ["a", "b", "c"].map(|id| bench.status_of(id));
    assert_eq!(states, ["pending", "completed", "completed"]);
}

#[test]
fn the_bare_token_runs_the_next_task() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let done = report(&invoke(&bench, "--json $mesh"));
    assert_eq!(done["mesh_run_id"], "R");
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "pending"]
    );
}

#[test]
fn a_blocked_task_is_exit_code_1_as_for_run() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"])]);
    invoke(&bench, "$mesh").exits(1);
}

#[test]
fn the_command_after_a_double_dash_is_the_agent() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let said = bench
        .mesh("invoke --dry-run '$mesh ids=b' -- true")
        .exits(0);
    assert_eq!(selected(&said), "b");
    said.out_starts_with("First wave: ");
    assert!(!bench.mesh_home().exists());
}

#[test]
fn the_message_goes_before_environment_and_mesh_yaml() {
    let tasks = ["a", "b", "c"].map(Task::new);
    let bench = Bench::new(&tasks);
    bench.write("mesh.yaml", "parallel_tasks: 2\nmax_tasks: 9\n");
    let ids = |message: &str, variable: &str| {
        selected(
            &bench
                .command(&["invoke", "--dry-run", message, "--", "true"])
                .env("MESH_PARALLEL_TASKS", variable)
                .run_to_end(),
        )
    };
    assert_eq!(ids("$mesh", "3"), "a,b,c");
    assert_eq!(ids("$mesh parallel_tasks=1", "3"), "a");
    assert_eq!(ids("$mesh max_tasks=2", "3"), "a,b");
}

/// Nothing is started and nothing is written; gives what is said.
fn not_run(message: &str, args: impl Into<Args>) -> Said {
    let bench = Bench::new(&[Task::new("a")]);
    let said = invoke(&bench, args.into().and(&[message]));
    assert!(!bench.mesh_home().exists(), "{message:?} left a run");
    assert_eq!(bench.status_of("a"), "pending");
    said
}

#[test]
fn a_request_about_the_skill_is_skipped() {
    let said = not_run("Please review $mesh and update mesh/SKILL.md.", "").exits(0);
    assert_snapshot!(said.out, @"mesh_execution_skipped_reason=meta_request");
    assert_snapshot!(said.err, @"nothing was started: the message is about `$mesh`; `$mesh ids=st-003`, on a line of its own, runs a task");
}

#[test]
fn an_acknowledgement_is_skipped() {
    let said = not_run("yep, ship it", "").exits(0);
    assert_snapshot!(said.out, @"mesh_execution_skipped_reason=no_token");
    assert_snapshot!(said.err, @"nothing was started: the message contains no `$mesh`; `$mesh ids=st-003` runs a task; in a shell, put it in single quotes");
}

#[test]
fn a_skipped_run_as_json() {
    let said = not_run("how does $mesh work?", "--json --quiet").exits(0);
    assert_eq!(said.err, "");
    assert_snapshot!(said.out, @r#"{"executed":false,"skipped_reason":"meta_request"}"#);
}

#[test]
fn a_skipped_run_needs_no_repository_and_no_plan() {
    let said = Sandbox::new().mesh("invoke go").exits(0);
    assert_eq!(said.out, "mesh_execution_skipped_reason=no_token\n");
}

#[test]
fn an_unknown_key_is_bad_input() {
    let said = not_run("$mesh max_tasks=1 model=evil", "").exits(2);
    assert_eq!(said.out, "");
    assert_snapshot!(said.err, @"
    error: `model` can't be set from a message
    hint: a message can set ids, plan_file, max_tasks, parallel_tasks, integrate, adapter
    ");
}

#[test]
fn invalid_values_are_bad_input() {
    for (message, what) in [
        ("$mesh max_tasks=many", "'many' for '--max-tasks"),
        (
            "$mesh max_tasks=1 max_tasks=2",
            "'--max-tasks <N>' cannot be used multiple times",
        ),
        (
            "$mesh plan_file=\"my plan",
            "the value of `plan_file` starts with a quote",
        ),
        ("$mesh ids=--dry-run", "--dry-run"),
        ("$mesh ids=$(touch${IFS}pwned)", "$(touch${IFS}pwned"),
    ] {
        let said = not_run(message, "");
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{message}");
        assert!(said.err.contains(what), "{message}: {}", said.err);
    }
}

#[test]
fn a_message_on_standard_input() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let message = b"> --adapter=evil $mesh\r\n\xff\xfe\r\n- run `$mesh ids=b`, please\r\n";
    invoke_by_input(&bench, message, "").exits(0);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["pending", "completed"]
    );
}

#[test]
fn a_message_without_end_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = invoke_by_input(&bench, &vec![b'\n'; (16 << 20) + 1], "").exits(2);
    assert_eq!(said.out, "");
    assert_snapshot!(said.err, @"error: the message is longer than 16777216 bytes");
}

#[test]
fn a_plan_file_name_may_contain_a_space() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("my plan.jsonl", &bench.read(PLAN));
    let message = "$mesh plan_file=\"my plan.jsonl\".";
    let said = bench
        .mesh(&["invoke", "--dry-run", message, "--", "true"])
        .exits(0);
    assert_eq!(selected(&said), "a");
}
