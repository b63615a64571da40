//! Waves in slices: `mesh wave export`, `mesh wave exec`, and collecting what the slices did.

use crate::fixture::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const SCHEMA: &str = r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#;

/// A wave CSV of `rows` rows with the columns id, prompt and n, and its call file.
pub fn with_wave(rows: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let lines = (1..=rows).map(|n| format!("item-{n},do {n},{n}\n"));
    sandbox.write(
        "w.csv",
        &format!("id,prompt,n\n{}", lines.collect::<String>()),
    );
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let call = json!({"csv_path": "w.csv", "instruction": "{prompt}", "id_column": "id",
        "max_concurrency": 4, "max_runtime_seconds": 30, "output_schema": schema});
    sandbox.write("w.call.json", &call.to_string());
    sandbox
}

/// Exports `w.csv` to `job` for workers that run `script` in a shell; its `$0` is the cell of column n.
fn export(sandbox: &Sandbox, options: &str, script: &str) {
    let args = Args::from("wave export w.csv job --to shell").and(options);
    let command = ["--", "sh", "-c", script, "{n}"];
    sandbox.mesh(args.and(&command[..])).exits(0);
}

const ANSWER: &str = r#"cat >/dev/null; echo "$0" >>log; echo "{\"n\": $0}""#;

/// Which rows were worked since this was asked last, sorted.
fn worked(sandbox: &Sandbox) -> String {
    let log = sandbox.path("log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let mut rows: Vec<&str> = text.lines().collect();
    rows.sort_unstable();
    rows.join(" ")
}

fn files(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path("job/slices")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The events of a file of a slice.
fn events(path: &Path) -> Vec<Value> {
    let text = read_file(path);
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_slice_reads_its_own_rows_unless_the_index_of_the_rows_does_not_fit() {
    let sandbox = with_wave(5);
    export(&sandbox, "--rows-per-task 1", ANSWER);
    let text = sandbox.read("job/wave.csv");
    // Of the same size, and no table any more if the first row is read.
    sandbox.write("job/wave.csv", &text.replacen("do 1,1", "do 1,\"", 1));
    sandbox.mesh("wave exec job --index 3").exits(0);
    sandbox.mesh("wave exec job --slice 4-5").exits(0);
    assert_eq!(worked(&sandbox), "3 4 5");
    std::fs::rename(sandbox.path("job/rows.json"), sandbox.path("rows.json")).expect("moved");
    let whole = sandbox.mesh("wave exec job --index 2");
    assert_ne!(whole.code, 0);
    whole.err_has("line 2, column 3: the quote that is opened here is never closed");
    // The rows are elsewhere, in a file of the same size.
    let moved = format!("id,prompt,n\nitem-1,do it,1\n{}", &text[27..]);
    assert_eq!(moved.len(), text.len());
    sandbox.write("job/wave.csv", &moved);
    std::fs::rename(sandbox.path("rows.json"), sandbox.path("job/rows.json")).expect("moved");
    sandbox.mesh("wave exec job --index 2").exits(0);
    assert_eq!(worked(&sandbox), "2");
    // Of another size.
    sandbox.write("job/wave.csv", &text.replacen("item-1,do 1,1\n", "", 1));
    let gone = sandbox.mesh("wave exec job --slice 5");
    gone.err_has("row 5 is out of range");
}

#[test]
fn every_slice_is_worked_once_and_by_the_rules_of_spawn() {
    let sandbox = with_wave(5);
    // The first answer of each row does not fit the schema.
    let script = r#"cat >/dev/null; echo "$0" >>log
        if mkdir "seen-$0" 2>/dev/null; then echo '{"n": "no"}'; else echo "{\"n\": $0}"; fi"#;
    export(&sandbox, "--rows-per-task 2", script);
    let shell = std::process::Command::new(sandbox.path("job/run"))
        .output()
        .expect("it starts");
    assert!(shell.status.success(), "{shell:?}");
    assert_eq!(worked(&sandbox), "1 1 2 2 3 3 4 4 5 5");
    assert_eq!(
        files(&sandbox),
        ["00001.1.jsonl", "00002.1.jsonl", "00003.1.jsonl"]
    );
    let last = events(&sandbox.path("job/slices/00003.1.jsonl"));
    let finished: Vec<(&Value, &Value)> = last
        .iter()
        .filter(|event| event["event"] == "attempt_finished")
        .map(|event| (&event["attempt"], &event["end"]))
        .collect();
    assert_eq!(
        finished,
        [
            (&json!(1), &json!("retry")),
            (&json!(2), &json!("completed"))
        ]
    );
    let reported = last
        .iter()
        .find(|event| event["event"] == "attempt_reported");
    let reported = reported.expect("a result");
    assert_eq!(
        (&reported["item_id"], &reported["row_index"]),
        (&json!("item-5"), &json!(4))
    );
    assert_eq!(reported["result"], json!({"n": 5}));
    // Again: everything is done.
    sandbox.mesh("wave exec job --index 3").exits(0);
    assert_eq!((worked(&sandbox).as_str(), files(&sandbox).len()), ("", 3));
}

#[test]
fn each_engine_names_the_slice_in_its_own_way() {
    let sandbox = with_wave(3);
    export(&sandbox, "", ANSWER);
    for (variable, value, row) in [
        ("SLURM_ARRAY_TASK_ID", "2", "2"),
        ("JOB_COMPLETION_INDEX", "0", "1"),
        ("AWS_BATCH_JOB_ARRAY_INDEX", "2", "3"),
    ] {
        let mut command = sandbox.command("wave exec job");
        said(command.env(variable, value).output().expect("run")).exits(0);
        assert_eq!(worked(&sandbox), row, "{variable}");
    }
    for (variable, value, wrong) in [
        (
            "HQ_TASK_ID",
            "4",
            "there is no slice 4; the job has 3, counted from 1",
        ),
        (
            "JOB_COMPLETION_INDEX",
            "3",
            "there is no slice 3; the job has 3, counted from 0",
        ),
        (
            "PARALLEL_SEQ",
            "x",
            "PARALLEL_SEQ is `x`, which is no index",
        ),
    ] {
        let mut command = sandbox.command("wave exec job");
        said(command.env(variable, value).output().expect("run"))
            .exits(2)
            .err_has(wrong);
    }
    sandbox
        .mesh("wave exec job")
        .exits(2)
        .err_has("which rows?");
    sandbox.mesh("wave exec w.csv --index 1 -- true").exits(1);
    let other = sandbox.mesh("wave exec w.csv --index 2 -- false").exits(2);
    other.err_has("w.exec` was made with another command");
    for options in ["--retries 5", "--env TOKEN"] {
        let args = Args::from("wave exec w.csv --index 2").and(options);
        let other = sandbox.mesh(args.and(&["--", "true"][..])).exits(2);
        other.err_has("w.exec` was made with another command, or other options");
        let args = Args::from("wave exec job --index 2").and(options);
        let kept = sandbox.mesh(args).exits(2);
        kept.err_has("can't be changed: `job` keeps what it was exported with");
    }
    sandbox
        .mesh("wave exec none --index 1")
        .exits(2)
        .err_has("it has no job.json");
}

#[test]
fn a_slice_that_was_killed_goes_on_behind_its_last_result() {
    let sandbox = with_wave(4);
    let script = r#"cat >/dev/null; echo "$0" >>log
        [ "$0" = 3 ] && [ ! -e go ] && sleep 60; echo "{\"n\": $0}""#;
    export(&sandbox, "--rows-per-task 4", script);
    let mut running = sandbox
        .command("wave exec job --index 1")
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let log = sandbox.path("log");
    wait_for("row 3", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains('3'))
    });
    signal(running.id(), "-KILL");
    running.wait().expect("ended");
    assert_eq!(worked(&sandbox), "1 2 3");
    sandbox.write("go", "");
    let said = sandbox.mesh("wave exec job --index 1 --json").exits(0);
    said.err_has("ended an orphan of a killed mesh");
    let summary: Value =
        serde_json::from_str(said.out.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (&summary["completed_items"], &summary["pending_items"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(worked(&sandbox), "3 4");
    assert_eq!(files(&sandbox), ["00001.2.jsonl"]);
}

#[test]
fn of_two_copies_of_a_slice_one_counts() {
    let sandbox = with_wave(1);
    let script = r#"cat >/dev/null; echo "$0" >>log; while [ ! -e go ]; do sleep 0.02; done; echo "{\"n\": $0}""#;
    export(&sandbox, "", script);
    let mut first = sandbox
        .command("wave exec job --index 1")
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let log = sandbox.path("log");
    wait_for("the row", || log.exists());
    let second = sandbox.mesh("wave exec job --index 1").exits(3);
    second.err_has("slice `00001` is worked by another process (process ");
    sandbox.write("go", "");
    assert!(first.wait().expect("ended").success());
    assert_eq!(worked(&sandbox), "1");
    assert_eq!(files(&sandbox), ["00001.1.jsonl", "00001.refused.jsonl"]);
    let refused = events(&sandbox.path("job/slices/00001.refused.jsonl"));
    assert_eq!(refused.len(), 1);
}

#[test]
fn a_worker_of_a_slice_gets_only_the_variables_it_may_have() {
    let sandbox = with_wave(1);
    export(
        &sandbox,
        "--env NAMED",
        r#"cat >/dev/null; env >seen; echo '{"n": 1}'"#,
    );
    let mut command = sandbox.command("wave exec job --index 1");
    command.env("NAMED", "yes").env("OTHER", "no");
    said(command.output().expect("run")).exits(0);
    let seen = sandbox.read("seen");
    assert_contains(&seen, "NAMED=yes\n");
    assert_contains(&seen, "MESH_ITEM_ID=item-1\n");
    assert_lacks(&seen, "OTHER=");
}

/// The first wave of run `R`, handed out.
pub fn first_wave(bench: &Bench) -> PathBuf {
    let handed = bench.next("--run-id R");
    let call = handed["waves"][0]["call_path"].as_str().expect("a path");
    PathBuf::from(call.replace(".call.json", ".csv"))
}

#[test]
fn an_exported_wave_of_a_plan_is_worked_in_a_copy_of_the_repository_and_collected() {
    let bench = Bench::new(&[Task::new("a")]);
    let wave = first_wave(&bench).display().to_string();
    let folder = bench.beside("work dir").display().to_string();
    let answers = bench.answers();
    let args = ["wave", "export", &wave, &folder, "--to", "xargs", "--"];
    let command = [&fake_agent(), "--answers", &answers];
    let said = bench.mesh(Args::from(&args[..]).and(&command[..])).exits(0);
    said.err_has("then collect the answers: mesh collect R ");
    assert!(Path::new(&folder).join("workspace/.git").exists());
    let run = || {
        let mut run = std::process::Command::new(format!("{folder}/run"));
        run.output().expect("it starts")
    };
    let answer = bench.beside("answers").join("a/proposal.proposer.1.json");
    let text = std::fs::read(&answer).expect("an answer");
    std::fs::write(&answer, "{}").expect("written");
    assert!(!run().status.success());
    bench.mesh(&["collect", "R", &folder]).exits(1);
    assert_eq!(
        bench.rows().first().map(String::as_str),
        Some("a.proposal.proposer.1")
    );
    // A retry of the row is a wave of its own.
    std::fs::write(
        bench.beside("answers").join("a/proposal.proposer.2.json"),
        text,
    )
    .expect("written");
    let next = bench.next("--run R");
    assert_eq!(next["waves"][0]["rows"], json!(["a.proposal.proposer.2"]));
}

#[test]
fn a_wave_of_another_repository_is_refused_unless_its_workspace_is_named() {
    let bench = Bench::new(&[Task::new("a")]);
    let wave = first_wave(&bench).display().to_string();
    let other = Sandbox::with_repo(&[("x", "x\n")]);
    let said = other.mesh(&[
        "wave", "export", &wave, "job", "--to", "slurm", "--", "true",
    ]);
    said.exits(2).err_has("which the repository");
    assert!(!other.path("job").exists());
    let args = [
        "wave",
        "export",
        &wave,
        "job",
        "--to",
        "slurm",
        "--workspace",
        ".",
    ];
    other.mesh(Args::from(&args[..]).and("-- true")).exits(0);
    let script = other.read("job/job.sbatch");
    assert_contains(&script, "#SBATCH --array=1-1%");
    let again = other.mesh(Args::from(&args[..]).and("-- true")).exits(2);
    again.err_has("already exists and is not empty");
}
