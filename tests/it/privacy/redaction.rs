//! Secrets that workers were handed, and what looks like a token, stand in nothing that is kept or shown.

use crate::fixture::*;
use serde_json::{Value, json};
use std::path::Path;

/// With a quotation mark, a backslash and a letter beyond ASCII: JSON writes it otherwise.
const KEY: &str = "k3y\"with\\odd\u{e9}signs";
/// Without anything odd.
const WORD: &str = "correcthorsebattery";
const GITHUB: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/// Every file below `folder` that holds one of `texts`.
fn holding(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, texts));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let content = String::from_utf8_lossy(&bytes);
            let hit = texts.iter().find(|text| content.contains(**text));
            found.extend(hit.map(|text| format!("{text} in {}", path.display())));
        }
    }
    found
}

fn spawn(sandbox: &Sandbox, options: impl Into<Args>, script: &str) -> Said {
    sandbox.write("work.sh", script);
    let head = [
        "spawn",
        "in.csv",
        "-o",
        "out.csv",
        "--instruction",
        "work on {n}",
        "--logs",
        "all",
        "--env",
        "API_KEY",
        "--env",
        "DB_PASSWORD,CITY,MESH",
    ];
    let tail = "-- /bin/sh work.sh";
    sandbox
        .command(Args::from(&head[..]).and(options).and(tail))
        .env("API_KEY", KEY)
        .env("DB_PASSWORD", WORD)
        .env("CITY", "Amsterdam")
        .run_to_end()
}

/// Parts of the secrets: nothing of them is to be left.
const PARTS: [&str; 4] = ["k3y", "signs", WORD, "ghp_0123"];

#[track_caller]
fn assert_nothing_kept(sandbox: &Sandbox, ended: &Said) {
    assert_eq!(holding(&sandbox.mesh_home(), &PARTS), [""; 0]);
    for text in [&ended.out, &ended.err, &sandbox.read("out.csv")] {
        let hit = PARTS.iter().find(|part| text.contains(**part));
        assert_eq!(hit, None, "{text}");
    }
}

fn result(sandbox: &Sandbox, row: usize) -> Value {
    let mut reader = csv::Reader::from_path(sandbox.path("out.csv")).expect("a table");
    let header = reader.headers().expect("a header").clone();
    let at = header
        .iter()
        .position(|name| name == "result_json")
        .expect("the column");
    let record = reader.records().nth(row).expect("a row").expect("a record");
    serde_json::from_str(&record[at]).expect("JSON")
}

#[test]
fn answers_and_logs_are_kept_without_secrets() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "n\n1\n");
    let answer =
        json!({"key": KEY, "list": [format!("x{WORD}x"), GITHUB], "city": "Amsterdam", WORD: 1});
    sandbox.write("answer.json", &answer.to_string());
    let script =
        format!("cat answer.json; printf '%s\\n' \"$API_KEY\" '{GITHUB}' >&2; cat answer.json >&2");
    let ended = spawn(&sandbox, "--flatten --output-schema schema.json", &script);
    assert_eq!(ended.code, 2, "the schema is not there yet: {}", ended.err);
    sandbox.write(
        "schema.json",
        r#"{"type":"object","properties":{"key":{"type":"string","minLength":15}}}"#,
    );
    let ended = spawn(&sandbox, "--flatten --output-schema schema.json", &script).exits(0);
    assert_nothing_kept(&sandbox, &ended);
    assert_eq!(
        result(&sandbox, 0),
        json!({
            "key": "[redacted:API_KEY]",
            "list": ["x[redacted:DB_PASSWORD]x", "[redacted:github-token]"],
            "city": "Amsterdam",
            "[redacted:DB_PASSWORD]": 1,
        })
    );
    let log = read_file(sandbox.only_run().join("logs/001/row-1.1.err"));
    assert_starts_with(&log, "[redacted:API_KEY]\n[redacted:github-token]\n");
    let shown = sandbox.mesh(&[
        "runs",
        "show",
        "--json",
        sandbox
            .only_run()
            .file_name()
            .expect("a name")
            .to_str()
            .expect("text"),
    ]);
    assert!(
        !PARTS.iter().any(|part| shown.out.contains(part)),
        "{}",
        shown.out
    );
}

#[test]
fn every_source_of_answers_is_redacted() {
    for script in [
        "cat answer.json > \"$MESH_RESULT_FILE\"",
        "\"$MESH\" report-result --result @answer.json",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("in.csv", "n\n1\n");
        sandbox.write("answer.json", &json!({ "a": KEY }).to_string());
        let ended = spawn(&sandbox, "", script).exits(0);
        assert_nothing_kept(&sandbox, &ended);
        assert_eq!(result(&sandbox, 0), json!({"a": "[redacted:API_KEY]"}));
        let reported = sandbox
            .events()
            .into_iter()
            .find(|(name, _)| name == "attempt_reported");
        assert_eq!(
            reported.expect("a report").1["redacted"],
            json!(["API_KEY"])
        );
    }
}

