//! Repositories in unusual forms: a plan runs in them, with a sandbox and without, and workers see what the user sees; or
//! the run is refused before anything starts, and says why.

use super::workspaces::{command, said, solo};
use super::*;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What a worker looks at: git's view of its workspace.
const LOOK: &str = "{ git status --porcelain; git log -1 --format=%s; git log --oneline | wc -l; } >$SAID/git 2>&1";

/// Runs task `a` in a repository that `prepare` makes odd, under each sandbox. `script` is what its worker does first.
fn works(prepare: impl Fn(&Bench), script: &str, check: impl Fn(&Bench, &Said)) {
    for sandbox in ["auto", "none"] {
        let bench = solo(&["a"], &[("in/i.txt", "i\n"), ("out/o.txt", "o\n")]);
        prepare(&bench);
        let status = bench.git("status --porcelain");
        let option = format!("--sandbox={sandbox}");
        let said = command(&bench, option.as_str(), &format!("{LOOK}; {script}")).run_to_end();
        assert_eq!(said.code, 0, "{sandbox}: {said}");
        said.err_lacks("violation");
        assert_eq!(bench.read("a.txt"), "new\n", "{sandbox}");
        assert!(bench.events_named("violation").is_empty(), "{sandbox}");
        let commits = bench.git("log --oneline").lines().count();
        let subject = bench.git("log -1 --format=%s");
        let expected = format!("{status}{subject}{commits}");
        assert_eq!(self::said(&bench, "git"), expected.trim(), "{sandbox}");
        let expected: Vec<String> = std::iter::once(" M a.txt")
            .chain(status.lines())
            .map(str::to_owned)
            .collect();
        let mut after: Vec<String> = bench
            .git("status --porcelain")
            .lines()
            .map(str::to_owned)
            .collect();
        after.retain(|line| line != "?? .learnings.jsonl");
        after.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(after, expected, "{sandbox}");
        check(&bench, &said);
    }
}

fn commit(bench: &Bench) {
    bench.git("add --all -- . :!.step");
    bench.git("commit -q -m odd");
}

fn add_submodule(bench: &Bench) {
    let library = bench.beside("library");
    let path = library.display().to_string();
    bench.git(&["init", "-q", "-b", "main", &path]);
    std::fs::write(library.join("l.txt"), "old\n").expect("written");
    bench.git(&["-C", &path, "add", "--all"]);
    bench.git(&["-C", &path, "commit", "-q", "-m", "library"]);
    let allow = ["-c", "protocol.file.allow=always"];
    let add = ["submodule", "--quiet", "add", &path, "vendor/library"];
    bench.git(&[&allow[..], &add[..]].concat());
    bench.git("commit -q -m odd");
}

#[test]
fn an_untracked_repository_is_an_empty_folder_for_workers_which_is_said() {
    for sandbox in ["auto", "none"] {
        let bench = solo(&["a"], &[]);
        bench.git("init --quiet vendor/other");
        bench.write("vendor/other/o.txt", "old\n");
        let script = "ls -A vendor/other >$SAID/inside";
        let option = format!("--sandbox={sandbox}");
        let mesh = command(&bench, option.as_str(), script).run_to_end();
        mesh.err_has("warning: untracked repository `vendor/other` is an empty folder for workers");
        assert_eq!((mesh.code, said(&bench, "inside").as_str()), (0, ""));
        assert_eq!(bench.read("vendor/other/o.txt"), "old\n");
        let doctor = bench.mesh("doctor --sandbox none -- true").exits(0);
        doctor.out_has("ok   tree         untracked repository `vendor/other` is an empty folder");
    }
}

#[test]
fn a_submodule_is_an_empty_folder_for_workers_which_is_said() {
    let script = "ls -A vendor/library >$SAID/inside";
    works(add_submodule, script, |bench, mesh| {
        mesh.err_has("warning: submodule `vendor/library` is an empty folder for workers");
        assert_eq!(said(bench, "inside"), "");
        assert_eq!(bench.read("vendor/library/l.txt"), "old\n");
        let doctor = bench.mesh("doctor --sandbox none -- true").exits(0);
        doctor.out_has("ok   tree         submodule `vendor/library` is an empty folder");
    });
}

