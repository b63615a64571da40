//! `integrate=false`: patches are kept in the run's folder, and `mesh integrate` takes those that a person chooses.

use super::*;

const KEEP: &str = "integrate=false parallel_tasks=2";

impl Bench {
    fn results(&self) -> String {
        read_file(self.run_folder().join("results.csv"))
    }

    fn statuses(&self, ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| self.status_of(id)).collect()
    }

    /// Two tasks whose patches are kept; the first one of the plan depends on the second.
    fn with_kept_patches() -> Self {
        let bench = Bench::new(&[Task::new("b").after(&["a"]), Task::new("a")]);
        let args = format!("{KEEP} max_tasks=2 deps=advisory");
        bench.run(&args).exits(0);
        bench
    }
}

/// `a: completed`, and so on, without the reasons.
fn outcomes(said: &Said) -> Vec<String> {
    let lines = said.out.lines();
    let heads = lines.map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(": "));
    heads.collect()
}

#[test]
fn patches_are_kept_with_their_evidence_and_neither_tree_nor_plan_changes() {
    let bench = Bench::new(&[
        Task::new("a"),
        Task::new("b").after(&["a"]),
        Task::new("c").agree(&[2, 2, 2]),
        Task::new("d").validation(&["grep -q wrong d.txt"]),
        Task::new("e").validation(&["grep -q new e.txt", "grep -q kept kept.txt"]),
    ]);
    let (tree, git) = (bench.tree(), bench.git_state());
    let args = format!("{KEEP} max_tasks=5 --audit");
    let said = bench.run(&args).exits(1);
    assert_eq!(bench.tree(), tree);
    assert_eq!(bench.git_state(), git);
    assert_snapshot!(bench.results(), @r"
    id,objective,status,agree,disagree,patch_path,validation,residual_risk
    a,Do a,accepted,5,0,units/a/patch.diff,`grep -q new a.txt` exit 0,low
    c,Do c,no_consensus,2,3,,,low
    d,Do d,validation_failed,5,0,units/d/patch.diff,`grep -q wrong d.txt` exit 1,low
    e,Do e,accepted,5,0,units/e/patch.diff,`grep -q new e.txt` exit 0; `grep -q kept kept.txt` exit 0,low
    ");
    let unit = bench.run_folder().join("units/e");
    assert!(unit.join("vote.critic_a.1.json").is_file());
    assert_eq!(
        read_file(unit.join("patch.diff")),
        edit("e.txt", "old", "new")
    );
    let decision = read_file(unit.join("decision.json"));
    let decision: Value = serde_json::from_str(&decision).expect("JSON");
    assert_eq!(decision["status"], "accepted");
    assert_eq!(
        decision["votes"][0]["votes"].as_array().map(Vec::len),
        Some(5)
    );
    let before = decision["validation"].as_array().expect("a list");
    let before: Vec<&Value> = before.iter().map(|run| &run["before"]).collect();
    assert_eq!(before, ["exit 1", "exit 0"]);
    assert_eq!(
        bench.trace("integration_started plan_mutated learning_appended"),
        Vec::<String>::new()
    );
    for part in [
        "  a          accepted\n",
        "  c          rejected: no_consensus\n",
        "  results.csv: one row a task, in the run's folder\n  to integrate them: mesh integrate R [--task ID …]\n",
        "Plan mutations\n  none\n",
        "rules hold",
    ] {
        said.out_has(part);
    }
    let list = bench.mesh("runs list").exits(0);
    list.out_has("2 accepted, 2 rejected");
}

#[test]
fn with_comment_each_task_gets_one_and_keeps_its_status() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").agree(&[0, 0, 0])]);
    let args = format!("{KEEP} max_tasks=2 comment=true");
    bench.run(&args).exits(1);
    assert_eq!(bench.statuses(&["a", "b"]), ["pending", "pending"]);
    assert_eq!(
        bench.comments("a"),
        [
            "[mesh] proposal: accepted; vote 1: 5 agree, 0 disagree; validation: `grep -q new a.txt` exit 0; patch: units/a/patch.diff in the run's folder; mesh_run_id=R"
        ]
    );
    assert_eq!(bench.comments("b").len(), 1);
    bench.mesh("integrate R").exits(0);
    assert_eq!(bench.statuses(&["a", "b"]), ["completed", "pending"]);
    assert_eq!(bench.comments("a").len(), 2);
}

#[test]
fn proposed_metadata_goes_to_the_plan_with_its_patch() {
    let bench = Bench::new(&[Task::new("a").notes("Words before.\n")]);
    bench.write("Makefile", "test:\n\tgrep -q new a.txt\n");
    bench.answer(
        "a",
        "hydrate.proposer.1",
        &hydration::proposal(&["a.txt"], &["make test"]),
    );
    let before = bench.read(PLAN);
    bench.run(KEEP).exits(0);
    assert_eq!(bench.read(PLAN), before);
    bench.mesh("integrate R").exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    assert_contains(&hydration::notes(&bench, "a"), "- make test");
}

