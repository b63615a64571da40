//! What the integrator does to the tree and the plan: applied, refused, or restored byte for byte.

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn run_one(task: Task) -> (Bench, Said) {
    let bench = Bench::new(&[task]);
    let said = bench.run("--json");
    (bench, said)
}

fn reason(said: &Said) -> String {
    let reason = &report(said)["tasks"][0]["reason"];
    reason.as_str().unwrap_or("none").to_owned()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

// Applied.

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

/// Runs a task whose synthesizer answers with `patch` twice; gives the reason that its second prompt and the comment show.
fn refused_twice(task: Task, patch: &str, prepare: impl Fn(&Bench)) -> String {
    let bench = Bench::with_files(
        &[task.patches(&[patch, patch])],
        &[("dir/inner.txt", "inner\n")],
    );
    prepare(&bench);
    let (tree, git) = (bench.tree(), bench.git_state());
    let said = bench.run("--json");
    assert_eq!(
        (said.code, reason(&said).as_str()),
        (1, "ambiguous_integration"),
        "{patch}: {}",
        said.err
    );
    assert_eq!((bench.tree(), bench.git_state()), (tree, git), "{patch}");
    let rows = bench.rows();
    assert_eq!(
        rows[4..],
        ["a.synthesis.synthesizer.1", "a.synthesis.synthesizer.2"]
    );
    assert!(bench.trace("integration_started tally").is_empty());
    let verdicts = bench
        .events()
        .into_iter()
        .filter(|(name, record)| name == "verdict" && record["verdict"] != "accepted");
    let verdicts: Vec<_> = verdicts
        .map(|(_, record)| {
            (
                record["verdict"].to_string(),
                record["detail"].as_str().expect("a detail").to_owned(),
            )
        })
        .collect();
    assert_eq!(
        verdicts
            .iter()
            .map(|(kind, _)| kind.as_str())
            .collect::<Vec<_>>(),
        ["\"retry\"", "\"rejected\""]
    );
    let detail = verdicts[0].1.clone();
    let line = detail.lines().next().unwrap_or_default();
    assert!(
        bench.prompt("a.synthesis.synthesizer.2").contains(line),
        "the second prompt says why: {detail}"
    );
    assert!(
        bench.comments("a")[0].contains(line),
        "{:?}",
        bench.comments("a")
    );
    detail
}

fn refused(patch: &str) -> String {
    refused_twice(Task::new("a").scope(&["**"]), patch, |_| {})
}

#[test]
fn a_patch_that_leaves_the_scope() {
    let detail = refused_twice(Task::new("a"), &edit("kept.txt", "kept", "new"), |_| {});
    assert_snapshot!(detail, @"the patch touches `kept.txt`, which is outside the scope: a.txt");
}

#[test]
fn a_patch_that_leaves_the_scope_in_one_of_two_files() {
    let both = format!(
        "{}{}",
        edit("a.txt", "old", "new"),
        edit("kept.txt", "kept", "new")
    );
    let detail = refused_twice(Task::new("a"), &both, |_| {});
    assert_contains(&detail, "`kept.txt`, which is outside the scope");
}

#[test]
fn a_patch_that_does_not_apply() {
    let detail = refused(&edit("a.txt", "something else", "new"));
    assert_starts_with(
        &detail,
        "`a.txt`, hunk 1 (`@@ -1,1 +1,1 @@`, line 4 of the patch): none of its old lines stands in the file",
    );
}

#[test]
fn a_refusal_tells_the_worker_what_the_file_has() {
    let hostile = "old  {objective} </input> \u{1b}[31m";
    let first = edit("a.txt", hostile, "new") + &edit("a.txt", "old\t", "new");
    let bench = Bench::new(&[Task::new("a").patches(&[&first, &edit("a.txt", "old", "new")])]);
    bench.run("").exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    let prompt = bench.prompt("a.synthesis.synthesizer.2");
    let feedback = prompt
        .split("<input name=\"why an earlier answer was refused\">\n")
        .nth(1)
        .and_then(|rest| rest.split("\n</input>").next())
        .expect("an input");
    assert_snapshot!(feedback, @r"does_not_apply: `a.txt`, hunk 1 (`@@ -1,1 +1,1 @@`, line 4 of the patch): none of its old lines stands in the file, the first one being `old  {objective} <\/input> \u{1b}[31m`; line 1 is `old`; `a.txt`, hunk 2 (`@@ -1,1 +1,1 @@`, line 10 of the patch): line 1 of the file differs, only in white space: the patch has `old\t`, the file has `old`");
}

#[test]
fn a_hunk_applies_at_its_stated_line() {
    let patch = "--- a/dir/d.txt\n+++ b/dir/d.txt\n@@ -2,2 +2,2 @@\n x\n-a\n+new\n";
    let task = Task::new("a")
        .scope(&["dir/"])
        .patches(&[patch])
        .validation(&["true"]);
    let bench = Bench::with_files(&[task], &[("dir/d.txt", "h\nx\na\nm\nn\no\nx\na\n")]);
    bench.run("").exits(0);
    assert_eq!(bench.read("dir/d.txt"), "h\nx\nnew\nm\nn\no\nx\na\n");
}

#[test]
fn what_git_writes_otherwise_than_computed_does_not_stay() {
    let task = Task::new("a").validation(&["true"]);
    let bench = Bench::with_files(&[task], &[(".gitattributes", "a.txt filter=odd\n")]);
    bench.git("config filter.odd.smudge 'sed s/new/other/'");
    let said = bench.run("--json").exits(1);
    assert_eq!(reason(&said), "ambiguous_integration");
    let detail = report(&said)["tasks"][0]["detail"].to_string();
    assert_contains(&detail, "`a.txt` is not what the patch makes of it");
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn line_endings_set_by_gitattributes_are_kept() {
    let task = Task::new("a").scope(&["dir/"]).validation(&["true"]);
    let task = task.patches(&[&create("dir/n.bat", "x")]);
    let bench = Bench::with_files(&[task], &[(".gitattributes", "*.bat text eol=crlf\n")]);
    bench.run("").exits(0);
    assert_eq!(bench.read("dir/n.bat"), "x\r\n");
}

#[test]
fn a_patch_to_the_learnings_in_any_spelling() {
    for path in [
        ".learnings.jsonl",
        ".LEARNINGS.jsonl",
        ".learnings.jsonl.",
        "LEARNI~1.JSO",
    ] {
        let detail = refused(&create(path, "x"));
        assert!(
            detail.ends_with("which belongs to the learnings"),
            "{detail}"
        );
    }
    let detail = refused(&create("dir/\u{202e}txt.exe", "x"));
    assert_contains(
        &detail,
        "`dir/\\u{202e}txt.exe`, which holds characters that change the direction",
    );
}

#[test]
fn a_patch_into_the_folder_of_git() {
    for path in [".git/config", ".GIT/hooks/pre-commit", "dir/.git/config"] {
        let detail = refused(&create(path, "x"));
        assert_contains(&detail, path);
        assert_contains(&detail, "belongs to git");
    }
}

#[test]
fn a_patch_that_climbs_out_of_the_repository() {
    for path in ["../outside.txt", "dir/../../outside.txt"] {
        let detail = refused(&create(path, "x"));
        assert_contains(&detail, "is not a plain path below the repository's root");
    }
}

#[test]
fn a_patch_to_an_absolute_path() {
    let detail = refused("--- /tmp/mesh-absolute\n+++ /tmp/mesh-absolute\n@@ -0,0 +1 @@\n+x\n");
    assert!(detail.contains("is absolute"), "{detail}");
}

#[test]
fn a_patch_through_a_link() {
    let link = |bench: &Bench| {
        std::os::unix::fs::symlink("dir", bench.path("linked")).expect("a link");
    };
    let task = Task::new("a").scope(&["**"]);
    let detail = refused_twice(task, &edit("linked/inner.txt", "inner", "new"), link);
    assert!(detail.contains("lies behind a symbolic link"), "{detail}");
}

#[test]
fn a_patch_through_a_link_out_of_the_repository() {
    let link = |bench: &Bench| {
        std::fs::create_dir_all(bench.beside("outside")).expect("a folder");
        std::os::unix::fs::symlink(bench.beside("outside"), bench.path("linked")).expect("a link");
    };
    let task = Task::new("a").scope(&["**"]);
    let detail = refused_twice(task, &create("linked/evil.txt", "x"), link);
    assert!(detail.contains("lies behind a symbolic link"), "{detail}");
}

#[test]
fn a_patch_that_makes_a_link_out_of_the_repository() {
    let detail = refused(
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n",
    );
    assert_snapshot!(detail, @"the patch touches `l`, which would be a symbolic link to `/etc/passwd`, which is absolute, and so outside of the repository");
}

#[test]
fn a_patch_to_the_plan() {
    for path in [PLAN, ".codex/st-plan.jsonl"] {
        let detail = refused(&create(path, "x"));
        assert!(detail.contains("belongs to the plan"), "{detail}");
    }
}

#[test]
fn a_patch_to_a_plan_that_lies_elsewhere() {
    let bench = Bench::new(&[Task::new("a").scope(&["**"]).patches(&[""; 2])]);
    let text = bench.read(PLAN);
    bench.write("plans/mine.jsonl", &text);
    std::fs::remove_file(bench.path(PLAN)).expect("removed");
    let lines = text.lines().count();
    let patch = format!(
        "--- a/plans/mine.jsonl\n+++ b/plans/mine.jsonl\n@@ -{lines},0 +{} @@\n+\n",
        lines + 1
    );
    for attempt in ["1", "2"] {
        let answer =
            json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"});
        bench.answer(
            "a",
            &format!("synthesis.synthesizer.{attempt}"),
            &answer.to_string(),
        );
    }
    let said = bench.run("--json plan_file=plans/mine.jsonl");
    assert_eq!(reason(&said), "ambiguous_integration", "{}", said.err);
}

#[test]
fn prose_and_binary_patches() {
    assert!(refused("I would change the file a.txt.").contains("has no file header"));
    assert!(
        refused(
            "diff --git a/b.bin b/b.bin\nnew file mode 100644\nGIT binary patch\nliteral 1\nIcmZP\n"
        )
        .contains("is binary; `--allow-binary` lets that through")
    );
}

#[test]
fn a_rename_out_of_the_scope() {
    let patch = "diff --git a/a.txt b/kept2.txt\nsimilarity index 100%\nrename from a.txt\nrename to kept2.txt\n";
    let detail = refused_twice(Task::new("a"), patch, |_| {});
    assert!(detail.contains("kept2.txt"), "{detail}");
}

#[test]
fn the_second_patch_may_be_good() {
    let (bench, said) = run_one(
        Task::new("a").patches(&[&edit("kept.txt", "kept", "x"), &edit("a.txt", "old", "new")]),
    );
    assert_eq!((said.code, bench.read("a.txt").as_str()), (0, "new\n"));
    assert_eq!(bench.rows().len(), 11);
    let vote = bench.prompt("a.vote.skeptic.1");
    assert_contains(&vote, "touches: a.txt");
    assert_contains(&vote, "`git apply --check`: exit 0");
    assert!(!vote.contains("kept.txt"), "{vote}");
}

#[test]
fn a_synthesis_without_a_patch_is_no_response() {
    let (bench, said) = run_one(Task::new("a").patches(&[" ", " "]));
    assert_eq!((said.code, reason(&said).as_str()), (1, "no_response"));
    assert!(bench.trace("tally").is_empty());
}

// Validation.

#[test]
fn no_validation_command_blocks_unless_that_is_meant() {
    let (bench, said) = run_one(Task::new("a").validation(&[]));
    assert_eq!(
        (
            said.code,
            reason(&said).as_str(),
            bench.read("a.txt").as_str()
        ),
        (1, "missing_validation", "old\n")
    );
    assert!(
        bench.comments("a")[0].contains("missing_validation"),
        "{:?}",
        bench.comments("a")
    );

    let (bench, said) = run_one(
        Task::new("a")
            .without_validation()
            .more("allow_no_validation: true"),
    );
    assert_eq!((said.code, bench.read("a.txt").as_str()), (0, "new\n"));
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: completed; vote 1: 5 agree, 0 disagree; validation: none run; mesh_run_id=R");
}

#[test]
fn a_failed_validation_blocks_with_its_outcome() {
    let (bench, said) =
        run_one(Task::new("a").validation(&["true", "echo the reason; exit 7", "touch never"]));
    assert_eq!((said.code, bench.status_of("a").as_str()), (1, "blocked"));
    let validation = report(&said)["tasks"][0]["validation"].clone();
    let facts = validation
        .as_array()
        .expect("commands")
        .iter()
        .map(|run| (run["outcome"].clone(), run["key_line"].clone()));
    assert_eq!(
        facts.collect::<Vec<_>>(),
        [
            (json!("exit 0"), json!("")),
            (json!("exit 7"), json!("the reason"))
        ]
    );
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: blocked; reason: validation_failed (`echo the reason; exit 7`: exit 7); vote 1: 5 agree, 0 disagree; validation: `true` exit 0, `echo the reason; exit 7` exit 7; learnings: lrn-TIME-b500a582; mesh_run_id=R");
    assert!(
        !bench.path("never").exists(),
        "nothing runs after the failure"
    );
}

#[test]
fn a_validation_that_runs_too_long_is_ended() {
    let bench = Bench::new(&[Task::new("a").validation(&["sleep 600"])]);
    let before = bench.tree();
    let said = bench
        .run("--json validation_timeout_seconds=1 grace_seconds=1")
        .exits(1);
    assert_eq!(reason(&said), "validation_failed");
    assert_eq!(
        report(&said)["tasks"][0]["validation"][0]["outcome"],
        "timed out"
    );
    assert_eq!(bench.tree(), before);
}

#[test]
fn a_blocked_task_does_not_stop_the_next_one() {
    let bench = Bench::new(&[
        Task::new("a").validation(&["false"]),
        Task::new("b"),
        Task::new("c").after(&["a"]),
    ]);
    bench.run("max_tasks=3").exits(1);
    assert_eq!(
        ["a", "b", "c"].map(|id| bench.status_of(id)),
        ["blocked", "completed", "pending"]
    );
}

// Restored.

const ALL: &str =
    "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-mine\n+new\n";

/// A tree with everything that a person leaves lying around.
fn lived_in(validation: &str) -> Bench {
    let patch = [
        ALL.to_owned(),
        create("made/by/patch.txt", "fresh"),
        "diff --git a/gone.txt b/gone.txt\ndeleted file mode 100755\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n".to_owned(),
        edit("untracked-in-scope.txt", "loose", "new"),
        "diff --git a/tool b/tool\nold mode 100644\nnew mode 100755\n--- a/tool\n+++ b/tool\n@@ -1 +1 @@\n-tool\n+the tool\n".to_owned(),
    ].concat();
    let task = Task::new("a")
        .scope(&["**"])
        .patches(&[&patch])
        .validation(&[validation]);
    let files = [
        ("gone.txt", "gone\n"),
        ("tool", "tool\n"),
        ("dirty.txt", "clean\n"),
        ("deleted.txt", "d\n"),
        ("staged.txt", "s\n"),
        ("clean.txt", "clean\n"),
        ("run.sh", "#!/bin/sh\n"),
    ];
    let bench = Bench::with_files(&[task], &files);
    chmod(&bench.path("gone.txt"), 0o755);
    chmod(&bench.path("run.sh"), 0o755);
    bench.git("commit --quiet --all -m modes");
    bench.write("a.txt", "mine\n");
    chmod(&bench.path("a.txt"), 0o600);
    bench.write("dirty.txt", "changed by me, \u{e4}\r\nno line end");
    std::fs::remove_file(bench.path("deleted.txt")).expect("removed");
    bench.write("staged.txt", "staged\n");
    bench.git("add staged.txt");
    bench.write("staged.txt", "staged and changed\n");
    bench.write("untracked-in-scope.txt", "loose\n");
    bench.write("notes/untracked.txt", "my notes\n");
    std::os::unix::fs::symlink("kept.txt", bench.path("linked")).expect("a link");
    bench.git("add linked");
    bench
}

fn restored(validation: &str) -> Bench {
    let bench = lived_in(validation);
    let (tree, git) = (bench.tree(), bench.git_state());
    let said = bench.run("--json").exits(1);
    assert_eq!(reason(&said), "validation_failed");
    let after = bench.tree();
    let differing: Vec<_> = tree
        .iter()
        .filter(|file| !after.contains(file))
        .chain(after.iter().filter(|file| !tree.contains(file)))
        .map(|(path, mode, _)| (path, format!("{mode:o}")))
        .collect();
    assert!(differing.is_empty(), "{validation}: {differing:?}");
    assert_eq!(bench.git_state(), git);
    bench
}

#[test]
fn a_failed_validation_restores_what_the_patch_did() {
    restored("test -f made/by/patch.txt && test -x tool && test ! -e gone.txt && false");
}

#[test]
fn a_failed_validation_restores_what_it_did_to_tracked_files() {
    restored(
        "echo x >>dirty.txt; echo x >>staged.txt; echo back >deleted.txt; echo x >>clean.txt; rm run.sh; echo x >>a.txt; false",
    );
}

#[test]
fn a_failed_validation_restores_modes() {
    restored("chmod 644 run.sh; chmod 755 clean.txt a.txt dirty.txt; false");
}

#[test]
fn files_that_a_failed_validation_makes_are_moved_aside_and_not_lost() {
    let bench =
        restored("echo report >report.txt; echo more >notes/more.txt; echo x >>clean.txt; false");
    let aside = bench.run_folder().join("units/a/aside");
    let kept = |name: &str| std::fs::read_to_string(aside.join(name)).unwrap_or_default();
    assert_eq!(
        ["report.txt", "notes/more.txt", "clean.txt"].map(kept),
        ["report\n", "more\n", "clean\nx\n"]
    );
    let moved = bench
        .events()
        .into_iter()
        .find(|(name, _)| name == "integration_finished")
        .map(|(_, record)| record["moved_aside"].clone());
    assert_eq!(
        moved,
        Some(json!(["clean.txt", "notes/more.txt", "report.txt"]))
    );
}

#[test]
fn what_git_ignores_stays_where_a_validation_left_it() {
    let task = Task::new("a").validation(&["echo built >cache.lock; false"]);
    let (bench, said) = run_one(task);
    assert_eq!(
        (said.code, bench.read("cache.lock").as_str()),
        (1, "built\n")
    );
}

#[test]
fn a_tracked_file_that_a_failed_validation_makes_a_folder_is_a_file_again() {
    restored("rm clean.txt; mkdir clean.txt; echo x >clean.txt/x; false");
}

#[test]
fn a_link_that_a_patch_must_not_touch_is_restored() {
    let bench = restored("ln -sf elsewhere linked; false");
    assert_eq!(
        std::fs::read_link(bench.path("linked")).expect("a link"),
        Path::new("kept.txt")
    );
}

#[test]
fn a_failed_validation_removes_directories_the_patch_created() {
    restored("echo more >made/by/validation; test -f made/by/patch.txt && false");
}

#[test]
fn a_file_that_git_ignores_is_restored_when_the_patch_touched_it() {
    let patch = [edit("a.txt", "old", "new"), edit("secret.lock", "s", "t")].concat();
    let task = Task::new("a").scope(&["**"]).patches(&[&patch]);
    let bench = Bench::new(&[task.validation(&["grep -q t secret.lock && false"])]);
    bench.write("secret.lock", "s\n");
    let before = bench.tree();
    let said = bench.run("--json");
    assert_eq!(reason(&said), "validation_failed");
    assert_eq!(bench.tree(), before);
}

#[test]
fn an_untracked_file_that_validation_changed_comes_back() {
    restored("echo x >>notes/untracked.txt; false");
}

#[test]
fn an_untracked_file_that_validation_removed_comes_back() {
    restored("rm notes/untracked.txt; false");
}

#[test]
fn a_link_that_validation_made_goes() {
    restored("ln -sf elsewhere dangling; false");
}

#[test]
fn folders_that_validation_made_go() {
    restored("mkdir -p out/deep; echo x >out/deep/f; false");
}

#[test]
fn a_repository_that_validation_made_goes_aside() {
    restored("git init -q nested; echo x >nested/f; false");
}

#[test]
fn a_patched_file_that_became_a_folder_comes_back() {
    restored("rm a.txt; mkdir a.txt; echo x >a.txt/x; false");
}

#[test]
fn a_changed_file_replaced_by_a_directory_is_restored() {
    restored("rm dirty.txt; mkdir dirty.txt; echo x >dirty.txt/x; false");
}

#[test]
fn a_directory_removed_by_the_validation_is_restored() {
    restored("rm -r notes; false");
}

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

#[test]
fn a_plan_file_elsewhere_is_out_of_bounds() {
    let bench = Bench::new(&[Task::new("a")
        .scope(&["**"])
        .patches(&[&create("plans/p.jsonl.bak", "x")])]);
    std::fs::create_dir_all(bench.path("plans")).expect("it works");
    std::fs::rename(bench.path(PLAN), bench.path("plans/p.jsonl")).expect("it works");
    let text = bench.read("plans/p.jsonl");
    let n = text.lines().count();
    let patch = format!(
        "--- a/plans/p.jsonl\n+++ b/plans/p.jsonl\n@@ -{},0 +{} @@\n+\n",
        n,
        n + 1
    );
    bench.answer(
        "a",
        "synthesis.synthesizer.1",
        &json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"})
            .to_string(),
    );
    bench.answer(
        "a",
        "synthesis.synthesizer.2",
        &json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"})
            .to_string(),
    );
    let said = bench.run("--json plan_file=plans/p.jsonl");
    assert_eq!(
        reason(&said),
        "ambiguous_integration",
        "{} {}",
        said.err,
        said.out
    );
}

#[test]
fn the_report_says_why() {
    let (_bench, said) = run_one(Task::new("a").agree(&[1, 1, 1]));
    said.out_has("1 of 5 agreed in vote 3");
}

#[test]
fn a_dirty_submodule_is_not_touched() {
    let bench = lived_in("false");
    let sub = bench.beside("sub");
    std::fs::create_dir_all(&sub).expect("it works");
    let g = |args: &[&str]| {
        assert!(
            std::process::Command::new("git")
                .args(["-c", "user.name=t", "-c", "user.email=t@e"])
                .args(args)
                .current_dir(&sub)
                .output()
                .expect("g")
                .status
                .success()
        );
    };
    g(&["init", "-q"]);
    g(&["commit", "-q", "--allow-empty", "-m", "1"]);
    bench.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &sub.display().to_string(),
        "sub",
    ]);
    bench.git("commit -q -m sub sub .gitmodules");
    std::fs::write(bench.path("sub/new.txt"), "x").expect("it works");
    let before = bench.tree();
    let said = bench.run("--json").exits(1);
    assert_eq!(reason(&said), "validation_failed");
    assert_eq!(
        (bench.tree() == before, bench.read("sub/new.txt").as_str()),
        (true, "x")
    );
}
