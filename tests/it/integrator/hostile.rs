//! A validation that damages what it can reach and fails: everything is as before, byte for byte, and nothing is lost.

use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Everything below `folder` but git's own, the plan's and the learnings: files, links, folders, with modes.
fn whole(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(&here).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("below").to_owned();
            if [".git", ".step", ".learnings.jsonl"]
                .iter()
                .any(|own| name == Path::new(own))
            {
                continue;
            }
            let metadata = std::fs::symlink_metadata(&path).expect("there");
            let content = if metadata.is_symlink() {
                let target = std::fs::read_link(&path).expect("a link");
                target.as_os_str().as_bytes().to_vec()
            } else if metadata.is_dir() {
                open.push(path);
                Vec::new()
            } else {
                std::fs::read(&path).expect("readable")
            };
            found.push((name, metadata.mode(), content));
        }
    }
    found.sort();
    found
}

/// Runs task `a` with a validation that fails; everything must be as before.
fn restored(prepare: impl Fn(&Bench), validation: &str) -> Bench {
    let task = Task::new("a").validation(&[validation]);
    let bench = Bench::with_files(&[task], &[("src/s.txt", "s\n"), ("src/t.txt", "t\n")]);
    prepare(&bench);
    let before = (
        whole(&bench.work()),
        bench.git_state(),
        bench.git("config --list --local"),
    );
    let said = bench.run("--json");
    assert_eq!(said.code, 1, "{validation}: {}", said.err);
    assert_eq!(report(&said)["tasks"][0]["reason"], "validation_failed");
    let after = (
        whole(&bench.work()),
        bench.git_state(),
        bench.git("config --list --local"),
    );
    assert_eq!(after, before, "{validation}");
    assert!(!bench.path(".git/mesh.pending").exists());
    bench
}

fn nothing(_: &Bench) {}

fn commit_all(bench: &Bench) {
    bench.git("add --all .");
    bench.git("commit --quiet -m more");
}

fn outside(bench: &Bench) {
    std::fs::create_dir_all(bench.beside("elsewhere")).expect("a folder");
    for name in ["s.txt", "t.txt", "theirs"] {
        std::fs::write(bench.beside("elsewhere").join(name), "theirs").expect("written");
    }
}

#[test]
fn nothing_outside_is_moved_or_written_through_a_link_that_took_a_folders_place() {
    for validation in [
        "rm -r src; ln -s ../elsewhere src; false",
        "rm -r src; ln -s \"$(cd ../elsewhere; pwd)\" src; false",
        "mv src ../moved; ln -s ../moved src; rm src/s.txt; echo x >src/new; false",
    ] {
        let bench = restored(outside, validation);
        let theirs = whole(&bench.beside("elsewhere"));
        assert_eq!(theirs.len(), 3, "{theirs:?}");
        assert!(theirs.iter().all(|(_, _, content)| content == b"theirs"));
    }
}

#[test]
fn a_patched_directory_replaced_by_a_link_is_not_followed() {
    let task = Task::new("a")
        .scope(&["**"])
        .patches(&[&[edit("src/s.txt", "s", "new"), create("src/made", "x")].concat()])
        .validation(&["rm -r src; ln -s ../elsewhere src; false"]);
    let bench = Bench::with_files(&[task], &[("src/s.txt", "s\n")]);
    outside(&bench);
    let before = whole(&bench.work());
    bench.run("").exits(1);
    assert_eq!(whole(&bench.work()), before);
    assert_eq!(whole(&bench.beside("elsewhere")).len(), 3);
}

#[test]
fn paths_are_bytes() {
    let odd = |bench: &Bench| {
        for name in [&b"b\xffd"[..], b"src/\xfe", b"n\n\"q\""] {
            std::fs::write(bench.work().join(OsStr::from_bytes(name)), "x").expect("written");
        }
        commit_all(bench);
        std::fs::write(bench.work().join(OsStr::from_bytes(b"u\xfd")), "mine").expect("written");
    };
    let bench = restored(
        odd,
        r#"echo z >"$(printf 'b\377d')"; rm "$(printf 'src/\376')" "$(printf 'u\375')"; echo n >"$(printf 'new\374')"; echo q >"$(printf 'n\n"q"')"; false"#,
    );
    let finished = event(&bench, "integration_finished");
    assert_eq!(
        finished["moved_aside"],
        json!(["\"b\\377d\"", "n\n\"q\"", "\"new\\374\""])
    );
}