#[test]
fn failures_are_reported_without_secrets() {
    // The error, the summary, the next prompt (which the second attempt repeats on its standard error) and the refusals.
    for (script, told) in [
        (
            "printf '%s\\n' \"it was $API_KEY!\" >&2; exit 3",
            "worker_exit: exit code 3: it was [redacted:API_KEY]!",
        ),
        ("cat >&2; cat wrong.json", "invalid_output_schema: "),
        (
            "\"$MESH\" report-result --result @wrong.json >&2; exit 4",
            "worker_exit: exit code 4",
        ),
        (
            "MESH_ITEM_ID=$DB_PASSWORD \"$MESH\" report-result --result '{}'; exit 5",
            "worker_exit: exit code 5",
        ),
        (
            "printf '%0250d%s' 7 \"$DB_PASSWORD and more of it, and some\" >&2; printf %090d 8 >&2; exit 6",
            "worker_exit: exit code 6",
        ),
        (
            "printf '%0290d%s' 7 \"$DB_PASSWORD\" >&2; exit 6",
            "7[redacted:",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("in.csv", "n\n1\n");
        sandbox.write(
            "schema.json",
            r#"{"type":"object","properties":{"n":{"type":"number"}}}"#,
        );
        sandbox.write(
            "wrong.json",
            &json!({"n": format!("not {WORD}")}).to_string(),
        );
        let ended = spawn(&sandbox, "--output-schema schema.json", script).exits(1);
        assert!(
            ended.err.contains(told) || sandbox.read("out.csv").contains(told),
            "{script}: {}",
            ended.err
        );
        assert_nothing_kept(&sandbox, &ended);
    }
}

#[test]
fn user_supplied_metadata_is_not_changed() {
    let sandbox = Sandbox::new();
    let csv = format!("n\n{GITHUB}\n");
    sandbox.write("in.csv", &csv);
    spawn(&sandbox, "", "grep -q ghp_0123 && echo '{\"seen\":true}'").exits(0);
    assert_eq!(result(&sandbox, 0), json!({"seen": true}));
    assert!(sandbox.read("out.csv").contains(&format!("\n{GITHUB},")));
}

#[test]
fn a_patch_with_a_secret_is_refused_and_never_applied_with_a_placeholder() {
    let patch = edit("a.txt", "old", &format!("new {GITHUB}"));
    let bench = Bench::new(&[Task::new("a").patches(&[&patch, &patch])]);
    let before = bench.tree();
    let ended = bench.run("--json").exits(1);
    let task = &report(&ended)["tasks"][0];
    assert_eq!(task["reason"], "ambiguous_integration");
    let detail = task["detail"].as_str().expect("a detail");
    assert_contains(detail, "is recorded as [redacted:github-token]");
    assert_eq!(bench.tree(), before);
    assert_eq!(holding(&bench.mesh_home(), &["ghp_0123"]), [""; 0]);
}

#[test]
fn validation_output_is_kept_without_secrets() {
    let bench = Bench::new(&[Task::new("a").validation(&["echo failed: $DEPLOY_TOKEN; false"])]);
    let ended = bench
        .replay_command("--env DEPLOY_TOKEN --json")
        .env("DEPLOY_TOKEN", WORD)
        .run_to_end()
        .exits(1);
    let run = &report(&ended)["tasks"][0]["validation"][0];
    assert_eq!(run["key_line"], "failed: [redacted:DEPLOY_TOKEN]");
    assert_eq!(holding(&bench.mesh_home(), &[WORD]), [""; 0]);
    assert!(!bench.read(PLAN).contains(WORD));
}

#[test]
fn what_a_hook_says_is_kept_without_secrets() {
    let bench = Bench::new(&[Task::new("a")]);
    for (name, value) in [
        ("user.name", "t"),
        ("user.email", "t@example.invalid"),
        ("core.hooksPath", "../hooks"),
    ] {
        bench.git(&["config", name, value]);
    }
    bench.git("switch --quiet -c work");
    let hook = bench.beside("hooks").join("pre-commit");
    std::fs::create_dir_all(bench.beside("hooks")).expect("a folder");
    write_program(&hook, &format!("#!/bin/sh\necho no: {GITHUB}\nexit 1\n"));
    let ended = bench.run("--json delivery=commit").exits(1);
    let detail = &report(&ended)["tasks"][0]["detail"];
    assert!(
        detail
            .as_str()
            .is_some_and(|text| text.contains("no: [redacted:github-token]")),
        "{detail}"
    );
    assert_eq!(holding(&bench.mesh_home(), &["ghp_0123"]), [""; 0]);
    assert!(!bench.read(PLAN).contains(GITHUB));
}

#[test]
fn an_answer_from_elsewhere_is_cleaned_as_well() {
    let bench = Bench::new(&[Task::new("a")]);
    bench
        .mesh("wave next --run-id R --adapter external")
        .exits(0);
    let brought = bench.beside("brought");
    std::fs::create_dir_all(&brought).expect("a folder");
    let answer =
        json!({"plan": [format!("use {GITHUB}")], "assumptions": [], "risk": "low", "risks": []});
    std::fs::write(
        brought.join("a.proposal.proposer.1.json"),
        answer.to_string(),
    )
    .expect("written");
    bench
        .mesh(&["collect", "R", &brought.display().to_string()])
        .exits(0);
    assert_eq!(holding(&bench.mesh_home(), &["ghp_0123"]), [""; 0]);
}

#[test]
fn a_report_with_the_number_of_another_attempt_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "n\n1\n");
    let script =
        "MESH_ATTEMPT=2 \"$MESH\" report-result --result '{\"a\":1}' > told; echo '{\"a\":2}'";
    spawn(&sandbox, "", script).exits(0);
    let reason = "this token belongs to attempt 1 of item `row-1`, not to attempt 2";
    let told: Value = serde_json::from_str(&sandbox.read("told")).expect("JSON");
    assert_eq!(told, json!({"accepted": false, "reason": reason}));
    assert_eq!(result(&sandbox, 0), json!({"a": 2}));
    let refused = sandbox
        .events()
        .into_iter()
        .find(|(name, _)| name == "report_refused");
    assert_eq!(refused.expect("recorded").1["reason"], reason);
}
