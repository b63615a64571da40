//! Nothing that a terminal would act on gets out, whoever wrote it.

use crate::fixture::*;
use serde_json::{Value, json};

/// An escape that clears the screen, one in C1, a bidirectional override, a bell, a carriage return.
const EVIL: &str = "ev\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{7}\u{7f}il";

fn is_bad(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[track_caller]
fn assert_clean(what: &str, said: &Said) {
    for text in [&said.out, &said.err] {
        let bad = text.chars().find(|c| is_bad(*c));
        assert_eq!(bad, None, "{what}: {text:?}");
    }
}

/// The JSON objects that a command printed.
fn objects(said: &Said) -> Vec<Value> {
    let lines = said.out.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_row_is_found_by_its_id_as_it_is_shown() {
    let sandbox = Sandbox::new();
    let ids = ["a\u{202e}b", "a\u{202d}b", "c\u{202e}d", "2"];
    sandbox.write("in.csv", &format!("id\n{}\n", ids.join("\n")));
    let args = "spawn in.csv --id-column id --instruction x --run-id R --retries 0 -- false";
    sandbox.mesh(args).exits(1);
    let show = |row: &str| sandbox.mesh(&["runs", "show", "R", "--row", row, "--json"]);
    let shown = |row: &str| objects(&show(row).exits(0))[0]["item_id"].clone();
    for (given, id) in [
        (ids[0], ids[0]),
        ("c\u{fffd}d", ids[2]),
        ("2", "2"),
        ("1", ids[0]),
    ] {
        assert_eq!(shown(given), id, "{given:?}");
    }
    let said = show("a\u{fffd}b").exits(2);
    said.err_has("shows several rows as `a\u{fffd}b`: 1, 2\nhint: give the number of one: mesh runs show R --row 1");
    show("5").exits(2);
}

#[test]
fn rows_answers_and_errors_of_a_spawned_csv() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", &format!("id,n\n{EVIL},{EVIL}\nb,2\n"));
    let script = format!("printf '%s' '{EVIL}' >&2; test $MESH_ITEM_ID = b && echo '{{\"a\":1}}'");
    let spawn = |more: &str| {
        let head = "spawn in.csv -o out.csv --force --id-column id --instruction '{n} \u{202e}'";
        let worker = ["--", "/bin/sh", "-c", &script];
        sandbox.mesh(Args::from(head).and(more).and(&worker))
    };
    let ended = spawn("--run-id R").exits(1);
    ended.err_has("ev\u{fffd}[2J");
    assert_clean("spawn", &ended);
    let ended = spawn("--json --run-id S");
    assert_clean("spawn --json", &ended);
    let summary = objects(&ended).pop().expect("a summary");
    assert_eq!(
        summary["failed_item_errors"][0]["item_id"], EVIL,
        "JSON keeps its value"
    );
    assert_clean("dry run", &spawn("--dry-run"));
    for args in [
        &["runs", "list"] as &[&str],
        &["runs", "list", "--json"],
        &["runs", "show", "R"],
        &["runs", "show", "R", "--failed"],
        &["runs", "show", "R", "--row", EVIL],
        &["runs", "show", "R", "--row", EVIL, "--json"],
        &["runs", "show", "R", "--json"],
        &["runs", "show", EVIL],
        &["resume", EVIL],
        &["spawn", EVIL, "--instruction", "x", "--", "true"],
        &["spawn", "in.csv", EVIL, "--bad\u{202e}"],
        &["adapters", EVIL],
        &["wave", "lint", EVIL],
        &["doctor", EVIL],
        &[EVIL],
    ] {
        assert_clean(&format!("{args:?}"), &sandbox.mesh(args));
    }
}

#[test]
fn plans_votes_and_waves() {
    let bench = Bench::new(&[Task::new("a").validation(&["printf 'e\\033[2J\\302\\233'; false"])]);
    let note = bench.mesh(&[
        "st",
        "add",
        "--id",
        "z",
        "--step",
        &format!("tab\there {EVIL}"),
    ]);
    assert_clean("st add", &note);
    bench.answer(
        "a",
        "vote.skeptic.1",
        &json!({"vote": "disagree", "reason": EVIL}).to_string(),
    );
    let ended = bench.run("max_tasks=2").exits(1);
    assert_clean("run", &ended);
    let wave = bench
        .run_folder()
        .join("waves/001-proposal.csv")
        .display()
        .to_string();
    for args in [
        &["runs", "show", "R"] as &[&str],
        &["runs", "show", "R", "--json"],
        &["runs", "show", "R", "--row", "a.vote.skeptic.1"],
        &["wave", "lint", &wave],
        &["doctor"],
        &["doctor", "--json"],
        &["learnings", "recall", "--query", "task"],
        &["learnings", "recall", "--query", "task", "--json"],
        &["st", "show"],
        &["st", "show", "--format", "table"],
        &["st", "show", "--format", "json"],
        &["st", "export"],
        &["st", "emit-plan-sync"],
        &["st", "add", "--id", EVIL, "--step", ""],
        &["run", "--dry-run", "--", EVIL],
    ] {
        assert_clean(&format!("{args:?}"), &bench.mesh(args));
    }
    let shown = bench.mesh("st show --format json");
    let plan: Value = serde_json::from_str(&shown.out).expect("JSON");
    let items = plan["items"].as_array().expect("items");
    let item = items
        .iter()
        .find(|item| item["id"] == "z")
        .expect("the item");
    assert_eq!(item["step"], format!("tab\there {EVIL}"));
}
