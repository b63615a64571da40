//! `mesh undo`: the patches of a run leave the work tree, and their tasks are pending again.

use crate::fixture::*;
use serde_json::{Value, json};

/// The exit code of a process that was killed.
const KILLED: i32 = 128 + 9;

fn outcomes(bench: &Bench) -> Vec<Value> {
    let events = bench.events_named("undo_finished");
    events.iter().map(|body| body["outcome"].clone()).collect()
}

fn audit_is_clean(bench: &Bench) {
    bench.mesh("audit R").exits(0);
}

/// `b` comes after `a` on the same file.
fn two_on_one_file() -> Bench {
    let first = Task::new("a");
    let second = Task::new("b")
        .after(&["a"])
        .scope(&["a.txt"])
        .patches(&[&edit("a.txt", "new", "newer")])
        .validation(&["grep -q newer a.txt"]);
    Bench::new(&[first, second])
}

#[test]
fn every_kind_of_change_is_taken_back() {
    let scratch = Sandbox::with_repo(&[("bin", "\0old\n")]);
    scratch.write("bin", "\0new\n");
    let binary = scratch.git("diff --binary --full-index");
    let patch = [
        create("new/deep/file", "fresh"),
        "diff --git a/a.txt b/a.txt\ndeleted file mode 100644\n--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n".to_owned(),
        "diff --git a/from.txt b/to.txt\nsimilarity index 50%\nrename from from.txt\nrename to to.txt\n--- a/from.txt\n+++ b/to.txt\n@@ -1 +1 @@\n-from\n+to\n".to_owned(),
        "diff --git a/tool b/tool\nold mode 100644\nnew mode 100755\n--- a/tool\n+++ b/tool\n@@ -1 +1 @@\n-tool\n+the tool\n".to_owned(),
        "diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+tool\n\\ No newline at end of file\n".to_owned(),
        binary,
    ]
    .concat();
    let task = Task::new("a")
        .scope(&["**"])
        .patches(&[&patch])
        .validation(&["test -x tool"]);
    let more = [
        ("from.txt", "from\n"),
        ("tool", "tool\n"),
        ("bin", "\0old\n"),
    ];
    let bench = Bench::with_files(&[task], &more);
    let before = bench.tree();
    bench.run("allow_binary=true").exits(0);
    assert_ne!(bench.tree(), before);
    bench
        .mesh("undo R")
        .exits(0)
        .out_has("undone; pending in the plan");
    assert_eq!(bench.tree(), before);
    assert_eq!(bench.status_of("a"), "pending");
    assert_eq!(outcomes(&bench), ["undone"]);
    audit_is_clean(&bench);
}

#[test]
fn a_file_of_another_encoding_is_taken_back() {
    let patch = "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-old\n+new\n";
    let bench = Bench::new(&[Task::new("a").patches(&[patch])]);
    let before = b"caf\xe9\nold\n\xfcber\n";
    std::fs::write(bench.path("a.txt"), before).expect("written");
    bench.run("").exits(0);
    bench.mesh("undo R").exits(0);
    assert_eq!(std::fs::read(bench.path("a.txt")).expect("read"), before);
}

#[test]
fn a_run_is_undone_from_its_last_patch_to_its_first() {
    let bench = two_on_one_file();
    let before = bench.tree();
    bench.run("max_tasks=2").exits(0);
    let said = bench.mesh("undo R --json").exits(0);
    let said: Value = serde_json::from_str(said.out.trim()).expect("JSON");
    assert_eq!(said["undone"], json!(["b", "a"]));
    assert_eq!(bench.tree(), before);
    let comments = bench.comments("b");
    let last = comments.last().expect("a comment");
    assert_eq!(
        last,
        "[mesh] undone: pending again; taken back from the work tree: a.txt; mesh_run_id=R"
    );
    let shown = bench.mesh("runs show R").exits(0);
    shown.out_has("a          undone");
    bench.mesh("runs list").exits(0).out_has("2 undone");
    audit_is_clean(&bench);
    bench
        .mesh("undo R")
        .exits(2)
        .err_has("none of its patches is in the tree");
    bench
        .mesh("undo R --task a")
        .exits(2)
        .err_has("task `a` is undone already");
}

