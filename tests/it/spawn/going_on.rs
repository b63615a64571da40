//! Going on with a run (`--resume`, `--retry-failed`), and taking results over from one (`--reuse`).

use super::*;

const COLUMNS: [&str; 3] = ["item_id", "status", "attempt_count"];

/// The runs there are, oldest first.
fn runs(sandbox: &Sandbox) -> Vec<String> {
    let list = sandbox.mesh("runs list --json").out;
    let id = |line: &str| {
        let run: Value = serde_json::from_str(line).expect("an object");
        run["mesh_run_id"].as_str().expect("a name").to_owned()
    };
    list.lines().map(id).collect()
}

/// The ledger of one run.
fn ledger_of(sandbox: &Sandbox, run: &str) -> String {
    let runs = sandbox.mesh_home().join("runs");
    read_file(runs.join(run).join("ledger.jsonl"))
}

/// Which rows were worked since this was asked last, sorted.
fn worked(sandbox: &Sandbox) -> String {
    let log = sandbox.path("log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let mut items: Vec<&str> = text.lines().collect();
    items.sort_unstable();
    items.join(" ")
}

/// A job whose second of three rows stops it.
fn stopped() -> Sandbox {
    let sandbox = with_rows("id,mock\n1,good\n2,stop\n3,good\n");
    let options = "--id-column id -j 1";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    sandbox
}

#[test]
fn a_run_is_found_by_its_input_however_that_is_named() {
    for input in ["in.csv", "./in.csv", "../work/in.csv", "link.csv"] {
        let sandbox = stopped();
        std::os::unix::fs::symlink("in.csv", sandbox.path("link.csv")).expect("a link");
        let said = sandbox.mesh(&["spawn", input, "--resume"]);
        assert_eq!(said.code, 0, "{input}: {}", said.err);
        assert_eq!(
            table(&sandbox, &COLUMNS),
            "1 | completed | 1\n2 | completed | 1\n3 | completed | 1",
            "{input}"
        );
        assert_eq!(runs(&sandbox).len(), 1);
    }
}

#[test]
fn a_run_is_found_by_its_id_alone_and_from_another_folder() {
    let sandbox = stopped();
    sandbox.write("sub/other", "");
    let resume = format!("--resume={}", run_id(&sandbox));
    let said = sandbox
        .mesh(&["-C", "sub", "spawn", &resume, "--json"])
        .exits(0);
    let summary: Value =
        serde_json::from_str(said.out.lines().last().expect("a line")).expect("an object");
    assert_eq!(summary["completed_items"], 3);
    assert_eq!(table(&sandbox, "status"), "completed\ncompleted\ncompleted");
}

#[test]
fn a_run_resumes_without_its_input_file() {
    let sandbox = stopped();
    std::fs::remove_file(sandbox.path("in.csv")).expect("it was there");
    sandbox.mesh("spawn in.csv --resume").exits(0);
    assert_eq!(
        table(&sandbox, "id status"),
        "1 | completed\n2 | completed\n3 | completed"
    );
}

#[test]
fn a_run_is_found_where_its_artifacts_are() {
    let sandbox = with_rows("id,mock\n1,stop\n2,good\n");
    let options = "--artifacts 'runs here' -j 1";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    sandbox.mesh("spawn in.csv --resume").exits(2);
    let args = "spawn in.csv --resume --artifacts 'runs here'";
    sandbox.mesh(args).exits(0);
    assert_eq!(table(&sandbox, "status"), "completed\ncompleted");
}

#[test]
fn of_several_runs_the_latest_over_the_input_is_resumed() {
    let sandbox = with_rows("id,mock\n1,stop\n2,good\n");
    sandbox.write("other.csv", "id,mock\n1,stop\n2,good\n");
    let agent = fake_agent();
    // The names say nothing of the order.
    for (name, input) in [("c", "in.csv"), ("a", "in.csv"), ("b", "other.csv")] {
        let output = format!("{name}.out.csv");
        let mut args = vec![
            "spawn",
            input,
            "--instruction",
            "x",
            "-j",
            "1",
            "--env",
            "MESH",
        ];
        args.extend([
            "--run-id", name, "-o", &output, "--", &agent, "--as", "{mock}",
        ]);
        sandbox.mesh(&args).exits(4);
    }
    let before = ["b", "c"].map(|run| ledger_of(&sandbox, run));
    let said = sandbox.mesh("spawn in.csv --resume").exits(0);
    said.out_ends_with("a.out.csv\n");
    assert_eq!(["b", "c"].map(|run| ledger_of(&sandbox, run)), before);
}

#[test]
fn cancelling_a_missing_run_is_refused() {
    let sandbox = with_rows("id\na\n");
    sandbox.write("other.csv", "id\na\n");
    spawn_agent(&sandbox, "", "--good");
    for (args, why) in [
        (&["spawn", "--resume"][..], "no run to resume"),
        (&["spawn", "other.csv", "--resume"], "no run of "),
        (&["spawn", "no.csv", "--resume"], "no run of "),
        (&["spawn", "--resume=nope"], "no run `nope`"),
        (&["spawn", "in.csv", "--resume=../x"], "no run `../x`"),
        (&["resume", "nope"], "no run `nope`"),
        (
            &[
                "spawn",
                "in.csv",
                "--instruction",
                "x",
                "--reuse",
                "nope",
                "--",
                "true",
            ],
            "no run `nope`",
        ),
        (
            &[
                "spawn",
                "in.csv",
                "--instruction",
                "x",
                "--retry-failed",
                "--",
                "true",
            ],
            "--resume",
        ),
    ] {
        let said = sandbox.mesh(args);
        assert_eq!(said.code, 2, "{args:?}: {}", said.err);
        assert!(said.err.contains(why), "{args:?}: {}", said.err);
        assert_eq!(runs(&sandbox).len(), 1, "{args:?}");
    }
}

#[test]
fn settings_outside_the_command_line_do_not_change_a_resumed_run() {
    let sandbox = stopped();
    sandbox.write(
        "mesh.yaml",
        "rows: '1'\nflatten: true\nmax_concurrency: 4\n",
    );
    sandbox
        .command("spawn in.csv --resume")
        .env("MESH_HALT", "now,done=1")
        .env("MESH_INSTRUCTION", "x")
        .run_to_end()
        .exits(0);
    assert_eq!(rows(&sandbox).len(), 3);
}

/// A job of which row 2 failed for want of a file.
fn failed() -> Sandbox {
    let sandbox = with_rows("id\n1\n2\n3\n");
    sandbox.write("needed.1", "");
    sandbox.write("needed.3", "");
    let options = "--id-column id --instruction 'work {id}'";
    let agent = fake_agent();
    let command = [&agent, "--log", "log", "--needs", "needed.{id}", "--echo"];
    spawn(&sandbox, options, &command).exits(1);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | failed | 1\n3 | completed | 1"
    );
    assert_eq!(worked(&sandbox), "1 2 3");
    sandbox
}

