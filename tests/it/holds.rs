//! Who holds a task: a run that waits between its steps; and what becomes of a task that somebody else decided about.

use crate::fixture::*;
use serde_json::{Value, json};
use std::path::PathBuf;

impl Bench {
    /// A run of another name with the recorded answers.
    fn other_run(&self, id: &str, args: impl Into<Args>) -> Said {
        let head = format!(
            "run --run-id {id} --adapter replay --answers {}",
            self.answers()
        );
        self.mesh(Args::from(&head).and(args))
    }

    fn set_status(&self, id: &str, status: &str) {
        let text = self.read(PLAN);
        let last = text.lines().last().expect("a line");
        let record: Value = serde_json::from_str(last).expect("JSON");
        let mut items = record["items"].as_array().expect("items").clone();
        items.retain(|item| item["id"] != id || status != "removed");
        for item in items.iter_mut().filter(|item| item["id"] == id) {
            item["status"] = json!(status);
        }
        self.write(PLAN, &plan_text(&items));
    }

    fn collect_from_records(&self, run: &str) -> Said {
        self.mesh(&["collect", run, &self.answers()])
    }

    /// Brings a stepped run to where its patch is accepted.
    fn until_accepted(&self, run: &str) {
        for _ in 0..4 {
            self.collect_from_records(run).exits(0);
            self.next(&["--run", run]);
        }
    }

    fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.mesh_home().join("runs")).expect("runs");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

fn is_refused(said: &Said, run: &str) {
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    let told = format!("task `a` is held by run `{run}`, which has not ended");
    said.err_has(&told);
    said.err_has(&format!("mesh wave next --run {run}"));
    said.err_has(&format!("mesh cancel {run}"));
}

#[test]
fn a_task_that_a_waiting_run_holds_is_refused_to_others() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").after(&["a"])]);
    bench.next("--run-id R");
    let plan = bench.read(PLAN);
    is_refused(&bench.mesh("wave next"), "R");
    is_refused(&bench.mesh("wave next ids=a"), "R");
    is_refused(&bench.other_run("Q", ""), "R");
    is_refused(&bench.other_run("Q", "ids=a"), "R");
    is_refused(&bench.other_run("Q", "ids=b"), "R");
    is_refused(&bench.other_run("Q", "--dry-run"), "R");
    assert_eq!(
        (bench.runs(), bench.read(PLAN)),
        (vec!["R".to_owned()], plan)
    );
    bench.until_accepted("R");
    bench.mesh("integrate R").exits(0);
    bench.other_run("Q", "").exits(0);
    assert_eq!(bench.status_of("b"), "completed");
}

#[test]
fn another_run_takes_only_free_tasks() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.next("--run-id R");
    let said = bench.other_run("Q", "max_tasks=5").exits(0);
    said.err_has("task `a` is held by run `R`");
    let state = || ["a", "b"].map(|id| bench.status_of(id));
    assert_eq!(state(), ["in_progress", "completed"]);
    bench.until_accepted("R");
    bench.mesh("integrate R").exits(0);
    assert_eq!(state(), ["completed", "completed"]);
}

#[test]
fn two_stepped_runs_proceed_side_by_side() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.next("--run-id R");
    bench.next("--run-id Q");
    for run in ["R", "Q"] {
        bench.until_accepted(run);
    }
    for run in ["Q", "R"] {
        bench.mesh(&["integrate", run]).exits(0);
    }
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
}

#[test]
fn a_run_that_stopped_for_answers_holds_its_task() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.mesh("run --run-id R --adapter external").exits(4);
    is_refused(&bench.other_run("Q", ""), "R");
    bench.mesh("cancel R").exits(0);
    bench.other_run("Q", "").exits(0);
}

#[test]
fn a_run_that_was_killed_holds_its_task() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("tally");
    let said = bench.other_run("Q", "").exits(3);
    said.err_has("mesh resume R; or release its tasks: mesh cancel R");
    bench.mesh("resume R").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn a_run_whose_folder_is_gone_holds_nothing() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    std::fs::remove_dir_all(bench.run_folder()).expect("removed");
    bench.other_run("Q", "").exits(0);
    assert_eq!(
        bench.read(".git/mesh.runs"),
        "",
        "the list has no entry left"
    );
}

