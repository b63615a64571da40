//! `mesh demo`: the whole pipeline over the example's plan, with recorded answers.

use crate::fixture::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// A demo that has run, in a folder whose name has blanks.
struct Demo {
    sandbox: Sandbox,
    report: Value,
    err: String,
}

fn demo() -> Demo {
    let sandbox = Sandbox::new();
    let said = sandbox
        .mesh("demo --dir 'a folder with blanks' --run-id R --json")
        .exits(0);
    let report = serde_json::from_str(&said.out).expect("JSON");
    Demo {
        sandbox,
        report,
        err: said.err,
    }
}

impl Demo {
    fn task(&self, id: &str) -> &Value {
        let tasks = self.report["tasks"].as_array().expect("tasks");
        let task = tasks.iter().find(|task| task["id"] == id);
        task.unwrap_or_else(|| panic!("no task {id}"))
    }

    fn waves(&self) -> Vec<WaveFile> {
        let waves = self.report["waves"].as_array().expect("waves");
        let path = |wave: &Value| self.sandbox.only_run().join(wave.as_str().expect("a path"));
        waves
            .iter()
            .map(|wave| WaveFile::read(&path(wave)))
            .collect()
    }
}

#[test]
fn five_tasks_are_completed_and_one_is_blocked_by_its_validation() {
    let demo = demo();
    for id in ["st-001", "st-002", "st-003", "st-004", "st-005"] {
        assert_eq!(demo.task(id)["state"], "completed", "{id}");
    }
    let last = demo.task("st-006");
    assert_eq!(
        (&last["state"], &last["reason"]),
        (&json!("blocked"), &json!("validation_failed"))
    );
    assert_eq!(demo.report["tasks"].as_array().map(Vec::len), Some(6));
    assert_eq!(
        demo.report["slots"],
        json!({"spawned": 78, "closed": 78, "stragglers": 0, "straggler_rows": []})
    );
}

#[test]
fn the_tests_of_the_example_fail_before_and_pass_after() {
    let demo = demo();
    let place = |text: &str| {
        demo.err
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", demo.err))
    };
    assert!(place("Its tests before: 1 of 7 pass") < place("mesh_preflight "));
    assert!(place("mesh_preflight ") < place("Its tests after: 6 of 7 pass"));
}

#[test]
fn two_votes_of_st_002_fail_and_one_vote_of_st_004_dissents() {
    let demo = demo();
    let agreeing = |id: &str| -> Vec<u64> {
        let tallies = demo.task(id)["tallies"].as_array().expect("tallies");
        tallies
            .iter()
            .filter_map(|tally| tally["agree"].as_u64())
            .collect()
    };
    assert_eq!(agreeing("st-002"), [3, 2, 5]);
    assert_eq!(agreeing("st-004"), [4]);
    assert_eq!(
        ["st-001", "st-003", "st-005", "st-006"].map(agreeing),
        [[5], [5], [5], [5]]
    );
}

#[test]
fn tasks_that_touch_the_same_file_are_never_in_one_wave() {
    let demo = demo();
    let waves = demo.waves();
    let first = |unit: &str| {
        waves
            .iter()
            .position(|wave| wave.column("unit").contains(&unit))
    };
    let last = |unit: &str| {
        waves
            .iter()
            .rposition(|wave| wave.column("unit").contains(&unit))
    };
    assert!(last("st-001") < first("st-003"));
    assert!(last("st-004") < first("st-005"));
    let units: Vec<BTreeSet<&str>> = waves
        .iter()
        .map(|wave| wave.column("unit").into_iter().collect())
        .collect();
    assert!(
        units.iter().any(|units| units.len() == 2),
        "parallel tasks share waves"
    );
    assert!(units.iter().all(|units| units.len() <= 2));
}

#[test]
fn the_waves_of_the_demo_are_there_with_their_calls_and_answers() {
    let demo = demo();
    assert_eq!(demo.waves().len(), 26);
    for wave in demo.report["waves"].as_array().expect("waves") {
        let csv = demo.sandbox.only_run().join(wave.as_str().expect("a path"));
        for ending in ["call.json", "out.csv"] {
            assert!(
                csv.with_extension(ending).is_file(),
                "{} {ending}",
                csv.display()
            );
        }
    }
    let numbers: BTreeSet<String> = demo
        .waves()
        .iter()
        .flat_map(|wave| {
            wave.column("max_concurrency")
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), ["10"]);
}

#[test]
fn the_tree_of_the_blocked_task_is_as_before() {
    let demo = demo();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo/repo/lib/stats.sh");
    let stats = demo.sandbox.read("a folder with blanks/repo/lib/stats.sh");
    assert_eq!(stats, read_file(example));
}

#[test]
fn without_a_folder_the_demo_makes_one_of_its_own() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("demo");
    let temporary = sandbox.path("tmp");
    std::fs::create_dir_all(&temporary).expect("a folder");
    let said = said(
        command
            .env("TMPDIR", &temporary)
            .output()
            .expect("mesh starts"),
    )
    .exits(0);
    let last = said.out.trim_end().lines().last();
    assert_eq!(
        last,
        Some("Reply with $mesh to run the next ready task from the $st plan.")
    );
    let made: Vec<_> = std::fs::read_dir(&temporary)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(
        made.iter()
            .any(|path| path.join("repo/lib/slug.sh").is_file()),
        "{made:?}"
    );
}

#[test]
fn a_second_demo_in_one_folder_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.mesh("demo --dir d").exits(0);
    sandbox.mesh("demo --dir d").exits(2);
}

#[test]
fn the_demo_writes_over_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("repo/README.md", "my own\n");
    sandbox.mesh("demo --dir .").exits(2);
    assert_eq!(sandbox.read("repo/README.md"), "my own\n");
}

#[test]
fn the_commands_it_prints_can_be_pasted() {
    let sandbox = Sandbox::new();
    let said = sandbox.mesh("demo --dir 'a b'");
    let line = said
        .err
        .lines()
        .find(|l| l.contains("git -C"))
        .expect("line")
        .trim()
        .to_owned();
    let ok = std::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .expect("it works");
    assert!(ok.status.success(), "{line}");
}

#[test]
fn a_folder_name_in_braces_is_no_placeholder() {
    let sandbox = Sandbox::new();
    sandbox.mesh("demo --dir a{unit}b").exits(0);
}
