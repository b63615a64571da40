//! Two of one thing at once, and outputs that are in use.

use super::*;

/// A job under way, whose only row waits for the file `open`.
fn under_way(sandbox: &Sandbox) -> Child {
    let agent = fake_agent();
    let mesh = start(sandbox, "--id-column id", &[&agent, "--gate", "."]);
    wait_for("the row has begun", || sandbox.path("began.1").exists());
    mesh
}

#[test]
fn an_output_file_belongs_to_one_run_under_any_name() {
    let sandbox = with_rows("id\n1\n");
    std::os::unix::fs::symlink(".", sandbox.path("here")).expect("a link");
    let mesh = under_way(&sandbox);
    let run = run_id(&sandbox);
    let process = mesh.id();
    for output in [
        "out.csv",
        "./out.csv",
        "here/out.csv",
        "here/../work/out.csv",
    ] {
        for force in [&[][..], &["--force"]] {
            let said = spawn(&sandbox, Args::from(&["-o", output]).and(force), "true");
            assert_eq!(said.code, 3, "{output}: {}", said.err);
            let holder = format!("in use by run {run} (process {process})");
            assert!(said.err.contains(&holder), "{output}: {}", said.err);
        }
    }
    assert_eq!(run_id(&sandbox), run, "no other run was begun");
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0);
    assert_eq!(table(&sandbox, "status"), "completed");
    assert!(!sandbox.path(".out.csv.mesh-lock").exists());
    spawn_agent(&sandbox, "--force", "--good").exits(0);
}

#[test]
fn a_killed_run_releases_its_lock_and_can_be_resumed() {
    let sandbox = with_rows("id\n1\n");
    let agent = fake_agent();
    sandbox
        .command(arguments("--env MESH", &[&agent, "--good"]))
        .env("MESH_FAULT_KILL", "after:3")
        .run_to_end()
        .exits(137);
    assert!(sandbox.path(".out.csv.mesh-lock").exists());
    resume(&sandbox).exits(0);
    assert!(!sandbox.path(".out.csv.mesh-lock").exists());
}

#[test]
fn a_run_resumed_twice_concurrently_runs_once() {
    let sandbox = with_rows("id\n1\n");
    let mesh = under_way(&sandbox);
    let refused = [resume(&sandbox), sandbox.mesh("spawn in.csv --resume")];
    let process = format!("process {}", mesh.id());
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0);
    for refused in refused {
        assert_eq!(refused.code, 3, "{}", refused.err);
        refused.err_has(&process);
    }
}

#[test]
fn no_output_is_a_file_that_is_being_read() {
    let sandbox = with_schema("id\n1\n");
    sandbox.write("ask.txt", "work");
    sandbox.write("agent.sh", "echo '{}'");
    sandbox.write("mesh.yaml", "retries: 0\n");
    sandbox.write(".step/st-plan.jsonl", "");
    std::fs::hard_link(sandbox.path("schema.json"), sandbox.path("hard.json")).expect("a link");
    std::os::unix::fs::symlink("ask.txt", sandbox.path("link.txt")).expect("a link");
    for (output, what) in [
        ("schema.json", "is the schema"),
        ("hard.json", "is the schema"),
        ("ask.txt", "is the instruction"),
        ("link.txt", "is the instruction"),
        ("agent.sh", "belongs to the worker's command"),
        ("mesh.yaml", "is the configuration"),
        (".step/st-plan.jsonl", "is the plan"),
        ("/dev/null", "is not a regular file"),
    ] {
        let args = [
            "spawn",
            "in.csv",
            "--instruction-file",
            "ask.txt",
            "--output-schema",
            "schema.json",
            "--force",
            "-o",
            output,
            "--",
            "sh",
            "agent.sh",
        ];
        let before = sandbox.tree();
        let said = sandbox.mesh(&args);
        assert_eq!(said.code, 2, "{output}: {}", said.err);
        assert!(said.err.contains(what), "{output}: {}", said.err);
        assert!(
            sandbox.tree() == before && !sandbox.mesh_home().exists(),
            "{output}"
        );
    }
}

#[test]
fn no_answers_are_recorded_where_they_come_from() {
    let sandbox = with_rows("id\n1\n");
    sandbox.write("answers/row-1.json", "{}");
    let args = "spawn in.csv --instruction x --adapter replay";
    for wrong in [&["-o", "answers/out.csv"][..], &["--record", "answers"]] {
        let said = sandbox
            .mesh(Args::from(args).and("--answers answers").and(wrong))
            .exits(2);
        said.err_has("is in the folder of answers");
        assert!(!sandbox.mesh_home().exists());
    }
}

#[test]
fn no_answers_are_recorded_over_what_is_read_or_written() {
    let sandbox = with_schema("id\nschema\n");
    let before = sandbox.tree();
    for (record, what) in [(".", "is the schema"), ("out.csv", "is the output")] {
        let said = sandbox.mesh(arguments(
            &format!("--id-column id --output-schema schema.json --record {record}"),
            "true",
        ));
        assert_eq!(said.code, 2, "{record}: {}", said.err);
        assert!(said.err.contains(what), "{record}: {}", said.err);
        assert!(sandbox.tree() == before && !sandbox.mesh_home().exists());
    }
}

#[test]
fn the_report_of_a_run_is_checked_before_anything_starts() {
    let sandbox = Sandbox::with_repo(&[("README.md", ""), ("mesh.yaml", "retries: 0\n")]);
    std::os::unix::fs::symlink("README.md", sandbox.path("link")).expect("a link");
    let before = sandbox.tree();
    let long = "n".repeat(256);
    for (options, what) in [
        (&["--junit", "."][..], "is a folder"),
        (&["--junit", "README.md/deep/x.xml"], "is below a file"),
        (&["--markdown", "mesh.yaml"], "is the configuration"),
        (&["--markdown", ".git/config"], "is in git's folder"),
        (
            &["--junit", "x", "--markdown", "./x"],
            "is the file of --junit",
        ),
        (&["--junit", "new/x"], "is in a folder that does not exist"),
        // Its permissions would let the administrator write there.
        #[cfg(target_os = "linux")]
        (
            &["--markdown", "/proc/x"],
            "is in a folder in which no file can be created",
        ),
        #[cfg(target_os = "linux")]
        (
            &["--junit", "/sys/x.xml"],
            "is in a folder in which no file can be created",
        ),
        (&["--record", "README.md"], "is not a folder"),
        (&["--junit", &long], "is longer than the file system takes"),
        (&["--record", &long], "is longer than the file system takes"),
    ] {
        let said = sandbox.mesh(Args::from("run").and(options).and("-- true"));
        assert_eq!(said.code, 2, "{options:?}: {}", said.err);
        assert!(said.err.contains(what), "{options:?}: {}", said.err);
        assert!(!sandbox.path("new").exists() && !sandbox.mesh_home().exists());
        assert!(sandbox.tree() == before, "{options:?}");
    }
}
