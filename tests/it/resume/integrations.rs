//! Integrations that a kill interrupted, and edits since then.

use super::*;

#[test]
fn a_worker_that_outlives_a_killed_run_does_no_harm() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").validation(&["false"])]);
    let status = stopped(&bench, "a.vote.skeptic.1", |process, _| {
        signal(process, "-KILL")
    });
    assert_eq!(status.signal(), Some(9));
    let said = bench.mesh("resume R");
    assert_eq!(bench.status_of("a"), "completed", "{}", said.err);
    assert_eq!(
        (bench.read("a.txt").as_str(), bench.comments("a").len()),
        ("new\n", 1)
    );
    nothing_ran_twice(&bench.events());
}

#[test]
fn a_validation_that_was_interrupted_is_rolled_back_and_run_again() {
    let gate = "while [ ! -e ../go ]; do : >../validating; sleep 0.05; done";
    let bench = Bench::new(&[Task::new("a").validation(&[gate])]);
    let before = bench.tree();
    let mut child = bench
        .replay_command("")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    wait_for("the validation", || bench.beside("validating").exists());
    signal(child.id(), "-TERM");
    assert_eq!(child.wait().expect("ended").code(), Some(143));
    assert_eq!(
        (bench.tree(), bench.status_of("a").as_str()),
        (before, "in_progress")
    );
    std::fs::write(bench.beside("go"), "").expect("opened");
    bench.mesh("resume R").exits(0);
    assert_eq!(
        (bench.read("a.txt").as_str(), bench.comments("a").len()),
        ("new\n", 1)
    );
    assert_eq!(bench.trace("integration_finished").len(), 2);
}

#[test]
fn a_run_resumed_after_a_kill_can_succeed() {
    let bench = Bench::new(&[Task::new("a")]);
    let out = bench
        .replay_command("")
        .env("MESH_FAULT_KILL", "after:5")
        .output()
        .expect("it works");
    assert_eq!(out.status.signal(), Some(9));
    bench.mesh("resume R").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn an_edit_made_after_a_kill_is_kept() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("kept.txt", "mine 1\n");
    bench.run_killed_before("validation_finished");
    bench.write("kept.txt", "mine 2\n");
    bench.mesh("resume R");
    assert_eq!(bench.read("kept.txt"), "mine 2\n");
}

#[test]
fn a_comment_made_after_the_kill_stays_in_the_plan() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.git("add --all");
    bench.git("commit -qm plan");
    bench.run_killed_before("validation_finished");
    bench.mesh("st add-comment --id a --text 'by me'").exits(0);
    let said = bench.mesh("resume R");
    assert!(
        bench.comments("a").iter().any(|c| c == "by me"),
        "{:?} {}",
        bench.comments("a"),
        said.err
    );
}

/// What a validation leaves behind when `mesh` is killed: the tree is as before after a resume, whatever it was.
#[test]
fn what_a_killed_validation_made_or_removed_does_not_stay() {
    let meddle = "git init -q nested; rm kept.txt mine.txt; echo x >new.txt; false";
    let bench = Bench::new(&[Task::new("a").validation(&[meddle])]);
    bench.write("mine.txt", "mine\n");
    let before = bench.tree();
    bench.run_killed_before("validation_finished");
    assert!(bench.path("nested").exists() && !bench.path("mine.txt").exists());
    bench.mesh("resume R").exits(1);
    assert!((bench.tree() == before));
}
