//! Patches that are applied.

use super::*;

#[test]
fn an_accepted_patch_is_applied_to_the_tree_only() {
    let bench = Bench::new(&[Task::new("a")]);
    let git = bench.git_state();
    let said = bench.run("--json").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: completed; vote 1: 5 agree, 0 disagree; validation: `grep -q new a.txt` exit 0; mesh_run_id=R");
    assert_eq!(bench.read("a.txt"), "new\n");
    assert_eq!(bench.git_state(), git);
    assert_eq!(bench.git("status --porcelain"), " M a.txt\n?? .step/\n");
    assert_eq!(report(&said)["tasks"][0]["changed_paths"], json!(["a.txt"]));
}

#[test]
fn the_comment_is_by_mesh_and_the_other_fields_stay() {
    let bench = Bench::new(&[Task::new("a")]);
    let before = bench.item("a");
    bench.run("").exits(0);
    let item = bench.item("a");
    assert_eq!(item["comments"][0]["author"], "mesh");
    for key in ["id", "step", "deps", "notes"] {
        assert_eq!(item[key], before[key]);
    }
}

#[test]
fn a_patch_makes_removes_and_renames_files_and_sets_the_executable_bit() {
    let patch = [
        create("new/deep/file", "fresh"),
        "diff --git a/a.txt b/a.txt\ndeleted file mode 100644\n--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n".to_owned(),
        "diff --git a/from.txt b/to.txt\nsimilarity index 50%\nrename from from.txt\nrename to to.txt\n--- a/from.txt\n+++ b/to.txt\n@@ -1 +1 @@\n-from\n+to\n".to_owned(),
        "diff --git a/tool b/tool\nold mode 100644\nnew mode 100755\n--- a/tool\n+++ b/tool\n@@ -1 +1 @@\n-tool\n+the tool\n".to_owned(),
    ].concat();
    let task = Task::new("a")
        .scope(&["**"])
        .patches(&[&patch])
        .validation(&["test -x tool"]);
    let bench = Bench::with_files(&[task], &[("from.txt", "from\n"), ("tool", "tool\n")]);
    bench.run("").exits(0);
    assert_eq!(bench.read("new/deep/file"), "fresh\n");
    assert_eq!(
        (
            bench.read("to.txt").as_str(),
            bench.path("from.txt").exists(),
            bench.path("a.txt").exists()
        ),
        ("to\n", false, false)
    );
}

#[test]
fn a_patch_applies_on_top_of_uncommitted_changes() {
    let task = Task::new("a").patches(&[&edit("a.txt", "mine", "new")]);
    let bench = Bench::new(&[task]);
    bench.write("a.txt", "mine\n");
    bench.write("kept.txt", "changed\n");
    bench.run("").exits(0);
    assert_eq!(
        (
            bench.read("a.txt").as_str(),
            bench.read("kept.txt").as_str()
        ),
        ("new\n", "changed\n")
    );
}

#[test]
fn a_diff_in_a_fence_or_with_wrong_counts_is_still_a_diff() {
    let fenced = format!("```diff\n{}```\n", edit("a.txt", "old", "new"));
    let miscounted = edit("a.txt", "old", "new").replace("@@ -1 +1 @@", "@@ -1,3 +1,4 @@");
    for patch in [fenced, miscounted] {
        let (bench, said) = run_one(Task::new("a").patches(&[&patch]));
        assert_eq!(
            (said.code, bench.read("a.txt").as_str()),
            (0, "new\n"),
            "{patch}"
        );
    }
}

// Refused before any vote.

#[test]
fn a_new_empty_file_is_integrated() {
    let patch = format!(
        "{}diff --git a/empty.py b/empty.py\nnew file mode 100644\nindex 0000000..e69de29\n",
        edit("a.txt", "old", "new")
    );
    let (bench, said) = run_one(Task::new("a").scope(&["**"]).patches(&[&patch]));
    assert_eq!(
        (said.code, bench.path("empty.py").exists()),
        (0, true),
        "{}",
        said.err
    );
}

#[test]
fn a_mode_only_change_is_integrated() {
    let patch = format!(
        "{}diff --git a/kept.txt b/kept.txt\nold mode 100644\nnew mode 100755\n",
        edit("a.txt", "old", "new")
    );
    let (bench, said) = run_one(Task::new("a").scope(&["**"]).patches(&[&patch]));
    assert_eq!(said.code, 0, "{:?}", bench.comments("a"));
    let mode = std::fs::metadata(bench.path("kept.txt"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn an_empty_file_is_deleted() {
    let patch = format!(
        "{}diff --git a/empty.py b/empty.py\ndeleted file mode 100644\nindex e69de29..0000000\n",
        edit("a.txt", "old", "new")
    );
    let bench = Bench::with_files(
        &[Task::new("a").scope(&["**"]).patches(&[&patch])],
        &[("empty.py", "")],
    );
    let said = bench.run("--json");
    assert_eq!(said.code, 0, "{:?}", bench.comments("a"));
    assert!(!bench.path("empty.py").exists());
}
