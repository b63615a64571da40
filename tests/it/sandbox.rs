//! `--sandbox`: workers that try to write what they must not, in every way that a shell and git know.

use crate::fixture::{Bench, RunToEnd, Sandbox, Task, create, fake_agent, read_file, under_shell};

/// The ways to write, each a shell command that starts in the repository. `$RUNS` is the folder of the runs.
const WAYS: [(&str, &str); 30] = [
    ("overwrite", "echo x >kept.txt"),
    ("append", "echo x >>kept.txt"),
    ("truncate", "dd if=/dev/null of=kept.txt bs=1 count=0"),
    ("delete", "rm -f kept.txt"),
    ("delete everything", "rm -rf ./* ./.git"),
    ("rename", "mv kept.txt moved.txt"),
    (
        "rename onto",
        "echo x >$TMPDIR/x-$$; mv $TMPDIR/x-$$ kept.txt",
    ),
    ("rename the repository", "mv \"$PWD\" \"$PWD-moved\""),
    (
        "rename a parent",
        "cd ../..; mv \"$(basename \"$ROOT\")\" moved-root",
    ),
    ("create", "echo x >new.txt"),
    ("create by copying", "cp kept.txt new.txt"),
    ("create a folder", "mkdir new"),
    ("remove a folder", "rmdir empty"),
    ("link", "ln -s kept.txt new"),
    ("replace by a link", "ln -sf /etc/passwd kept.txt"),
    ("hard link inside", "ln kept.txt new.txt"),
    (
        "hard link outside, then write",
        "ln kept.txt $TMPDIR/outside-$$ && echo x >$TMPDIR/outside-$$",
    ),
    ("pipe", "mkfifo new"),
    ("edit in place", "sed -i s/kept/x/ kept.txt"),
    (
        "through a descriptor",
        "exec 9<kept.txt; echo x >/proc/self/fd/9",
    ),
    (
        "through a folder's descriptor",
        "exec 9<.; echo x >/proc/self/fd/9/kept.txt",
    ),
    (
        "through the parent process",
        "echo x >/proc/$PPID/cwd/kept.txt",
    ),
    (
        "through the root of another process",
        "echo x >\"/proc/$MESH_PID/root$PWD/kept.txt\"",
    ),
    (
        "commit",
        "git -c user.name=t -c user.email=t commit --allow-empty -qm x",
    ),
    ("checkout", "git checkout -q --orphan other"),
    ("configure", "git config core.pager x"),
    ("stage", "git rm -q --cached kept.txt"),
    ("branch", "git update-ref refs/heads/new HEAD"),
    ("clean", "git clean -fdxq"),
    ("the runs", "echo x >>\"$RUNS\"/R/ledger.jsonl"),
];

/// Those that only touch modes and times, which Landlock does not cover.
const OF_MODES: [(&str, &str); 3] = [
    ("mode", "chmod 777 kept.txt"),
    ("mode of the folder", "chmod 500 ."),
    ("time", "touch -d 2001-01-01 kept.txt"),
];

/// Those that try to get out of the namespace itself.
const ESCAPES: [(&str, &str); 6] = [
    (
        "remount",
        "mount -o remount,rw,bind \"$PWD\" && echo x >kept.txt",
    ),
    ("unmount", "umount -l \"$PWD\" && echo x >kept.txt"),
    (
        "a namespace of its own",
        "unshare -Urm sh -c 'umount -l \"$PWD\"; mount -o remount,rw,bind \"$PWD\"; echo x >kept.txt'",
    ),
    ("become root", "sudo -n sh -c 'echo x >kept.txt'"),
    (
        "enter another namespace",
        "nsenter -t $MESH_PID -m -U sh -c \"echo x >'$PWD/kept.txt'\"",
    ),
    (
        "a device",
        "mknod $TMPDIR/d-$$ b 254 0 && echo x >$TMPDIR/d-$$",
    ),
];

struct Repo(Sandbox);

impl Repo {
    fn new() -> Self {
        let files = [("kept.txt", "kept\n"), (".gitignore", "empty\n")];
        let sandbox = Sandbox::with_repo_in_temporary_folder(&files);
        std::fs::create_dir(sandbox.path("empty")).expect("made");
        Self(sandbox)
    }

