//! Patches that are validated beside workers and one another, and applied in one order (`isolation=worktree`).

use super::*;
use std::process::{Child, Stdio};

/// Waits in a validation until a file beside the repository is there.
fn until(file: &str) -> String {
    format!("until [ -e \"$MESH_HOME/../{file}\" ]; do sleep 0.02; done")
}

/// Makes a file beside the repository in a validation.
fn make(file: &str) -> String {
    format!(": >\"$MESH_HOME/../{file}\"")
}

/// Waits in a validation until the ledger has a passed validation of `unit`.
fn until_recorded(unit: &str) -> String {
    let records = r#"grep '"validation_finished"' "$MESH_HOME/runs/R/ledger.jsonl""#;
    format!(
        r#"until {records} | grep '"unit":"{unit}"' | grep -q '"exit_code":0'; do sleep 0.02; done"#
    )
}

/// A bench whose tasks are solo and in the order of their ids, each with its commands.
fn solo(tasks: &[(&str, &str)]) -> Bench {
    solo_with(
        tasks
            .iter()
            .map(|(id, command)| Task::new(id).validation(&[command])),
    )
}

fn solo_with(tasks: impl Iterator<Item = Task>) -> Bench {
    let tasks: Vec<Task> = tasks.collect();
    let bench = Bench::with_files(&tasks, &[("lib/x", "good\n")]);
    for id in ["a", "b", "c"] {
        let patch = edit(&format!("{id}.txt"), "old", "new");
        let answer =
            json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"});
        bench.answer(id, "synthesis.author.1", &answer.to_string());
    }
    bench
}

/// All rows of a round are judged at once, so the patches are accepted in the order of the tasks.
const ORDERED: &str = "--json protocol=solo max_tasks=3 parallel_tasks=3 dispatch=barrier isolation=worktree validation_parallel=2";

/// Two validations that end only if both run at once, each on its patch.
fn rendezvous() -> Bench {
    let meet = |own: &str, other: &str, file: &str| {
        let (made, met) = (make(own), until(other));
        format!("grep -q new {file} || exit 1; {made}; {met}")
    };
    solo(&[
        ("a", &meet("at-a", "at-b", "a.txt")),
        ("b", &meet("at-b", "at-a", "b.txt")),
    ])
}

fn count(bench: &Bench, stage: &str) -> usize {
    let all = validations(bench);
    all.iter().filter(|line| line.starts_with(stage)).count()
}

/// The units of the events called `name`, in the order of the ledger.
fn units(bench: &Bench, name: &str) -> Vec<String> {
    let events = bench.events_named(name).into_iter();
    let unit = |body: Value| body["unit"].as_str().unwrap_or_default().to_owned();
    events.map(unit).collect()
}

fn start(bench: &Bench, args: impl Into<Args>) -> Child {
    let mut mesh = bench.command(args);
    mesh.stdout(Stdio::null()).stderr(Stdio::null());
    mesh.spawn().expect("mesh starts")
}

