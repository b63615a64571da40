//! Ledgers made by hand, and figures computed by hand.

use super::*;
use crate::report::stats::{By, Cause, Figures};
use serde_json::{Value, json};

/// A ledger with an event each second.
#[derive(Default)]
struct Ledger {
    lines: Vec<String>,
    ms: u64,
}

impl Ledger {
    fn of_plan() -> Self {
        let mut ledger = Self::default();
        ledger.add(json!({
            "event": "run_started", "run_id": "r", "kind": "plan", "mesh_version": "1", "root": "/r",
            "settings": {"adapter": "claude", "protocol": "tiered", "bounds": {"max_concurrency": 4}},
        }));
        ledger
    }

    /// Adds an event `ms` after the last one.
    fn after(&mut self, ms: u64, event: Value) {
        self.ms += ms;
        self.add(event);
    }

    fn add(&mut self, mut event: Value) {
        let time = jiff::Timestamp::from_millisecond(1_800_000_000_000 + self.ms as i64);
        event["v"] = json!(1);
        event["seq"] = json!(self.lines.len() + 1);
        event["ts"] = json!(clock::ledger_time(time.expect("a time")));
        self.lines.push(event.to_string());
    }

    fn wave(&mut self, number: u32, round: &str, rows: &[&str]) {
        self.add(json!({
            "event": "wave_compiled", "wave": number, "round": round, "lane": "read_only", "rows": rows, "csv_path": "w", "call_path": "c",
            "csv_sha256": "", "max_concurrency": 4, "protocol": "duo", "risks": {"a": "high"},
        }));
        self.add(json!({"event": "wave_started", "wave": number, "job_id": "j", "items": rows.len(), "max_concurrency": 4}));
    }

    /// An attempt of 1,000 ms that answers, with 100 tokens and 0.25 dollars, and the verdict on it.
    fn answer(&mut self, wave: u32, (index, row): (u64, &str), answer: Value, code: Option<&str>) {
        let key = json!({"wave": wave, "item_id": row, "row_index": index, "attempt": 1});
        let with = |name: &str, more: Value| {
            let mut event = key.clone();
            event["event"] = json!(name);
            for (field, value) in more.as_object().expect("an object") {
                event[field] = value.clone();
            }
            event
        };
        self.add(with("attempt_started", json!({})));
        self.after(
            1000,
            with(
                "attempt_reported",
                json!({"via": "stdout", "result": answer, "reported_at": ""}),
            ),
        );
        self.add(with(
            "attempt_finished",
            json!({
                "end": "completed", "duration_ms": 1000, "completed_at": "",
                "usage": {"input_tokens": 90, "output_tokens": 10, "cost_usd": 0.25},
            }),
        ));
        let verdict = if code.is_some() { "retry" } else { "accepted" };
        self.add(json!({"event": "verdict", "wave": wave, "item_id": row, "verdict": verdict, "code": code}));
    }

    fn status(&mut self, unit: &str, status: &str, reason: Option<&str>) {
        self.add(
            json!({"event": "plan_mutated", "unit": unit, "status": status, "reason": reason}),
        );
    }

    fn tally(&mut self, unit: &str, vote: &str) {
        let agree = u32::from(vote == "agree");
        self.add(json!({
            "event": "tally", "unit": unit, "attempt": 1, "agree": agree, "disagree": 1 - agree, "absent": 0, "threshold": 1,
            "consensus": agree == 1, "votes": [{"role": "skeptic", "vote": vote, "reason": "x"}],
        }));
    }

    fn validation(&mut self, unit: &str, stage: &str, number: u32, exit_code: i32) {
        self.after(2000, json!({
            "event": "validation_finished", "unit": unit, "command": "make", "number": number, "stage": stage, "exit_code": exit_code,
            "duration_ms": 2000, "key_line": "", "log_path": "l",
        }));
    }

    fn integrated(&mut self, unit: &str, outcome: &str, reason: Option<&str>) {
        self.add(json!({"event": "integration_finished", "unit": unit, "outcome": outcome, "reason": reason}));
    }

