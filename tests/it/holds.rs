//! Who holds a task: a run that waits between its steps; and what becomes of a task that somebody else decided about.

use crate::env::Said;
use crate::plan_fixture::{Bench, PLAN, Task, report};
use serde_json::{Value, json};
use std::path::PathBuf;

impl Bench {
    /// A run of another name with the recorded answers.
    fn other_run(&self, id: &str, args: &[&str]) -> Said {
        let answers = self.beside("answers").display().to_string();
        let head = ["run", "--run-id", id, "--adapter", "replay", "--answers"];
        self.mesh(&[&head[..], &[&answers], args].concat())
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
        self.write(PLAN, &crate::plan_fixture::plan_text(&items));
    }

    fn collect_from_records(&self, run: &str) -> Said {
        let answers = self.beside("answers").display().to_string();
        self.mesh(&["collect", run, &answers])
    }

    /// Brings a stepped run to where its patch is accepted.
    fn until_accepted(&self, run: &str) {
        for _ in 0..4 {
            let said = self.collect_from_records(run);
            assert_eq!(said.code, 0, "{}", said.err);
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
    assert!(said.err.contains(&told), "{}", said.err);
    assert!(
        said.err.contains(&format!("mesh wave next --run {run}")),
        "{}",
        said.err
    );
    assert!(
        said.err.contains(&format!("mesh cancel {run}")),
        "{}",
        said.err
    );
}

#[test]
fn a_task_that_a_waiting_run_holds_is_refused_to_others() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").after(&["a"])]);
    bench.next(&["--run-id", "R"]);
    let plan = bench.read(PLAN);
    is_refused(&bench.mesh(&["wave", "next"]), "R");
    is_refused(&bench.mesh(&["wave", "next", "ids=a"]), "R");
    is_refused(&bench.other_run("Q", &[]), "R");
    is_refused(&bench.other_run("Q", &["ids=a"]), "R");
    is_refused(&bench.other_run("Q", &["ids=b"]), "R");
    is_refused(&bench.other_run("Q", &["--dry-run"]), "R");
    assert_eq!(
        (bench.runs(), bench.read(PLAN)),
        (vec!["R".to_owned()], plan)
    );
    bench.until_accepted("R");
    assert_eq!(bench.mesh(&["integrate", "R"]).code, 0);
    let said = bench.other_run("Q", &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(bench.status_of("b"), "completed");
}

#[test]
fn another_run_works_what_is_free_beside_it() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.next(&["--run-id", "R"]);
    let said = bench.other_run("Q", &["max_tasks=5"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("task `a` is held by run `R`"),
        "{}",
        said.err
    );
    let state = || ["a", "b"].map(|id| bench.status_of(id));
    assert_eq!(state(), ["in_progress", "completed"]);
    bench.until_accepted("R");
    assert_eq!(bench.mesh(&["integrate", "R"]).code, 0);
    assert_eq!(state(), ["completed", "completed"]);
}

#[test]
fn two_stepped_runs_go_on_side_by_side() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.next(&["--run-id", "R"]);
    bench.next(&["--run-id", "Q"]);
    for run in ["R", "Q"] {
        bench.until_accepted(run);
    }
    for run in ["Q", "R"] {
        let said = bench.mesh(&["integrate", run]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
}

#[test]
fn a_run_that_stopped_for_answers_holds_its_task() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.mesh(&["run", "--run-id", "R", "--adapter", "external"]);
    assert_eq!(said.code, 4, "{}", said.err);
    is_refused(&bench.other_run("Q", &[]), "R");
    assert_eq!(bench.mesh(&["cancel", "R"]).code, 0);
    assert_eq!(bench.other_run("Q", &[]).code, 0);
}

#[test]
fn a_run_that_was_killed_holds_its_task() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("tally");
    let said = bench.other_run("Q", &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(
        said.err
            .contains("mesh resume R; or let go of its tasks: mesh cancel R"),
        "{}",
        said.err
    );
    assert_eq!(bench.mesh(&["resume", "R"]).code, 0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn a_run_whose_folder_is_gone_holds_nothing() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next(&["--run-id", "R"]);
    std::fs::remove_dir_all(bench.run_folder()).expect("removed");
    let said = bench.other_run("Q", &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(
        bench.read(".git/mesh.runs"),
        "",
        "the list has no entry left"
    );
}

#[test]
fn what_is_completed_by_another_run_stays_completed() {
    let bench = Bench::new(&[Task::new("a").validation(&["grep -q new a.txt"])]);
    bench.next(&["--run-id", "R"]);
    bench.until_accepted("R");
    let freed = bench.mesh(&["cancel", "R"]);
    assert_eq!(freed.code, 0, "{}", freed.err);
    assert!(freed.err.contains("run R is cancelled"), "{}", freed.err);
    assert_eq!(bench.mesh(&["cancel", "R"]).code, 2, "once");
    assert_eq!(bench.other_run("Q", &[]).code, 0);
    let plan = bench.read(PLAN);
    let said = bench.mesh(&["integrate", "R", "--json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err
            .contains("a: the plan says `completed`, which this run did not write"),
        "{}",
        said.err
    );
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["state"], "plan_conflict", "{task}");
    assert_eq!(bench.read(PLAN), plan, "not a byte");
    assert_eq!(bench.read("a.txt"), "new\n");
    let ledger = std::fs::read_to_string(bench.run_folder().join("ledger.jsonl"));
    assert!(!ledger.expect("a ledger").contains("integration_started"));
    let shown = bench.mesh(&["runs", "show", "R"]);
    assert!(shown.out.contains("plan_conflict"), "{}", shown.out);
}

#[test]
fn a_cancelled_run_does_not_go_on_with_what_another_one_holds() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next(&["--run-id", "R"]);
    assert_eq!(bench.mesh(&["cancel", "R"]).code, 0);
    bench.next(&["--run-id", "Q"]);
    let plan = bench.read(PLAN);
    is_refused(&bench.mesh(&["resume", "R"]), "Q");
    is_refused(&bench.collect_from_records("R"), "Q");
    assert_eq!(bench.read(PLAN), plan);
    assert_eq!(bench.mesh(&["cancel", "Q"]).code, 0);
    bench.until_accepted("R");
    assert_eq!(bench.mesh(&["integrate", "R"]).code, 0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn what_a_person_decides_meanwhile_stands() {
    for (status, step) in [
        ("completed", "integrate"),
        ("blocked", "next"),
        ("deferred", "collect"),
        ("removed", "collect"),
        ("pending", "integrate"),
    ] {
        let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
        bench.next(&["--run-id", "R", "max_tasks=2", "parallel_tasks=2"]);
        bench.set_status("a", status);
        let plan_of_a = || {
            bench
                .read(PLAN)
                .contains(r#""status":"in_progress","step":"Do a""#)
        };
        match step {
            "next" => drop(bench.next(&["--run", "R"])),
            "collect" => assert_eq!(bench.collect_from_records("R").code, 1),
            _ => assert_eq!(bench.mesh(&["integrate", "R"]).code, 0),
        }
        let conflicts = bench.trace(&["plan_conflict"]);
        assert_eq!(conflicts, ["plan_conflict a"], "{status}");
        // Task `b` goes on to its end.
        for _ in 0..6 {
            let said = bench.collect_from_records("R");
            assert!(said.code <= 2, "{}", said.err);
            bench.mesh(&["wave", "next", "--run", "R"]);
        }
        let said = bench.mesh(&["integrate", "R"]);
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
fn a_run_that_is_completed_or_fails_holds_nothing() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"]), Task::new("b")]);
    assert_eq!(bench.run(&[]).code, 1);
    assert_eq!(bench.read(".git/mesh.runs"), "");
    assert_eq!(bench.other_run("Q", &[]).code, 0);
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
    let said = bench.other_run("Q", &[]);
    assert_eq!(said.code, 0, "{}", said.err);
}
