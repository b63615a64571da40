//! State that changed behind a run: its input, its output, and what a call that goes on says of it.

use super::*;

/// A job whose second of three rows stops it, and the arguments of its first call.
fn stopped() -> (Sandbox, Args) {
    let sandbox = with_schema("id,mock\n1,good\n2,stop\n3,good\n");
    let agent = fake_agent();
    let options =
        "--id-column id -j 1 --env MESH --output-schema schema.json --instruction 'work\non {id}'";
    let args = arguments(options, &[&agent, "--log", "log", "--as", "{mock}"]);
    sandbox.mesh(&args).exits(4);
    std::fs::remove_file(sandbox.path("log")).expect("rows were worked");
    (sandbox, args)
}

/// The same call with further options in front of the command.
fn again(sandbox: &Sandbox, args: &Args, more: impl Into<Args>) -> Said {
    sandbox.mesh(with_options(args, more))
}

fn with_options(args: &Args, more: impl Into<Args>) -> Args {
    let all = args.as_slice();
    let end = all.iter().position(|arg| arg == "--").expect("a command");
    Args::from(&all[..end]).and(more).and(&all[end..])
}

fn settings_changed(sandbox: &Sandbox) -> Vec<Value> {
    let resumed = sandbox.events_named("run_resumed").into_iter();
    resumed.map(|record| record["changed"].clone()).collect()
}