#[test]
fn what_git_would_write_otherwise_comes_back_as_it_was() {
    let crlf = |bench: &Bench| {
        bench.write(".gitattributes", "* text=auto eol=crlf\n");
        bench.write("c.txt", "a\r\nb\r\n");
        bench.write("mixed.txt", "a\r\nb\n");
        commit_all(bench);
    };
    restored(
        crlf,
        "printf 'a\\nb\\n' >c.txt; printf 'a\\nb\\n' >mixed.txt; rm src/s.txt; false",
    );
    let setting = |bench: &Bench| {
        bench.git("config core.autocrlf true");
        bench.write("c.txt", "a\r\nb\r\n");
        bench.write("lf.txt", "a\nb\n");
        commit_all(bench);
    };
    restored(
        setting,
        "printf 'a\\nb\\n' >c.txt; printf 'a\\r\\nb\\r\\n' >lf.txt; rm src/s.txt; false",
    );
    let filters = |bench: &Bench| {
        bench.git("config filter.up.clean 'tr A-Z a-z'");
        bench.git("config filter.up.smudge 'tr a-z A-Z'");
        bench.write(
            ".gitattributes",
            "i.txt ident\nf.txt filter=up\nw.txt working-tree-encoding=UTF-16LE-BOM\n",
        );
        bench.write("i.txt", "$Id: mine$\n");
        bench.write("f.txt", "Mixed Case\n");
        std::fs::write(bench.path("w.txt"), b"\xff\xfea\0\n\0").expect("written");
        commit_all(bench);
    };
    restored(filters, "echo x >i.txt; rm f.txt; printf x >w.txt; false");
    let failing = |bench: &Bench| {
        bench.git("config filter.bad.clean cat");
        bench.git("config filter.bad.smudge false");
        bench.git("config filter.bad.required true");
        bench.write(".gitattributes", "f.txt filter=bad\n");
        bench.write("f.txt", "content\n");
        commit_all(bench);
    };
    restored(failing, "echo x >f.txt; rm src/s.txt; false");
}

#[test]
fn files_marked_assume_unchanged_are_restored() {
    let unlooked = |bench: &Bench| {
        bench.git("update-index --assume-unchanged src/s.txt");
        bench.git("update-index --skip-worktree src/t.txt");
        bench.write("src/s.txt", "mine\n");
        bench.write("src/t.txt", "mine as well\n");
    };
    restored(unlooked, "rm -r src; false");
}

#[test]
fn permission_bits_of_files_and_folders_come_back() {
    let modes = |bench: &Bench| {
        use std::os::unix::fs::PermissionsExt;
        for (path, mode) in [("src", 0o750), ("src/s.txt", 0o640)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(bench.path(path), mode).expect("a mode");
        }
    };
    restored(modes, "chmod 644 src/s.txt; chmod 777 src; false");
    restored(modes, "rm src/s.txt; chmod 0 src/t.txt src; false");
}

#[test]
fn existing_empty_directories_are_kept_and_new_ones_removed() {
    let empty = |bench: &Bench| {
        std::fs::create_dir_all(bench.path("empty/deep")).expect("folders");
        std::fs::create_dir_all(bench.path("src/hollow")).expect("folders");
    };
    restored(
        empty,
        "rmdir empty/deep empty src/hollow; mkdir -p fresh/deep src/fresh; false",
    );
    restored(
        empty,
        "echo x >empty/deep/new; echo x >src/hollow/new; false",
    );
    restored(nothing, "rm -rf *; false");
    let bench = restored(nothing, "echo x >src/new; git init -q src; false");
    assert!(!bench.path("src/.git").exists());
}

#[test]
fn what_git_knows_of_the_tree_is_put_back() {
    for validation in [
        "rm .git/index src/s.txt; echo n >new; false",
        "echo garbage >.git/index; rm src/s.txt; false",
        // With so many entries that git finds no memory for them.
        r"printf 'DIRC\0\0\0\2\377\377\377\377%040d' 0 >.git/index; rm src/s.txt; false",
        "rm .git/HEAD src/s.txt; echo n >new; false",
        "echo garbage >.git/config; rm src/s.txt; false",
        "touch .git/index.lock; rm src/s.txt; false",
        "echo damaged >.git/packed-refs; rm src/s.txt; false",
        "git pack-refs --all; rm src/s.txt; false",
        "git add --all; git rm -q --cached src/t.txt; false",
        "git add --all; git -c user.name=x -c user.email=x commit -qm sneaked; false",
        "git checkout -q --detach; git config core.bare true; false",
        "git symbolic-ref HEAD refs/heads/other; echo ignored >.git/info/exclude; echo ignored >x; false",
        "echo '*' >.gitignore; echo x >hidden; false",
    ] {
        restored(nothing, validation);
    }
    let bench = restored(
        nothing,
        "mkdir -p .git/hooks; echo x >.git/hooks/pre-commit; false",
    );
    assert!(!bench.path(".git/hooks/pre-commit").exists());
    assert!(
        bench
            .run_folder()
            .join("units/a/aside/git-folder/hooks/pre-commit")
            .exists()
    );
}

