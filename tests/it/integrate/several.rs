//! Integrations one right after the other: each saves and compares what the one before has seen.

use super::*;

/// Three tasks that are accepted in the same turn, the last with this validation.
fn three(last: &str) -> Bench {
    let a = Task::new("a").validation(&["echo x >>clean.txt; rm gone.txt; echo l >left.txt"]);
    let b = Task::new("b").validation(&["chmod 600 run.sh; echo m >more.txt"]);
    let c = Task::new("c")
        .scope(&["**"])
        .patches(&[&(edit("c.txt", "old", "new") + &create("made/by/patch.txt", "fresh"))])
        .validation(&[last]);
    let files = [
        ("clean.txt", "clean\n"),
        ("gone.txt", "gone\n"),
        ("run.sh", "run\n"),
    ];
    let bench = Bench::with_files(&[a, b, c], &files);
    bench.write("notes/mine.txt", "mine\n");
    bench
}

const TOGETHER: &str = "max_tasks=3 parallel_tasks=3 protocol=swarm3 dispatch=barrier";

fn by_validation(bench: &Bench) -> Vec<serde_json::Value> {
    let finished = bench.events_named("integration_finished").into_iter();
    finished.map(|body| body["by_validation"].clone()).collect()
}

#[test]
fn each_names_what_its_own_validation_did() {
    let bench = three("echo y >>clean.txt; echo z >>a.txt; rm -r notes; chmod 755 b.txt; true");
    bench.run(TOGETHER).exits(0);
    assert_eq!(
        by_validation(&bench),
        [
            json!(["clean.txt", "gone.txt", "left.txt"]),
            json!(["more.txt", "run.sh"]),
            json!(["a.txt", "b.txt", "clean.txt", "notes/mine.txt"]),
        ]
    );
}

#[test]
fn a_failed_one_restores_what_those_before_it_left() {
    let meddle = "echo y >>clean.txt; echo z >>a.txt; rm -r notes left.txt; chmod 644 run.sh; echo g >gone.txt; echo n >new.txt; git add -A; false";
    let bench = three(meddle);
    let said = bench.run(format!("{TOGETHER} --json").as_str()).exits(1);
    assert_eq!(
        report(&said)["tasks"][2]["reason"].as_str(),
        Some("validation_failed")
    );
    let texts = [
        ("a.txt", "new\n"),
        ("b.txt", "new\n"),
        ("c.txt", "old\n"),
        ("clean.txt", "clean\nx\n"),
        ("left.txt", "l\n"),
        ("more.txt", "m\n"),
        ("notes/mine.txt", "mine\n"),
        ("run.sh", "run\n"),
    ];
    for (path, text) in texts {
        assert_eq!(bench.read(path), text, "{path}");
    }
    let mode = |path: &str| {
        let found = std::fs::metadata(bench.path(path)).expect("there");
        found.permissions().mode() & 0o777
    };
    assert_eq!((mode("run.sh"), mode("b.txt")), (0o600, 0o644));
    for path in ["gone.txt", "new.txt", "made"] {
        assert!(!bench.path(path).exists(), "{path}");
    }
    assert!(bench.git("diff --cached").is_empty());
}

#[test]
fn saved_states_that_a_validation_removed_are_saved_again() {
    let destroy = "rm -rf \"$MESH_HOME\"/runs/*/kept/*";
    let a = Task::new("a").validation(&[destroy]);
    let b = Task::new("b").validation(&["echo y >>mine.txt; rm a.txt clean.txt; false"]);
    let bench = Bench::with_files(&[a, b], &[("clean.txt", "clean\n")]);
    bench.write("mine.txt", "mine\n");
    let before = bench.tree();
    bench.run(TOGETHER).exits(1);
    assert_eq!(bench.read("a.txt"), "new\n");
    bench.write("a.txt", "old\n");
    let mut after = bench.tree();
    after.retain(|(path, ..)| path != Path::new(".learnings.jsonl"));
    assert_eq!(after, before);
}

#[test]
fn a_killed_one_is_restored_from_the_records_of_all() {
    let start = three("rm clean.txt more.txt notes/mine.txt; echo z >>c.txt; true");
    let whole = start.copy();
    whole.run(TOGETHER).exits(0);
    let last = whole.events_named("integration_started").len() - 1;
    let records = whole.events();
    let started = records
        .iter()
        .filter(|(name, _)| name == "validation_finished");
    let seq = started
        .map(|(_, record)| record["seq"].as_u64().expect("a number"))
        .nth(last)
        .expect("a validation of the last one");
    let bench = start.copy();
    let killed = bench.run_with_kill(TOGETHER, &format!("before:{seq}"));
    assert_eq!(killed.code, KILLED);
    assert!(!bench.path("clean.txt").exists());
    bench.mesh("resume R").exits(0);
    assert_eq!(by_validation(&bench).len(), 4, "one was rolled back");
    let said = bench.events_named("integration_finished");
    assert_eq!(said[2]["outcome"], json!("rolled_back"));
    // What was removed came back before the last one was integrated again, and was removed again.
    assert_eq!(
        said[3]["by_validation"],
        json!(["c.txt", "clean.txt", "more.txt", "notes/mine.txt"])
    );
}
