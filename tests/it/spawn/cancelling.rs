//! `mesh cancel`: stopping a job from another process.

use super::*;
use rustix::process::{Pid, Signal, kill_process};

const COLUMNS: [&str; 3] = ["item_id", "status", "attempt_count"];

/// A job of three rows, one at a time, whose first is at work and waits for `open`.
fn under_way() -> (Sandbox, Child) {
    let sandbox = with_rows("id\n1\n2\n3\n");
    let agent = fake_agent();
    let options = "--id-column id -j 1";
    let mesh = start(&sandbox, options, &[&agent, "--gate", "."]);
    wait_for("a row has begun", || sandbox.path("began.1").exists());
    (sandbox, mesh)
}

fn cancel(sandbox: &Sandbox, options: impl Into<Args>) -> Said {
    sandbox.mesh(Args::from(&["cancel", &run_id(sandbox)]).and(options))
}

/// Waits until the job has heard `count` requests.
fn heard(sandbox: &Sandbox, count: usize) {
    wait_for("the request has arrived", || {
        sandbox.read("talk").matches("stopping").count() == count
    });
}

#[test]
fn running_rows_finish_and_the_rest_can_be_resumed() {
    let (sandbox, mesh) = under_way();
    let id = run_id(&sandbox);
    let asked = cancel(&sandbox, "").exits(0);
    assert_eq!(asked.out, "");
    assert_eq!(
        asked.err,
        format!("asked run {id} to stop: no further rows start, running rows finish\n")
    );
    heard(&sandbox, 1);
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | pending | 0\n3 | pending | 0"
    );
    let (name, ended) = sandbox.events().pop().expect("an end");
    assert_eq!(name, "run_finished");
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(ended["exit_code"], 4);
    assert_eq!(ended["detail"], "cancelled by mesh cancel");
    let talk = sandbox.read("talk");
    assert!(talk.contains(&format!("mesh resume {id}")), "{talk}");

    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | completed | 1\n3 | completed | 1"
    );
}

#[test]
fn a_halt_with_now_ends_running_rows() {
    let (sandbox, mesh) = under_way();
    cancel(&sandbox, "--now").exits(0);
    // The gate was never opened.
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | pending | 1\n2 | pending | 0\n3 | pending | 0"
    );
    sandbox.write("open", "");
    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 2\n2 | completed | 1\n3 | completed | 1"
    );
}

#[test]
fn cancelling_now_may_follow_a_soft_cancel() {
    let (sandbox, mesh) = under_way();
    cancel(&sandbox, "").exits(0);
    heard(&sandbox, 1);
    cancel(&sandbox, "--now").exits(0);
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | pending | 1\n2 | pending | 0\n3 | pending | 0"
    );
}

#[test]
fn cancelling_twice_equals_cancelling_once() {
    let (sandbox, mesh) = under_way();
    for count in 1..=2 {
        cancel(&sandbox, "").exits(0);
        heard(&sandbox, count);
    }
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | pending | 0\n3 | pending | 0"
    );
}

#[test]
fn a_stopping_job_does_not_wait_for_a_delayed_retry() {
    let sandbox = with_rows("id\n1\n");
    let options = "--id-column id --retry-delay 300";
    let mesh = start(&sandbox, options, "true");
    wait_for("the first attempt is over", || {
        ledger(&sandbox).contains("\"attempt_finished\"")
    });
    cancel(&sandbox, "").exits(0);
    assert_eq!(finish(mesh), 4);
    assert_eq!(table(&sandbox, &COLUMNS), "1 | pending | 1");
}

#[test]
fn a_resumed_job_can_be_cancelled() {
    let (sandbox, mesh) = under_way();
    cancel(&sandbox, "--now").exits(0);
    assert_eq!(finish(mesh), 4);
    std::fs::remove_file(sandbox.path("began.1")).expect("it was there");
    let talk = std::fs::File::create(sandbox.path("talk")).expect("a file");
    let mut mesh = sandbox.command(&["resume", &run_id(&sandbox)]);
    let mesh = mesh.stdout(Stdio::null()).stderr(talk).spawn();
    let mesh = mesh.expect("mesh starts");
    wait_for("the row has begun", || sandbox.path("began.1").exists());
    cancel(&sandbox, "--now").exits(0);
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | pending | 2\n2 | pending | 0\n3 | pending | 0"
    );
}

#[test]
fn cancelling_a_run_that_is_not_running_is_refused_and_it_can_be_resumed() {
    let sandbox = with_rows("id,mock\n1,stop\n2,good\n");
    let options = ["--id-column", "id", "-j", "1"];
    spawn_agent(&sandbox, &options, "--as {mock}").exits(4);
    for options in [&[][..], &["--now"]] {
        let refused = cancel(&sandbox, options).exits(2);
        refused.err_has("is not running");
    }
    resume(&sandbox).exits(0);
    assert_eq!(table(&sandbox, "status"), "completed\ncompleted");
    let unknown = sandbox.mesh("cancel nope").exits(2);
    unknown.err_has("no run `nope`");
}