/// A submodule `sub` and an untracked repository `nested`, both clean.
fn with_repositories(bench: &Bench) {
    let sub = bench.beside("sub");
    std::fs::create_dir_all(&sub).expect("a folder");
    for folder in [sub.as_path(), &bench.path("nested")] {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join("f"), "f\n").expect("written");
        let at = folder.display().to_string();
        bench.git(&["-C", &at, "init", "--quiet"]);
        bench.git(&["-C", &at, "add", "f"]);
        bench.git(&["-C", &at, "commit", "--quiet", "-m", "1"]);
    }
    let sub = sub.display().to_string();
    let add = ["submodule", "--quiet", "add", &sub, "sub"];
    bench.git(&[&["-c", "protocol.file.allow=always"][..], &add].concat());
    bench.git("commit --quiet -m sub");
}

#[test]
fn repositories_within_the_tree_are_left_as_they_are_and_named() {
    let task = Task::new("a")
        .validation(&["echo x >>sub/f; echo new >sub/new; echo x >>nested/f; rm src/s.txt; false"]);
    let bench = Bench::with_files(&[task], &[("src/s.txt", "s\n")]);
    with_repositories(&bench);
    let said = bench.run("").exits(1);
    let finished = event(&bench, "integration_finished");
    assert_eq!(
        finished["by_validation"],
        json!(["nested/f", "sub/f", "sub/new"])
    );
    assert_eq!(finished["moved_aside"], Value::Null);
    assert_eq!(
        ["sub/f", "sub/new", "nested/f", "src/s.txt"].map(|path| bench.read(path)),
        ["f\nx\n", "new\n", "f\nx\n", "s\n"]
    );
    assert!(bench.path("sub/.git").exists() && bench.path("nested/.git").exists());
    said.out_has("left by the validation: sub/new");
}

#[test]
fn a_plan_damaged_by_a_validation_is_restored_and_the_run_continues() {
    for (damage, end) in [
        ("rm .step/st-plan.jsonl", "false"),
        ("rm -r .step", "grep -q new a.txt"),
        (
            "echo '<<<<<<< ours' >>.step/st-plan.jsonl",
            "grep -q new a.txt",
        ),
        (": >.step/st-plan.jsonl", "false"),
        ("rm -r .step; ln -s ../elsewhere .step", "grep -q new a.txt"),
        (
            "rm .step/st-plan.jsonl; mkdir -p .step/st-plan.jsonl/x",
            "grep -q new a.txt",
        ),
        (
            "rm .step/st-plan.jsonl; mkfifo .step/st-plan.jsonl",
            "false",
        ),
        ("rm -r .step; mkfifo .step", "grep -q new a.txt"),
        ("ln -sf /dev/null .step/st-plan.jsonl", "grep -q new a.txt"),
        ("ln -sf st-plan.jsonl .step/st-plan.jsonl", "false"),
        ("chmod 000 .step/st-plan.jsonl .step", "grep -q new a.txt"),
        (
            "printf '\\377\\376\\000' >.step/st-plan.jsonl",
            "grep -q new a.txt",
        ),
        // An older state, as a checkout of another commit brings it.
        (
            r#"echo '{"v":3,"ts":"2026-02-09T20:02:00Z","lane":"event","seq":1,"op":"init"}' >.step/st-plan.jsonl"#,
            "false",
        ),
        (
            "sed -i s/completed/pending/ .step/st-plan.jsonl; rm -f .step/st-plan.jsonl.lock",
            "grep -q new a.txt",
        ),
    ] {
        let command = format!("{damage}; {end}");
        let bench = Bench::new(&[Task::new("a").validation(&[&command]), Task::new("b")]);
        outside(&bench);
        let said = bench.run("max_tasks=2");
        let (code, status) = match end {
            "false" => (1, "blocked"),
            _ => (0, "completed"),
        };
        assert_eq!(said.code, code, "{command}: {}", said.err);
        let statuses = ["a", "b"].map(|id| bench.status_of(id));
        assert_eq!(statuses, [status, "completed"], "{command}");
        assert!(!bench.path(PLAN).is_symlink());
    }
}

