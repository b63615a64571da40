//! What a killed `mesh` leaves running, and what of the user's settings has a say in git's commands.

use super::*;
use std::process::Stdio;

/// Kills `mesh` while the first validation runs, resumes, and gives what the resume said. The first run of the
/// validation is `first`, which must write a process id to `../pid`; every later one looks for the patch.
fn killed_in(first: &str) -> (Bench, Said) {
    let bench = killed(first);
    let said = bench.mesh("resume R");
    (bench, said)
}

/// The same without the resume.
fn killed(first: &str) -> Bench {
    killed_with(first, &[])
}

/// The same with further arguments. In another tree than the user's, `first` has to find its own way.
fn killed_with(first: &str, more: &[&str]) -> Bench {
    let command = format!("if mkdir ../first; then {first}; else grep -q new a.txt; fi");
    let bench = Bench::new(&[Task::new("a").validation(&[&command])]);
    bench.git("config user.name t");
    bench.git("config user.email t@example.invalid");
    std::fs::copy(bench.path(PLAN), bench.beside("older")).expect("copied");
    let answers = bench.answers();
    let args = format!("run --run-id R --adapter replay --answers {answers} grace_seconds=1");
    kill_once_a_child_runs(&bench, Args::from(&args).and(more));
    bench
}

/// Kills `mesh` once `../pid` names a process that runs for it and outlives it.
fn kill_once_a_child_runs(bench: &Bench, args: Args) {
    let mut mesh = bench.command(args);
    let mut mesh = mesh
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mesh starts");
    let pid = bench.beside("pid");
    wait_for("the child", || {
        std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))
    });
    mesh.kill().expect("killed");
    mesh.wait().expect("reaped");
    assert!(is_running(bench), "it outlives its mesh");
}

