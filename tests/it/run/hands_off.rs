//! One run at a time, and workers that touch what is not theirs.

use super::*;

#[test]
fn a_second_run_in_the_same_repository_is_refused() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let gate = bench.beside("gate");
    let text = gate.display().to_string();
    let args = bench.agent_args("", &["--hold-at", "a.proposal.proposer.1", &text]);
    let first = bench
        .command(&args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    wait_for("the first worker", || bench.beside("gate.held").exists());
    let answers = bench.answers();
    let second = bench.mesh(&format!(
        "run --run-id S --adapter replay --answers {answers}"
    ));
    let resumed = bench.mesh("resume R");
    std::fs::write(&gate, "").expect("opened");
    let first = first.wait_with_output().expect("ended");
    assert_eq!(second.code, 3, "{}", second.err);
    second.err_has("another `mesh` is running in this repository");
    assert!(!bench.mesh_home().join("runs/S").exists());
    assert_eq!(resumed.code, 3, "{}", resumed.err);
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "pending"]
    );
}

#[test]
fn a_worker_that_changes_the_tree_is_a_violation() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.breaks(&["single_writer"]);
    let kept = bench.path("kept.txt").display().to_string();
    let said = bench
        .run_agent(
            "--json sandbox=none",
            &["--meddle-at", "a.critique.skeptic.1", &kept],
        )
        .exits(1);
    said.err_has("violation");
    said.err_has("kept.txt");
    let violations = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "violation")
        .map(|(_, record)| (record["wave"].clone(), record["paths"].clone()));
    assert_eq!(
        violations.collect::<Vec<_>>(),
        [(json!(2), json!(["kept.txt"]))]
    );
    assert_eq!(
        report(&said)["violations"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_new_file_in_the_tree_is_a_violation_too() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.breaks(&["single_writer"]);
    let note = bench.path("note.txt").display().to_string();
    bench
        .run_agent("sandbox=none", &["--meddle-at", "a.vote.skeptic.1", &note])
        .exits(1);
    assert_eq!(violated(&bench), vec![json!(["note.txt"])]);
}

#[test]
fn a_worker_that_changes_the_plan_is_a_violation() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.breaks(&["single_writer"]);
    let answers = bench.answers();
    let script = format!(
        "if [ $MESH_ITEM_ID = a.vote.skeptic.1 ]; then {} -C '{}' st add-comment --id a --text hello >&2; fi; exec '{}' --answers '{answers}'",
        env!("CARGO_BIN_EXE_mesh"),
        bench.work().display(),
        fake_agent(),
    );
    bench
        .mesh(&[
            "run",
            "--run-id",
            "R",
            "--sandbox=none",
            "--",
            "sh",
            "-c",
            &script,
        ])
        .exits(1);
    assert_eq!(violated(&bench), vec![json!([PLAN])]);
    assert_eq!(bench.comments("a").len(), 2, "the comment is kept");
}

fn violated(bench: &Bench) -> Vec<Value> {
    let violations = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "violation");
    violations
        .map(|(_, record)| record["paths"].clone())
        .collect()
}

#[test]
fn workers_see_the_uncommitted_state_in_a_folder_of_their_own() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("kept.txt", "changed\n");
    bench.write("untracked.txt", "there\n");
    let answers = bench.answers();
    let seen = bench.beside("seen").display().to_string();
    let look = format!(
        "cat >/dev/null; {{ pwd; cat kept.txt untracked.txt; }} >{seen}; exec {} --answers {answers} </dev/null",
        fake_agent()
    );
    bench
        .mesh(&["run", "--run-id", "R", "--", "sh", "-c", &look])
        .exits(0);
    let seen = read_file(&seen);
    let (folder, contents) = seen.split_once('\n').expect("lines");
    assert_eq!(contents, "changed\nthere\n");
    assert!(
        !std::path::Path::new(folder).starts_with(bench.work()),
        "{folder}"
    );
}
