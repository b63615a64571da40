//! `mesh runs list` keeps its sums, and `mesh runs gc` removes old runs.

use crate::fixture::*;
use serde_json::Value;

fn spawn(sandbox: &Sandbox, run: &str, command: &str) {
    sandbox.write("in.csv", "n\n1\n2\n");
    let output = format!("{run}.csv");
    sandbox.mesh(&[
        "spawn",
        "in.csv",
        "--run-id",
        run,
        "-o",
        &output,
        "--retries",
        "0",
        "--instruction",
        "x",
        "--",
        "sh",
        "-c",
        command,
    ]);
}

fn runs(sandbox: &Sandbox) -> Vec<String> {
    let list = sandbox.mesh("runs list --json").exits(0).out;
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).expect("JSON")["mesh_run_id"]
            .as_str()
            .map(str::to_owned)
    };
    list.lines().filter_map(id).collect()
}

#[test]
fn a_kept_summary_is_used_until_the_ledger_changes() {
    let sandbox = Sandbox::new();
    spawn(
        &sandbox,
        "R",
        "[ $MESH_ITEM_ID = row-1 ] || [ -e now ] && echo '{}'",
    );
    let list = || sandbox.mesh("runs list").exits(0).out;
    assert_contains(&list(), "1 ok, 1 failed");
    let kept = sandbox.mesh_home().join("runs/R/summary.json");
    let text = read_file(&kept);
    std::fs::write(&kept, text.replace("1 ok, 1 failed", "from the copy")).expect("written");
    assert_contains(&list(), "from the copy");
    for damaged in ["", "{", "{\"v\": 99}"] {
        std::fs::write(&kept, damaged).expect("written");
        assert_contains(&list(), "1 ok, 1 failed");
    }
    sandbox.write("now", "");
    sandbox.mesh("resume R --retry-failed").exits(0);
    assert_contains(&list(), "2 ok");
    let object: Value = serde_json::from_str(&sandbox.mesh("runs list --json").out).expect("JSON");
    assert!(
        object["disk_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 1000),
        "{object}"
    );
    assert!(object["seconds"].as_f64().is_some(), "{object}");
}

#[test]
fn old_runs_are_removed_and_open_ones_are_kept() {
    let sandbox = Sandbox::new();
    spawn(&sandbox, "good", "echo '{}'");
    spawn(&sandbox, "bad", "exit 1");
    // Killed in the middle.
    spawn(&sandbox, "open", "echo '{}'");
    let ledger = sandbox.mesh_home().join("runs/open/ledger.jsonl");
    let text = read_file(&ledger);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("\"run_finished\""))
        .collect();
    std::fs::write(&ledger, lines.join("\n") + "\n").expect("written");

    let young = sandbox.mesh("runs gc --older-than 1h").exits(0);
    young.err_has("0 runs removed");
    let dry = sandbox.mesh("runs gc --older-than 0s --dry-run").exits(0);
    dry.err_has("2 runs would be removed");
    dry.err_has("kept: 1 old run not ended");
    assert_eq!(runs(&sandbox).len(), 3);
    let first = sandbox
        .mesh("runs gc --older-than 0s --keep-failed")
        .exits(0);
    first.err_has("1 run removed");
    first.err_has("kept: 1 old run failed");
    assert!(first.out.starts_with("good  "), "{}", first.out);
    // A run that was killed before it began has a folder and no ledger.
    let unstarted = sandbox.mesh_home().join("runs/unstarted");
    std::fs::create_dir_all(unstarted.join("units")).expect("made");
    let empty = sandbox.mesh_home().join("runs/empty");
    std::fs::create_dir_all(&empty).expect("made");
    std::fs::write(empty.join("ledger.jsonl"), "").expect("written");
    sandbox.mesh("runs gc --older-than 1h").exits(0);
    assert!(unstarted.exists());
    // What an earlier call left is removed with the next one.
    let left = sandbox.mesh_home().join("trash/left.1/deep");
    std::fs::create_dir_all(&left).expect("made");
    sandbox
        .mesh("runs gc --older-than 0s")
        .exits(0)
        .err_has("2 runs removed");
    assert_eq!(runs(&sandbox), ["open"]);
    assert!(!sandbox.mesh_home().join("trash").exists());
    sandbox
        .mesh("runs gc")
        .exits(2)
        .err_has("--older-than <AGE>");
    for age in ["30", "d", "-1d", "1y", "1.5h", "é"] {
        sandbox
            .mesh(&["runs", "gc", &format!("--older-than={age}")])
            .exits(2)
            .err_has("must be a number and a unit");
    }
}

#[test]
fn only_runs_that_a_process_drives_are_active() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.csv", "id\n1\n");
    let wait = "touch started; while [ ! -e go ]; do sleep 0.05; done; echo '{}'";
    let wait = wait
        .replace("started", &sandbox.beside("started").display().to_string())
        .replace("go ]", &format!("{} ]", sandbox.beside("go").display()));
    let args = ["spawn", "rows.csv", "--run-id", "R", "--sandbox", "none"];
    let args = Args::from(&args).and(&["--instruction", "x", "--", "sh", "-c", &wait]);
    let mut run = sandbox.command(args).spawn().expect("mesh starts");
    wait_for("the worker", || sandbox.beside("started").exists());
    let said = sandbox.mesh("runs list --active --json").exits(0);
    let object: Value = serde_json::from_str(&said.out).expect("one JSON object");
    assert_eq!(object["mesh_run_id"], "R");
    assert_eq!(object["status"], "running");
    std::fs::write(sandbox.beside("go"), "").expect("written");
    assert!(run.wait().expect("it ends").success());
    let said = sandbox.mesh("runs list --active").exits(0);
    said.err_has("no active runs");
    assert_eq!(said.out, "");
}