fn is_running(bench: &Bench) -> bool {
    let pid = std::fs::read_to_string(bench.beside("pid")).expect("an id");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[cfg(target_os = "linux")]
#[test]
fn a_validation_that_outlives_a_killed_mesh_is_ended_before_the_tree_is_restored() {
    for first in [
        // Not impressed by TERM.
        "trap '' TERM; echo $$ >../pid; sleep 600 & wait; sleep 600; echo undone >a.txt; exit 1",
        // In a session of its own.
        "setsid sh -c 'trap \"\" TERM; echo $$ >../pid; sleep 600; sleep 600; echo undone >a.txt' & wait",
        // In the group, with an environment of its own.
        "env -i sh -c 'echo $$ >../pid; sleep 600; echo undone >a.txt'; exit 1",
    ] {
        let (bench, said) = killed_in(first);
        assert_eq!(said.code, 0, "{first}: {}", said.err);
        assert!(!is_running(&bench), "{first}");
        assert_eq!(bench.read("a.txt"), "new\n");
        assert_eq!(bench.status_of("a"), "completed");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_plan_that_was_damaged_from_another_tree_before_a_kill_is_put_back() {
    for option in ["isolation=worktree", "delivery=branch"] {
        for damage in [
            "rm .step/st-plan.jsonl",
            ": >.step/st-plan.jsonl",
            "cp ../older .step/st-plan.jsonl",
        ] {
            let first =
                format!("cd \"$MESH_HOME/../work\"; {damage}; echo $$ >../pid; sleep 600; exit 1");
            let bench = killed_with(&first, &[option]);
            let said = bench.mesh("resume R");
            assert_eq!(said.code, 0, "{option} {damage}: {}", said.err);
            // Of one that was removed there is nothing to keep, and so nothing to say.
            let is_told = said.err.contains("restored after damage");
            assert_eq!(is_told, !damage.starts_with("rm"), "{}", said.err);
            assert_eq!(bench.status_of("a"), "completed", "{option} {damage}");
            assert!(!bench.run_folder().join("kept/stores.json").exists());
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_restore_that_was_abandoned_teaches_nothing() {
    let bench = killed("echo $$ >../pid; sleep 600");
    let said = bench.mesh(&["resume", "R", "--abandon"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(bench.status_of("a"), "blocked");
    assert!(!bench.path(".learnings.jsonl").exists(), "{}", said.err);
}

#[cfg(target_os = "linux")]
#[test]
fn processes_left_by_a_validation_are_ended() {
    let leave = "setsid sh -c 'echo $$ >../pid; sleep 600; echo late >a.txt' & while ! test -s ../pid; do sleep 0.01; done; grep -q new a.txt";
    let bench = Bench::new(&[Task::new("a").validation(&[leave])]);
    bench.run("").exits(0);
    assert!(!is_running(&bench));
}

/// Kills `mesh` once `../pid` names a process that runs for it, resumes, and asserts that this process has ended and
/// wrote nothing.
#[cfg(target_os = "linux")]
fn assert_ended_by_a_resume(bench: &Bench, args: &str) {
    let answers = bench.answers();
    let args =
        format!("run --run-id R --adapter replay --answers {answers} {args} grace_seconds=1");
    kill_once_a_child_runs(bench, Args::from(&args));
    bench.mesh("resume R").exits(0);
    assert!(!is_running(bench));
    assert_eq!(bench.read("a.txt"), "new\n");
    assert_eq!(bench.read("kept.txt"), "kept\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_commit_hook_that_outlives_a_killed_mesh_is_ended_by_a_resume() {
    for hook in [
        "echo $$ >../pid; sleep 600; echo evil >kept.txt",
        "trap '' TERM; echo $$ >../pid; sleep 600; sleep 600; echo evil >kept.txt",
        "env -i sh -c 'echo $$ >../pid; sleep 600; echo evil >kept.txt'; exit 1",
    ] {
        let bench = Bench::new(&[Task::new("a")]);
        bench.git("switch --quiet -c work");
        bench.git("config user.name t");
        bench.git("config user.email t@example.invalid");
        let script = format!("#!/bin/sh\nmkdir ../first 2>/dev/null || exit 0\n{hook}\n");
        std::fs::create_dir_all(bench.path(".git/hooks")).expect("a folder");
        write_program(&bench.path(".git/hooks/pre-commit"), &script);
        assert_ended_by_a_resume(&bench, "delivery=commit");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_filter_that_outlives_a_killed_mesh_is_ended_by_a_resume() {
    let bench = Bench::new(&[Task::new("a")]);
    let clean = "cat; test -e \"$MESH_HOME/runs/R/ledger.jsonl\" && mkdir ../first 2>/dev/null && echo $$ >../pid && sleep 600 && echo evil >kept.txt; :";
    bench.git(&["config", "filter.slow.clean", clean]);
    bench.write(".git/info/attributes", "kept.txt filter=slow\n");
    // Git has to look at the content.
    bench.write("kept.txt", "kept\n");
    assert_ended_by_a_resume(&bench, "");
}

/// Hooks of every kind that a work tree's git knows, each of which writes its name to `../hooked`.
fn with_hooks(bench: &Bench) {
    let hooks = bench.beside("hooks");
    std::fs::create_dir_all(&hooks).expect("a folder");
    for name in [
        "applypatch-msg",
        "commit-msg",
        "fsmonitor-watchman",
        "post-applypatch",
        "post-checkout",
        "post-commit",
        "post-index-change",
        "post-merge",
        "post-rewrite",
        "pre-auto-gc",
        "pre-commit",
        "prepare-commit-msg",
        "reference-transaction",
    ] {
        let hook = hooks.join(name);
        let hooked = bench.beside("hooked").display().to_string();
        write_program(&hook, &format!("#!/bin/sh\necho {name} >>'{hooked}'\n"));
    }
    for (key, value) in [
        ("core.hooksPath", hooks.display().to_string()),
        (
            "core.fsmonitor",
            hooks.join("fsmonitor-watchman").display().to_string(),
        ),
        ("user.name", "t".to_owned()),
        ("user.email", "t@example.invalid".to_owned()),
    ] {
        bench.git(&["config", key, &value]);
    }
}

#[test]
fn hooks_of_the_user_run_in_a_commit_and_nowhere_else() {
    for (args, validation, code, expected) in [
        (vec![], "grep -q new a.txt", 0, vec![]),
        (vec![], "echo x >kept.txt; rm a.txt; false", 1, vec![]),
        (vec!["isolation=worktree"], "grep -q new a.txt", 0, vec![]),
        (
            vec!["delivery=commit", "no_verify=true"],
            "grep -q new a.txt",
            0,
            vec![],
        ),
        (
            vec!["delivery=branch", "no_verify=true"],
            "grep -q new a.txt",
            0,
            vec![],
        ),
        (
            vec!["delivery=commit"],
            "grep -q new a.txt",
            0,
            vec![
                "commit-msg",
                "post-commit",
                "pre-commit",
                "prepare-commit-msg",
            ],
        ),
    ] {
        let bench = Bench::new(&[Task::new("a").validation(&[validation])]);
        bench.git("switch --quiet -c work");
        with_hooks(&bench);
        let said = bench.run(&args);
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        let hooked = std::fs::read_to_string(bench.beside("hooked")).unwrap_or_default();
        // These two are about how git keeps its own files, and a commit has them too.
        let internal = ["post-index-change", "reference-transaction"];
        let mut seen: Vec<&str> = hooked
            .lines()
            .filter(|name| expected.is_empty() || !internal.contains(name))
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, expected, "{args:?}");
    }
}

#[test]
fn variables_of_git_do_not_turn_its_commands_to_something_else() {
    let task = Task::new("a").validation(&[
        "test -z \"$GIT_DIR$GIT_WORK_TREE$GIT_INDEX_FILE$GIT_LITERAL_PATHSPECS\" || exit 7; rm kept.txt; echo x >new.txt; false",
    ]);
    let bench = Bench::new(&[task]);
    let before = (bench.tree(), bench.git_state());
    let mut mesh = bench.replay_command("");
    for (name, value) in [
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_ICASE_PATHSPECS", "1"),
        ("GIT_DIR", "/nowhere"),
        ("GIT_WORK_TREE", "/nowhere"),
        ("GIT_COMMON_DIR", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere/index"),
        ("GIT_OBJECT_DIRECTORY", "/nowhere/objects"),
        ("GIT_NAMESPACE", "n"),
        ("GIT_EXTERNAL_DIFF", "false"),
        ("GIT_ATTR_SOURCE", "HEAD"),
        ("GIT_TRACE", "1"),
    ] {
        mesh.env(name, value);
    }
    mesh.run_to_end().exits(1);
    let ended = event(&bench, "validation_finished");
    assert_eq!(ended["exit_code"], 1);
    assert_eq!((bench.tree(), bench.git_state()), before);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_validation_printed_is_on_no_disk_before_it_was_redacted() {
    let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    let print = "printf '%s%s' ghp_ 0123456789abcdefghijklmnopqrstuvwxyz";
    let bench = killed(&format!("{print}; echo $$ >../pid; sleep 600"));
    let folder = bench.run_folder().join("units/a");
    let assert_clean = || {
        let entries = std::fs::read_dir(&folder).expect("a folder").flatten();
        for entry in entries.filter(|entry| entry.path().is_file()) {
            let content = std::fs::read(entry.path()).expect("readable");
            let content = String::from_utf8_lossy(&content).into_owned();
            assert!(!content.contains(token), "{}", entry.path().display());
        }
    };
    assert_clean();
    bench.mesh("resume R").exits(0);
    assert_clean();
}
