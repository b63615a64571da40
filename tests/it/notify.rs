//! `--notify`: how somebody who is away is told.

use crate::fixture::*;
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// The option with the given command.
fn notify(command: &str) -> Args {
    Args::from("--notify").and(&[command])
}

/// The option with a command that keeps what it is told.
fn keep() -> Args {
    notify("cat >>notices")
}

/// What was told so far.
fn told(folder: &Sandbox) -> Vec<Value> {
    let path = folder.mesh_home().join("runs/R/notices");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a JSON object in one line"))
        .collect()
}

fn start(mut command: Command) -> Child {
    command.env("MESH_POLL_MS", "20");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("mesh starts")
}

#[test]
fn the_end_of_a_run_is_told_with_its_report_and_each_blocked_task_as_well() {
    let tasks = [
        Task::new("a"),
        Task::new("b").validation(&["echo no `x` \\\"; exit 1"]),
    ];
    let bench = Bench::new(&tasks);
    let said = bench.run(Args::from("parallel_tasks=2 max_tasks=2 --json").and(keep()));
    let said = said.exits(1);
    let told = told(&bench);
    assert_eq!(told.len(), 2, "{told:?}");
    let blocked = &told[0];
    assert_eq!(blocked["notice"], "blocked");
    assert_eq!(blocked["task"], "b");
    assert_eq!(blocked["reason"], "validation_failed");
    assert_eq!(blocked["so_far"]["blocked"], 1);
    assert_contains(blocked["detail"].as_str().expect("text"), "`x`");
    let ended = &told[1];
    assert_eq!(ended["notice"], "ended");
    assert_eq!(
        (&ended["run_id"], &ended["kind"]),
        (&"R".into(), &"plan".into())
    );
    assert_eq!(ended["exit_code"], 1);
    assert_eq!(ended["summary"], report(&said));
    assert_eq!(ended["status"], ended["summary"]["status"]);
}

#[test]
fn a_run_that_waits_for_its_plan_says_so_and_how_it_was_ended() {
    let bench = Bench::new(&[Task::new("a")]);
    let run = start(bench.replay_command(Args::from("--follow").and(keep())));
    wait_for("the wait to be told", || !told(&bench).is_empty());
    bench.mesh("cancel R").exits(0);
    said(run.wait_with_output().expect("it ends")).exits(4);
    let told = told(&bench);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["reason"], "nothing_ready");
    assert_eq!(told[0]["so_far"]["completed"], 1);
    assert_eq!(told[1]["status"], "cancelled");
    assert_eq!(told[1]["exit_code"], 4);
}

#[test]
fn a_rate_limit_that_lasts_is_told_once_and_resume_tells_as_well() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\nb\n");
    sandbox.write("until", "9999999999");
    let agent = fake_agent();
    let limit = "You've hit your limit · try again in 500s";
    let args = Args::from("spawn in.csv --run-id R --id-column id -o out.csv --instruction x -j 1")
        .and(keep())
        .and(&["--", &agent])
        .and(&["--quota", "a", "until", "9999999999", limit]);
    let run = start(sandbox.command(args));
    wait_for("the wait to be told", || !told(&sandbox).is_empty());
    sandbox.mesh("cancel R").exits(0);
    said(run.wait_with_output().expect("it ends")).exits(4);
    let first = told(&sandbox);
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(first[0]["notice"], "waiting");
    assert_eq!(first[0]["reason"], "rate_limit");
    assert!(first[0]["until"].is_string());
    assert_eq!(first[0]["so_far"]["total_items"], 2);
    assert_eq!(
        (&first[1]["kind"], &first[1]["status"]),
        (&"spawn".into(), &"cancelled".into())
    );

    sandbox.write("until", "0");
    let resumed = sandbox.mesh(Args::from("resume R --ask-now").and(keep()));
    resumed.exits(0);
    let last = told(&sandbox).pop().expect("told");
    assert_eq!(last["summary"]["completed_items"], 2);
    assert_eq!(last["exit_code"], 0);
}

#[test]
fn a_command_that_fails_or_hangs_changes_nothing_for_the_run() {
    let spawn = |command: &str, limit_ms: &str| {
        let sandbox = Sandbox::new();
        sandbox.write("in.csv", "id\na\n");
        let args = Args::from("spawn in.csv --id-column id -o out.csv --instruction x");
        let args = args
            .and(notify(command))
            .and(&["--", "sh", "-c", "printf '{}'"]);
        let mut mesh = sandbox.command(args);
        let said = said(
            mesh.env("MESH_NOTIFY_MS", limit_ms)
                .output()
                .expect("it ends"),
        )
        .exits(0);
        (said, sandbox)
    };
    let (said, _) = spawn("echo first; echo no mail >&2; exit 3", "60000");
    said.err_has("warning: the command of --notify failed: exit status: 3: no mail\n");
    let (said, _) = spawn("no-such-program", "60000");
    said.err_has("the command of --notify failed: exit status: 127: ");
    // It does not read its input, and is ended with all that it has started.
    let (hung, sandbox) = spawn("echo $$ >pid; sleep 1000; :", "8000");
    hung.err_has("the command of --notify failed: it took longer than 8 s");
    let group: i32 = read_file(sandbox.only_run().join("pid"))
        .trim()
        .parse()
        .expect("a number");
    let group = rustix::process::Pid::from_raw(group).expect("a process");
    wait_for("the group to end", || {
        rustix::process::test_kill_process_group(group).is_err()
    });
}
