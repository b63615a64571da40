//! Run folders are 0700 and their files 0600, whatever the umask.

use crate::fixture::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command of the sandbox under a umask.
fn under_umask(umask: &str, command: &Command) -> Said {
    under_shell(&format!("umask {umask} && exec \"$@\""), command).run_to_end()
}

fn mode(path: &Path) -> u32 {
    let metadata = std::fs::symlink_metadata(path).expect("there");
    metadata.permissions().mode() & 0o7777
}

/// Everything below `root` and `root` itself: how many files, and what others may do something with.
fn walk(root: &Path, files: &mut usize, open: &mut Vec<String>) {
    let metadata = std::fs::symlink_metadata(root).expect("there");
    if metadata.is_symlink() {
        return;
    }
    // A copy of a program of the user's is a program, and one that was moved aside stays one.
    let is_copy = root
        .components()
        .any(|part| part.as_os_str() == "snapshot" || part.as_os_str() == "aside");
    let wanted = match metadata.is_dir() || is_copy {
        true => 0o700,
        false => 0o600,
    };
    if mode(root) & !wanted != 0 || mode(root) & 0o600 != 0o600 {
        open.push(format!("{:o} {}", mode(root), root.display()));
    }
    if !metadata.is_dir() {
        *files += 1;
        return;
    }
    for entry in std::fs::read_dir(root).expect("a folder") {
        walk(&entry.expect("an entry").path(), files, open);
    }
}

#[track_caller]
fn assert_private(root: &Path, files_min: usize) {
    let (mut files, mut open) = (0, Vec::new());
    walk(root, &mut files, &mut open);
    assert_eq!(open, [""; 0]);
    assert!(files >= files_min, "only {files} files");
}

/// A worker that says what others could look at, while it runs, below the folder named by `STATE`.
const LOOKS: &str = r#"find "$STATE" ! -type l -perm /077 >&2
test -S "$MESH_REPORT_SOCKET" && test -f "$MESH_SCHEMA_FILE" || echo "nothing to look at" >&2
case $MESH_ITEM_ID in row-1) echo '{"a":1}';; *) exit 3;; esac"#;

#[test]
fn a_spawned_csv_leaves_nothing_that_others_can_read() {
    for umask in ["000", "022"] {
        let sandbox = Sandbox::new();
        sandbox.write("in.csv", "n\n1\n2\n");
        sandbox.write("schema.json", r#"{"type":"object"}"#);
        let mut command = sandbox.command(&[
            "spawn",
            "in.csv",
            "-o",
            "out/out.csv",
            "--instruction",
            "work",
            "--logs",
            "all",
            "--output-schema",
            "schema.json",
            "--env",
            "STATE",
            "--",
            "/bin/sh",
            "-c",
            LOOKS,
        ]);
        command.env("STATE", sandbox.mesh_home());
        under_umask(umask, &command).exits(1);
        assert_private(&sandbox.mesh_home(), 3);
        let logs = sandbox.only_run().join("logs/001");
        for log in ["row-1.1.err", "row-2.1.err"] {
            let seen = std::fs::read_to_string(logs.join(log));
            assert!(seen.is_err(), "{umask}: {seen:?}");
        }
        // What the user named is for whom the user's umask lets.
        let umask = u32::from_str_radix(umask, 8).expect("octal");
        assert_eq!(mode(&sandbox.path("out/out.csv")), 0o666 & !umask);
        assert_eq!(mode(&sandbox.path("out")), 0o777 & !umask);
    }
}

#[test]
fn an_artifacts_directory_is_private_too() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "n\n1\n");
    let folder = sandbox.path("deep/artifacts");
    let folder_arg = folder.display().to_string();
    let command = sandbox.command(&[
        "spawn",
        "in.csv",
        "-o",
        "out.csv",
        "--instruction",
        "work",
        "--artifacts",
        &folder_arg,
        "--",
        "/bin/echo",
        "{}",
    ]);
    under_umask("000", &command).exits(0);
    assert_private(&folder, 2);
}

fn run(bench: &Bench, umask: &str, args: impl Into<Args>) -> Said {
    under_umask(umask, &bench.replay_command(args))
}

#[test]
fn a_plan_run_leaves_nothing_that_others_can_read() {
    for umask in ["000", "022"] {
        // The validation leaves a file behind and fails: that file is moved into the run's folder.
        let bench = Bench::new(&[
            Task::new("a"),
            Task::new("b").validation(&["echo x > left.txt; mkdir d; echo y > d/e; false"]),
        ]);
        let b = bench.path("b.txt");
        std::fs::set_permissions(&b, std::fs::Permissions::from_mode(0o754)).expect("set");
        bench.git("commit --quiet --all -m executable");
        run(&bench, umask, "max_tasks=2").exits(1);
        assert_private(&bench.mesh_home(), 20);
        assert!(bench.run_folder().join("units/b/aside/left.txt").is_file());
        assert_eq!(mode(&b), 0o754, "what is restored keeps its own mode");
    }
}

#[test]
fn a_killed_run_that_is_resumed_is_closed_again() {
    let bench = Bench::new(&[Task::new("a").patches(&[&edit("a.txt", "old", "new")])]);
    bench.run_killed_before("integration_finished");
    let folder = bench.run_folder();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("set");
    under_umask("000", &bench.command("resume R")).exits(0);
    assert_private(&bench.mesh_home(), 10);
}

#[test]
fn handed_out_waves_are_private() {
    let bench = Bench::new(&[Task::new("a")]);
    let answers = bench.answers();
    let args = format!("wave next --run-id R --adapter replay --answers {answers}");
    under_umask("000", &bench.command(&args)).exits(0);
    assert_private(&bench.mesh_home(), 3);
    let path: PathBuf = bench.run_folder().join("waves");
    assert!(path.is_dir());
}
