//! `mesh audit`: a clean run is clean, and each kind of damage is found by the one rule that it breaks.

use crate::fixture::*;
use mesh::audit::audit;
use mesh::platform::sha256_of_bytes;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Damages the events of a ledger, or the files of its run.
type Damage = fn(&mut Vec<Value>, &Path);

fn position(events: &[Value], wanted: impl Fn(&Value) -> bool) -> usize {
    events.iter().position(wanted).expect("such an event")
}

fn is(event: &Value, name: &str) -> bool {
    event["event"] == name
}

/// The first answer of `c`, which is accepted.
fn answer_of_c(events: &[Value]) -> usize {
    position(events, |event| {
        is(event, "attempt_reported") && event["item_id"] == "c.synthesis.author.1"
    })
}

/// Numbers the events again, so that only the damage itself shows.
fn renumber(events: &mut [Value]) {
    for (number, event) in events.iter_mut().enumerate() {
        event["seq"] = json!(number + 1);
    }
}

/// Replaces a cell of the first wave, with the hash that the ledger has of the file.
fn rewrite_wave(events: &mut [Value], folder: &Path, from: &str, to: &str) {
    let at = position(events, |event| is(event, "wave_compiled"));
    let path = folder.join(events[at]["csv_path"].as_str().expect("a path"));
    let text = read_file(&path);
    assert!(text.contains(from), "{text}");
    let text = text.replacen(from, to, 1);
    events[at]["csv_sha256"] = json!(sha256_of_bytes(text.as_bytes()));
    std::fs::write(path, text).expect("written");
}

const DAMAGES: [(&str, Damage); 14] = [
    ("dependency_order", |events, _| {
        // The row of `b` starts although `a` is only in progress.
        let done = position(events, |event| {
            is(event, "plan_mutated") && event["unit"] == "a" && event["status"] == "completed"
        });
        events[done]["status"] = json!("in_progress");
    }),
    ("dependency_order", |events, _| {
        let at = position(events, |event| {
            is(event, "plan_mutated") && event["unit"] == "b"
        });
        let early = json!({"v": 1, "seq": 0, "ts": events[at]["ts"], "event": "began_early", "unit": "b", "waits_for": ["a"]});
        events.insert(at, early);
        renumber(events);
    }),
    ("single_writer", |events, _| {
        let at = position(events, |event| is(event, "wave_started"));
        let seen = json!({"v": 1, "seq": 0, "ts": "", "event": "violation", "wave": 1, "paths": ["x"], "detail": "the tree changed"});
        events.insert(at + 1, seen);
        renumber(events);
    }),
    ("single_writer", |events, _| {
        events.retain(|event| !is(event, "integration_started"));
        renumber(events);
    }),
    ("one_concurrency_number", |events, folder| {
        rewrite_wave(events, folder, ",1,1,2,", ",1,1,6,");
    }),
    ("one_concurrency_number", |events, folder| {
        let at = position(events, |event| is(event, "wave_compiled"));
        let path = folder.join(events[at]["call_path"].as_str().expect("a path"));
        let text = read_file(&path).replace("\"max_concurrency\": 2", "\"max_concurrency\": 7");
        std::fs::write(path, text).expect("written");
    }),
    ("backpressure", |events, _| {
        let at = position(events, |event| is(event, "backpressure"));
        events.remove(at);
        renumber(events);
    }),
    ("portable_waves", |events, folder| {
        rewrite_wave(events, folder, ",author,", ",codex,");
    }),
    ("answers", |events, _| {
        let at = answer_of_c(events);
        events[at]["result"]["decision_log"] = json!("none");
    }),
    ("answers", |events, _| {
        let at = answer_of_c(events);
        events[at]["result"]["patch"] = json!(" ");
    }),
    ("consensus_and_validation", |events, _| {
        let at = position(events, |event| is(event, "validation_finished"));
        events[at]["exit_code"] = json!(1);
    }),
    ("lifecycle", |events, _| {
        let at = position(events, |event| is(event, "attempt_finished"));
        events.remove(at);
        renumber(events);
    }),
    ("files", |events, folder| {
        let at = position(events, |event| is(event, "validation_finished"));
        let log = folder.join(events[at]["log_path"].as_str().expect("a path"));
        std::fs::remove_file(log).expect("removed");
    }),
    ("ledger", |events, _| {
        let at = position(events, |event| {
            is(event, "tally") || is(event, "wave_started")
        });
        events.remove(at);
    }),
];