#[test]
fn only_failed_rows_are_retried() {
    for by_input in [false, true] {
        let sandbox = failed();
        let before = rows(&sandbox);
        sandbox.write("needed.2", "");
        let said = match by_input {
            true => sandbox.mesh("spawn in.csv --resume --retry-failed"),
            false => sandbox.mesh(&["resume", &run_id(&sandbox), "--retry-failed"]),
        };
        assert_eq!(said.code, 0, "{}", said.err);
        said.err_has("retrying 1 failed row");
        assert_eq!(worked(&sandbox), "2");
        assert_eq!(
            table(&sandbox, &COLUMNS),
            "1 | completed | 1\n2 | completed | 2\n3 | completed | 1"
        );
        let after = rows(&sandbox);
        assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
        assert!(after[1]["result_json"].contains("worker_exit: exit code 3"));
        let reopened = sandbox.events();
        let reopened = reopened.iter().find(|(name, _)| name == "rows_reopened");
        assert_eq!(reopened.expect("an event").1["rows"], 1);
    }
}

#[test]
fn a_row_that_fails_again_is_failed_and_its_retries_start_over() {
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "--retries 1", "--never").exits(1);
    assert_eq!(table(&sandbox, &COLUMNS), "row-1 | failed | 2");
    for attempts in ["4", "6"] {
        sandbox
            .mesh(&["resume", &run_id(&sandbox), "--retry-failed"])
            .exits(1);
        assert_eq!(
            table(&sandbox, &COLUMNS),
            format!("row-1 | failed | {attempts}")
        );
    }
}

#[test]
fn without_failed_rows_retry_starts_nothing() {
    let sandbox = with_rows("id\n1\n2\n");
    spawn_agent(&sandbox, "", "--good");
    let before = sandbox.read("out.csv");
    sandbox
        .mesh(&["resume", &run_id(&sandbox), "--retry-failed"])
        .exits(0);
    assert_eq!(sandbox.read("out.csv"), before);
    assert_eq!(occurred(&sandbox, "attempt_started", "row-1"), 1);
}

