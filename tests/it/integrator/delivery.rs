//! `--delivery`: a patch in the tree, a commit on the branch that is checked out, or commits on a branch of the run.

use super::*;

/// A repository that knows an author, with branch `work` checked out.
fn committing(tasks: &[Task]) -> Bench {
    let bench = Bench::new(tasks);
    bench.git("config user.name 'A Person'");
    bench.git("config user.email person@example.invalid");
    bench.git("switch --quiet -c work");
    bench
}

fn hook(bench: &Bench, name: &str, script: &str) {
    let folder = bench.path(".git/hooks");
    std::fs::create_dir_all(&folder).expect("a folder");
    write_program(&folder.join(name), &format!("#!/bin/sh\n{script}\n"));
}

#[test]
fn a_commit_contains_only_the_patch() {
    let patch = [edit("a.txt", "old", "new"), create("made/new.txt", "fresh"), "diff --git a/kept.txt b/kept.txt\ndeleted file mode 100644\n--- a/kept.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-kept\n".to_owned()].concat();
    let bench = committing(&[
        Task::new("a").scope(&["**"]).patches(&[&patch]).agree(&[4]),
        Task::new("b"),
    ]);
    bench.write("staged.txt", "staged\n");
    bench.git("add staged.txt");
    bench.write("staged.txt", "staged and changed\n");
    bench.write("b.txt", "my change\n");
    let staged = bench.git("ls-files --stage staged.txt");
    let head = bench.git("rev-parse HEAD");
    let said = bench.run("--json delivery=commit ids=a").exits(0);
    assert_eq!(bench.git("rev-parse HEAD^"), head);
    assert_eq!(
        bench.git("show --no-renames --name-status '--format=%an <%ae>%n%B' HEAD"),
        "A Person <person@example.invalid>\nDo a\n\nMesh-Run: R\nMesh-Task: a\nMesh-Votes: 4/5\n\n\nM\ta.txt\nD\tkept.txt\nA\tmade/new.txt\n"
    );
    assert_eq!(bench.git("ls-files --stage staged.txt"), staged);
    let status = bench.git("status --porcelain -- :!.step");
    assert_eq!(status, " M b.txt\nAM staged.txt\n?? .learnings.jsonl\n");
    let commit = bench.git("rev-parse HEAD");
    let finished = event(&bench, "integration_finished");
    assert_eq!(
        finished["commit"],
        json!({"id": commit.trim(), "branch": "work"})
    );
    assert_eq!(report(&said)["tasks"][0]["commit"]["id"], commit.trim());
    let comment = bench.comments("a").join("\n");
    assert_contains(&comment, &format!("commit {} on work", commit.trim()));
}

#[test]
fn protected_branches_get_commits_only_with_an_override() {
    for (branch, more, is_protected) in [
        ("main", None, true),
        ("master", None, true),
        (
            "release/1.0",
            Some("protected_branches: ['release/*', stable]\n"),
            true,
        ),
        ("mainline", None, false),
    ] {
        let bench = committing(&[Task::new("a")]);
        bench.git(&["branch", "--quiet", "-M", branch]);
        if let Some(more) = more {
            bench.write("mesh.yaml", more);
        }
        let before = bench.git_state();
        let said = bench.run("delivery=commit");
        if !is_protected {
            assert_eq!(said.code, 0, "{}", said.err);
            continue;
        }
        assert_eq!(said.code, 3, "{branch}: {}", said.err);
        said.err_has(&format!("branch `{branch}` is protected"));
        said.err_has("hint: git switch -c");
        assert_eq!(
            (bench.git_state(), bench.mesh_home().exists()),
            (before, false)
        );
        bench.run("delivery=commit allow_protected=true").exits(0);
        assert_eq!(bench.git("log -1 --format=%s"), "Do a\n");
    }
}

#[test]
fn what_can_not_be_delivered_is_refused_before_anything_starts() {
    let refused = |prepare: &dyn Fn(&Bench), delivery: &str, message: &str| {
        let bench = committing(&[Task::new("a")]);
        prepare(&bench);
        let said = bench.run(&[delivery]);
        assert_eq!(said.code, 3, "{message}: {}", said.err);
        said.err_has(message);
        said.err_has("hint: ");
        assert!(!bench.mesh_home().exists());
        let doctor = bench
            .mesh(&[
                "doctor",
                "--delivery",
                delivery.split_once('=').expect("a value").1,
                "--",
                "/bin/sh",
            ])
            .exits(1);
        doctor.out_has(message);
    };
    let detached = |bench: &Bench| drop(bench.git("checkout --quiet --detach"));
    refused(&detached, "delivery=commit", "no branch is checked out");
    let merging = |bench: &Bench| bench.write(".git/MERGE_HEAD", &bench.git("rev-parse HEAD"));
    refused(&merging, "delivery=commit", "a merge is in progress");
    let nobody = |bench: &Bench| {
        bench.git("config user.useConfigOnly true");
        bench.git("config --unset user.email");
    };
    refused(
        &nobody,
        "delivery=commit",
        "git has no author for the commit",
    );
    refused(
        &nobody,
        "delivery=branch",
        "git has no author for the commit",
    );
    let in_the_way = |bench: &Bench| drop(bench.git("branch mesh"));
    refused(&in_the_way, "delivery=branch", "a branch `mesh` exists");
}

