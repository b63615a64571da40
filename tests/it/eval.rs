//! `mesh eval`: the shipped tasks under four protocols, and what happens when something is wrong.

use crate::fixture::*;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A sandbox with a copy of these shipped tasks in `tasks`.
fn with_tasks(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/eval");
    std::fs::create_dir_all(sandbox.path("tasks")).expect("a folder");
    for name in names {
        let copied = Command::new("cp")
            .arg("-R")
            .arg(shipped.join(name))
            .arg(sandbox.path("tasks"))
            .status();
        assert!(copied.expect("cp starts").success(), "{name}");
    }
    sandbox
}

fn all_tasks() -> [&'static str; 12] {
    [
        "t01-greet",
        "t02-max",
        "t03-abs",
        "t04-stem",
        "t05-leap",
        "t06-upper",
        "t07-words",
        "t08-reverse",
        "t09-percent",
        "t10-clamp",
        "t11-join",
        "t12-sum",
    ]
}

/// The protocol of an arm.
fn protocol<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]["protocol"].as_str().expect("a protocol")
}

/// The figures follow from the table in examples/eval/README.md, by hand.
#[test]
fn the_shipped_tasks_give_the_figures_of_their_readme() {
    let sandbox = with_tasks(&all_tasks());
    let args = "eval tasks --protocols solo,race,best,swarm --adapters replay --json";
    let said = sandbox.mesh(args).exits(0);
    let json: Value = serde_json::from_str(&said.out).expect("JSON");
    let arms = json["arms"].as_array().expect("arms").iter();
    let figures = arms.map(|sums| {
        json!([
            protocol(sums, "arm"),
            sums["passed"]["hits"],
            sums["passed"]["of"],
            sums["accepted"],
            sums["wrong"],
            sums["spent"]["rows"]
        ])
    });
    // Rows: 12 * 1; 12 * 3; that and three tasks with three voters; 11 * 10 and one of 1 + 3 * 9.
    assert_eq!(
        figures.collect::<Value>(),
        json!([
            ["solo", 5, 12, 9, 4, 12],
            ["race", 7, 12, 11, 4, 36],
            ["best", 8, 12, 11, 3, 45],
            ["swarm", 9, 12, 11, 2, 138],
        ]),
        "{}",
        said.err
    );
    let pairs = json["pairs"].as_array().expect("pairs").iter();
    let pairs = pairs.map(|pair| {
        json!([
            protocol(pair, "a"),
            protocol(pair, "b"),
            pair["both"],
            pair["only_a"],
            pair["only_b"],
            pair["neither"],
            pair["p"],
            pair["is_too_few"]
        ])
    });
    assert_eq!(
        pairs.collect::<Value>(),
        json!([
            ["solo", "race", 5, 0, 2, 5, 0.5, true],
            ["solo", "best", 4, 1, 4, 3, 0.375, true],
            // 2 * (1 + 6) / 2^6
            ["solo", "swarm", 4, 1, 5, 2, 0.2188, false],
            ["race", "best", 6, 1, 2, 3, 1.0, true],
            ["race", "swarm", 6, 1, 3, 2, 0.625, true],
            ["best", "swarm", 6, 2, 3, 1, 1.0, true],
        ])
    );
    // Nothing is run again, and the tables fit.
    let text = sandbox.mesh(args.trim_end_matches(" --json")).exits(0);
    text.err_has("48 runs already there, 0 to go");
    assert_contains(&text.out, "9/12 75 (47-91)");
    let words = |task: &str| {
        let line = text
            .out
            .lines()
            .find(|line| line.contains(task))
            .expect("the task");
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(words("t07-words"), "WRONG WRONG WRONG pass");
    assert_eq!(words("t10-clamp"), "blocked WRONG pass blocked");
    let widest = text.out.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{}", text.out);
}

#[test]
fn an_evaluation_that_was_killed_is_continued_by_the_same_command() {
    let sandbox = with_tasks(&["t01-greet", "t02-max"]);
    let args = "eval tasks --protocols solo,race,best --adapters replay --dir out";
    let mut child = sandbox.command(args).spawn().expect("mesh starts");
    let results = sandbox.path("out/results.jsonl");
    let lines = || std::fs::read_to_string(&results).map_or(0, |text| text.lines().count());
    wait_for("two outcomes", || lines() >= 3);
    signal(child.id(), "-KILL");
    child.wait().expect("it ends");
    let before = read_file(&results);
    // As if the kill had come in the middle of a line.
    std::fs::write(&results, format!("{before}{{\"task\":\"t0")).expect("written");

    let said = sandbox.mesh(args).exits(0);
    said.err_has("to go");
    let after = read_file(&results);
    assert_starts_with(&after, &before);
    assert_eq!(after.lines().count(), 1 + 6, "{after}");
    let again = sandbox.mesh(args).exits(0);
    again.err_has("6 runs already there, 0 to go");
    assert_eq!(read_file(&results), after);
    assert_eq!(again.out, said.out);
}

#[test]
fn other_settings_and_changed_tasks_are_refused() {
    let sandbox = with_tasks(&["t01-greet"]);
    let args = "eval tasks --protocols solo --adapters replay";
    sandbox.mesh(args).exits(0);
    let results = sandbox.read("mesh-eval/results.jsonl");
    let other = sandbox.mesh(&format!("{args} -j 4")).exits(2);
    other.err_has("was made with other settings: max_concurrency 16, now 4");
    // A protocol may be added.
    sandbox
        .mesh("eval tasks --protocols solo,race --adapters replay")
        .exits(0);
    assert_starts_with(&sandbox.read("mesh-eval/results.jsonl"), &results);
    sandbox.write("tasks/t01-greet/hidden/hidden.sh", "exit 0\n");
    let changed = sandbox.mesh(args).exits(2);
    changed.err_has("task `t01-greet` or the file of protocol `solo` has changed");
    changed.err_has("pass another folder with --dir");
    sandbox.write("mesh-eval/results.jsonl", &format!("{results}{{}}\n"));
    sandbox
        .mesh(args)
        .exits(2)
        .err_has("results.jsonl` line 3:");
}

#[test]
fn a_hidden_test_that_hangs_is_a_failure() {
    let sandbox = with_tasks(&["t01-greet"]);
    sandbox.write("tasks/t01-greet/eval.yaml", "hidden: [\"sleep 600\"]\n");
    let args = "eval tasks --protocols solo --adapters replay --hidden-timeout-seconds 1 --json";
    let said = sandbox.mesh(args).exits(0);
    let json: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(json["outcomes"][0]["hidden"], "timed_out");
    assert_eq!(json["arms"][0]["wrong"], 1);
}

#[test]
fn damaged_tasks_and_bad_options_start_nothing() {
    let sandbox = with_tasks(&["t01-greet"]);
    let refused = |args: &str, why: &str| {
        sandbox.mesh(args).exits(2).err_has(why);
        assert!(!sandbox.path("mesh-eval/runs").exists(), "{args}");
    };
    let args = "eval tasks --protocols solo --adapters replay";
    refused("eval tasks", "--protocols");
    refused("eval . --protocols solo", "has no tasks");
    refused(
        "eval tasks --protocols solo,solo",
        "`--protocols` has `solo` twice",
    );
    refused(
        "eval tasks --protocols solo --set max_tasks",
        "is not key=value",
    );
    refused(
        &format!("{args} --only t99"),
        "has no task `t99`; tasks: t01-greet",
    );
    sandbox.write("tasks/t02/eval.yaml", "hidden: []\n");
    refused(args, "`hidden` has no command");
    sandbox.write("tasks/t02/eval.yaml", "hiden: [true]\n");
    refused(args, "unknown field");
    sandbox.write("tasks/t02/eval.yaml", "hidden: [\"true\"]\n");
    refused(args, "no folder `repo`");
    sandbox.write("tasks/t02/repo/a", "");
    sandbox.write("tasks/t02/hidden/a", "");
    refused(args, "no plan at `repo/.step/st-plan.jsonl`");
}

#[test]
fn a_run_that_does_not_start_ends_the_evaluation() {
    let sandbox = with_tasks(&["t01-greet"]);
    let said = sandbox.mesh("eval tasks --protocols slo --adapters replay");
    let said = said.exits(2);
    said.err_has("task `t01-greet`, slo replay: `mesh run` did not start");
    said.err_has("slo");
    assert_eq!(sandbox.read("mesh-eval/results.jsonl").lines().count(), 1);
}