#[test]
fn chosen_patches_are_integrated_in_the_order_of_their_dependencies() {
    let bench = Bench::with_kept_patches();
    let alone = bench.mesh("integrate R --task b").exits(1);
    alone.out_has("b: refused: it waits for a, which is not completed");
    assert_eq!(bench.statuses(&["a", "b"]), ["pending", "pending"]);
    let said = bench
        .mesh("integrate R --task b --task a --task zz")
        .exits(1);
    assert_eq!(
        outcomes(&said),
        ["zz: refused", "a: completed", "b: completed"]
    );
    assert_eq!(
        [bench.read("a.txt"), bench.read("b.txt")],
        ["new\n", "new\n"]
    );
    assert_eq!(bench.statuses(&["a", "b"]), ["completed", "completed"]);
    assert_eq!(
        bench.trace("patch_taken plan_mutated"),
        [
            "patch_taken a",
            "plan_mutated a in_progress",
            "plan_mutated a completed",
            "patch_taken b",
            "plan_mutated b in_progress",
            "plan_mutated b completed",
        ]
    );
    let again = bench.mesh("integrate R --task a").exits(1);
    again.out_has("a: refused: its patch was taken before: completed");
    bench.mesh("integrate R").exits(0).out_has("no patch left");
    bench
        .mesh("runs show R")
        .exits(0)
        .out_has("  a          completed");
    assert_contains(&bench.results(), "a,Do a,completed,");
}

#[test]
fn a_patch_whose_task_or_files_have_changed_is_refused_and_nothing_changes() {
    let change = |how: &dyn Fn(&Bench), why: &str| {
        let bench = Bench::new(&[Task::new("a")]);
        bench.run(KEEP).exits(0);
        how(&bench);
        let before = bench.tree();
        let said = bench.mesh("integrate R").exits(1);
        said.out_starts_with("a: refused: ");
        said.out_has(why);
        assert_eq!(bench.tree(), before);
    };
    change(
        &|bench| bench.write("a.txt", "other\n"),
        "your uncommitted edit of `a.txt` touches the same lines",
    );
    change(
        &|bench| {
            drop(
                bench
                    .mesh("st set-status --id a --status in_progress")
                    .exits(0),
            )
        },
        "the plan says `in_progress`, and said `pending` when the run began the task",
    );
    change(
        &|bench| drop(bench.mesh("st set-notes --id a --notes Other.").exits(0)),
        "its text in the plan was edited",
    );
    change(
        &|bench| drop(bench.mesh("st remove --id a").exits(0)),
        "the plan has no such task any more",
    );
}

#[test]
fn a_patch_that_fails_its_validation_now_blocks_the_task_and_starts_no_worker() {
    let task = Task::new("a").more("risk: low");
    let task = task.validation(&["grep -q new a.txt && grep -q kept kept.txt"]);
    let bench = Bench::new(&[task]);
    let answer = json!({"decision_log": [], "patch": edit("a.txt", "old", "new"), "validation": [], "residual_risk": "low"});
    bench.answer("a", "synthesis.author.1", &answer.to_string());
    // Workers would be asked again under the next tier.
    bench.run(&["integrate=false", "protocol=tiered"]).exits(0);
    let rows = bench.trace("attempt_started").len();
    bench.write("kept.txt", "else\n");
    let said = bench.mesh("integrate R").exits(1);
    said.out_starts_with("a: blocked: validation_failed");
    assert_eq!(
        [bench.read("a.txt"), bench.status_of("a")],
        ["old\n", "blocked"]
    );
    assert_eq!(bench.trace("attempt_started").len(), rows);
    let again = bench.mesh("integrate R --task a").exits(1);
    again.out_has("its patch was taken before: blocked");
}

#[test]
fn another_run_may_take_a_task_of_a_run_that_keeps_patches() {
    let bench = Bench::new(&[Task::new("a"), Task::new("c")]);
    let args = format!("{KEEP} max_tasks=2");
    bench.run_with_kill(&args, "after:3").exits(128 + 9);
    let other = format!(
        "run --run-id S --adapter replay --answers {} ids=a",
        bench.answers()
    );
    bench.mesh(&other).exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    // Nobody needs the patch any more.
    let said = bench.mesh("resume R").exits(1);
    said.out_has("  a          plan_conflict");
    said.out_has("  c          accepted");
    let said = bench.mesh("integrate R --task a --task c").exits(1);
    assert_eq!(outcomes(&said), ["a: refused", "c: completed"]);
}