    /// The names, modes, times and contents of everything in the repository, and the place of the repository.
    fn state(&self) -> String {
        let script = "cd \"$0\" && find . -printf '%p %m %s %T@ %l\\n' | sort && find . -type f | sort | xargs cksum";
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .arg(self.0.work())
            .output()
            .expect("sh starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a worker that tries `way`, and prints an answer whatever comes of it.
    fn attempt(&self, mechanism: &str, way: &str) {
        let home = self.0.mesh_home();
        let script = format!(
            "cat >/dev/null; TMPDIR=${{TMPDIR:-/tmp}}; RUNS='{}/runs'; ROOT='{}'; MESH_PID=$PPID; {{ {way}; }} >/dev/null 2>&1; echo '{{\"done\":true}}'",
            home.display(),
            self.0.beside("").display(),
        );
        std::fs::write(self.0.beside("rows.csv"), "id\n1\n").expect("written");
        let said = self.0.mesh(&[
            "spawn",
            "../rows.csv",
            "--instruction=x",
            "--run-id=R",
            "--output-csv-path=../home/out.csv",
            &format!("--sandbox={mechanism}"),
            "--",
            "sh",
            "-c",
            &script,
        ]);
        assert!(
            said.code == 0 || mechanism == "none",
            "{mechanism}, {way}: {}",
            said.err
        );
    }
}

/// Whether this machine lets anybody into a sandbox of this kind; one that it refuses says why.
fn is_usable(mechanism: &str) -> bool {
    let repo = Repo::new();
    repo.0.write("rows.csv", "id\n1\n");
    let line =
        format!("spawn rows.csv --instruction x --sandbox {mechanism} -o ../home/o.csv -- true");
    let said = repo.0.mesh(&line);
    if said.code == 3 {
        said.err_has(&format!("sandbox `{mechanism}` can't be used here"));
    }
    said.code != 3
}

fn nothing_gets_through(mechanism: &str, ways: &[(&str, &str)]) {
    if !is_usable(mechanism) {
        return;
    }
    for (name, way) in ways {
        let repo = Repo::new();
        let before = repo.state();
        repo.attempt(mechanism, way);
        assert_eq!(repo.state(), before, "{mechanism}: {name}");
        let ledger = std::fs::read_to_string(repo.0.mesh_home().join("runs/R/ledger.jsonl"));
        assert!(
            ledger.expect("a ledger").ends_with("}\n"),
            "{mechanism}: {name}"
        );
    }
}

#[test]
fn a_namespace_keeps_every_way_of_writing_from_the_repository() {
    nothing_gets_through("namespace", &WAYS);
}

#[test]
fn a_namespace_protects_modes_and_times() {
    nothing_gets_through("namespace", &OF_MODES);
}

#[test]
fn nobody_gets_out_of_a_namespace() {
    nothing_gets_through("namespace", &ESCAPES);
}

#[test]
fn landlock_keeps_every_way_of_writing_from_the_repository() {
    nothing_gets_through("landlock", &WAYS);
    nothing_gets_through("landlock", &ESCAPES);
}

/// The ways are ways: without a sandbox each of them changes something.
#[test]
fn without_a_sandbox_the_same_commands_change_the_repository() {
    // These need more than a shell, or change what is outside of the repository.
    let others = ["through the root of another process", "the runs"];
    for (name, way) in WAYS
        .iter()
        .chain(&OF_MODES)
        .filter(|(name, _)| !others.contains(name))
    {
        let repo = Repo::new();
        let before = repo.state();
        repo.attempt("none", way);
        assert_ne!(repo.state(), before, "{name}");
    }
}

#[test]
fn workers_of_a_plan_can_not_write_to_tree_plan_runs_or_workspace() {
    for mechanism in ["namespace", "landlock"]
        .into_iter()
        .filter(|name| is_usable(name))
    {
        let bench = Bench::in_temporary_folder(&[Task::new("st-001")
            .scope(&["made.txt"])
            .validation(&["test -f made.txt"])
            .patches(&[&create("made.txt", "x")])]);
        let before = bench.tree();
        let attack = bench.path("").display().to_string();
        let script = format!(
            "rm -rf '{attack}'/* '{attack}'/.step '{}'/*; echo x >\"$PWD/new\"; exec \"$0\" \"$@\"",
            bench.mesh_home().join("runs").display()
        );
        let args = ["run", "--run-id=R", &format!("--sandbox={mechanism}")];
        let worker = [
            "--",
            "sh",
            "-c",
            &script,
            &fake_agent(),
            "--answers",
            &bench.answers(),
        ];
        let said = bench.mesh(&[&args[..], &worker[..]].concat());
        assert_eq!(said.code, 0, "{mechanism}: {}", said.err);
        said.err_lacks("violation");
        assert_eq!(bench.tree().len(), before.len() + 1, "{mechanism}");
        let started = &bench.events_named("run_started")[0];
        assert_eq!(
            started["settings"]["worker"]["sandbox"]["mechanism"],
            *mechanism
        );
    }
}

/// A shell in a user namespace in which no other one can be made.
fn without_namespaces(command: &std::process::Command) -> std::process::Command {
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"";
    let shell = under_shell(script, command);
    let mut unshare = std::process::Command::new("unshare");
    unshare.arg("-Ur").arg(shell.get_program());
    unshare.args(shell.get_args());
    let env = shell.get_envs();
    unshare
        .env_clear()
        .envs(env.filter_map(|(name, value)| Some((name, value?))));
    unshare.current_dir(shell.get_current_dir().expect("a folder"));
    unshare
}

#[test]
fn a_resume_warns_as_a_run_does_where_no_sandbox_holds() {
    const SHARED: &str = "/dev/shm";
    let bench = Bench::new(&[Task::new("a")]);
    let probe = without_namespaces(&bench.command("--version")).output();
    let can = probe.is_ok_and(|probe| probe.status.success());
    // Elsewhere Landlock may hold.
    if !can || !bench.path("").starts_with(SHARED) {
        return;
    }
    let warning = "warning: workers run without a sandbox, and changes that they make are only noticed: sandbox `namespace`";
    let run = bench.agent_args("--sandbox auto --max-wall-seconds 3600", "");
    let said = without_namespaces(&bench.command(run)).run_to_end();
    said.err_has(warning);
    said.err_has("sandbox `landlock` can't be used here: ");
    said.err_has("is in `/dev/shm`, where programs have their shared memory");

    let bench = Bench::new(&[Task::new("a")]);
    let mut mesh = bench.command(bench.agent_args("--sandbox none", ""));
    mesh.env("MESH_FAULT_KILL", "after:1").run_to_end();
    let resume = bench.command("resume R --sandbox auto");
    let said = without_namespaces(&resume).run_to_end().exits(0);
    said.err_has(warning);
}

#[test]
fn landlock_refuses_a_repository_in_shared_memory_and_says_why() {
    if !is_usable("landlock") {
        return;
    }
    let bench = Bench::new(&[Task::new("a")]);
    if !bench.path("").starts_with("/dev/shm") {
        return;
    }
    let said = bench.run_agent("--sandbox landlock", "").exits(3);
    said.err_has(&format!(
        "error: sandbox `landlock` can't be used here: `{}` is in `/dev/shm`, where programs have their shared memory and so every worker may write; move it to another folder",
        bench.work().display()
    ));
}

#[test]
fn the_modes_that_a_worker_sets_in_its_workspace_do_not_reach_the_next_one() {
    for mechanism in ["namespace", "landlock", "none"]
        .into_iter()
        .filter(|name| *name == "none" || is_usable(name))
    {
        let bench = Bench::in_temporary_folder(&[Task::new("a")]);
        let said = bench.beside("said").display().to_string();
        std::fs::create_dir(&said).expect("made");
        let script = format!(
            "stat -c %a kept.txt >'{said}'/$MESH_ITEM_ID; chmod 777 kept.txt 2>/dev/null; exec \"$0\" \"$@\""
        );
        let run = ["run", "--run-id=R", "--writable", &said];
        let sandbox = format!("--sandbox={mechanism}");
        let worker = ["--", "sh", "-c", &script, &fake_agent(), "--answers"];
        let answers = bench.answers();
        let args = [&run[..], &[&sandbox], &worker, &[&answers]].concat();
        bench.mesh(args.as_slice()).exits(0);
        for row in ["proposal.proposer.1", "synthesis.synthesizer.1"] {
            let mode = read_file(format!("{said}/a.{row}"));
            assert_eq!(mode, "600\n", "{mechanism}: {row}");
        }
    }
}