    fn read(&self) -> RunFacts {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("runs/r");
        std::fs::create_dir_all(&folder).expect("made");
        let text = self.lines.join("\n") + "\n";
        std::fs::write(folder.join("ledger.jsonl"), text).expect("written");
        let folder = RunFolder::at(&folder).expect("a look").expect("a run");
        RunFacts::read(&folder).expect("facts")
    }
}

/// Task `a`: a patch that is voted down and another one that passes; task `b`: a patch that fails.
fn two_tasks() -> Ledger {
    let mut ledger = Ledger::of_plan();
    ledger.status("a", "in_progress", None);
    ledger.wave(1, "synthesis", &["a.synthesis.author.1"]);
    let patch = |text: &str| json!({"patch": text});
    ledger.answer(1, (0, "a.synthesis.author.1"), patch("one"), None);
    ledger.validation("a", "preview", 1, 1);
    ledger.wave(2, "vote", &["a.vote.skeptic.1"]);
    let vote = |vote: &str| json!({"vote": vote, "reason": "x"});
    ledger.answer(2, (0, "a.vote.skeptic.1"), vote("disagree"), None);
    ledger.tally("a", "disagree");
    ledger.wave(
        3,
        "synthesis",
        &["a.synthesis.author.2", "b.synthesis.author.1"],
    );
    ledger.status("b", "in_progress", None);
    ledger.answer(3, (0, "a.synthesis.author.2"), patch("two"), None);
    ledger.answer(
        3,
        (1, "b.synthesis.author.1"),
        patch("b"),
        Some("patch_invalid"),
    );
    ledger.tally("a", "agree");
    ledger.validation("a", "integration", 1, 0);
    ledger.integrated("a", "rolled_back", None);
    ledger.validation("a", "integration", 1, 0);
    ledger.validation("a", "integration", 2, 0);
    ledger.integrated("a", "applied", None);
    ledger.status("a", "completed", None);
    ledger.tally("b", "agree");
    ledger.validation("b", "integration", 1, 1);
    ledger.integrated("b", "restored", Some("validation_failed"));
    ledger.status("b", "blocked", Some("validation_failed"));
    ledger.add(json!({"event": "run_finished", "status": "completed", "exit_code": 1}));
    ledger
}

#[test]
fn tasks_votes_and_remarks_of_a_plan() {
    let facts = two_tasks().read();
    assert_eq!(facts.adapter, "claude");
    let [a, b] = facts.tasks.as_slice() else {
        panic!("{:?}", facts.tasks)
    };
    assert_eq!((&a.end, a.risk), (&TaskEnd::Completed, Some(Risk::High)));
    let blocked = TaskEnd::Blocked("validation_failed".to_owned());
    assert_eq!((&b.end, b.risk), (&blocked, Some(Risk::Medium)));
    assert_eq!((a.protocol.as_str(), b.protocol.as_str()), ("duo", "duo"));
    // Four answers of 1 s, four validations of 2 s.
    assert_eq!(a.elapsed_ms, Some(12_000));
    let passed = |task: &TaskFacts| {
        task.decisions
            .iter()
            .map(|it| it.passed)
            .collect::<Vec<_>>()
    };
    assert_eq!(passed(a), [Some(false), Some(true)]);
    assert_eq!(passed(b), [Some(false)]);
    let skeptic = a.effects["skeptic"];
    assert_eq!(
        (skeptic.dissent.changed.hits, skeptic.dissent.changed.of),
        (1, 1)
    );
    assert_eq!((skeptic.right_votes.hits, skeptic.right_votes.of), (2, 2));
    let failures: Vec<_> = facts.failures.iter().collect();
    assert_eq!(
        (failures.len(), failures[0].0.as_str()),
        (1, "patch_invalid")
    );
    assert_eq!(failures[0].1.cost_usd, Some(0.25));
}