/// Runs `a` and `b`, where a validation of `a` ends only after a row of `b` was judged and the next one was sent out. Returns the
/// ledger.
fn held_by_b(b: Task, options: &str) -> Vec<(String, Value)> {
    let command = format!(
        "{}; {}; grep -q new a.txt",
        make("in-a"),
        until("vote.held")
    );
    let bench = Bench::new(&[Task::new("a").validation(&[&command]), b]);
    for id in ["a", "b"] {
        let patch = edit(&format!("{id}.txt"), "old", "new");
        let answer =
            json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"});
        bench.answer(id, "synthesis.author.1", &answer.to_string());
        let vote = json!({"vote": "agree", "reason": "fine"});
        bench.answer(id, "vote.skeptic.1", &vote.to_string());
    }
    let (in_a, vote) = (bench.beside("in-a"), bench.beside("vote"));
    let behaviour = [
        "b.synthesis.author.1",
        &in_a.display().to_string(),
        "b.vote.skeptic.1",
        &vote.display().to_string(),
    ]
    .chunks(2)
    .flat_map(|pair| ["--hold-at", pair[0], pair[1]])
    .map(str::to_owned)
    .collect::<Vec<_>>();
    let args = bench.agent_args(
        format!("protocol=duo max_tasks=2 parallel_tasks=2 {options}").as_str(),
        &behaviour.iter().map(String::as_str).collect::<Vec<_>>()[..],
    );
    let mut mesh = start(&bench, args);
    let ledger = bench.run_folder().join("ledger.jsonl");
    wait_for("the integration of a", || {
        let text = std::fs::read_to_string(&ledger);
        text.is_ok_and(|text| text.contains(r#""integration_finished""#))
    });
    std::fs::write(vote, "").expect("written");
    assert!(mesh.wait().expect("ended").success());
    assert!(bench.events_named("violation").is_empty());
    let statuses = ["a", "b"].map(|id| bench.status_of(id));
    assert_eq!(statuses, ["completed", "completed"]);
    bench.events()
}

#[test]
fn rows_are_sent_out_and_judged_while_a_patch_is_validated_and_while_it_is_applied() {
    let trace = held_by_b(Task::new("b"), "isolation=worktree");
    let place = |wanted: &dyn Fn(&str, &Value) -> bool| {
        let found = trace.iter().position(|(name, body)| wanted(name, body));
        found.expect("such an event")
    };
    let started =
        place(&|name, body| name == "attempt_started" && body["item_id"] == "b.vote.skeptic.1");
    let validated = place(&|name, body| name == "validation_finished" && body["unit"] == "a");
    let ended =
        place(&|name, body| name == "attempt_finished" && body["item_id"] == "b.vote.skeptic.1");
    let applied = place(&|name, body| name == "integration_finished" && body["unit"] == "a");
    assert!(started < validated && applied < ended, "{trace:?}");
}

#[test]
fn rows_are_sent_out_and_judged_while_a_patch_is_tried_for_the_voters() {
    let b = Task::new("b")
        .validation(&[])
        .more("allow_no_validation: true");
    let trace = held_by_b(b, "prevalidate=true validation_parallel=2");
    let place = |wanted: &dyn Fn(&str, &Value) -> bool| {
        let found = trace.iter().position(|(name, body)| wanted(name, body));
        found.expect("such an event")
    };
    let started =
        place(&|name, body| name == "attempt_started" && body["item_id"] == "b.vote.skeptic.1");
    let tried = place(&|name, body| name == "validation_finished" && body["unit"] == "a");
    let judged =
        place(&|name, body| name == "verdict" && body["item_id"] == "a.synthesis.author.1");
    assert!(
        started < tried && tried < judged,
        "{started} {tried} {judged}"
    );
}

#[test]
fn several_patches_are_validated_at_once_and_not_again_if_their_scopes_are_disjoint() {
    let bench = rendezvous();
    bench.run(ORDERED).exits(0);
    assert_eq!(count(&bench, "integration"), 2);
    assert_eq!(units(&bench, "integration_started"), ["a", "b"]);
}

#[test]
fn with_strict_validation_a_patch_is_validated_again_on_the_tree_that_it_is_applied_to() {
    let bench = rendezvous();
    let args = Args::from(ORDERED).and("strict_validation=true");
    bench.run(args).exits(0);
    let last: Vec<String> = validations(&bench);
    assert_eq!(count(&bench, "integration"), 3, "{last:?}");
    assert_eq!(
        units(&bench, "validation_finished").last(),
        Some(&"b".to_owned())
    );
    assert_eq!(units(&bench, "integration_started"), ["a", "b"]);
}

#[test]
fn patches_are_applied_in_the_order_of_their_acceptance_however_long_a_validation_takes() {
    // The validation of `a` ends after that of `b` is in the ledger.
    let bench = solo(&[
        ("a", &format!("{}; grep -q new a.txt", until_recorded("b"))),
        ("b", "grep -q new b.txt"),
        ("c", "grep -q new c.txt"),
    ]);
    bench.run(ORDERED).exits(0);
    assert_eq!(units(&bench, "integration_started"), ["a", "b", "c"]);
    let validated = units(&bench, "validation_finished");
    let place = |unit: &str| validated.iter().rposition(|known| known == unit);
    assert!(place("b") < place("a"), "{validated:?}");
}

/// `a` passes, and meanwhile `path` of the user's tree changes to what its validation does not accept.
fn edited_meanwhile(path: &str, scope: &[&str]) -> (Bench, Said) {
    let command = format!(
        "grep -q new a.txt || exit 1; if mkdir \"$MESH_HOME/../first\"; then echo bad >\"$MESH_HOME/../work/{path}\"; exit 0; fi; ! grep -q bad {path}"
    );
    let bench = solo_with([Task::new("a").validation(&[&command]).scope(scope)].into_iter());
    let said = bench.run("--json protocol=solo isolation=worktree");
    (bench, said)
}

#[test]
fn a_patch_is_validated_again_if_its_scope_has_changed_and_is_refused_if_it_fails_then() {
    let (bench, said) = edited_meanwhile("lib/x", &["a.txt", "lib/**"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(report(&said)["tasks"][0]["reason"], "validation_failed");
    said.err_has("a: the tree has changed since the validation; validating again\n");
    assert_eq!(count(&bench, "integration"), 2);
    assert_eq!(bench.read("a.txt"), "old\n");
    assert!(bench.trace("integration_started").is_empty());
}

#[test]
fn a_patch_is_not_validated_again_if_something_outside_of_its_scope_has_changed() {
    let (bench, said) = edited_meanwhile("lib/x", &["a.txt"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(count(&bench, "integration"), 1);
    assert_eq!(bench.read("a.txt"), "new\n");
}

#[test]
fn a_scope_that_changes_at_each_validation_is_an_ambiguous_integration() {
    let command = "grep -q new a.txt && echo x >>\"$MESH_HOME/../work/lib/x\"";
    let task = Task::new("a")
        .validation(&[command])
        .scope(&["a.txt", "lib/**"]);
    let bench = solo_with([task].into_iter());
    let said = bench.run("--json protocol=solo isolation=worktree");
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(report(&said)["tasks"][0]["reason"], "ambiguous_integration");
    assert_contains(
        &detail(&said),
        "changed each time while its patch was validated, 3 times",
    );
    assert_eq!(
        (count(&bench, "integration"), bench.read("a.txt")),
        (3, "old\n".to_owned())
    );
}

#[test]
fn a_patch_that_is_applied_is_no_change_that_another_validation_has_seen() {
    let bench = solo(&[
        ("a", "grep -q new a.txt"),
        (
            "b",
            "until grep -q new \"$MESH_HOME/../work/a.txt\"; do sleep 0.02; done; grep -q new b.txt",
        ),
    ]);
    let said = bench.run(ORDERED).exits(0);
    said.err_lacks("the work tree changed");
    assert_eq!(report(&said)["tasks"][1]["changed_meanwhile"], Value::Null);
}

#[test]
fn the_end_of_a_validation_ends_no_process_of_another_one() {
    let helper = format!("{}; sleep 0.5; {}", until("done-b"), make("helped"));
    let first = format!(
        "(setsid sh -c '{helper}' &); {}; grep -q new a.txt",
        until("helped")
    );
    let bench = solo(&[
        ("a", &first),
        ("b", &format!("grep -q new b.txt && {}", make("done-b"))),
    ]);
    bench.run(ORDERED).exits(0);
}

#[test]
fn an_outcome_in_the_plan_stays_if_a_validation_then_damages_the_plan() {
    let damage = "until grep -q completed \"$MESH_HOME/../work/.step/st-plan.jsonl\"; do sleep 0.02; done; rm \"$MESH_HOME/../work/.step/st-plan.jsonl\"; grep -q new b.txt";
    let bench = solo(&[("a", "grep -q new a.txt"), ("b", damage)]);
    bench.run(ORDERED);
    assert_eq!(bench.status_of("a"), "completed");
    assert!(bench.comments("a").join("\n").contains("mesh_run_id=R"));
}

/// Two patches whose validations hang if they begin before there is a file `go`, with the processes that do so.
fn hanging() -> Bench {
    let command = |id: &str| {
        format!(
            "grep -q new {id}.txt || exit 1; if [ ! -e \"$MESH_HOME/../go\" ]; then echo $$ >\"$MESH_HOME/../pid-{id}\"; sleep 600; fi"
        )
    };
    solo(&[("a", &command("a")), ("b", &command("b"))])
}

impl Bench {
    /// Makes the file `go`, for which validations wait.
    fn let_go(&self) {
        std::fs::write(self.beside("go"), "").expect("written");
    }
}

fn start_hanging(bench: &Bench) -> Child {
    let args = format!(
        "run --run-id R --adapter replay --answers {} grace_seconds=1",
        bench.answers()
    );
    let mesh = start(bench, Args::from(&args).and(ORDERED));
    wait_for("both validations", || {
        ["pid-a", "pid-b"].iter().all(|name| {
            std::fs::read_to_string(bench.beside(name)).is_ok_and(|text| text.ends_with('\n'))
        })
    });
    mesh
}

fn is_running(bench: &Bench, name: &str) -> bool {
    // It may never have begun.
    let Ok(pid) = std::fs::read_to_string(bench.beside(name)) else {
        return false;
    };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn both_complete(bench: &Bench) {
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
    assert_eq!(
        ["a.txt", "b.txt"].map(|file| bench.read(file)),
        ["new\n", "new\n"]
    );
    assert!(!bench.run_folder().join("trial-2").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn validations_that_outlive_a_killed_mesh_are_ended_and_done_again() {
    let bench = hanging();
    let before = bench.tree();
    let mut mesh = start_hanging(&bench);
    mesh.kill().expect("killed");
    mesh.wait().expect("reaped");
    assert!(
        ["pid-a", "pid-b"]
            .iter()
            .all(|name| is_running(&bench, name))
    );
    assert!(
        bench.trace("integration_started").is_empty() && !bench.path(".git/mesh.pending").exists()
    );
    assert!(bench.tree().len() == before.len());
    bench.let_go();
    bench
        .mesh("resume R --validation-parallel 1 --strict-validation")
        .exits(0);
    assert!(
        !["pid-a", "pid-b"]
            .iter()
            .any(|name| is_running(&bench, name))
    );
    both_complete(&bench);
    let changed = event(&bench, "run_resumed").to_string();
    assert_contains(&changed, "validation_parallel");
    assert_contains(&changed, "strict_validation");
}

#[cfg(target_os = "linux")]
#[test]
fn a_cancel_at_once_ends_validations_and_a_resume_does_them_again() {
    let bench = hanging();
    let mut mesh = start_hanging(&bench);
    bench.mesh("cancel R --now").exits(0);
    assert!(!mesh.wait().expect("ended").success());
    assert!(
        !["pid-a", "pid-b"]
            .iter()
            .any(|name| is_running(&bench, name))
    );
    assert!(bench.trace("integration_started").is_empty());
    assert_eq!(
        ["a.txt", "b.txt"].map(|file| bench.read(file)),
        ["old\n", "old\n"]
    );
    bench.let_go();
    bench.mesh("resume R").exits(0);
    both_complete(&bench);
}

#[test]
fn a_stop_lets_validations_end_and_applies_what_passes() {
    let bench = solo(&[
        (
            "a",
            &format!("{}; {}; grep -q new a.txt", make("in-a"), until("go")),
        ),
        ("b", "grep -q new b.txt"),
    ]);
    let args = format!(
        "run --run-id R --adapter replay --answers {}",
        bench.answers()
    );
    let mut mesh = bench.command(Args::from(&args).and(ORDERED));
    let printed = std::fs::File::create(bench.beside("printed")).expect("a file");
    mesh.stdout(Stdio::null()).stderr(printed);
    let mut mesh = mesh.spawn().expect("mesh starts");
    wait_for("the validation of a", || bench.beside("in-a").exists());
    bench.mesh("cancel R").exits(0);
    wait_for("mesh to take the request", || {
        read_file(bench.beside("printed")).contains("stopping: requested by mesh cancel")
    });
    bench.let_go();
    assert!(!mesh.wait().expect("ended").success());
    assert_eq!(units(&bench, "integration_finished")[0], "a");
    assert_eq!(bench.read("a.txt"), "new\n");
    bench.mesh("resume R").exits(0);
    both_complete(&bench);
}

#[cfg(target_os = "linux")]
#[test]
fn a_wall_clock_budget_is_heeded_while_only_validations_run() {
    let bench = hanging();
    let said = bench.run(&format!(
        "{ORDERED} max_wall_seconds=2 wall_hard=true grace_seconds=1"
    ));
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(
        !["pid-a", "pid-b"]
            .iter()
            .any(|name| is_running(&bench, name))
    );
    assert_eq!(
        event(&bench, "budget_reached")["budget"],
        "max_wall_seconds"
    );
    bench.let_go();
    bench.mesh("resume R --max-wall-seconds 600").exits(0);
    both_complete(&bench);
}

#[test]
fn single_steps_validate_beside_one_another_as_well() {
    let bench = rendezvous();
    let answers = bench.answers();
    let next = "wave next --run-id R protocol=solo max_tasks=2 parallel_tasks=2 isolation=worktree validation_parallel=2";
    bench.mesh(next).exits(0);
    bench.mesh(&format!("collect R {answers}")).exits(0);
    bench.mesh("integrate R").exits(0);
    both_complete(&bench);
}

#[test]
fn a_number_of_validations_out_of_range_is_an_error() {
    let bench = Bench::new(&[Task::new("a")]);
    for (value, told) in [
        ("0", "must be from 1 to 256"),
        ("257", "must be from 1 to 256"),
        ("two", "must be a whole number"),
    ] {
        let said = bench.run(&[&format!("validation_parallel={value}")]);
        assert_eq!(said.code, 2, "{}", said.err);
        said.err_has(told);
    }
    let said = bench.run("validation_parallel=2");
    said.err_has("validation_parallel has no effect without isolation=worktree");
}
