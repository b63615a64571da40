//! Learnings of a run: only from what happened, each once, and named in comment and report.

use super::*;

const FILE: &str = ".learnings.jsonl";

fn learned(bench: &Bench) -> Vec<Value> {
    if !bench.path(FILE).exists() {
        return Vec::new();
    }
    let text = bench.read(FILE);
    let records = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    records.collect()
}

fn texts(bench: &Bench) -> Vec<String> {
    let records = learned(bench).into_iter();
    records
        .map(|record| record["learning"].as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn a_completed_task_records_no_learning() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run("").exits(0);
    assert!(!bench.path(FILE).exists());
    said.out_has("Learnings\n  none appended");
    assert!(bench.trace("learning_appended").is_empty());
}

#[test]
fn a_blocked_task_and_its_run_teach_one_thing_each_with_evidence() {
    let bench = Bench::new(&[Task::new("a").validation(&["echo '1 failed'; exit 3"])]);
    bench.answer(
        "a",
        "critique.skeptic.1",
        r#"{"findings":["f"],"must_fix":["handle empty input"],"flip_conditions":[],"risk":"low"}"#,
    );
    let said = bench.run("--json").exits(1);
    assert_eq!(
        texts(&bench),
        [
            "When a task may touch a.txt, do run `echo '1 failed'; exit 3` before the vote: a patch that was accepted without it failed it.",
            "When tasks of this plan are run, do first fix what blocked a (validation_failed).",
        ]
    );
    let [task, run] = &learned(&bench)[..] else {
        panic!("two")
    };
    assert_eq!(
        task["evidence"],
        json!([
            "a: blocked, validation_failed: `echo '1 failed'; exit 3`: exit 3",
            "`echo '1 failed'; exit 3`: exit 3: 1 failed",
            "vote 1: 5 agree, 0 disagree",
            "skeptic must fix: handle empty input",
        ])
    );
    assert_eq!(task["source"], "mesh:R");
    assert_eq!(run["related_ids"], json!([task["id"]]));
    assert_eq!(
        run["evidence"],
        json!(["0 of 1 task completed", "1 blocked: validation_failed"])
    );
    let reported: Vec<Value> = report(&said)["learnings"]
        .as_array()
        .expect("learnings")
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(reported, [task["id"].clone(), run["id"].clone()]);
    assert!(
        bench.item("a")["comments"][0]["text"]
            .as_str()
            .expect("text")
            .contains(&format!(
                "learnings: {}",
                task["id"].as_str().expect("an id")
            ))
    );
    // Found again the usual way.
    let recalled = bench.mesh("learnings recall --query 'touch a.txt before the vote'");
    recalled.out_has("do run `echo");
}

#[test]
fn every_failure_records_what_to_do() {
    let say = |task: Task, args: &[&str]| {
        let bench = Bench::new(&[task]);
        bench.run(args);
        texts(&bench).first().cloned().unwrap_or_default()
    };
    let a = || Task::new("a");
    assert_eq!(
        say(a().agree(&[1, 5]), &[]),
        "When a task may touch a.txt, do resolve this before the first vote: critic_a in cycle 1 (critic_a)."
    );
    assert_eq!(
        say(a().agree(&[4]), &[]),
        "When a task may touch a.txt, do reconsider a dissenting vote: critic_b in cycle 1 (critic_b)."
    );
    assert_eq!(
        say(a().agree(&[0]), &["consensus_retries=0"]),
        "When a task may touch a.txt, do settle this before asking for a patch: proposer in cycle 1 (proposer)."
    );
    assert_eq!(
        say(a().validation(&[]), &[]),
        "When a task may touch a.txt, do give the task a validation command or set allow_no_validation: without either, no patch is integrated."
    );
    let outside = edit("kept.txt", "kept", "x");
    assert_eq!(
        say(a().patches(&[&outside, &edit("a.txt", "old", "new")]), &[]),
        "When a task may touch a.txt, do avoid what made an answer unusable (out_of_scope): the patch touches `kept.txt`, which is outside the scope: a.txt."
    );
    assert_eq!(
        say(a().patches(&[&outside, &outside]), &[]),
        "When a task may touch a.txt, do make sure that its patch applies: synthesizer: the patch touches `kept.txt`, which is outside the scope: a.txt."
    );
    assert_eq!(
        say(a().validation(&["false"]), &["prevalidate=true"]),
        "When a task may touch a.txt, do not accept a patch that fails `false`: it failed before the vote and again after it."
    );
}

#[test]
fn the_same_thing_is_learned_once() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"])]);
    bench.run("");
    let first = bench.read(FILE);
    bench.mesh("st set-status --id a --status pending");
    let answers = bench.answers();
    let again = bench.mesh(&format!(
        "run --run-id S --json --adapter replay --answers {answers}"
    ));
    assert_eq!(bench.read(FILE), first);
    let learnings = report(&again)["learnings"].clone();
    assert_eq!(
        (&learnings[0]["known"], &learnings[1]["known"]),
        (&json!(true), &json!(true))
    );
    let id = learned(&bench)[0]["id"].clone();
    assert_eq!(learnings[0]["id"], id);
}

#[test]
fn learnings_are_not_added_when_disabled() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"])]);
    bench.run("no_learnings=true").exits(1);
    assert!(!bench.path(FILE).exists());
}

#[test]
fn a_learnings_file_that_can_not_be_written_stops_nothing() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"])]);
    std::fs::create_dir(bench.path(FILE)).expect("a folder in its place");
    let said = bench.run("").exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    said.err_has("nothing was added to the learnings");
}

#[test]
fn learnings_are_no_violation_and_no_part_of_a_commit_and_survive_a_rollback() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[4]),
        Task::new("b")
            .agree(&[4])
            .validation(&["echo '{\"learning\":\"by the way\"}' >>.learnings.jsonl; false"]),
        Task::new("c"),
    ]);
    bench.git("config user.name t");
    bench.git("config user.email t@example.invalid");
    bench.git("switch --quiet -c work");
    let said = bench.run("--json max_tasks=3 delivery=commit").exits(1);
    assert_eq!(report(&said)["violations"], json!([]));
    assert_eq!(bench.git("log --format=%s main.."), "Do c\nDo a\n");
    assert_eq!(bench.git(&["ls-files", FILE]), "");
    assert!(texts(&bench).contains(&"by the way".to_owned()));
    assert_eq!(texts(&bench).len(), 4);
}