#[test]
fn a_cancel_request_missed_by_a_killed_run_does_not_stop_its_resume() {
    let (sandbox, mut mesh) = under_way();
    let pid = Pid::from_child(&mesh);
    kill_process(pid, Signal::STOP).expect("there");
    cancel(&sandbox, "--now").exits(0);
    kill_process(pid, Signal::KILL).expect("there");
    mesh.wait().expect("mesh ends");
    sandbox.write("open", "");
    resume(&sandbox).exits(0);
    assert_eq!(table(&sandbox, "status"), "completed\ncompleted\ncompleted");
}

#[test]
fn a_cancelled_run_is_listed_as_cancelled() {
    let (sandbox, mesh) = under_way();
    cancel(&sandbox, "--now").exits(0);
    assert_eq!(finish(mesh), 4);
    let (id, work) = (run_id(&sandbox), sandbox.work().display().to_string());
    let list = sandbox.mesh("runs list --json");
    let line = list.out.replace(&id, "RUN").replace(&work, "WORK");
    assert_snapshot!(line.split(",\"cost_usd\":").next().expect("a part"), @r#"{"mesh_run_id":"RUN","kind":"spawn","status":"cancelled","exit_code":4,"work":"3 pending","root":"WORK""#);
}

#[test]
fn a_reported_result_is_kept_when_its_worker_is_killed() {
    let sandbox = with_rows("id\n1\n2\n");
    let script = r#""$MESH" report-result --result '{"n":1}'; : >reported; until [ -e open ]; do sleep 0.02; done"#;
    let options = "--id-column id -j 1 --env MESH";
    let mesh = start(&sandbox, options, &["sh", "-c", script]);
    wait_for("it has reported", || sandbox.path("reported").exists());
    cancel(&sandbox, "--now").exits(0);
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, "status attempt_count result_json"),
        "completed | 1 | {\"n\":1}\npending | 0 |"
    );
}

#[test]
fn a_run_that_is_about_to_start_its_rows_receives_the_request() {
    let ids: String = (1..=50_000).map(|n| format!("{n}\n")).collect();
    let sandbox = with_rows(&format!("id\n{ids}"));
    let agent = fake_agent();
    let options = "--id-column id -j 1 --halt soon,done=1 --max-runtime-seconds 60 --retries 0";
    let command = [
        "sh",
        "-c",
        r#"[ -e first ] && exec "$@"; : >first; echo '{}'"#,
    ];
    let command = [&command[..], &["sh", &agent, "--gate", "."]].concat();
    spawn(&sandbox, options, &command).exits(4);

    let talk = std::fs::File::create(sandbox.path("talk")).expect("a file");
    let mut mesh = sandbox.command(&["resume", &run_id(&sandbox), "--retry-failed"]);
    let mesh = mesh.stdout(Stdio::null()).stderr(talk).spawn();
    let mesh = mesh.expect("mesh starts");
    // It holds the run, and has still to read its input.
    wait_for("it is under way", || {
        sandbox.read("talk").contains("retrying ")
    });
    cancel(&sandbox, "--now").exits(0);
    wait_for("it has stopped", || {
        ledger(&sandbox).matches("\"run_finished\"").count() == 2
    });
    assert_eq!(finish(mesh), 4);
}

#[test]
fn a_cancel_request_is_received_despite_a_concurrent_resume() {
    let (sandbox, mesh) = under_way();
    let pid = Pid::from_child(&mesh);
    kill_process(pid, Signal::STOP).expect("there");
    cancel(&sandbox, "--now").exits(0);
    let refused = resume(&sandbox);
    kill_process(pid, Signal::CONT).expect("there");
    assert_eq!(refused.code, 3, "{}", refused.err);
    heard(&sandbox, 1);
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | pending | 1\n2 | pending | 0\n3 | pending | 0"
    );
}

#[test]
fn a_script_gets_an_object() {
    let (sandbox, mesh) = under_way();
    let asked = cancel(&sandbox, "--json");
    let wanted = format!(
        "{{\"mesh_run_id\":\"{}\",\"asked\":\"soon\"}}\n",
        run_id(&sandbox)
    );
    assert_eq!((asked.code, asked.out, asked.err.as_str()), (0, wanted, ""));
    heard(&sandbox, 1);
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4);
}

#[test]
fn a_cancelled_run_that_went_on_and_was_killed_has_not_ended() {
    let (sandbox, mesh) = under_way();
    cancel(&sandbox, "");
    heard(&sandbox, 1);
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4);
    let status = || {
        let said = sandbox.mesh("--json runs list");
        let line: Value = serde_json::from_str(said.out.trim()).expect("JSON");
        line["status"].as_str().expect("text").to_owned()
    };
    assert_eq!(status(), "cancelled");
    let records = sandbox.events().len();
    sandbox
        .command(&["resume", &run_id(&sandbox)])
        .env("MESH_FAULT_KILL", format!("after:{}", records + 2))
        .run_to_end()
        .exits(137);
    assert_eq!(status(), "not ended");
}
