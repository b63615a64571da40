//! The edges: limits, odd files, odd streams, odd terminals.

use super::*;
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_stopped_job_can_be_resumed() {
    let sandbox = with_rows("id,mock\n1,good\n2,stop\n3,good\n4,good\n");
    let options = "--id-column id -j 1";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, "item_id status attempt_count"),
        "1 | completed | 1\n2 | completed | 1\n3 | completed | 1\n4 | completed | 1"
    );
}

#[test]
fn numeric_limits_may_be_u64_max() {
    let most = u64::MAX.to_string();
    for name in [
        "--max-runtime-seconds",
        "--grace-seconds",
        "--result-bytes-max",
    ] {
        for way in ["--good", "--file", "--report"] {
            let sandbox = with_rows("id\na\n");
            let said = spawn_agent(&sandbox, &[name, &most], &[way]);
            assert_eq!(said.code, 0, "{name} {way}: {}", said.err);
            assert_eq!(
                ended(&sandbox),
                r#"completed | 1 |  | {"answer":"row-1","n":1}"#,
                "{name} {way}"
            );
        }
    }
}

#[test]
fn output_that_was_cut_off_is_never_a_result() {
    let sandbox = with_rows("id\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    let script =
        r#"echo '{"stale":1}'; head -c 8388700 /dev/zero | tr '\0' x; echo; echo '{"final":2}'"#;
    spawn(&sandbox, "-j 2", &["sh", "-c", script]);
    for row in rows(&sandbox) {
        assert_eq!(row["result_json"], "", "{row:?}");
        assert_eq!(
            row["last_error"],
            "output_too_large: more than 8388608 bytes on standard output"
        );
    }
}

#[test]
fn too_few_file_descriptors_for_the_pool_are_refused_before_a_row_starts() {
    let sandbox = Sandbox::new();
    let ids: String = (1..=120).map(|n| format!("{n}\n")).collect();
    sandbox.write("in.csv", &format!("id\n{ids}"));
    let args = arguments("-j 120", "touch started");
    let said = sandbox
        .shell("ulimit -n 256; exec \"$@\"", args)
        .run_to_end()
        .exits(3);
    said.err_has("120 workers at once need 1024 open files");
    assert!(!sandbox.path("started").exists());
}

#[test]
fn a_relative_home_works_in_another_folder() {
    for way in ["--file", "--report"] {
        let sandbox = Sandbox::new();
        sandbox.write("sub/in.csv", "id\na\n");
        let agent = fake_agent();
        let args = Args::from("-C sub").and(arguments("--env MESH", &[&agent, way]));
        let said = sandbox
            .command(&args)
            .env("MESH_HOME", "state")
            .run_to_end();
        assert_eq!(said.code, 0, "{way}: {}", said.err);
    }
}

#[test]
fn the_command_line_counts_before_the_file_also_for_the_instruction() {
    let sandbox = with_rows("id\na\n");
    sandbox.write("i.md", "from the file");
    for (yaml, variable, options, wanted) in [
        (
            "instruction: from mesh.yaml\n",
            None,
            &[][..],
            "from mesh.yaml",
        ),
        ("instruction_file: i.md\n", None, &[], "from the file"),
        (
            "instruction_file: i.md\n",
            None,
            &["--instruction", "typed"],
            "typed",
        ),
        (
            "",
            Some("variable"),
            &["--instruction-file", "i.md"],
            "from the file",
        ),
    ] {
        sandbox.write("mesh.yaml", yaml);
        let mut args = vec!["spawn", "in.csv", "--dry-run"];
        args.extend(options);
        args.extend(["--", "true"]);
        let said = sandbox
            .command(&args)
            .envs(variable.map(|value| ("MESH_INSTRUCTION", value)))
            .run_to_end();
        assert!(
            said.out.contains(&format!("\n\n{wanted}\n\n")),
            "{yaml} {options:?}: {}{}",
            said.out,
            said.err
        );
    }
}

#[test]
fn a_large_result_file_is_too_large() {
    let sandbox = with_rows("id\na\n");
    let script = r#"printf '{"a":"%0200d"}' 1 >"$MESH_RESULT_FILE""#;
    spawn(&sandbox, "--result-bytes-max 100", &["sh", "-c", script]);
    assert!(
        ended(&sandbox).starts_with("failed | 1 | output_too_large: "),
        "{}",
        ended(&sandbox)
    );
}

#[test]
fn the_last_line_of_long_standard_error_is_reported() {
    let sandbox = with_rows("id\na\n");
    let script = "yes noise | head -n 20000 >&2; echo 'the real error' >&2; exit 3";
    spawn(&sandbox, "", &["sh", "-c", script]);
    assert_eq!(
        ended(&sandbox),
        "failed | 1 | worker_exit: exit code 3: the real error |"
    );
}

#[test]
fn an_output_below_a_file_is_refused_at_the_start() {
    for output in ["in.csv/out.csv", "new/"] {
        let sandbox = with_rows("id\na\n");
        let said = spawn(&sandbox, &["-o", output], "touch started");
        assert_eq!(said.code, 2, "{output}: {}", said.err);
        assert!(!sandbox.path("started").exists(), "{output}");
    }
}

#[test]
fn line_numbers_count_blank_lines_and_both_line_ends() {
    for (input, line) in [
        ("id,m\n1,a\n\n\n2\n", 5),
        ("id,m\r\n1,a\r\n2,b\r\n3\r\n", 4),
    ] {
        let sandbox = with_rows(input);
        let said = spawn(&sandbox, "", "true");
        assert!(
            said.err.contains(&format!("line {line},")),
            "{input:?}: {}",
            said.err
        );
    }
}

#[test]
fn an_ignored_hang_up_stays_ignored() {
    let sandbox = with_rows("id\n1\n");
    let agent = fake_agent();
    let talk = std::fs::File::create(sandbox.path("talk")).expect("a file");
    let args = arguments("--id-column id", &[&agent, "--gate", "."]);
    let mut shell = sandbox.shell("trap '' HUP; exec \"$@\"", args);
    let mesh = shell.stderr(talk).spawn().expect("sh starts");
    wait_for("the row has begun", || sandbox.path("began.1").exists());
    kill_process(Pid::from_child(&mesh), Signal::HUP).expect("there");
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0, "{}", sandbox.read("talk"));
}

