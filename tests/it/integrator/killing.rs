//! Killed at every step at which the integrator changes something or has just done so: the tree is then never between
//! before and after for good, and a resume ends as if nothing had happened.

use super::*;

/// One author and nobody else, so that a whole run takes little time.
const ONE: &str = "\
name: one
roles: [synthesizer]
rounds:
  - {name: synthesis, roles: [synthesizer], lane: patch, prompt: synthesis.md, schema: synthesis.json}
";

/// The one that passes, and one that fails after it changed, made and removed files.
fn bench() -> Bench {
    let patch = [
        edit("b.txt", "old", "new"),
        create("made/by/patch", "x"),
        "diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n".to_owned(),
    ];
    // What it writes into files outside of the patch would stay after a kill, and be named: a person may have done it.
    let meddle = "echo y >left; rm mine.txt; chmod 755 b.txt; false";
    let b = Task::new("b")
        .scope(&["**"])
        .patches(&[&patch.concat()])
        .validation(&[meddle]);
    let bench = Bench::with_files(
        &[Task::new("a"), b],
        &[("gone.txt", "gone\n"), ("one.yaml", ONE)],
    );
    bench.git("config user.name t");
    bench.git("config user.email t@example.invalid");
    bench.git("switch --quiet -c work");
    bench.write("kept.txt", "changed by me\n");
    bench.write("mine.txt", "untracked\n");
    bench.write("staged.txt", "staged\n");
    bench.git("add staged.txt");
    bench
}

fn run(bench: &Bench, more: impl Into<Args>, fault: &str) -> Said {
    bench.run_with_kill(Args::from("max_tasks=2 protocol=one.yaml").and(more), fault)
}

/// Everything that must not depend on a kill.
#[derive(Debug, PartialEq)]
struct After {
    tree: Vec<(std::path::PathBuf, u32, Vec<u8>)>,
    plan: Vec<(String, usize)>,
    commits: String,
    status: String,
    learnings: Vec<String>,
}

fn after(bench: &Bench) -> After {
    let learnings = bench.read(".learnings.jsonl");
    let learnings = learnings.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        record["learning"].as_str().expect("text").to_owned()
    });
    After {
        tree: bench.tree(),
        plan: ["a", "b"]
            .map(|id| (bench.status_of(id), bench.comments(id).len()))
            .into(),
        commits: bench.git("log --all --name-status --format=%s --source main.."),
        status: bench.git("status --porcelain"),
        learnings: learnings.collect(),
    }
}

/// Kills a run at every step that is `first` and a multiple of `stride` more, up to the end.
fn killed(kind: &str, more: impl Into<Args>, first: usize, stride: usize) {
    let more = more.into();
    let start = bench();
    let before = start.tree();
    let untouched = start.copy();
    run(&untouched, &more, "").exits(1);
    let expected = after(&untouched);
    let statuses: Vec<&str> = expected
        .plan
        .iter()
        .map(|(status, _)| status.as_str())
        .collect();
    assert_eq!(statuses, ["completed", "blocked"]);
    let mut steps = first;
    loop {
        let wish = format!("{kind}:{steps}");
        let bench = start.copy();
        let killed = run(&bench, &more, &wish);
        if killed.code != KILLED {
            assert_eq!(killed.code, 1, "{wish}");
            break;
        }
        let is_pending = bench.path(".git/mesh.pending").exists();
        let doctor = bench.mesh("doctor -- /bin/sh");
        if is_pending {
            let told = "was interrupted during an integration, and the tree has not been restored";
            assert!(doctor.out.contains(told), "{wish}: {}", doctor.out);
            assert!(
                doctor.out.contains("mesh resume R"),
                "{wish}: {}",
                doctor.out
            );
            assert_eq!(doctor.code, 1);
            assert_eq!(bench.mesh("run --run-id S -- true").code, 3, "{wish}");
        } else {
            // Nothing is between before and after where nobody is warned.
            let tree = bench.tree();
            assert!(tree == before || tree == expected.tree, "{wish}: {tree:?}");
        }
        let said = bench.mesh("resume R");
        assert_eq!(said.code, 1, "{wish}: {}", said.err);
        assert_eq!(after(&bench), expected, "{wish}");
        assert!(!bench.path(".git/mesh.pending").exists());
        steps += stride;
    }
    assert!(steps > 12, "{steps}");
}

