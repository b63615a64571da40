//! The report, the ledger and the artifacts.

use super::*;

#[test]
fn the_report_of_a_completed_and_a_blocked_task() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 4]),
        Task::new("b").validation(&["echo it is wrong; exit 3"]),
    ]);
    let said = bench.run("max_tasks=2").exits(1);
    let out = without_learning_times(&without_times(&said.out));
    assert_snapshot!(out, @r"
    Run completed

    Tasks
      a          completed
        vote 1: 3 agree, 2 disagree (4 needed)
        vote 2: 4 agree, 1 disagree (4 needed)
        changed a.txt
        `grep -q new a.txt`: exit 0 in Ns
      b          blocked: validation_failed
        vote 1: 5 agree, 0 disagree (4 needed)
        `echo it is wrong; exit 3`: exit 3 in Ns: it is wrong

    Workers
      adapter replay, concurrency 5, 11 waves
      29 spawned, 29 completed, 0 retried, 0 timed out
      slots: 29 spawned, 29 closed

    Plan mutations
      a -> in_progress
      a -> completed + [mesh] comment
      b -> in_progress
      b -> blocked + [mesh] comment

    Learnings
      lrn-TIME-c4d58060 (a)
        When a task may touch a.txt, do resolve this before the first vote: critic_a in cycle 1 (critic_a).
      lrn-TIME-56b0f4e1 (b)
        When a task may touch b.txt, do run `echo it is wrong; exit 3` before the vote: a patch that was accepted without it failed it.
      lrn-TIME-c318865e (the run)
        When tasks of this plan are run, do first fix what blocked b (validation_failed).

    mesh_run_id=R

    Reply with $mesh to run the next ready task from the $st plan.
    ");
    assert_eq!(
        said.out.lines().last(),
        Some("Reply with $mesh to run the next ready task from the $st plan.")
    );
}

#[test]
fn the_report_as_json_has_the_same_facts() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").validation(&["exit 3"])]);
    let said = bench.run("max_tasks=2 --json");
    assert_eq!(said.out.lines().count(), 1);
    let report = report(&said);
    assert_eq!(
        (&report["status"], &report["mesh_run_id"]),
        (&json!("completed"), &json!("R"))
    );
    let tasks = report["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| {
            (
                task["id"].as_str(),
                task["state"].as_str(),
                task["reason"].as_str(),
                task["validation"][0]["outcome"].as_str(),
            )
        });
    assert_eq!(
        tasks.collect::<Vec<_>>(),
        [
            (Some("a"), Some("completed"), None, Some("exit 0")),
            (
                Some("b"),
                Some("blocked"),
                Some("validation_failed"),
                Some("exit 3")
            ),
        ]
    );
    assert_eq!(
        report["slots"],
        json!({"spawned": 20, "closed": 20, "stragglers": 0, "straggler_rows": []})
    );
    let mutations = report["plan_mutations"]
        .as_array()
        .expect("mutations")
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one["id"].as_str().unwrap_or_default(),
                one["status"].as_str().unwrap_or_default(),
                one["comment"]
            )
        });
    assert_eq!(
        mutations.collect::<Vec<_>>(),
        [
            "a in_progress false",
            "a completed true",
            "b in_progress false",
            "b blocked true"
        ]
    );
}

#[test]
fn the_ledger_has_the_events_of_the_contract_in_order() {
    let bench = Bench::new(&[Task::new("a").more("swarm: {roles: 3}")]);
    bench.run("-j 1").exits(0);
    let mut names: Vec<String> = Vec::new();
    for (index, (name, record)) in bench.events().into_iter().enumerate() {
        assert_eq!(
            (&record["v"], &record["seq"]),
            (&json!(1), &json!(index + 1))
        );
        assert!(
            record["ts"]
                .as_str()
                .is_some_and(|ts| ts.len() == 24 && ts.ends_with('Z')),
            "{record}"
        );
        names.push(name);
    }
    assert_snapshot!(names.join("\n"), @r"
    run_started
    plan_mutated
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    attempt_started
    attempt_reported
    attempt_finished
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    verdict
    verdict
    tally
    integration_started
    validation_finished
    integration_finished
    plan_mutated
    run_finished
    ");
}

#[test]
fn the_artifacts_of_a_task_stand_in_its_folder() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    let unit = bench.run_folder().join("units/a");
    for name in [
        "proposal.proposer.1.json",
        "critique.skeptic.1.json",
        "synthesis.synthesizer.1.json",
        "vote.critic_a.1.json",
        "patch.diff",
        "validation-1.log",
    ] {
        assert!(unit.join(name).is_file(), "{name}");
    }
    let patch = read_file(unit.join("patch.diff"));
    assert!(
        patch.ends_with("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n"),
        "{patch}"
    );
}

#[test]
fn the_answers_of_a_blocked_task_stand_in_its_folder_also_the_refused_ones() {
    let bench = Bench::new(&[Task::new("a").patches(&["no patch", "none either"])]);
    bench.run("").exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    let unit = bench.run_folder().join("units/a");
    for (name, patch) in [("1", "no patch"), ("2", "none either")] {
        let answer = read_file(unit.join(format!("synthesis.synthesizer.{name}.json")));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["patch"], patch);
    }
    assert!(unit.join("critique.skeptic.1.json").is_file());
}

#[test]
fn artifacts_are_written_to_the_given_directory() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("--artifacts ../elsewhere").exits(0);
    assert!(bench.beside("elsewhere/runs/R/ledger.jsonl").is_file() && !bench.mesh_home().exists());
}

#[test]
fn ids_with_unusual_characters_run_to_their_end() {
    let task = Task::new("v1.2/x y")
        .scope(&["kept.txt"])
        .patches(&[&edit("kept.txt", "kept", "new")])
        .validation(&["grep -q new kept.txt"]);
    let bench = Bench::new(&[task]);
    let log = bench.beside("recorded").display().to_string();
    bench.mesh(&["run", "--run-id", "R", "--record", &log, "--", "sh", "-c",
        "cat >/dev/null; case $MESH_ITEM_ID in \
         *.proposal.*) echo '{\"plan\":[\"p\"],\"assumptions\":[],\"risk\":\"low\",\"risks\":[]}';; \
         *.critique.*) echo '{\"findings\":[],\"must_fix\":[],\"flip_conditions\":[],\"risk\":\"low\"}';; \
         *.synthesis.*) printf '%s' '{\"decision_log\":[],\"validation\":[],\"residual_risk\":\"low\",\"patch\":\"--- a/kept.txt\\n+++ b/kept.txt\\n@@ -1 +1 @@\\n-kept\\n+new\\n\"}';; \
         *) echo '{\"vote\":\"agree\",\"reason\":\"r\"}';; esac"]).exits(0);
    assert_eq!(
        (
            bench.status_of("v1.2/x y").as_str(),
            bench.read("kept.txt").as_str()
        ),
        ("completed", "new\n")
    );
    assert_eq!(bench.rows()[0], "v1.2/x y.proposal.proposer.1");
}