#[test]
fn sums_are_divided_by_the_tasks_done() {
    let mut figures = Figures::new(Some(By::Risk));
    figures.add(two_tasks().read());
    let json = figures.json();
    // Four rows of 1 s, 100 tokens and 0.25 dollars for one task that is done.
    assert_eq!(
        json["tasks"]["per_done_task"],
        json!({"rows": 4.0, "tokens": 400.0, "cost_usd": 1.0, "worker_minutes": 0.0667, "elapsed_minutes": 0.2})
    );
    assert_eq!(json["tasks"]["blocked"], json!({"validation_failed": 1}));
    let groups = json["groups"].as_array().expect("groups");
    let rows = |at: usize| {
        (
            groups[at]["name"].clone(),
            groups[at]["spent"]["rows"].clone(),
        )
    };
    assert_eq!(rows(0), (json!("high"), json!(3)));
    assert_eq!(rows(1), (json!("medium"), json!(1)));
    assert_eq!(groups[1]["per_done_task"]["rows"], Value::Null);
    // Shares 0, 1 and 1 against failed, passed and failed: (0 + 0 + 1) / 3.
    assert_eq!(json["tasks"]["votes"]["brier"], 0.3333);
    assert_eq!(json["tasks"]["votes"]["brier_of_base_rate"], 0.2222);
    assert_eq!(
        (&json["left_out"], &json["csv"]),
        (&json!([]), &Value::Null)
    );
}

#[test]
fn roles_are_groups_of_rows() {
    let mut figures = Figures::new(Some(By::Role));
    figures.add(two_tasks().read());
    let of = |role: &str| (figures.groups[role].tasks, figures.groups[role].spend.rows);
    assert_eq!(of("author"), (2, 3));
    assert_eq!(of("skeptic"), (1, 1));
}

