//! Which tasks are taken up, and when.

use super::*;

#[test]
fn the_task_in_progress_goes_first() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").status("in_progress")]);
    assert_eq!(selected(&bench.run("--dry-run")), "b");
}

#[test]
fn otherwise_the_first_ready_task_is_selected() {
    let tasks = [
        Task::new("a").after(&["c"]),
        Task::new("b").status("blocked"),
        Task::new("c"),
        Task::new("d"),
    ];
    assert_eq!(selected(&Bench::new(&tasks).run("--dry-run")), "c");
}

#[test]
fn ids_let_in_what_the_named_task_depends_on_and_nothing_else() {
    let tasks = [
        Task::new("a"),
        Task::new("b"),
        Task::new("c").after(&["b"]),
        Task::new("d").after(&["c"]),
    ];
    let bench = Bench::new(&tasks);
    let said = bench.run("ids=c max_tasks=9").exits(0);
    assert_eq!(selected(&said), "b");
    let statuses = ["a", "b", "c", "d"].map(|id| bench.status_of(id));
    assert_eq!(statuses, ["pending", "completed", "completed", "pending"]);
}

#[test]
fn no_more_tasks_than_asked_for() {
    let tasks = [Task::new("a"), Task::new("b"), Task::new("c")];
    let bench = Bench::new(&tasks);
    bench.run("max_tasks=2").exits(0);
    let statuses = ["a", "b", "c"].map(|id| bench.status_of(id));
    assert_eq!(statuses, ["completed", "completed", "pending"]);
}

#[test]
fn with_barriers_tasks_with_disjoint_scopes_share_waves() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let said = bench
        .run("max_tasks=2 parallel_tasks=2 dispatch=barrier")
        .exits(0);
    assert_eq!(selected(&said), "a,b");
    let sizes: Vec<usize> = bench.waves().iter().map(|wave| wave.rows.len()).collect();
    assert_eq!(sizes, [2, 6, 2, 10]);
    assert_eq!(
        bench.waves()[1].column("id"),
        [
            "a.critique.critic_a.1",
            "a.critique.critic_b.1",
            "a.critique.skeptic.1",
            "b.critique.critic_a.1",
            "b.critique.critic_b.1",
            "b.critique.skeptic.1",
        ]
    );
}

#[test]
fn tasks_with_overlapping_scopes_are_never_under_way_together() {
    let tasks = [
        Task::new("a").scope(&["*.txt"]),
        Task::new("b"),
        Task::new("c")
            .scope(&["other/**"])
            .patches(&[&create("other/c", "new")])
            .validation(&["grep -q new other/c"]),
    ];
    let bench = Bench::new(&tasks);
    let said = bench.run("max_tasks=3 parallel_tasks=3").exits(0);
    assert_eq!(selected(&said), "a,c");
    let mutations = bench.trace("plan_mutated");
    let place = |line: &str| mutations.iter().position(|found| found == line);
    assert!(
        place("plan_mutated a completed") < place("plan_mutated b in_progress"),
        "{mutations:?}"
    );
    assert!(place("plan_mutated b in_progress").is_some());
    let together = |wave: &WaveFile| {
        let units = wave.column("unit");
        units.contains(&"a") && units.contains(&"b")
    };
    assert!(!bench.waves().iter().any(together));
}

#[test]
fn two_shared_paths_are_for_one_task_at_a_time() {
    let tasks = [
        Task::new("a").scope(&["a.txt", "package.json"]),
        Task::new("b").scope(&["b.txt", "package-lock.json"]),
        Task::new("c").scope(&["c.txt", "web/package.json"]),
    ];
    let bench = Bench::new(&tasks);
    let ids = |more: &[&str]| {
        let args = "--dry-run max_tasks=3 parallel_tasks=3";
        selected(&bench.run(Args::from(args).and(more)))
    };
    assert_eq!(ids(&[]), "a,c");
    assert_eq!(ids(&["shared_paths=[ac].txt"]), "a,b");
    bench.write("mesh.yaml", "shared_paths: [b.txt, '**/package.json']\n");
    assert_eq!(ids(&[]), "a");
    bench.write("mesh.yaml", "shared_paths: []\n");
    assert_eq!(ids(&[]), "a,b,c");
}

#[test]
fn one_task_at_a_time_unless_asked_otherwise() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.run("max_tasks=2").exits(0);
    assert_eq!(
        bench.trace("plan_mutated"),
        [
            "plan_mutated a in_progress",
            "plan_mutated a completed",
            "plan_mutated b in_progress",
            "plan_mutated b completed",
        ]
    );
}

#[test]
fn nothing_runnable_is_no_failure() {
    let tasks = [
        Task::new("a").status("completed"),
        Task::new("b").status("blocked"),
        Task::new("c").after(&["b"]),
    ];
    let bench = Bench::new(&tasks);
    let before = bench.read(PLAN);
    let said = bench.run("").exits(0);
    assert_snapshot!(said.out, @"No runnable tasks: ready=0 waiting=1 blocked=1 completed=1");
    assert_eq!(selected(&said), "none");
    assert_eq!(
        (bench.read(PLAN), bench.run_folder().exists()),
        (before, false)
    );
    // The command that is given is one that works.
    let command = "mesh st set-status --id b --status pending";
    let hint =
        format!("hint: 1 task is blocked; their comments say why. To retry one: {command}\n");
    said.err_ends_with(&hint);
    let args: Vec<&str> = command.split(' ').skip(1).collect();
    bench.mesh(&args).exits(0);
    assert_eq!(bench.status_of("b"), "pending");
}
