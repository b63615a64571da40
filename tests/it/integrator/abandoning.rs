//! Restores that need what a validation destroyed, and the way out of those that fail.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// A run whose validation removed git's objects and the copies that the run has of the tree.
fn wedged() -> Bench {
    wedged_by(
        "rm src/s.txt; rm -rf \"$MESH_HOME/runs/R/snapshot\"; mv .git/objects ../objects; mkdir .git/objects; false",
    )
}

fn wedged_by(damage: &str) -> Bench {
    let command = format!("if mkdir ../once; then {damage}; else grep -q new a.txt; fi");
    let task = Task::new("a").validation(&[&command]);
    let bench = Bench::with_files(&[task], &[("src/s.txt", "s\n")]);
    bench.write("kept.txt", "mine\n");
    let said = bench.run("").exits(4);
    said.err_has("mesh resume R --abandon");
    bench
}

#[test]
fn a_failed_restore_is_completed_by_resume_once_its_cause_is_gone() {
    let bench = wedged();
    bench.mesh("run --run-id S").exits(3);
    bench.mesh("resume R").exits(4);
    std::fs::remove_dir(bench.path(".git/objects")).expect("removed");
    std::fs::rename(bench.beside("objects"), bench.path(".git/objects")).expect("put back");
    let said = bench.mesh("resume R");
    assert!(!bench.path(".git/mesh.pending").exists(), "{}", said.err);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(
        ["a.txt", "kept.txt", "src/s.txt"].map(|path| bench.read(path)),
        ["new\n", "mine\n", "s\n"]
    );
}

#[test]
fn a_restore_that_failed_at_a_file_of_git_does_all_of_it_again() {
    // Nothing can be moved to a folder in which nothing can be made.
    let bench = wedged_by(
        "ln -s /proc \"$MESH_HOME/runs/R/units/a/aside\"; mkdir -p .git/hooks; echo x >.git/hooks/pre-commit; \
         git config a.b c; git add --all; mkfifo src/pipe; false",
    );
    assert!(bench.path(".git/hooks/pre-commit").exists());
    std::fs::remove_file(bench.run_folder().join("units/a/aside")).expect("removed");
    bench.mesh("resume R").exits(0);
    for path in [".git/hooks/pre-commit", "src/pipe"] {
        assert!(!bench.path(path).exists(), "{path}");
    }
    assert!(!bench.read(".git/config").contains("[a]"));
    assert_eq!(bench.git("diff --cached --name-only"), "");
    assert_eq!(bench.read("a.txt"), "new\n");
}

#[test]
fn what_cannot_be_restored_can_be_abandoned_and_every_copy_is_kept() {
    let bench = wedged();
    bench.write("kept.txt", "damaged\n");
    let said = bench
        .mesh("resume R --abandon --junit ../run.xml --markdown ../run.md")
        .exits(1);
    assert!(!bench.path(".git/mesh.pending").exists());
    for (report, what) in [
        ("run.xml", "ambiguous_integration"),
        ("run.md", "| a | blocked"),
    ] {
        let text = std::fs::read_to_string(bench.beside(report)).expect("written");
        assert!(text.contains(what), "{text}");
    }
    let before = bench.run_folder().join("units/a/before");
    said.err_has(&before.display().to_string());
    assert_eq!(
        std::fs::read(before.join("kept.txt")).expect("kept"),
        b"mine\n"
    );
    assert_eq!(
        (
            bench.status_of("a").as_str(),
            bench.read("kept.txt").as_str()
        ),
        ("blocked", "damaged\n")
    );
    assert!(bench.comments("a")[0].contains("ambiguous_integration"));
    // Once is enough.
    bench.mesh("resume R --abandon").exits(0);
}

#[test]
fn what_git_lost_is_restored_from_a_copy_of_the_run() {
    let damage = "echo z >src/s.txt; rm -rf .git/objects/??; exit 1";
    let task = Task::new("a").validation(&[damage]);
    let bench = Bench::with_files(&[task], &[("src/s.txt", "s\n")]);
    bench.run("");
    assert_eq!(bench.read("src/s.txt"), "s\n");
    assert_eq!(bench.status_of("a"), "blocked");
}

/// What a validation changed and a restore could not restore is no edit of the user's.
#[test]
fn a_failed_restore_stays_one_until_it_is_abandoned() {
    let bench = wedged_by(
        "echo z >src/s.txt; rm -rf \"$MESH_HOME/runs/R/snapshot\" .git/objects/??; exit 1",
    );
    let said = bench.mesh("resume R").exits(4);
    said.err_has("src/s.txt");
    said.err_has("mesh resume R --abandon");
    bench.mesh("resume R --abandon").exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    assert_eq!(bench.read("src/s.txt"), "z\n");
}

#[test]
fn to_abandon_a_run_whose_repository_is_gone_says_where_the_copies_are() {
    let bench = wedged();
    std::fs::rename(bench.path(".git"), bench.path("git-elsewhere")).expect("moved");
    let said = bench.mesh("resume R").exits(2);
    said.err_has("is not inside a git repository");
    said.err_has("hint: move the repository back to where the run started");
    let said = bench.mesh("resume R --abandon").exits(1);
    said.err_has("git finds no repository in");
    let kept = bench.run_folder().join("kept");
    said.err_has(&kept.display().to_string());
    assert!(kept.is_dir());
    assert_eq!(bench.status_of("a"), "blocked");
}

#[test]
fn the_modes_of_the_plan_are_restored() {
    for (damage, is_failure) in [
        ("chmod 600 .step/st-plan.jsonl; exit 1", true),
        ("chmod 700 .step; exit 1", true),
        ("chmod 000 .step/st-plan.jsonl", false),
    ] {
        let bench = Bench::new(&[Task::new("a").validation(&[damage])]);
        let mode = |path: &str| {
            let there = std::fs::metadata(bench.path(path)).expect("it stands");
            there.permissions().mode() & 0o7777
        };
        let modes = || [".step", PLAN].map(mode);
        let before = modes();
        bench.run("").exits(i32::from(is_failure));
        assert_eq!(modes(), before, "{damage}");
        let told = event(&bench, "integration_finished")["moved_aside"].clone();
        assert_eq!(told, json!([PLAN]), "{damage}");
    }
}