#[test]
fn the_text_fits_80_columns_and_is_inert() {
    let mut figures = Figures::new(Some(By::Protocol));
    let mut ledger = two_tasks();
    let evil = "evil\u{1b}[31m-with-a-name-that-is-much-too-long-for-a-table-of-eighty-columns";
    ledger.add(json!({"event": "protocol_changed", "unit": "a", "from": "duo", "to": evil, "keeps": true, "code": "c", "detail": "d"}));
    figures.add(ledger.read());
    let text = figures.text();
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    for part in [
        "of these: validation_failed 1",
        "3 of 3 decisions validated, 1 passed: too few to score",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn idle_slots_of_a_plan_have_their_causes() {
    let mut ledger = Ledger::of_plan();
    ledger.add(json!({"event": "tasks_held", "scopes": 1, "task_limit": 0, "dependencies": 1}));
    ledger.status("a", "in_progress", None);
    ledger.wave(1, "synthesis", &["a.synthesis.author.1"]);
    ledger.answer(1, (0, "a.synthesis.author.1"), json!({"patch": "p"}), None);
    ledger.tally("a", "agree");
    ledger.validation("a", "integration", 1, 0);
    ledger.integrated("a", "applied", None);
    ledger.status("a", "completed", None);
    ledger.add(json!({"event": "run_finished", "status": "completed", "exit_code": 0}));
    // Undoing it days later is not the time of the run.
    ledger.after(
        86_400_000,
        json!({"event": "undo_finished", "unit": "a", "outcome": "undone"}),
    );
    ledger.status("a", "pending", None);
    let facts = ledger.read();
    assert_eq!(facts.tasks[0].end, TaskEnd::Undone);
    assert_eq!(facts.tasks[0].elapsed_ms, Some(3000));
    let receipt = facts.fan_out.expect("a receipt");
    // Four slots: for 1 s one is busy; for 2 s the patch is validated.
    assert_eq!((receipt.span_ms, receipt.busy_ms), (3000, 1000));
    let idle: Vec<(Cause, u64)> = receipt.idle_ms.into_iter().collect();
    assert_eq!(
        idle,
        [
            (Cause::Integration, 2000),
            (Cause::Scopes, 3000),
            (Cause::Dependencies, 3000),
            (Cause::Rounds, 1000 + 2000),
        ]
    );
}

#[test]
fn the_time_between_a_kill_and_a_resume_does_not_count() {
    let mut ledger = Ledger::default();
    ledger.add(json!({
        "event": "run_started", "run_id": "r", "kind": "spawn", "mesh_version": "1", "root": "/r",
        "settings": {"job": {"bounds": {"max_concurrency": 1}}},
    }));
    let wave = json!({"event": "wave_started", "wave": 1, "job_id": "j", "items": 1, "max_concurrency": 1});
    let attempt = |number: u32, name: &str, end: &str, ms: u64| {
        json!({
            "event": name, "wave": 1, "item_id": "row-1", "row_index": 0, "attempt": number, "end": end, "duration_ms": ms, "completed_at": "",
        })
    };
    ledger.add(wave.clone());
    ledger.add(attempt(1, "attempt_started", "", 0));
    ledger.after(
        700,
        json!({"event": "output_written", "path": "o", "sha256": ""}),
    );
    // Killed here, and resumed an hour later.
    ledger.after(3_600_000, wave);
    ledger.add(attempt(1, "attempt_finished", "interrupted", 0));
    ledger.after(100, attempt(2, "attempt_started", "", 0));
    ledger.after(1000, attempt(2, "attempt_finished", "completed", 1000));
    ledger.add(json!({"event": "run_finished", "status": "completed", "exit_code": 0}));
    let receipt = ledger.read().fan_out.expect("a receipt");
    assert_eq!((receipt.attempts, receipt.span_ms), (2, 1800));
    assert_eq!((receipt.busy_ms, receipt.ready_ms), (1700, 100));
    let idle: Vec<(Cause, u64)> = receipt.idle_ms.into_iter().collect();
    assert_eq!(idle, [(Cause::Start, 100)]);
}

#[test]
fn slots_that_a_limit_keeps_idle_are_told_from_others() {
    let mut ledger = Ledger::default();
    ledger.add(json!({
        "event": "run_started", "run_id": "r", "kind": "spawn", "mesh_version": "1", "root": "/r",
        "settings": {"job": {"bounds": {"max_concurrency": 4}}},
    }));
    let event = |name: &str, row: u64, attempt: u32, more: Value| {
        let mut event = json!({
            "event": name, "wave": 1, "item_id": format!("row-{row}"), "row_index": row, "attempt": attempt, "duration_ms": 1000,
            "completed_at": "",
        });
        for (field, value) in more.as_object().expect("an object") {
            event[field] = value.clone();
        }
        event
    };
    ledger.add(json!({"event": "wave_started", "wave": 1, "job_id": "j", "items": 2, "max_concurrency": 4}));
    // The service allows one row at once, and then the quota is used up for 2 s.
    ledger.add(event("attempt_started", 0, 1, json!({"places": 1})));
    let limit = json!({"end": "rate_limited", "error": "rate_limited: 429"});
    ledger.after(1000, event("attempt_finished", 0, 1, limit));
    let until = jiff::Timestamp::from_millisecond(1_800_000_003_000).expect("a time");
    ledger.add(json!({
        "event": "rate_limited", "wave": 1, "item_id": "row-0", "row_index": 0, "delay_ms": 2000, "places": 1,
        "account_until": clock::ledger_time(until),
    }));
    ledger.after(2000, event("attempt_started", 0, 2, json!({})));
    ledger.add(event("attempt_started", 1, 1, json!({})));
    ledger.after(
        1000,
        event("attempt_finished", 0, 2, json!({"end": "completed"})),
    );
    ledger.add(event("attempt_finished", 1, 1, json!({"end": "completed"})));
    ledger.add(json!({"event": "run_finished", "status": "completed", "exit_code": 0}));
    let facts = ledger.read();
    let receipt = facts.fan_out.expect("a receipt");
    assert_eq!(
        (receipt.attempts, receipt.span_ms, receipt.busy_ms),
        (3, 4000, 3000)
    );
    // One row waits for 1 s beside the one that runs; then both wait for 2 s.
    let idle: Vec<(Cause, u64)> = receipt.idle_ms.clone().into_iter().collect();
    assert_eq!(
        idle,
        [
            (Cause::Limits, 1000 + 4000),
            (Cause::NoRows, 2000 + 4000 + 2000)
        ]
    );
    assert_eq!((receipt.ready_ms, receipt.ready_busy_ms), (3000, 1000));
    assert_eq!(facts.failures["rate_limited"].attempts, 1);
}

#[test]
fn a_ledger_without_a_start_or_with_a_broken_line_is_an_error() {
    let read = |text: &str| {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("ledger.jsonl"), text).expect("written");
        let folder = RunFolder::at(home.path()).expect("a look").expect("a run");
        RunFacts::read(&folder)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert!(read("").is_err_and(|error| error.contains("no start")));
    assert!(read("{\"v\":1\n").is_err_and(|error| error.contains("line 1")));
}