/// Every step of an integration is killed in one of three tests, which run in parallel.
macro_rules! killed_at_each_step {
    ($($name:ident: $options:literal;)*) => {$(
        mod $name {
            #[test]
            fn from_1() {
                super::killed("integrator", $options, 1, 3);
            }

            #[test]
            fn from_2() {
                super::killed("integrator", $options, 2, 3);
            }

            #[test]
            fn from_3() {
                super::killed("integrator", $options, 3, 3);
            }
        }
    )*};
}

killed_at_each_step! {
    killed_in_the_tree: "";
    killed_after_a_scratch_tree: "isolation=worktree";
    killed_with_a_commit: "delivery=commit";
    killed_with_a_branch: "delivery=branch";
}

#[test]
fn killed_while_files_are_written() {
    killed("write", "delivery=commit isolation=worktree", 4, 11);
}

#[test]
fn a_killed_restore_continues_where_it_stopped() {
    let start = bench();
    let untouched = start.copy();
    run(&untouched, "", "");
    let expected = after(&untouched);
    // In the middle of the integration of `b`, and then at every step of the restore that a resume begins with.
    let events = untouched.events();
    let of_b =
        |(name, body): &(String, Value)| name == "validation_finished" && body["unit"] == "b";
    let at = events.iter().position(of_b).expect("a validation") + 1;
    for step in 1..100 {
        let bench = start.copy();
        run(&bench, "", &format!("before:{at}")).exits(KILLED);
        let mut again = bench.command("resume R");
        again.env("MESH_FAULT_KILL", format!("integrator:{step}"));
        let is_over = again.run_to_end().code != KILLED;
        if !is_over {
            assert_eq!(bench.mesh("resume R").code, 1, "{step}");
        }
        assert_eq!(after(&bench), expected, "{step}");
        if is_over {
            assert!(step > 10, "{step}");
            return;
        }
    }
    panic!("it never ends");
}

/// Runs task `a` and is killed right after its commit, before the ledger knows of it.
fn killed_after_the_commit(more: &str) -> Bench {
    let probe = bench();
    run(&probe, more, "");
    let at = probe
        .events()
        .iter()
        .position(|(name, _)| name == "integration_finished");
    let bench = bench();
    let wish = format!("before:{}", at.expect("an end") + 1);
    run(&bench, more, &wish).exits(KILLED);
    assert_eq!(bench.git("log --format=%s main.."), "Do a\n");
    bench
}

/// The commit that the ledger names.
fn recorded_commit(bench: &Bench) -> Value {
    let events = bench.events();
    let ended = events
        .iter()
        .rfind(|(name, _)| name == "integration_finished");
    ended.expect("an end").1["commit"]["id"].clone()
}

#[test]
fn a_user_commit_after_a_kill_does_not_cause_a_second_mesh_commit() {
    let bench = killed_after_the_commit("delivery=commit ids=a");
    bench.git("commit --quiet --allow-empty -m mine");
    bench.mesh("resume R").exits(0);
    assert_eq!(bench.git("log --format=%s main.."), "mine\nDo a\n");
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(recorded_commit(&bench), bench.git("rev-parse HEAD^").trim());
}

#[test]
fn a_branch_checked_out_after_a_kill_is_not_changed() {
    let bench = killed_after_the_commit("delivery=commit ids=a");
    bench.git("switch --quiet main");
    let before = (bench.tree(), bench.git_state());
    bench.mesh("resume R").exits(0);
    assert_eq!((bench.tree(), bench.git_state()), before);
    assert_eq!(bench.read("a.txt"), "old\n");
    assert_eq!(recorded_commit(&bench), bench.git("rev-parse work").trim());
}

#[test]
fn a_lock_that_a_dead_git_left_on_the_branch_of_the_run_does_not_keep_a_commit_out() {
    let options = "delivery=branch ids=a";
    let probe = bench();
    run(&probe, options, "");
    let events = probe.events();
    let at = events
        .iter()
        .position(|(name, _)| name == "integration_started");
    let wish = format!("after:{}", at.expect("a start") + 1);
    let bench = bench();
    run(&bench, options, &wish).exits(KILLED);
    let lock = ".git/refs/heads/mesh/R.lock";
    bench.write(lock, "");
    bench.mesh("resume R").exits(0);
    assert!(!bench.path(lock).exists());
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(bench.git("log --format=%s main..mesh/R"), "Do a\n");
}

#[test]
fn a_lock_on_the_branch_of_the_run_that_was_there_before_is_not_removed() {
    let bench = bench();
    let lock = ".git/refs/heads/mesh/R.lock";
    bench.write(lock, "");
    run(&bench, "delivery=branch ids=a", "").err_has("mesh/R.lock");
    assert!(bench.path(lock).exists());
    assert_eq!(bench.status_of("a"), "blocked");
}