#[test]
fn runs_show_prints_json() {
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "", "--good");
    let said = sandbox.mesh(&["runs", "show", &run_id(&sandbox), "--json"]);
    let object: Value = serde_json::from_str(&said.out).expect("one object");
    assert_eq!(object["mesh_run_id"], run_id(&sandbox).as_str());
}

#[test]
fn an_input_may_be_a_pipe() {
    let sandbox = with_rows("id\na\n");
    let args = "spawn /dev/stdin --instruction x -o out.csv -- echo {}";
    sandbox
        .shell("cat in.csv | \"$@\"", args)
        .run_to_end()
        .exits(0);
}

#[test]
fn reported_at_is_the_time_of_the_report() {
    let sandbox = with_rows("id\na\n");
    let script = r#""$MESH" report-result --result '{}' && sleep 2"#;
    spawn(&sandbox, "--env MESH", &["sh", "-c", script]);
    let row = &rows(&sandbox)[0];
    assert!(row["reported_at"] < row["completed_at"], "{row:?}");
}

#[test]
fn a_ledger_that_cannot_be_written_is_not_the_users_input() {
    let sandbox = with_rows("id\n1\n2\n3\n4\n");
    let args = arguments("-j 2", &["sh", "-c", "printf '{\"a\":\"%03000d\"}' 0"]);
    let said = sandbox.shell(FILE_SIZE_LIMIT, args).run_to_end().exits(4);
    said.err_has("the run is resumable");
    said.err_has("ulimit -f");
}

#[test]
fn renaming_a_missing_column_is_refused() {
    let sandbox = with_rows("id\na\n");
    spawn(&sandbox, "--rename Id=x", "true").exits(2);
}
#[test]
fn a_report_that_is_not_json_is_answered() {
    let sandbox = with_rows("id\na\n");
    let script = r#""$MESH" report-result --result 'oops' >answer; echo $? >>answer"#;
    spawn(&sandbox, "--env MESH", &["sh", "-c", script]);
    let answer = sandbox.read("answer");
    assert!(
        answer.starts_with("{\"accepted\":false,\"reason\":") && answer.ends_with("\n1\n"),
        "{answer}"
    );
}