#[test]
fn failed_and_pending_rows_are_retried_together() {
    let sandbox = with_rows("id,mock\n1,never\n2,stop\n3,good\n");
    let options = "--id-column id -j 1 --retries 0";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    sandbox
        .mesh("spawn in.csv --resume --retry-failed")
        .exits(1);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | failed | 2\n2 | completed | 1\n3 | completed | 1"
    );
}

/// `mesh spawn in.csv --reuse RUN`, whose workers write down what they work.
fn reuse(sandbox: &Sandbox, run: &str, options: impl Into<Args>) -> Said {
    let options = Args::from(&["--force", "--reuse", run]).and(options);
    spawn_agent(sandbox, options, "--log log --as {mock}")
}

/// A sandbox with the outcome of a first run, and the name of that.
fn with_first_run(input: &str, options: impl Into<Args>) -> (Sandbox, String) {
    let sandbox = with_rows(input);
    spawn_agent(&sandbox, options, "--log log --as {mock}");
    worked(&sandbox);
    let run = run_id(&sandbox);
    (sandbox, run)
}

#[test]
fn rows_with_the_same_question_are_reused_without_a_worker() {
    let (sandbox, run) = with_first_run("mock\ngood\nreport\nfile\n", "");
    let columns = "item_id status last_error result_json";
    let before = table(&sandbox, columns);
    let said = reuse(&sandbox, &run, "").exits(0);
    said.err_has(&format!("reused the results of 3 rows from run {run}"));
    assert_eq!(worked(&sandbox), "");
    assert_eq!(table(&sandbox, columns), before);
    assert_eq!(table(&sandbox, "attempt_count"), "0\n0\n0");
    let second = runs(&sandbox).pop().expect("a run");
    let ledger = ledger_of(&sandbox, &second);
    assert_eq!(ledger.matches(r#""via":"reuse""#).count(), 3);
    // And what was taken over can be taken over.
    reuse(&sandbox, &second, "").exits(0);
    assert_eq!(worked(&sandbox), "");
    assert_eq!(table(&sandbox, columns), before);
}

#[test]
fn only_new_changed_or_unfinished_rows_are_run() {
    let (sandbox, run) = with_first_run(
        "id,mock\n1,good\n2,never\n3,good\n4,good\n",
        "--id-column id --retries 0",
    );
    // 3 moved to the front, 4 changed, 5 is new.
    sandbox.write(
        "in.csv",
        "id,mock\n3,good\n1,good\n2,never\n4,prose\n5,good\n",
    );
    reuse(&sandbox, &run, "--id-column id --retries 0").exits(1);
    assert_eq!(worked(&sandbox), "2 4 5");
    assert_eq!(
        table(&sandbox, "item_id status attempt_count result_json"),
        "3 | completed | 0 | {\"answer\":\"3\",\"n\":1}\n\
         1 | completed | 0 | {\"answer\":\"1\",\"n\":1}\n\
         2 | failed | 1 |\n\
         4 | completed | 1 | {\"answer\":\"4\",\"n\":1}\n\
         5 | completed | 1 | {\"answer\":\"5\",\"n\":1}"
    );
}

#[test]
fn a_changed_header_is_a_changed_question() {
    let (sandbox, run) = with_first_run("id,mock\n1,good\n", "");
    sandbox.write("in.csv", "key,mock\n1,good\n");
    reuse(&sandbox, &run, "").exits(0);
    assert_eq!(worked(&sandbox), "row-1");
}

#[test]
fn reused_results_are_copied_unchanged() {
    let sandbox =
        with_rows("r\n\"{\"\"z\"\":1.0,\"\"a\"\":12345678901234567890,\"\"e\"\":\"\"ü\"\"}\"\n");
    let command = "printf %s {r}";
    spawn(&sandbox, "", command);
    let before = table(&sandbox, "result_json");
    let run = run_id(&sandbox);
    spawn(&sandbox, &["--force", "--reuse", &run], command).exits(0);
    assert_eq!(table(&sandbox, "result_json"), before);
    assert_eq!(before, r#"{"z":1.0,"a":12345678901234567890,"e":"ü"}"#);
}

/// Asks a second run for something else, and expects to hear what.
fn not_reused(
    options: impl Into<Args>,
    agent: impl Into<Args>,
    what: &str,
    between: impl FnOnce(&Sandbox),
) {
    let sandbox = Sandbox::with_repo(&[("in.csv", "id\na\n"), ("schema.json", SCHEMA)]);
    spawn_agent(&sandbox, "", "--good");
    let run = run_id(&sandbox);
    let before = sandbox.read("out.csv");
    between(&sandbox);
    let options = Args::from(&["--force", "--reuse", &run]).and(options);
    let said = spawn_agent(&sandbox, options, agent);
    assert_eq!(said.code, 2, "{what}: {}", said.err);
    let why = format!("nothing of run `{run}` can be reused: its {what} is different");
    assert!(said.err.contains(&why), "{what}: {}", said.err);
    assert_eq!(sandbox.read("out.csv"), before, "{what}");
    assert_eq!(runs(&sandbox), [run], "{what}: a run was begun");
}

#[test]
fn reusing_a_run_with_another_question_is_refused() {
    let nothing = |_: &Sandbox| ();
    not_reused("--instruction x", "--good", "instruction", nothing);
    let schema = ["--output-schema", "schema.json"];
    not_reused(&schema, "--good", "output schema", nothing);
    not_reused("", "--prose", "worker command", nothing);
    not_reused("", "--good", "base commit", |sandbox| {
        sandbox.git("commit --quiet --allow-empty -m next");
    });
}

#[test]
fn options_that_do_not_affect_results_allow_reuse() {
    let (sandbox, run) = with_first_run("id,mock\n1,good\n2,good\n3,good\n", "");
    let options = "-j 1 --retries 3 --id-column id --rows 2-";
    reuse(&sandbox, &run, options).exits(0);
    assert_eq!(worked(&sandbox), "");
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "2 | completed | 0\n3 | completed | 0"
    );
}

#[test]
fn a_killed_reusing_run_can_be_resumed() {
    let (sandbox, run) = with_first_run("id,mock\n1,good\n2,good\n", "--id-column id");
    sandbox.write("in.csv", "id,mock\n1,good\n2,good\n3,good\n4,good\n");
    let agent = fake_agent();
    let options = ["--force", "--reuse", &run, "--id-column", "id", "-j", "1"];
    // Record 1 begins the run, 2 to 5 are what is taken over.
    for seq in 2..=10 {
        let id = format!("second-{seq}");
        let options = Args::from(&["--run-id", &id]).and(&options);
        let args = arguments(options, &[&agent, "--log", "log", "--as", "{mock}"]);
        let mut mesh = sandbox.command(&args);
        mesh.env("MESH_FAULT_KILL", format!("after:{seq}"))
            .env("MESH", "");
        let code = mesh.run_to_end().code;
        assert_eq!(code, 137, "{seq}");
        let said = sandbox.mesh(&["resume", &id]);
        assert_eq!(said.code, 0, "{seq}: {}", said.err);
        assert_eq!(
            table(&sandbox, "item_id status"),
            "1 | completed\n2 | completed\n3 | completed\n4 | completed",
            "{seq}"
        );
        let worked = worked(&sandbox);
        assert!(!worked.contains(['1', '2']), "{seq}: {worked}");
    }
}

#[test]
fn a_killed_reuse_completes_on_resume_without_starting_workers() {
    let ids: String = (1..=600).map(|n| format!("{n}\n")).collect();
    let script = r#"echo "$MESH_ITEM_ID" >>log; echo '{"n":1}'"#;
    let (options, command) = (["--id-column", "id", "-j", "8"], ["sh", "-c", script]);
    let sandbox = with_rows(&format!("id\n{ids}"));
    spawn(&sandbox, &options, &command).exits(0);
    let first = run_id(&sandbox);
    let worked = sandbox.read("log");
    let again = [
        &options[..],
        &["--force", "--reuse", &first, "--run-id", "second"],
    ]
    .concat();
    sandbox
        .command(arguments(&again, &command))
        .env("MESH_FAULT_KILL", "after:100")
        .run_to_end()
        .exits(137);
    let said = sandbox.mesh("resume second").exits(0);
    said.err_has("reused the results of");
    assert_eq!(sandbox.read("log"), worked, "nobody was asked again");
    assert!(
        rows(&sandbox)
            .iter()
            .all(|row| row["status"] == "completed")
    );
}

#[test]
fn a_result_that_the_new_job_would_refuse_is_not_reused() {
    let sandbox = with_schema("id\n1\n");
    let options = "--id-column id --output-schema schema.json";
    let command = ["sh", "-c", r#"echo "{\"answer\":\"=1+1\"}""#];
    spawn(&sandbox, options, &command).exits(0);
    let first = run_id(&sandbox);
    let strict = format!("--force --reuse {first} --flatten --formula-cells reject --retries 0");
    let said = spawn(&sandbox, Args::from(options).and(&strict), &command).exits(1);
    said.err_has("reused the results of 0 rows");
}