#[test]
fn learnings_removed_by_a_validation_are_restored() {
    let task = Task::new("a").validation(&["rm .learnings.jsonl; grep -q new a.txt"]);
    let bench = Bench::new(&[task]);
    let learned = bench.mesh("learnings append --learning 'Do x before y when z'");
    let before = std::fs::read(bench.path(".learnings.jsonl"));
    let Ok(before) = before else {
        panic!("{}", learned.err);
    };
    bench.run("").exits(0);
    let after = std::fs::read(bench.path(".learnings.jsonl")).expect("it is back");
    assert!(after.starts_with(&before));
}

#[test]
fn a_lock_of_the_index_that_stays_is_named_before_anything_starts() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(".git/index.lock", "");
    let said = bench.run("").exits(3);
    said.err_has(".git/index.lock");
    said.err_has("hint: ");
    assert!(!bench.mesh_home().join("runs/R").exists());
    // One that goes away is waited for.
    let lock = bench.path(".git/index.lock");
    let waiter = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::remove_file(lock).expect("removed");
    });
    bench.run("").exits(0);
    waiter.join().expect("ended");
}

#[test]
fn a_lock_that_appears_during_the_run_is_reported_and_the_run_can_be_resumed() {
    let first = Task::new("a").validation(&["touch .git/index.lock; grep -q new a.txt"]);
    let bench = Bench::new(&[first, Task::new("b")]);
    let said = bench.run("max_tasks=2").exits(3);
    said.err_has("index.lock");
    std::fs::remove_file(bench.path(".git/index.lock")).expect("removed");
    bench.mesh("resume R").exits(0);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
}

#[test]
fn a_user_edit_during_validation_in_a_scratch_tree_is_not_an_error() {
    let work = "\"$(cd ../../../../work; pwd)\"";
    // The patch still fits: it is validated again with that. It does not fit any more: it is refused.
    for (edit, code, content, reason) in [
        ("chmod 755 W/a.txt", 0, "new\n", Value::Null),
        (
            "echo mine >W/a.txt",
            1,
            "mine\n",
            json!("ambiguous_integration"),
        ),
        ("echo x >>W/kept.txt", 0, "new\n", Value::Null),
    ] {
        let edit = edit.replace('W', work);
        let command = format!(
            "if mkdir ../../../../once 2>/dev/null; then :; elif mkdir ../../../../edited 2>/dev/null; then {edit}; fi; grep -q new a.txt"
        );
        let bench = Bench::new(&[Task::new("a").validation(&[&command])]);
        let said = bench.run("--json isolation=worktree");
        assert_eq!(said.code, code, "{edit}: {}", said.err);
        assert_eq!(bench.read("a.txt"), content, "{edit}");
        assert_eq!(report(&said)["tasks"][0]["reason"], reason);
    }
}

#[test]
fn a_log_file_in_the_repository_is_not_a_violation() {
    for script in [
        "\"$@\" >run.out 2>run.log",
        "\"$@\" 2>&1 | tee run.log >run.out",
    ] {
        let bench = Bench::new(&[
            Task::new("a").validation(&["echo x >kept.txt; false"]),
            Task::new("b"),
        ]);
        let mesh = bench.replay_command("max_tasks=2 --progress plain");
        under_shell(script, &mesh).run_to_end();
        let log = bench.read("run.log");
        assert!(log.contains("b: completed"), "{script}: {log}");
        assert!(bench.trace("violation").is_empty(), "{log}");
        let moved: Vec<Value> = bench
            .events()
            .into_iter()
            .filter(|(name, _)| name == "integration_finished")
            .map(|(_, body)| body["moved_aside"].clone())
            .collect();
        assert_eq!(moved, [json!(["kept.txt"]), Value::Null], "{script}");
    }
}

#[test]
fn a_passing_validation_that_changed_git_state_is_reported() {
    let task = Task::new("a").validation(&[
        "git config x.y z; mkdir -p .git/hooks; echo x >.git/hooks/pre-commit; git status -s; grep -q new a.txt",
    ]);
    let bench = Bench::new(&[task]);
    bench.run("").exits(0);
    let finished = event(&bench, "integration_finished");
    assert_eq!(
        finished["by_validation"],
        json!([".git/config", ".git/hooks/pre-commit"])
    );
}

#[test]
fn links_that_are_tracked_come_back_as_links() {
    let links = |bench: &Bench| {
        symlink("../outside/nowhere", bench.path("l")).expect("a link");
        symlink("src", bench.path("dir")).expect("a link");
        commit_all(bench);
    };
    restored(
        links,
        "rm l dir; mkdir dir; echo x >dir/s.txt; echo x >l; false",
    );
}