#[test]
fn what_is_accepted_of_a_run_that_was_stopped_can_be_integrated_before_it_goes_on() {
    let bench = Bench::new(&[Task::new("a"), Task::new("c")]);
    bench
        .run(&["integrate=false", "max_tasks=2", "max_rows=15"])
        .exits(4);
    assert_contains(&bench.results(), "c,Do c,undecided,");
    let said = bench.mesh("integrate R --task c --task a").exits(1);
    said.out_has("c: refused: it has no vote yet; resume the run first");
    assert_eq!(bench.statuses(&["a", "c"]), ["completed", "pending"]);
    bench.mesh("resume R --max-rows 100").exits(0);
    assert_eq!(bench.statuses(&["a", "c"]), ["completed", "pending"]);
    assert_contains(&bench.results(), "c,Do c,accepted,");
}

/// Kills `mesh integrate` at every third point of a kind, and gives the command again.
fn killed_at(kind: &str, first: usize) {
    for point in (first..).step_by(3) {
        let bench = Bench::with_kept_patches();
        let wish = format!("{kind}:{point}");
        let mut mesh = bench.command("integrate R");
        mesh.env("MESH_FAULT_KILL", &wish);
        if mesh.run_to_end().code == 0 {
            assert!(point > first + 9, "{wish}");
            return;
        }
        bench.mesh("integrate R").exits(0);
        assert_eq!(
            bench.statuses(&["a", "b"]),
            ["completed", "completed"],
            "{wish}"
        );
        assert_eq!(
            [bench.read("a.txt"), bench.read("b.txt")],
            ["new\n", "new\n"],
            "{wish}"
        );
        let comments = ["a", "b"].map(|id| bench.comments(id).len());
        assert_eq!(comments, [1, 1], "{wish}");
    }
}

#[test]
fn an_integration_of_kept_patches_that_is_killed_at_any_step_ends_well() {
    killed_at("integrator", 1);
}

#[test]
fn an_integration_of_kept_patches_that_is_killed_after_any_event_ends_well() {
    let events = Bench::with_kept_patches().events().len();
    killed_at("after", events + 1);
}

#[test]
fn a_run_that_keeps_patches_and_is_killed_ends_alike_when_it_is_resumed() {
    let start = Bench::new(&[Task::new("a"), Task::new("c").agree(&[0, 0, 0])]);
    let args = format!("{KEEP} max_tasks=2 comment=true");
    let whole = start.copy();
    whole.run(&args).exits(1);
    let events = whole.events().len();
    for point in (5..=events).step_by(9) {
        let bench = start.copy();
        bench.run_with_kill(&args, &format!("after:{point}"));
        bench.mesh("resume R").exits(1);
        let sorted = |bench: &Bench| {
            let mut lines: Vec<String> = bench.results().lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&bench), sorted(&whole), "{point}");
        let comments = ["a", "c"].map(|id| bench.comments(id).len());
        assert_eq!(comments, [1, 1], "{point}");
    }
}

#[test]
fn a_run_that_is_driven_one_command_at_a_time_can_keep_its_patches() {
    let bench = Bench::new(&[Task::new("a"), Task::new("c")]);
    let mut next = bench.next("--run-id R integrate=false max_tasks=2");
    let plan = bench.read(PLAN);
    while let Some(ready) = next.get("to_integrate") {
        assert_eq!(*ready, json!([]));
        bench.mesh(&["collect", "R", &bench.answers()]).exits(0);
        next = bench.next("--run R");
    }
    assert_eq!(next["tasks"][0]["state"], "accepted");
    assert_eq!(next["next_command"], "mesh integrate R");
    assert_eq!(bench.read(PLAN), plan);
    let said = bench.mesh("integrate R --json").exits(0);
    let picks = report(&said)["tasks"].clone();
    assert_eq!(
        [&picks[0]["status"], &picks[1]["status"]],
        ["completed", "completed"]
    );
}

#[test]
fn a_patch_is_validated_on_the_branch_and_delivered_there() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.git("config user.name t");
    bench.git("config user.email t@example.invalid");
    bench.run("integrate=false delivery=branch").exits(0);
    assert_eq!(bench.trace("validation_finished").len(), 2);
    assert_eq!(bench.git("branch --list mesh/R"), "");
    bench.mesh("integrate R").exits(0);
    assert_eq!(bench.git("show mesh/R:a.txt"), "new\n");
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn tasks_are_chosen_only_of_a_run_that_keeps_patches() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let said = bench.mesh("integrate R --task a").exits(2);
    said.err_has("run `R` integrates its patches itself");
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run("--dry-run comment=true").exits(0);
    said.err_has("comment has no effect without integrate=false");
}