#[test]
fn a_commit_never_includes_uncommitted_work() {
    let changed = |bench: &Bench| bench.write("a.txt", "old\nmine\n");
    let staged = |bench: &Bench| {
        bench.write("a.txt", "old\nmine\n");
        bench.git("add a.txt");
        bench.write("a.txt", "old\n");
    };
    let ignored = |bench: &Bench| bench.write("x.lock", "mine\n");
    let append = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n";
    let of_ignored = "--- a/x.lock\n+++ b/x.lock\n@@ -1 +1 @@\n-mine\n+new\n";
    let with_context = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n-old\n+new\n mine\n";
    for (prepare, patch, path) in [
        (&changed as &dyn Fn(&Bench), with_context, "a.txt"),
        (&staged, append, "a.txt"),
        (&ignored, of_ignored, "x.lock"),
    ] {
        let bench = committing(&[Task::new("a").scope(&["**"]).patches(&[patch])]);
        prepare(&bench);
        let before = (bench.tree(), bench.git_state());
        let said = bench.run("--json delivery=commit").exits(1);
        assert_eq!(report(&said)["tasks"][0]["reason"], "ambiguous_integration");
        let why = detail(&said);
        assert_contains(
            &why,
            &format!("touches {path}, where there are uncommitted changes"),
        );
        assert_eq!((bench.tree(), bench.git_state()), before);
    }
}

#[test]
fn a_hook_that_refuses_is_a_failed_integration() {
    let bench = committing(&[Task::new("a")]);
    // It also does what hooks should not: it changes files, and the index of the commit.
    hook(
        &bench,
        "pre-commit",
        "echo formatted >>a.txt; echo x >>kept.txt; git add a.txt; echo 'lint: a.txt is wrong' >&2; exit 1",
    );
    let before = (bench.tree(), bench.git_state());
    let said = bench.run("--json delivery=commit").exits(1);
    assert_eq!(report(&said)["tasks"][0]["reason"], "validation_failed");
    assert!(
        detail(&said).contains("`git commit` refused: lint: a.txt is wrong"),
        "{}",
        detail(&said)
    );
    assert_eq!((bench.tree(), bench.git_state()), before);
    assert_eq!(event(&bench, "integration_finished")["outcome"], "restored");

    let bench = committing(&[Task::new("a")]);
    hook(&bench, "pre-commit", "exit 1");
    hook(&bench, "commit-msg", "exit 1");
    bench.run("delivery=commit no_verify=true").exits(0);
    assert_eq!(bench.git("log -1 --format=%s"), "Do a\n");
}

#[test]
fn a_hook_that_adds_to_the_commit_leaves_a_clean_index() {
    let bench = committing(&[Task::new("a")]);
    hook(
        &bench,
        "pre-commit",
        "echo formatted >>a.txt; echo more >>kept.txt; git add a.txt kept.txt",
    );
    bench.run("delivery=commit").exits(0);
    assert_eq!(bench.git("show HEAD:a.txt"), "new\nformatted\n");
    assert_eq!(bench.git("show HEAD:kept.txt"), "kept\nmore\n");
    assert_eq!(bench.git("status --porcelain"), "?? .step/\n");
}