#[test]
fn a_patch_into_a_submodule_is_refused_and_edits_in_one_stay() {
    for sandbox in ["auto", "none"] {
        let bench = Bench::new(&[Task::new("a")
            .scope(&["**"])
            .agree(&[5, 5])
            .patches(&[&edit("vendor/library/l.txt", "old", "new")])]);
        add_submodule(&bench);
        bench.write("vendor/library/kept.txt", "mine\n");
        let said = bench.run(format!("--sandbox={sandbox}").as_str()).exits(1);
        said.out_has(
            "`vendor/library/l.txt`, which lies in `vendor/library`, which is a repository of its own",
        );
        assert_eq!(bench.read("vendor/library/l.txt"), "old\n");
        assert_eq!(bench.read("vendor/library/kept.txt"), "mine\n");
    }
}

#[test]
fn files_outside_of_a_sparse_checkout_are_left_alone() {
    for kind in ["--cone", "--sparse-index"] {
        let prepare = |bench: &Bench| {
            bench.git(&["sparse-checkout", "set", "--cone", kind, "in", ".step"]);
            assert!(!bench.path("out").exists());
        };
        works(prepare, "ls >$SAID/all", |bench, _| {
            assert_eq!(said(bench, "all"), "a.txt\nin\nkept.txt");
            assert!(!bench.path("out").exists());
            let skipped = bench.git("ls-files -t out");
            assert_eq!(skipped, "S out/o.txt\n");
        });
    }
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

fn add_pointer(bench: &Bench) {
    bench.write(
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    bench.write("large.bin", POINTER);
    commit(bench);
}

#[test]
fn pointers_of_git_lfs_are_files_where_it_is_not_set_up() {
    works(add_pointer, "cat large.bin >$SAID/large", |bench, _| {
        assert_eq!(said(bench, "large"), POINTER.trim());
        assert_eq!(bench.read("large.bin"), POINTER);
    });
}

#[test]
fn a_filter_whose_program_is_missing_is_named_before_anything_starts() {
    for (setting, value) in [
        ("filter.lfs.process", "no-such-git-lfs filter-process"),
        ("filter.lfs.clean", "no-such-git-lfs clean -- %f"),
    ] {
        let bench = solo(&["a"], &[]);
        add_pointer(&bench);
        bench.git(&["config", setting, value]);
        bench.git("config filter.lfs.required true");
        // As long as no file looks changed, git needs no filter.
        bench.write("large.bin", &POINTER.replace("12345", "54321"));
        let plan = bench.read(PLAN);
        let said = command(&bench, "", ":").run_to_end().exits(3);
        said.err_has("because a filter of its settings fails: ");
        said.err_has("hint: install the program of the filter (for Git LFS, git-lfs)");
        assert_eq!(bench.read(PLAN), plan);
        assert!(!bench.run_folder().exists());
        let doctor = bench.mesh("doctor --sandbox none -- true").exits(1);
        doctor.out_has("FAIL tree         git can't read `");
    }
}

#[test]
fn pipes_and_sockets_are_never_opened() {
    let prepare = |bench: &Bench| {
        for name in ["pipe", "in/i.txt"] {
            let path = bench.path(name);
            let _ = std::fs::remove_file(&path);
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.expect("mkfifo starts").success());
        }
        std::os::unix::net::UnixListener::bind(bench.path("out/socket")).expect("bound");
    };
    for sandbox in ["auto", "none"] {
        let bench = solo(&["a"], &[("in/i.txt", "i\n"), ("out/o.txt", "o\n")]);
        prepare(&bench);
        let option = format!("--sandbox={sandbox}");
        let script = "find in out pipe ! -type d >$SAID/all 2>/dev/null || :";
        command(&bench, option.as_str(), script)
            .run_to_end()
            .exits(0);
        assert_eq!(said(&bench, "all"), "out/o.txt", "{sandbox}");
        assert_eq!(bench.read("a.txt"), "new\n");
        for name in ["pipe", "in/i.txt", "out/socket"] {
            assert!(bench.path(name).exists(), "{sandbox}: {name}");
        }
    }
}

#[test]
fn the_holes_of_a_huge_file_are_neither_read_nor_copied() {
    const HUGE: u64 = 4 << 30;
    let prepare = |bench: &Bench| {
        bench.write(".gitignore", "*.lock\nignored/\n");
        bench.write("ignored/tracked.img", "");
        let hole = |name: &str, bytes: u64| {
            let file = std::fs::File::create(bench.path(name)).expect("made");
            file.set_len(bytes).expect("a hole");
        };
        hole("ignored/tracked.img", 8 << 20);
        bench.git("add -f ignored/tracked.img .gitignore");
        bench.git("commit -q -m odd");
        hole("huge.img", HUGE);
    };
    let script = "stat -c '%s %b' huge.img ignored/tracked.img >$SAID/sizes";
    works(prepare, script, |bench, _| {
        let sizes = said(bench, "sizes");
        let sizes: Vec<Vec<u64>> = sizes
            .lines()
            .map(|line| {
                let numbers = line.split(' ');
                numbers.map(|it| it.parse().expect("a number")).collect()
            })
            .collect();
        assert_eq!((sizes[0][0], sizes[1][0]), (HUGE, 8 << 20));
        assert_eq!(sizes[0][1], 0, "blocks");
        let huge = std::fs::metadata(bench.path("huge.img")).expect("there");
        assert_eq!((huge.len(), huge.blocks()), (HUGE, 0));
    });
}

/// Root reads them all the same, and then they are copied like others.
#[test]
fn what_can_not_be_read_stays_unread() {
    let names = ["in/i.txt", "untracked", "locked"];
    let set_mode = |bench: &Bench, mode: u32| {
        for name in names {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(bench.path(name), mode).expect("a mode");
        }
    };
    for sandbox in ["auto", "none"] {
        let bench = solo(&["a"], &[("in/i.txt", "i\n")]);
        bench.write("untracked", "u\n");
        bench.write("locked/x", "x\n");
        set_mode(&bench, 0);
        let can_read = std::fs::read(bench.path("untracked")).is_ok();
        let option = format!("--sandbox={sandbox}");
        let script = "cat in/i.txt untracked >$SAID/all 2>/dev/null || :";
        let end = command(&bench, option.as_str(), script).run_to_end();
        for name in names {
            let found = std::fs::metadata(bench.path(name)).expect("there");
            assert_eq!(found.mode() & 0o777, 0, "{sandbox}: {name}");
        }
        set_mode(&bench, 0o700);
        assert_eq!(end.code, 0, "{sandbox}: {end}");
        let seen = if can_read { "i\nu" } else { "" };
        // Without capabilities not even root reads them.
        let all = said(&bench, "all");
        assert!(all == seen || all.is_empty(), "{sandbox}: {all}");
        assert_eq!(bench.read("untracked"), "u\n");
        assert_eq!(bench.read("locked/x"), "x\n");
        assert_eq!(bench.read("a.txt"), "new\n");
    }
}

#[test]
fn names_may_be_any_bytes() {
    let names: [&[u8]; 5] = [
        b"new\nline",
        b"not utf-8 \xff\xfe",
        b"\x1b[31mred",
        b"\"quoted\\",
        b" -leading",
    ];
    let prepare = |bench: &Bench| {
        for name in &names[..3] {
            let path = bench.path("").join(std::ffi::OsStr::from_bytes(name));
            std::fs::write(path, "x\n").expect("written");
        }
        commit(bench);
        for name in &names[3..] {
            let path = bench.path("").join(std::ffi::OsStr::from_bytes(name));
            std::fs::write(path, "x\n").expect("written");
        }
    };
    let script = "ls -A >$SAID/all";
    works(prepare, script, |bench, _| {
        let seen = std::fs::read(bench.beside("said/all")).expect("read");
        for name in names {
            let is_seen = seen.windows(name.len()).any(|part| part == name);
            assert!(is_seen, "{}", String::from_utf8_lossy(name));
        }
    });
}

/// Makes the repository of the bench a clone of itself.
fn clone(bench: &Bench, options: &[&str], from: &Path) {
    let (work, new) = (bench.path(""), bench.beside("new"));
    let (from, into) = (from.display().to_string(), new.display().to_string());
    let args = [&["clone", "-q"][..], options, &[&from, &into]].concat();
    bench.git(&args);
    std::fs::remove_dir_all(work.join(".git")).expect("removed");
    std::fs::rename(new.join(".git"), work.join(".git")).expect("moved");
}

#[test]
fn objects_may_be_borrowed_from_a_repository_that_borrows() {
    let prepare = |bench: &Bench| {
        let (first, second) = (bench.beside("first"), bench.beside("second"));
        std::fs::create_dir(&first).expect("made");
        let git = first.join(".git");
        let moved = std::process::Command::new("cp")
            .arg("-a")
            .args([bench.path(".git"), git])
            .status();
        assert!(moved.expect("cp starts").success());
        let (one, two) = (first.display().to_string(), second.display().to_string());
        bench.git(&["clone", "-q", "--shared", &one, &two]);
        clone(bench, &["--shared"], &second);
    };
    works(prepare, ":", |bench, _| {
        let borrowed = bench.read(".git/objects/info/alternates");
        assert_eq!(borrowed.lines().count(), 1);
    });
}

#[test]
fn a_history_may_be_shallow() {
    let prepare = |bench: &Bench| {
        bench.write("kept.txt", "other\n");
        commit(bench);
        let here = bench.path("").display().to_string();
        let url = format!("file://{here}");
        clone(bench, &["--depth", "1"], Path::new(&url));
    };
    works(prepare, ":", |bench, _| {
        assert_eq!(bench.git("rev-parse --is-shallow-repository"), "true\n");
    });
}

#[test]
fn an_index_may_be_split() {
    let prepare = |bench: &Bench| {
        bench.git("update-index --split-index");
        bench.write("second.txt", "x\n");
        commit(bench);
        bench.write("second.txt", "y\n");
        bench.git("add second.txt");
    };
    works(prepare, "cat second.txt >$SAID/second", |bench, _| {
        assert_eq!(said(bench, "second"), "y");
        let names = std::fs::read_dir(bench.path(".git")).expect("a folder");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        let is_part = |name: &std::ffi::OsString| {
            name.to_str()
                .is_some_and(|name| name.starts_with("sharedindex."))
        };
        assert!(names.into_iter().any(|name| is_part(&name)));
    });
}

#[test]
fn refs_may_be_in_a_reftable() {
    let prepare = |bench: &Bench| {
        std::fs::remove_dir_all(bench.path(".git")).expect("removed");
        // Git before 2.45 has no such format.
        let made = std::process::Command::new("git")
            .args(["init", "-q", "-b", "main", "--ref-format=reftable"])
            .current_dir(bench.path(""))
            .output();
        if !made.expect("git starts").status.success() {
            bench.git("init -q -b main");
        }
        commit(bench);
    };
    works(prepare, ":", |_, _| {});
}

#[test]
fn a_linked_work_tree_has_its_own_index_and_head() {
    let prepare = |bench: &Bench| {
        let (main, work) = (bench.beside("main"), bench.path(""));
        std::fs::create_dir(&main).expect("made");
        std::fs::rename(work.join(".git"), main.join(".git")).expect("moved");
        let (main, new) = (main.display().to_string(), bench.beside("new"));
        let new = new.display().to_string();
        bench.git(&["-C", &main, "worktree", "add", "-q", "-b", "other", &new]);
        std::fs::rename(Path::new(&new).join(".git"), work.join(".git")).expect("moved");
        bench.git(&[
            "-C",
            &main,
            "worktree",
            "repair",
            &work.display().to_string(),
        ]);
    };
    works(
        prepare,
        "git branch --show-current >$SAID/branch",
        |bench, _| {
            assert_eq!(said(bench, "branch"), "other");
            assert!(bench.path(".git").is_file());
        },
    );
}