#[test]
fn a_plan_changed_through_another_path_is_restored() {
    for option in ["delivery=branch", "isolation=worktree"] {
        for damage in [
            "rm -r .step",
            "cd .step && rm st-plan.jsonl && mkfifo st-plan.jsonl",
        ] {
            // The validation runs in another tree, and knows where the real one is.
            let command = format!("cd \"$MESH_HOME/../work\" && {damage}; false");
            let tasks = [Task::new("a").validation(&[&command]), Task::new("b")];
            let bench = Bench::new(&tasks);
            bench.git("config user.name t");
            bench.git("config user.email t@example.invalid");
            let said = bench.run(&[option, "max_tasks=2"]);
            assert_eq!(said.code, 1, "{option} {damage}: {}", said.err);
            let statuses = ["a", "b"].map(|id| bench.status_of(id));
            assert_eq!(statuses, ["blocked", "completed"], "{option} {damage}");
        }
    }
}

#[test]
fn a_plan_is_restored_when_its_directory_became_a_link() {
    let command = "mv .step ../elsewhere; ln -s ../elsewhere .step; false";
    let bench = Bench::new(&[Task::new("a").validation(&[command])]);
    bench.run("").exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    assert!(!bench.path(".step").is_symlink());
}

#[test]
fn untracked_leftovers_that_git_does_not_list_are_removed() {
    restored(nothing, "mkfifo pipe src/pipe; false");
    restored(nothing, "rm src/s.txt; mkfifo src/s.txt; false");
    // It hides itself, and others.
    restored(nothing, "echo '*' >src/.gitignore; echo n >src/new; false");
    let deep = "for i in $(seq 300); do mkdir ddddddddddddddd; cd ddddddddddddddd; done";
    restored(nothing, &format!("rm src/s.txt; {deep}; echo x >f; false"));
}

#[test]
fn branches_and_tags_that_a_validation_made_are_named() {
    for end in ["grep -q new a.txt", "false"] {
        let command = format!("git branch made; git tag -f mark; git branch -D old; {end}");
        let bench = Bench::new(&[Task::new("a").validation(&[&command])]);
        bench.git("branch old");
        bench.run("");
        let finished = event(&bench, "integration_finished");
        let named = json!([
            ".git/refs/heads/made",
            ".git/refs/heads/old",
            ".git/refs/tags/mark"
        ]);
        assert_eq!(finished["by_validation"], named, "{command}");
    }
}

#[test]
fn a_passing_validation_after_which_git_can_not_read_the_repository_has_failed() {
    for delivery in ["patch", "commit"] {
        for damage in [
            "echo damaged >.git/packed-refs",
            "echo [damaged >.git/config",
            "rm .git/HEAD",
        ] {
            let command = format!("{damage}; grep -q new a.txt");
            let tasks = [Task::new("a").validation(&[&command]), Task::new("b")];
            let bench = Bench::new(&tasks);
            bench.git("config user.name t");
            bench.git("config user.email t@example.invalid");
            bench.git("pack-refs --all");
            let options = format!("max_tasks=2 delivery={delivery} --allow-protected");
            let said = bench.run(&options).exits(1);
            said.err_has("git can't read the repository after it: `git ");
            let statuses = ["a", "b"].map(|id| bench.status_of(id));
            assert_eq!(statuses, ["blocked", "completed"], "{delivery} {damage}");
            assert_eq!(bench.read("a.txt"), "old\n", "{delivery} {damage}");
            bench.git("rev-parse --verify main");
        }
    }
}

#[test]
fn packed_branches_that_a_validation_removed_are_put_back() {
    let bench = Bench::new(&[Task::new("a").validation(&["rm .git/packed-refs; false"])]);
    bench.git("branch other");
    bench.git("pack-refs --all");
    bench.run("").exits(1);
    bench.git("rev-parse main other");
}

#[test]
fn a_patched_file_changed_by_the_validation_is_reported() {
    for change in [
        "echo more >>a.txt",
        "mv a.txt ../elsewhere; ln -s ../elsewhere a.txt",
        "rm a.txt; mkfifo a.txt",
    ] {
        let bench = Bench::new(&[Task::new("a").validation(&[change])]);
        let said = bench.run("");
        assert_eq!(said.code, 0, "{change}: {}", said.err);
        let finished = event(&bench, "integration_finished");
        assert_eq!(finished["by_validation"], json!(["a.txt"]), "{change}");
    }
}

#[test]
fn a_repository_that_is_gone_is_named_first() {
    let task = Task::new("a").validation(&["rm -rf .git; rm src/s.txt; false"]);
    let bench = Bench::with_files(&[task], &[("src/s.txt", "s\n")]);
    let said = bench.run("").exits(4);
    let message = "could not be restored completely: .git: git finds no repository here any more";
    said.err_has(message);
}
