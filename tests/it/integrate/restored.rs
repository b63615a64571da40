//! A tree that is as before after a failed validation.

use super::*;

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