#[test]
fn a_branch_that_was_switched_during_the_run_gets_no_commit() {
    let bench =
        committing(&[Task::new("a")
            .validation(&["git switch -q -c other; git commit -q --allow-empty -m x"])]);
    let said = bench.run("--json delivery=commit").exits(1);
    assert!(
        detail(&said).contains("another commit was checked out"),
        "{}",
        detail(&said)
    );
    assert_eq!(bench.git("log --all --grep Mesh-Run"), "");
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn commits_are_stacked_on_a_branch_of_the_run_and_the_tree_stays_as_it_is() {
    // The second task builds on the first, which only the branch has.
    let second = Task::new("b")
        .after(&["a"])
        .scope(&["a.txt"])
        .patches(&[&edit("a.txt", "new", "newer")])
        .validation(&["grep -q newer a.txt && test ! -e untracked.txt"]);
    let bench = committing(&[Task::new("a"), second]);
    bench.write("kept.txt", "changed by me\n");
    bench.write("untracked.txt", "mine\n");
    bench.git("add kept.txt");
    let head = bench.git("rev-parse HEAD");
    let before = (
        bench.tree(),
        bench.git("status --porcelain -- :!.step"),
        bench.git("symbolic-ref HEAD"),
    );
    let said = bench.run("--json delivery=branch max_tasks=2").exits(0);
    said.err_has("uncommitted changes are no part of the branch");
    assert_eq!(
        (
            bench.tree(),
            bench.git("status --porcelain -- :!.step"),
            bench.git("symbolic-ref HEAD")
        ),
        before
    );
    assert_eq!(
        bench.git("rev-parse HEAD mesh/R~2"),
        format!("{head}{head}")
    );
    assert_eq!(
        bench.git("log --reverse --format=%s|%an HEAD..mesh/R"),
        "Do a|A Person\nDo b|A Person\n"
    );
    assert_eq!(
        bench.git("show mesh/R:a.txt mesh/R:kept.txt"),
        "newer\nkept\n"
    );
    assert_eq!(bench.git("fsck --strict --no-dangling"), "");
    assert_eq!(report(&said)["tasks"][1]["commit"]["branch"], "mesh/R");
    // The second task's workers saw what the first had made.
    assert!(
        bench.prompt("b.proposal.proposer.1").contains("new"),
        "the branch is what workers see"
    );
}

#[test]
fn hooks_run_for_a_branch_commit_too() {
    let bench = committing(&[Task::new("a")]);
    // A folder of hooks that git ignores, as husky and others make it.
    bench.git("config core.hooksPath hooks.lock");
    let folder = bench.path("hooks.lock");
    std::fs::create_dir(&folder).expect("a folder");
    write_program(
        &folder.join("pre-commit"),
        "#!/bin/sh\necho no >&2\nexit 1\n",
    );
    let said = bench.run("--json delivery=branch");
    assert!(
        detail(&said).contains("`git commit` refused: no"),
        "{}",
        detail(&said)
    );
    assert_eq!(bench.git("branch --list mesh/*"), "");
}

#[test]
fn a_failed_task_leaves_nothing_on_the_branch() {
    let bench = committing(&[
        Task::new("a").validation(&["git commit -qam sneaked; false"]),
        Task::new("b"),
    ]);
    bench.run("delivery=branch max_tasks=2").exits(1);
    assert_eq!(bench.git("log --format=%s HEAD..mesh/R"), "Do b\n");
    assert_eq!(bench.git("show mesh/R:a.txt"), "old\n");
}

#[test]
fn a_commit_that_the_branch_did_not_take_is_not_below_the_next_one() {
    let freed = "rm \"$MESH_HOME/../work/.git/refs/heads/mesh/R.lock\"";
    let bench = committing(&[Task::new("a"), Task::new("b").validation(&[freed])]);
    // Another git holds the branch.
    bench.write(".git/refs/heads/mesh/R.lock", "");
    bench.run("delivery=branch max_tasks=2").exits(1);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["blocked", "completed"]
    );
    assert_eq!(bench.git("log --format=%s HEAD..mesh/R"), "Do b\n");
    assert_eq!(bench.git("show mesh/R:a.txt"), "old\n");
}

#[test]
fn a_branch_moved_during_the_run_is_not_overwritten() {
    let bench = committing(&[Task::new("a")]);
    bench.git("switch --quiet -c mesh/R");
    bench.git("commit --quiet --allow-empty -m 'not mine'");
    bench.git("switch --quiet work");
    let tip = bench.git("rev-parse mesh/R");
    let said = bench.run("delivery=branch");
    // What is there is built upon, as it would be after a resume.
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(bench.git("rev-parse mesh/R^"), tip);
}

#[test]
fn isolation_and_delivery_go_together() {
    let bench = committing(&[Task::new("a").validation(&["grep -q new a.txt"])]);
    bench
        .run("delivery=commit isolation=worktree prevalidate=true")
        .exits(0);
    assert_eq!(bench.git("log -1 --format=%s"), "Do a\n");
    assert_eq!(
        validations(&bench),
        [
            "before: grep -q new a.txt -> 1",
            "preview: grep -q new a.txt -> 0",
            "integration: grep -q new a.txt -> 0"
        ]
    );
}

#[test]
fn locks_of_a_git_that_died_with_the_run_do_not_stop_a_resume() {
    let whole = committing(&[Task::new("a")]);
    whole.run("delivery=commit").exits(0);
    let events = whole.events();
    let seq = |wanted: &str| {
        1 + events
            .iter()
            .position(|(name, _)| name == wanted)
            .expect("it")
    };
    // Before the commit is made, and when it is made and not recorded.
    let faults = [
        format!("after:{}", seq("validation_finished")),
        format!("before:{}", seq("integration_finished")),
    ];
    for fault in faults {
        let bench = committing(&[Task::new("a")]);
        let killed = bench.run_with_kill("delivery=commit", &fault);
        assert_eq!(killed.code, KILLED, "{fault}");
        let locks = [
            bench.run_folder().join("units/a/commit.index.lock"),
            bench.path(".git/index.lock"),
            bench.path(".git/HEAD.lock"),
        ];
        for lock in &locks {
            std::fs::write(lock, "").expect("written");
        }
        bench.mesh("resume R").exits(0);
        assert_eq!(bench.git("rev-list --count main..work"), "1\n", "{fault}");
        assert!(!locks.iter().any(|lock| lock.exists()), "{fault}");
        assert_eq!(bench.git("show HEAD:a.txt"), "new\n", "{fault}");
    }
}