#[test]
fn a_changed_input_is_refused_with_both_hashes_and_two_options() {
    let (sandbox, args) = stopped();
    sandbox.write("in.csv", "id,mock\n9,good\n2,stop\n3,good\n");
    let before = ledger(&sandbox);
    let run = run_id(&sandbox);
    let by_id = ["resume", &run];
    for said in [again(&sandbox, &args, "--resume"), sandbox.mesh(&by_id)] {
        assert_eq!(said.code, 2, "{}", said.err);
        for part in [
            "has changed since run",
            "its sha256 was ",
            "and is ",
            &format!("`mesh resume {run} --input-changed ignore`"),
            &format!("`--reuse {run}`"),
        ] {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
        assert_eq!(ledger(&sandbox), before);
        assert!(!sandbox.path("log").exists());
    }
    let said = again(&sandbox, &args, "--resume --input-changed ignore").exits(0);
    said.err_has("resuming with the copy that the run keeps");
    assert_eq!(
        table(&sandbox, "id status"),
        "1 | completed\n2 | completed\n3 | completed"
    );
}

#[test]
fn another_file_with_the_same_rows_is_the_same_input() {
    let (sandbox, _) = stopped();
    sandbox.write("copy.csv", &sandbox.read("in.csv"));
    sandbox.write("other.csv", "id,mock\n1,good\n");
    let resume = format!("--resume={}", run_id(&sandbox));
    sandbox.mesh(&["spawn", "other.csv", &resume]).exits(2);
    sandbox.mesh(&["spawn", "copy.csv", &resume]).exits(0);
}

#[test]
fn a_deleted_input_is_reported() {
    let (sandbox, _) = stopped();
    std::fs::remove_file(sandbox.path("in.csv")).expect("it was there");
    let said = resume(&sandbox).exits(0);
    said.err_has("no longer exists; resuming with");
}

#[test]
fn the_same_command_line_resumes_without_changes() {
    let (sandbox, args) = stopped();
    again(&sandbox, &args, "--resume").exits(0);
    assert_eq!(settings_changed(&sandbox), [Value::Null; 0]);
    assert_eq!(sandbox.read("log"), "3\n");
}

#[test]
fn a_changed_question_is_refused_with_the_difference() {
    let (sandbox, args) = stopped();
    sandbox.write("other.json", "{\"type\":\"object\"}");
    let before = ledger(&sandbox);
    let refused = |said: Said, parts: &[&str]| {
        assert_eq!(said.code, 2, "{}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
        assert_eq!(ledger(&sandbox), before, "{parts:?}");
    };
    let resume = |more: &[&str]| sandbox.mesh(Args::from("spawn in.csv --resume").and(more));
    refused(
        resume(&["--instruction", "work\nup {id}"]),
        &["`--instruction`", "from line 2:\n  - on {id}\n  + up {id}"],
    );
    refused(
        resume(&["--output-schema", "other.json"]),
        &["`--output-schema`", "\n  - "],
    );
    refused(
        resume(&["--id-column", "mock"]),
        &["`--id-column`", "was: id\n  now: mock"],
    );
    refused(
        resume(&["--rows", "1-2"]),
        &["`--rows`", "was: all\n  now: 1-2"],
    );
    refused(resume(&["--sample", "2"]), &["`--sample`"]);
    refused(
        resume(&["--delimiter", ";"]),
        &["`--delimiter`", "was: ,\n  now: ;"],
    );
    refused(
        resume(&["--encoding", "windows-1252"]),
        &["`--encoding`", "was: utf-8\n  now: windows-1252"],
    );
    refused(
        resume(&["--rename", "id=key"]),
        &["`--rename`", "was: none\n  now: id=key"],
    );
    refused(
        resume(&["--formula-cells", "reject"]),
        &["`--formula-cells`", "now: reject"],
    );
    refused(resume(&["--", "true"]), &["`COMMAND`", "now: command: "]);
    refused(resume(&["--reuse", "x"]), &["`--reuse`"]);
    refused(resume(&["--dry-run"]), &["`--dry-run` can't be combined"]);
    // The schema file itself may change as long as nobody names it: the run has its own.
    sandbox.write("schema.json", "{\"type\":\"object\"}");
    refused(again(&sandbox, &args, "--resume"), &["`--output-schema`"]);
    resume(&[]).exits(0);
}

#[test]
fn options_outside_the_question_may_change_and_persist() {
    let (sandbox, _) = stopped();
    let options = [
        "-j",
        "3",
        "--retries",
        "4",
        "--retry-delay",
        "1",
        "--max-runtime-seconds",
        "77",
        "--grace-seconds",
        "2",
        "--halt",
        "soon,fail=9",
        "--logs",
        "all",
        "--flatten",
        "--max-rows",
        "50",
        "--max-wall-seconds",
        "500",
        "-o",
        "second.csv",
    ];
    sandbox
        .mesh(Args::from("spawn in.csv --resume").and(&options[..]))
        .exits(0);
    let second = sandbox.read("second.csv");
    assert!(
        second
            .lines()
            .next()
            .expect("a header")
            .ends_with("result.answer")
    );
    let changed = settings_changed(&sandbox);
    let job = &changed[0]["job"];
    assert_eq!(job["bounds"]["max_concurrency"], 3);
    assert_eq!(job["bounds"]["retries"], 4);
    assert_eq!(job["budget"]["max_rows"], 50);
    assert!(job["instruction"].is_null(), "{job}");
    // It lasts: the same once more is no change, and the output stays where it is.
    let said = sandbox
        .mesh(&["resume", &run_id(&sandbox), "-j", "3", "--retries", "4"])
        .exits(0);
    said.out_ends_with("second.csv\n");
    assert_eq!(settings_changed(&sandbox).len(), 1);
}

#[test]
fn a_raised_budget_persists() {
    let sandbox = with_rows("id\n1\n2\n3\n");
    spawn_agent(&sandbox, "-j 1 --max-rows 1", "--good").exits(4);
    sandbox
        .mesh(&["resume", &run_id(&sandbox), "--max-rows", "2"])
        .exits(4);
    let said = resume(&sandbox).exits(4);
    said.err_has("max_rows of 2 reached");
    assert_eq!(
        table(&sandbox, "id status"),
        "1 | completed\n2 | completed\n3 | pending"
    );
}

#[test]
fn an_edited_output_is_kept_beside() {
    let (sandbox, args) = stopped();
    for name in ["out.edited.csv", "out.edited-2.csv"] {
        let edited = format!("{}edited for {name}\n", sandbox.read("out.csv"));
        sandbox.write("out.csv", &edited);
        let said = again(&sandbox, &args, "--resume --force").exits(0);
        said.err_has(name);
        assert_eq!(sandbox.read(name), edited);
        assert_eq!(rows(&sandbox).len(), 3);
    }
    resume(&sandbox).exits(0);
    assert!(!sandbox.path("out.edited-3.csv").exists());
}

#[test]
fn a_kill_around_the_rename_leaves_no_output_that_looks_edited() {
    // Records: start, wave, attempt begun, reported, finished, output, end.
    for point in ["before:6", "after:6", "before:7", "after:7"] {
        let sandbox = with_rows("id\na\n");
        let agent = fake_agent();
        let mut mesh = sandbox.command(arguments("--env MESH", &[&agent, "--good"]));
        mesh.env("MESH_FAULT_KILL", point);
        assert_eq!(mesh.run_to_end().code, 137, "{point}");
        assert_eq!(
            sandbox.path("out.csv").exists(),
            point.ends_with('7'),
            "{point}"
        );
        let said = resume(&sandbox);
        assert_eq!(said.code, 0, "{point}: {}", said.err);
        assert_eq!(table(&sandbox, "status"), "completed", "{point}");
        assert!(!sandbox.path("out.edited.csv").exists(), "{point}");
    }
}

#[test]
fn an_output_written_during_the_job_is_kept() {
    let sandbox = with_rows("id\n1\n");
    let agent = fake_agent();
    let mesh = start(&sandbox, "--id-column id", &[&agent, "--gate", "."]);
    wait_for("the row has begun", || sandbox.path("began.1").exists());
    sandbox.write("out.csv", "theirs\n");
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0, "{}", sandbox.read("talk"));
    assert_eq!(sandbox.read("out.csv"), "theirs\n");
    let talk = sandbox.read("talk");
    assert!(talk.contains("was created by another program"), "{talk}");
    let said = resume(&sandbox);
    let output = said.out.trim_end();
    assert!(output.contains("out.agent-job-"), "{output}");
    let text = read_file(output);
    assert!(text.contains("completed"), "{text}");
    assert_eq!(sandbox.read("out.csv"), "theirs\n");
}

#[test]
fn the_rows_are_not_lost_when_standard_output_is_full() {
    let (sandbox, args) = stopped();
    for options in ["--resume", "--resume --json"] {
        let mut mesh = sandbox.command(with_options(&args, options));
        let full = std::fs::File::create("/dev/full").expect("a device");
        let said = mesh.stdout(full).run_to_end().exits(1);
        said.err_has("nothing is lost: the rows are in `");
        assert_eq!(rows(&sandbox).len(), 3);
        let last = sandbox.events().pop().expect("an event");
        assert_eq!(
            (last.0.as_str(), &last.1["exit_code"]),
            ("run_finished", &Value::from(0))
        );
    }
}

#[test]
fn an_unreadable_input_is_a_changed_input() {
    let (sandbox, args) = stopped();
    std::fs::remove_file(sandbox.path("in.csv")).expect("it was there");
    std::fs::create_dir(sandbox.path("in.csv")).expect("a folder");
    let said = again(&sandbox, &args, "--resume").exits(2);
    said.err_has("has changed");
    again(&sandbox, &args, "--resume --input-changed ignore").exits(0);
}

#[test]
fn a_damaged_input_copy_is_rebuilt_or_refused() {
    for damaged in ["id,mock\n1,good\n", "id,mock\n1,good\n2,stop\n4,good\n"] {
        let (sandbox, _) = stopped();
        let run = run_id(&sandbox);
        let copy = sandbox
            .mesh_home()
            .join("runs")
            .join(&run)
            .join("input.csv");
        let before = ledger(&sandbox);
        let damage = || std::fs::write(&copy, damaged).expect("written");
        damage();
        let given = sandbox.read("in.csv");
        sandbox.write("in.csv", "id,mock\n7,good\n");
        let said = sandbox
            .mesh(&["resume", &run, "--input-changed", "ignore"])
            .exits(2);
        said.err_has("damaged or missing");
        assert_eq!(ledger(&sandbox), before);
        sandbox.write("in.csv", &given);
        let said = sandbox.mesh(&["resume", &run]).exits(0);
        said.err_has("has been restored");
        assert_eq!(
            table(&sandbox, "id status"),
            "1 | completed\n2 | completed\n3 | completed"
        );
    }
}

#[test]
fn an_input_copy_that_the_machine_can_not_read_is_not_a_damaged_one() {
    let (sandbox, _) = stopped();
    let run = run_id(&sandbox);
    let folder = sandbox.mesh_home().join("runs").join(&run);
    let (copy, kept) = (folder.join("input.csv"), folder.join("kept.csv"));
    std::fs::rename(&copy, &kept).expect("renamed");
    std::os::unix::fs::symlink("/proc/self/mem", &copy).expect("a link");
    let said = sandbox.mesh(&["resume", &run]).exits(3);
    said.err_has("input.csv");
    said.err_has("Input/output error");
    std::fs::rename(&kept, &copy).expect("renamed");
    sandbox.mesh(&["resume", &run]).exits(0);
}

#[test]
fn an_input_of_the_first_call_is_not_an_output_of_a_later_one() {
    let (sandbox, _) = stopped();
    let schema = sandbox.read("schema.json");
    let run = run_id(&sandbox);
    let moved = "-o schema.json --force";
    for call in [&["spawn", "in.csv", "--resume"][..], &["resume", &run]] {
        let said = sandbox.mesh(Args::from(call).and(moved)).exits(2);
        said.err_has("is the schema");
        assert_eq!(sandbox.read("schema.json"), schema);
    }
}

#[test]
fn an_output_that_became_a_folder_is_refused_before_anything_starts() {
    let (sandbox, args) = stopped();
    let before = ledger(&sandbox);
    std::fs::remove_file(sandbox.path("out.csv")).expect("it was there");
    std::fs::create_dir(sandbox.path("out.csv")).expect("a folder");
    let said = again(&sandbox, &args, "--resume").exits(2);
    said.err_has("is a folder");
    assert_eq!(ledger(&sandbox), before);
    assert!(!sandbox.path("log").exists());
    sandbox.mesh("spawn in.csv --resume -o other.csv").exits(0);
    assert!(sandbox.read("other.csv").contains("completed"));
}

#[test]
fn another_output_of_a_resumed_run_replaces_nothing_without_force() {
    let (sandbox, _) = stopped();
    let run = run_id(&sandbox);
    sandbox.write("taken.csv", "precious");
    for call in [&["resume", &run][..], &["spawn", "in.csv", "--resume"]] {
        let said = sandbox.mesh(Args::from(call).and("-o taken.csv")).exits(2);
        said.err_has(
            "already exists\nhint: replace it with --force, or pass another file with -o\n",
        );
        assert_eq!(sandbox.read("taken.csv"), "precious");
    }
    let forced = ["resume", &run, "-o", "taken.csv", "--force"];
    sandbox.mesh(&forced).exits(0);
    assert!(sandbox.read("taken.csv").contains("completed"));
}

#[test]
fn the_output_is_the_same_however_its_path_is_spelled() {
    let (sandbox, _) = stopped();
    std::fs::create_dir(sandbox.path("sub")).expect("a folder");
    sandbox
        .mesh("spawn in.csv --resume -o sub/../out.csv")
        .exits(0);
    assert_eq!(settings_changed(&sandbox), [Value::Null; 0]);
}

#[test]
fn a_missing_worker_program_is_refused_before_rows_resume() {
    let sandbox = with_rows("id\n1\n2\n");
    let agent = sandbox.path("agent.sh");
    write_program(&agent, "#!/bin/sh\ncat >/dev/null\necho '{}'\n");
    let args = arguments("--max-rows 1 -j 1", "./agent.sh");
    sandbox.mesh(&args).exits(4);
    std::fs::remove_file(&agent).expect("it was there");
    let (run, before) = (run_id(&sandbox), ledger(&sandbox));
    let said = sandbox.mesh(&["resume", &run, "--max-rows", "9"]).exits(3);
    said.err_has("does not exist");
    assert_eq!(ledger(&sandbox), before);
}

#[test]
fn a_repeated_command_takes_no_variable_from_its_workers() {
    let (sandbox, _) = stopped();
    let agent = fake_agent();
    let command = ["--", &agent, "--log", "log", "--as", "{mock}"];
    sandbox
        .mesh(&[&["spawn", "in.csv", "--resume"][..], &command].concat())
        .exits(0);
    assert_eq!(settings_changed(&sandbox), [Value::Null; 0]);
}
