//! What workers see: one workspace for each state of the tree, with one copy of every file.

use super::*;

/// Tasks with an answer each for `--protocol solo`.
pub(super) fn solo(names: &[&str], files: &[(&str, &str)]) -> Bench {
    let tasks: Vec<Task> = names.iter().map(|name| Task::new(name)).collect();
    let bench = Bench::with_files(&tasks, files);
    for name in names {
        let patch = edit(&format!("{name}.txt"), "old", "new");
        let answer =
            json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"});
        bench.answer(name, "synthesis.author.1", &answer.to_string());
    }
    std::fs::create_dir_all(bench.beside("said")).expect("a folder");
    bench
}

/// `mesh run` with workers that run `script` first, in which `$SAID` is a folder to write to and `$TASK` their task.
pub(super) fn command(bench: &Bench, args: impl Into<Args>, script: &str) -> std::process::Command {
    let said = bench.beside("said").display().to_string();
    let script = format!(
        "SAID='{said}'; TASK=${{MESH_ITEM_ID%%.*}}; {script}; exec '{}' --answers '{}'",
        fake_agent(),
        bench.answers()
    );
    let head = Args::from("run --run-id R --protocol solo").and(&["--writable", &said]);
    bench.command(head.and(args).and(&["--", "sh", "-c", &script]))
}

pub(super) fn said(bench: &Bench, name: &str) -> String {
    read_file(bench.beside("said").join(name)).trim().to_owned()
}

/// Whether the workers here are kept from writing.
fn is_confined(bench: &Bench) -> bool {
    !bench.events_named("run_started")[0]["settings"]["worker"]["sandbox"].is_null()
}

#[test]
fn waves_share_a_workspace_until_the_tree_changes_and_an_unchanged_file_has_one_copy() {
    let bench = solo(&["a", "b", "c"], &[("src/deep/x.txt", "x\n")]);
    // Task c begins after a is done, and b ends after c began.
    let script = "case $TASK in \
        b) until [ -e $SAID/c ]; do sleep 0.05; done;; \
        a) until [ -e $SAID/b-began ]; do sleep 0.05; done;; esac; \
        pwd >$SAID/$TASK.folder; \
        { cat a.txt; ls -i src/deep/x.txt; ls -i a.txt | cut -d' ' -f1; } >$SAID/$TASK.new; \
        mv $SAID/$TASK.new $SAID/$TASK";
    let script = format!("[ $TASK = b ] && : >$SAID/b-began; {script}");
    let mut mesh = command(&bench, "max_tasks=3 parallel_tasks=2", &script);
    mesh.run_to_end().exits(0);
    let read = |task: &str| -> Vec<String> {
        let said = said(&bench, task);
        said.lines().map(str::to_owned).collect()
    };
    let (a, b, c) = (read("a"), read("b"), read("c"));
    assert_eq!(
        (a[0].as_str(), b[0].as_str()),
        ("old", "old"),
        "as it was when b began"
    );
    assert_eq!(c[0], "new");
    if !is_confined(&bench) {
        return;
    }
    assert_eq!(said(&bench, "a.folder"), said(&bench, "b.folder"));
    assert_ne!(said(&bench, "c.folder"), said(&bench, "b.folder"));
    assert_eq!(b[1], c[1], "the same file");
    assert_ne!(b[2], c[2], "a changed file is another one");
    assert!(!bench.run_folder().join("snapshot").exists());
}

#[test]
fn a_workspace_follows_every_kind_of_change() {
    let files = [
        ("gone.txt", "x\n"),
        ("folder/inner.txt", "x\n"),
        ("becomes", "x\n"),
        ("run.sh", "x\n"),
    ];
    let bench = solo(&["a", "b"], &files);
    std::fs::remove_file(bench.path("kept.txt")).expect("removed");
    std::os::unix::fs::symlink("a.txt", bench.path("kept.txt")).expect("linked");
    bench.git("add kept.txt");
    bench.git("commit -q -m link");
    // By a validation, after which a change is no violation.
    let changes = "rm gone.txt becomes; mv folder moved; mkdir becomes; echo y >becomes/file; chmod 755 run.sh; \
        rm kept.txt; echo z >kept.txt; ln -s moved folder; echo ignored >x.lock";
    let plan = bench.read(PLAN).replace("grep -q new a.txt", changes);
    bench.write(PLAN, &plan);
    let script = "find . -path ./.git -prune -o -path ./.step -prune -o -printf '%p %y %m %l\\n' | sort >$SAID/$TASK";
    let mut mesh = command(&bench, "max_tasks=2 parallel_tasks=1", script);
    mesh.run_to_end();
    let expected = "\
        . d 700 \n./.gitignore f 600 \n./a.txt f 600 \n./b.txt f 600 \n./becomes d 700 \n./becomes/file f 600 \n\
        ./folder l 777 moved\n./kept.txt f 600 \n./moved d 700 \n./moved/inner.txt f 600 \n./run.sh f 700";
    assert_eq!(said(&bench, "b"), expected);
}