/// Three tasks, `b` after `a`, each written and voted on; the first answer of `a` is refused.
fn finished() -> Bench {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").after(&["a"]), Task::new("c")]);
    for (id, attempt, from) in [
        ("a", 1, "nothing like it"),
        ("a", 2, "old"),
        ("b", 1, "old"),
        ("c", 1, "old"),
    ] {
        let patch = edit(&format!("{id}.txt"), from, "new");
        let answer =
            json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"});
        bench.answer(
            id,
            &format!("synthesis.author.{attempt}"),
            &answer.to_string(),
        );
        let vote = json!({"vote": "agree", "reason": "fine"});
        bench.answer(id, &format!("vote.skeptic.{attempt}"), &vote.to_string());
    }
    let options = "protocol=duo max_tasks=3 parallel_tasks=2 --audit";
    let said = bench.run(options).exits(0);
    said.err_has("audit: run R: all 10 rules hold in ");
    said.out_has("\nAudit\n  run R: all 10 rules hold in ");
    bench
}

#[test]
fn each_damage_is_found_by_the_rule_that_it_breaks() {
    let bench = finished();
    for (number, (rule, damage)) in DAMAGES.iter().enumerate() {
        let folder = bench.beside(&format!("copy-{number}"));
        let copied = Command::new("cp")
            .arg("-a")
            .arg(bench.run_folder())
            .arg(&folder)
            .status();
        assert!(copied.expect("cp starts").success());
        let ledger = folder.join("ledger.jsonl");
        let events = read_file(&ledger);
        let events = events
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let mut events: Vec<Value> = events.collect();
        damage(&mut events, &folder);
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(&ledger, text).expect("written");
        let audit = audit(&folder, mesh::audit::Origin::Folder).expect("a verdict");
        let broken = audit
            .checks
            .iter()
            .filter(|check| !check.findings.is_empty());
        let broken: Vec<&str> = broken.map(|check| check.name).collect();
        assert!(
            broken.contains(rule),
            "damage {number}: {rule} is not in {broken:?}"
        );
        // A number that was never reduced also contradicts the waves that were compiled with the reduced one.
        let also = [*rule, "one_concurrency_number"];
        assert!(
            broken.iter().all(|name| also.contains(name)),
            "damage {number} of {rule}: {audit:#?}"
        );
    }
}

#[test]
fn the_verdict_is_printed_with_lines_and_as_json() {
    let bench = finished();
    bench
        .mesh("audit R")
        .exits(0)
        .out_has("run R: all 10 rules hold in ");
    let ledger = bench.run_folder().join("ledger.jsonl");
    std::fs::write(&ledger, read_file(&ledger) + "{\"v\":1,\"se").expect("written");
    let lifted = bench.beside("elsewhere");
    std::fs::rename(bench.run_folder(), &lifted).expect("moved");
    let said = bench.mesh(&["audit", &lifted.display().to_string(), "--json"]);
    let verdict: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(verdict["is_finished"], true, "a torn last line is no event");
    std::fs::remove_file(lifted.join("waves/001-synthesis.csv")).expect("removed");
    let said = bench
        .mesh(&["audit", &lifted.display().to_string()])
        .exits(1);
    said.out_has("  BROKEN  files\n");
    said.out_has("- line 5, wave 1: waves/001-synthesis.csv: No such file");
    let nothing = bench.mesh("audit .").exits(2);
    nothing.err_has("there is no ledger here");
    bench.mesh("audit nope").exits(2);
}