#[test]
fn what_is_completed_by_another_run_stays_completed() {
    let bench = Bench::new(&[Task::new("a").validation(&["grep -q new a.txt"])]);
    bench.next("--run-id R");
    bench.until_accepted("R");
    let freed = bench.mesh("cancel R").exits(0);
    freed.err_has("run R is cancelled");
    assert_eq!(bench.mesh("cancel R").code, 2, "once");
    bench.other_run("Q", "").exits(0);
    let plan = bench.read(PLAN);
    let said = bench.mesh("integrate R --json").exits(1);
    said.err_has("a: the plan says `completed`, which this run did not write");
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["state"], "plan_conflict", "{task}");
    assert_eq!(bench.read(PLAN), plan, "not a byte");
    assert_eq!(bench.read("a.txt"), "new\n");
    let ledger = std::fs::read_to_string(bench.run_folder().join("ledger.jsonl"));
    assert!(!ledger.expect("a ledger").contains("integration_started"));
    let shown = bench.mesh("runs show R");
    shown.out_has("plan_conflict");
}

#[test]
fn resuming_a_cancelled_run_skips_tasks_held_by_another_run() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    bench.mesh("cancel R").exits(0);
    bench.next("--run-id Q");
    let plan = bench.read(PLAN);
    is_refused(&bench.mesh("resume R"), "Q");
    is_refused(&bench.collect_from_records("R"), "Q");
    assert_eq!(bench.read(PLAN), plan);
    bench.mesh("cancel Q").exits(0);
    bench.until_accepted("R");
    bench.mesh("integrate R").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn a_status_set_by_the_user_during_the_run_is_kept() {
    for (status, step) in [
        ("completed", "integrate"),
        ("blocked", "next"),
        ("deferred", "collect"),
        ("removed", "collect"),
        ("pending", "integrate"),
    ] {
        let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
        bench.next("--run-id R max_tasks=2 parallel_tasks=2");
        bench.set_status("a", status);
        let plan_of_a = || {
            bench
                .read(PLAN)
                .contains(r#""status":"in_progress","step":"Do a""#)
        };
        match step {
            "next" => drop(bench.next("--run R")),
            "collect" => assert_eq!(bench.collect_from_records("R").code, 1),
            _ => assert_eq!(bench.mesh("integrate R").code, 0),
        }
        let conflicts = bench.trace("plan_conflict");
        assert_eq!(conflicts, ["plan_conflict a"], "{status}");
        // Task `b` goes on to its end.
        for _ in 0..6 {
            let said = bench.collect_from_records("R");
            assert!(said.code <= 2, "{}", said.err);
            bench.mesh("wave next --run R");
        }
        let said = bench.mesh("integrate R");
        assert_eq!(said.code, 1, "{status}: {}{}", said.out, said.err);
        assert_eq!(bench.status_of("b"), "completed", "{status}");
        assert!(!plan_of_a());
        if status != "removed" {
            assert_eq!(bench.status_of("a"), status);
        }
        assert_eq!(bench.read("a.txt"), "old\n");
    }
}

#[test]
fn a_completed_or_failed_run_holds_no_task() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"]), Task::new("b")]);
    bench.run("").exits(1);
    assert_eq!(bench.read(".git/mesh.runs"), "");
    bench.other_run("Q", "").exits(0);
}

#[test]
fn runs_of_another_plan_hold_nothing_here() {
    let bench = Bench::new(&[Task::new("a")]);
    let other: PathBuf = ".step/other.jsonl".into();
    bench.write(&other.display().to_string(), &bench.read(PLAN));
    bench.write(
        ".gitignore",
        &format!("{}\n*.lock\n", bench.read(".gitignore")),
    );
    bench.next(&["--run-id", "R", &format!("plan_file={}", other.display())]);
    bench.other_run("Q", "").exits(0);
}