#[test]
fn a_run_that_is_killed_while_it_makes_a_workspace_is_resumed() {
    for place in [1, 3, 7, 9] {
        let bench = solo(&["a", "b", "c"], &[("src/x.txt", "x\n")]);
        let script = "[ $TASK != b ] || [ -e $SAID/c ] || sleep 0.3; : >$SAID/$TASK";
        let mut mesh = command(&bench, "max_tasks=3 parallel_tasks=2", script);
        mesh.env("MESH_FAULT_KILL", format!("workspace:{place}"));
        mesh.run_to_end().exits(128 + 9);
        bench.mesh("resume R").exits(0);
        for task in ["a", "b", "c"] {
            assert_eq!(bench.read(&format!("{task}.txt")), "new\n", "{place}");
        }
        assert!(!bench.run_folder().join("snapshot").exists(), "{place}");
    }
}

#[test]
fn a_full_disk_ends_the_run_before_a_row_starts_and_is_named() {
    let bench = solo(
        &["a"],
        &[("large.txt", &"0123456789abcdef\n".repeat(200_000))],
    );
    let state = bench.mesh_home();
    std::fs::create_dir_all(&state).expect("a folder");
    let mounted = |then: &str| {
        format!(
            "mount -t tmpfs -o size=2m none '{}' && {then}",
            state.display()
        )
    };
    let run = |script: &str| {
        let mut shell = std::process::Command::new("unshare");
        shell.args(["-Urm", "sh", "-c", script, "sh"]);
        shell
    };
    if !run(&mounted("true"))
        .status()
        .is_ok_and(|status| status.success())
    {
        return;
    }
    let mesh = command(&bench, "", ":");
    let script = mounted(
        "\"$@\"; code=$?; cat \"$MESH_HOME/runs/R/ledger.jsonl\"; ls \"$MESH_HOME/runs/R/snapshot\"; exit $code",
    );
    let mut shell = run(&script);
    shell.arg(mesh.get_program()).args(mesh.get_args());
    shell.env_clear();
    shell.envs(
        mesh.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    shell.current_dir(bench.path(""));
    let end = shell.run_to_end();
    let folder = state.join("runs/R/snapshot");
    let text = format!(
        "error: no room for a copy of the repository: the disk of `{}` is full",
        folder.display()
    );
    assert_contains(&end.err, &text);
    assert_contains(&end.err, "hint: free space there and resume the run");
    assert_ne!(end.code, 0);
    assert!(!end.out.contains("attempt_started"), "{}", end.out);
    assert!(
        end.out.trim_end().ends_with('}'),
        "nothing is left of it: {}",
        end.out
    );
}

#[test]
fn workers_ask_git_for_history_and_differences() {
    for (how, format, linked) in [
        ("auto", "sha1", false),
        ("landlock", "sha1", false),
        ("none", "sha1", false),
        ("auto", "sha256", false),
        ("auto", "sha1", true),
    ] {
        let bench = solo(&["a"], &[("src/x.txt", "x\n")]);
        let name = format!("{how} {format} {linked}");
        bench.write(".gitignore", "*.lock\n.step\n");
        std::fs::remove_dir_all(bench.path(".git")).expect("removed");
        bench.git(format!("init -q -b main --object-format={format}").as_str());
        bench.git("config diff.external false");
        bench.git("add --all");
        bench.git("commit -q -m second");
        if linked {
            std::fs::rename(bench.path(".git"), bench.beside("bare.git")).expect("moved");
            let bare = bench.beside("bare.git").display().to_string();
            bench.git(
                &[
                    "--git-dir",
                    &bare,
                    "worktree",
                    "add",
                    "-q",
                    "-f",
                    "-b",
                    "other",
                    "../linked",
                ][..],
            );
            std::fs::copy(bench.beside("linked/.git"), bench.path(".git")).expect("copied");
            std::fs::write(
                bench.beside("bare.git/worktrees/linked/gitdir"),
                bench.path(".git").display().to_string(),
            )
            .expect("written");
            bench.git("status");
        }
        let own = "git -c user.name=w -c user.email=w commit -q --allow-empty -m own";
        let script = format!(
            "{{ git status --porcelain; git log -1 --format=%s; git blame -s src/x.txt | cut -d' ' -f2-; \
            git branch --show-current; git diff --stat; {own}; git log --oneline | wc -l; }} >$SAID/all 2>$SAID/errors || :"
        );
        let mut mesh = command(&bench, format!("--sandbox={how}").as_str(), &script);
        let end = mesh.run_to_end();
        if end.code == 3 && how == "landlock" {
            continue;
        }
        assert_eq!(end.code, 0, "{name}: {}", end.err);
        let branch = if linked { "other" } else { "main" };
        let commits = if how == "none" { 2 } else { 1 };
        let all = said(&bench, "all");
        let first = all.split_once('\n').map_or("", |(first, _)| first);
        assert_eq!(first, "second", "{name}: {all}");
        assert_eq!(all, format!("second\n1) x\n{branch}\n{commits}"), "{name}");
        assert_eq!(bench.git("log --oneline").lines().count(), 1, "{name}");
    }
}