#[test]
fn undone_tasks_can_be_run_again() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    bench.mesh("undo R").exits(0);
    let again = format!(
        "run --run-id Q --adapter replay --answers {}",
        bench.answers()
    );
    bench.mesh(again.as_str()).exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    assert_eq!(bench.status_of("a"), "completed");
    bench.mesh("undo Q").exits(0);
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn an_earlier_patch_under_a_later_one_is_refused_and_the_later_one_named() {
    let bench = two_on_one_file();
    bench.run("max_tasks=2").exits(0);
    let (tree, plan) = (bench.tree(), bench.read(PLAN));
    for args in ["undo R --task a", "undo R --task a --dry-run"] {
        let said = bench.mesh(args).exits(1);
        said.err_has("task `a` can't be undone");
        said.err_has("a.txt");
        said.err_has("--task b");
        said.err_has("nothing was changed");
        assert_eq!(
            (bench.tree(), bench.read(PLAN)),
            (tree.clone(), plan.clone())
        );
    }
    assert!(bench.events_named("undo_started").is_empty());
    bench.mesh("undo R --task a,b").exits(0);
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn later_edits_of_the_same_lines_are_shown_and_others_are_kept() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.run("max_tasks=2").exits(0);
    bench.write("a.txt", "mine\n");
    let said = bench.mesh("undo R").exits(1);
    said.err_has("`a.txt`, hunk 1");
    said.err_has("mine");
    said.out_has("b          can be undone: b.txt");
    assert_eq!(bench.read("b.txt"), "new\n");
    assert_eq!(bench.status_of("b"), "completed");
    // Lines above the patch's own move it, and stay.
    bench.write("b.txt", "above\nnew\n");
    bench.mesh("undo R --task b").exits(0);
    assert_eq!(bench.read("b.txt"), "above\nold\n");
    assert_eq!(bench.status_of("a"), "completed");
    audit_is_clean(&bench);
}

#[test]
fn a_dry_run_says_what_would_be_undone() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    let (tree, plan) = (bench.tree(), bench.read(PLAN));
    bench
        .mesh("undo R --dry-run")
        .exits(0)
        .out_has("a          can be undone: a.txt");
    assert_eq!((bench.tree(), bench.read(PLAN)), (tree, plan));
}

#[test]
fn a_status_that_somebody_else_set_is_left_unchanged() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    bench.mesh("st set-status --id a --status blocked").exits(0);
    bench
        .mesh("undo R")
        .exits(0)
        .err_has("the plan says `blocked`");
    assert_eq!(bench.read("a.txt"), "old\n");
    assert_eq!(bench.status_of("a"), "blocked");
    audit_is_clean(&bench);
}

#[test]
fn commits_are_left_and_the_command_is_printed() {
    for (delivery, has) in [
        ("delivery=commit", "git revert "),
        ("delivery=branch", "git branch -D mesh/R"),
    ] {
        let bench = Bench::new(&[Task::new("a")]);
        bench.git("config user.name t");
        bench.git("config user.email t@example.invalid");
        bench.git("checkout --quiet -b topic");
        bench.run(&[delivery]).exits(0);
        let (git, plan) = (bench.git_state(), bench.read(PLAN));
        let said = bench.mesh("undo R").exits(0);
        said.out_starts_with(has);
        said.err_has("nothing was changed");
        assert_eq!((bench.git_state(), bench.read(PLAN)), (git, plan));
    }
}

#[test]
fn a_run_that_has_not_ended_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("run_finished");
    let said = bench.mesh("undo R").exits(2);
    said.err_has("it has not ended");
    said.err_has("mesh resume R");
    bench.mesh("resume R").exits(0);
    bench.mesh("undo R").exits(0);
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn a_task_that_another_run_holds_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    bench.mesh("st set-status --id a --status pending").exits(0);
    bench.next("--run-id Q");
    let said = bench.mesh("undo R").exits(3);
    said.err_has("task `a` is held by run `Q`");
    assert_eq!(bench.read("a.txt"), "new\n");
}

/// At every step of an undo: killed there, and then undone again, or resumed and undone.
#[test]
fn a_killed_undo_is_completed_by_the_next_call() {
    let start = two_on_one_file();
    let before = start.tree();
    for step in 1..200 {
        let bench = start.copy();
        bench.run("max_tasks=2").exits(0);
        let mut undo = bench.command("undo R");
        undo.env("MESH_FAULT_KILL", format!("integrator:{step}"));
        let is_over = undo.run_to_end().code != KILLED;
        if step % 2 == 0 {
            bench.mesh("resume R");
        }
        let code = bench.mesh("undo R").code;
        assert!(code == 0 || code == 2, "{step}: {code}");
        assert_eq!(bench.tree(), before, "{step}");
        assert_eq!(
            ["a", "b"].map(|id| bench.status_of(id)),
            ["pending", "pending"],
            "{step}"
        );
        audit_is_clean(&bench);
        if is_over {
            assert!(step > 10, "{step}");
            return;
        }
    }
    panic!("it never ends");
}

#[test]
fn the_restore_of_a_killed_undo_can_be_abandoned() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    let at = bench.events().len() + 2;
    let mut undo = bench.command("undo R");
    undo.env("MESH_FAULT_KILL", format!("before:{at}"));
    undo.run_to_end().exits(KILLED);
    assert_eq!(bench.read("a.txt"), "old\n");
    bench
        .mesh("resume R --abandon")
        .exits(1)
        .err_has("the restore of an interrupted undo was abandoned");
    assert_eq!(bench.read("a.txt"), "old\n");
    assert_eq!(outcomes(&bench), ["abandoned"]);
    assert_eq!(
        read_file(bench.run_folder().join("units/a/before/a.txt")),
        "new\n"
    );
    audit_is_clean(&bench);
    // Nothing holds the repository.
    bench.mesh("undo R").exits(1).err_has("a.txt");
}
