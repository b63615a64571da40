//! Where a run may be started, and what comes before and after it.

use super::*;

#[test]
fn a_run_may_be_started_from_below_the_root_or_through_a_link() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let answers = bench.answers();
    bench.write("below/file", "");
    std::os::unix::fs::symlink(bench.work(), bench.beside("link")).expect("a link");
    let link = bench.beside("link").display().to_string();
    for folder in ["below", &link] {
        let said = bench
            .mesh(&format!(
                "-C {folder} run --adapter replay --answers {answers}"
            ))
            .exits(0);
        assert!(
            preflight(&said).contains(" plan_file=.step/st-plan.jsonl "),
            "{}",
            said.err
        );
    }
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
}

#[test]
fn a_linked_work_tree_is_a_repository_of_its_own() {
    let bench = Bench::new(&[Task::new("a")]);
    let tree = bench.beside("linked tree");
    bench.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        &tree.display().to_string(),
    ]);
    std::fs::create_dir_all(tree.join(".step")).expect("a folder");
    std::fs::copy(bench.path(PLAN), tree.join(PLAN)).expect("copied");
    bench.run(&["-C", &tree.display().to_string()]).exits(0);
    let changed = read_file(tree.join("a.txt"));
    assert_eq!(
        (changed.as_str(), bench.read("a.txt").as_str()),
        ("new\n", "old\n")
    );
}

#[test]
fn a_blocked_task_that_is_set_pending_again_starts_afresh() {
    let bench = Bench::new(&[Task::new("a").validation(&["test -e ../mended"])]);
    bench.run("").exits(1);
    bench.mesh("st set-status --id a --status pending").exits(0);
    std::fs::write(bench.beside("mended"), "").expect("written");
    let answers = bench.answers();
    bench
        .mesh(&format!(
            "run --run-id S --adapter replay --answers {answers}"
        ))
        .exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    let comments = bench.comments("a");
    assert!(
        comments[0].ends_with("mesh_run_id=R") && comments[1].ends_with("mesh_run_id=S"),
        "{comments:?}"
    );
}

#[test]
fn two_tasks_in_progress_are_refused_before_the_run_starts() {
    let bench = Bench::new(&[
        Task::new("a").status("in_progress"),
        Task::new("b").status("in_progress"),
    ]);
    bench.run("").exits(2);
    assert!(!bench.run_folder().exists());
}

#[test]
fn a_run_stopped_by_a_worker_can_be_resumed() {
    let bench = Bench::new(&[Task::new("a")]);
    let answers = bench.answers();
    let gate = bench.beside("stopped").display().to_string();
    let script = format!(
        "if [ $MESH_ITEM_ID = a.critique.critic_a.1 ] && [ ! -e '{gate}' ]; then : >'{gate}'; cat >/dev/null; {} report-result --stop --result @'{answers}/a/critique.critic_a.1.json' >&2; exit; fi; exec '{}' --answers '{answers}'",
        env!("CARGO_BIN_EXE_mesh"),
        fake_agent()
    );
    bench
        .mesh(&["run", "--run-id", "R", "-j", "1", "--", "sh", "-c", &script])
        .exits(4);
    bench.mesh("resume R").exits(0);
}

#[test]
fn a_new_run_is_refused_while_an_integration_is_unfinished() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("validation_finished");
    let answers = bench.answers();
    let args = format!("run --run-id S --adapter replay --answers {answers}");
    bench.mesh(&args).exits(3);
}

#[test]
fn one_concurrency_number_in_every_event() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("-j 3");
    for (name, record) in bench.events() {
        if let Some(number) = record.get("max_concurrency") {
            assert_eq!(*number, 3, "{name}");
        }
    }
}

#[test]
fn a_second_task_that_is_unusable_does_not_stop_the_first() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").more("nonsense: 1")]);
    bench.run("max_tasks=2 parallel_tasks=2").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
}
