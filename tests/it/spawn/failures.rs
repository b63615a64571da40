//! How rows fail, and that nothing of a failed worker is left.

use super::*;

/// How the only row ends with this behaviour, and the exit code.
fn ends(options: impl Into<Args>, behaviour: impl Into<Args>) -> String {
    let sandbox = with_schema("id\na\n");
    let options = Args::from("--output-schema schema.json").and(options);
    spawn_agent(&sandbox, options, behaviour).exits(1);
    ended(&sandbox)
}

#[test]
fn each_failure_has_its_code_and_message() {
    assert_snapshot!(ends("--retries 0", "--never"), @"failed | 1 | no_response: the worker ended without a report, a result file or any output |");
    assert_snapshot!(ends("--retries 0", "--broken"), @"failed | 1 | invalid_output_schema: the answer is not valid UTF-8: byte 0xFF at line 1 column 1 (byte offset 0) |");
    assert_snapshot!(ends("--retries 0", "--bad"), @r#"failed | 1 | invalid_output_schema: /answer: value is not of type "string" |"#);
    assert_snapshot!(ends("", "--exit 3"), @"failed | 1 | worker_exit: exit code 3 |");
    assert_snapshot!(ends("", "--flood"), @"failed | 1 | output_too_large: more than 8388608 bytes on standard output |");
    assert_snapshot!(ends("--result-bytes-max 10", "--good"), @"failed | 1 | output_too_large: the result has 24 bytes; at most 10 are allowed |");
}

#[test]
fn an_exit_code_comes_with_the_last_line_of_standard_error() {
    let sandbox = with_rows("id\na\n");
    let script = "echo first >&2; echo 'went wrong' >&2; echo >&2; exit 3";
    spawn(&sandbox, "", &["sh", "-c", script]);
    assert_eq!(
        ended(&sandbox),
        "failed | 1 | worker_exit: exit code 3: went wrong |"
    );
    let logs = sandbox.only_run().join("logs/001/row-1.1.err");
    let log = read_file(logs);
    assert_eq!(log, "first\nwent wrong\n\n");
}

#[test]
fn a_worker_killed_by_a_signal_is_reported_with_it() {
    let sandbox = with_rows("id\na\n");
    spawn(&sandbox, "", "sh -c 'kill -9 $$'");
    assert_eq!(
        ended(&sandbox),
        "failed | 1 | worker_exit: ended by signal 9 |"
    );
}

#[test]
fn retries_are_limited_to_transient_failures() {
    assert!(ends("", "--never").starts_with("failed | 2 | no_response: "));
    assert!(ends("--retries 2", "--bad").starts_with("failed | 3 | invalid_output_schema: "));
    assert!(ends("--retries 2", "--exit 1").starts_with("failed | 1 | worker_exit: "));
}

#[test]
fn a_retry_can_heal_and_its_prompt_says_what_was_wrong() {
    let sandbox = with_schema("id\na\n");
    let options = "--output-schema schema.json";
    spawn_agent(&sandbox, options, "--heal").exits(0);
    assert_eq!(
        ended(&sandbox),
        r#"completed | 2 |  | {"answer":"row-1","n":1}"#
    );

    let sandbox = with_schema("id\na\n");
    let script = r#"if [ $MESH_ATTEMPT = 1 ]; then echo '{"answer":5}'; else printf '{"answer":%s}' "$("$0")"; fi"#;
    spawn(&sandbox, options, &["sh", "-c", script, &json_string()]);
    let result = result(&sandbox);
    let prompt = result["answer"].as_str().expect("a prompt");
    let (_, feedback) = prompt
        .split_once("Then stop.\n")
        .expect("the end of a prompt");
    assert_snapshot!(feedback, @r#"
    # Your previous attempt failed

    invalid_output_schema: /answer: value is not of type "string"

    Fix exactly that.
    "#);
}

/// Whether none of the processes that a worker listed in `pids` is left.
fn all_gone(sandbox: &Sandbox) -> bool {
    let is_alive = |pid: &str| {
        let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output();
        let state = state.expect("ps starts").stdout;
        !state.is_empty() && !state.starts_with(b"Z")
    };
    let pids = sandbox.read("pids");
    assert_eq!(pids.lines().count(), 2);
    !pids.lines().any(is_alive)
}

#[test]
fn a_worker_that_ignores_sigterm_is_killed_with_its_children() {
    let sandbox = with_rows("id\na\n");
    let script =
        "trap '' TERM; sleep 600 & echo $$ $! | tr ' ' '\\n' >pids; while :; do sleep 1; done";
    let options = "--max-runtime-seconds 5 --grace-seconds 0 --retries 0";
    spawn(&sandbox, options, &["sh", "-c", script]);
    assert_eq!(
        ended(&sandbox),
        "failed | 1 | timeout: worker exceeded max runtime of 5s |"
    );
    wait_for("the whole group is gone", || all_gone(&sandbox));
}

#[test]
fn processes_left_by_a_worker_are_ended_without_delay() {
    let sandbox = with_rows("id\na\n");
    let script = "sleep 600 & echo $$ $! | tr ' ' '\\n' >pids; echo '{}'";
    spawn(&sandbox, "", &["sh", "-c", script]).exits(0);
    wait_for("the whole group is gone", || all_gone(&sandbox));
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "", "--fork").exits(0);
}

#[test]
fn a_program_that_cannot_start_fails_every_row() {
    let sandbox = with_rows("id\na\n");
    write_program(&sandbox.path("agent"), "#!/nonexistent/interpreter\n");
    spawn(&sandbox, "", "./agent").exits(1);
    assert!(ended(&sandbox).starts_with("failed | 1 | spawn_failed: "));
}

#[test]
fn a_row_shown_in_full_has_the_prompt_of_every_retry() {
    let sandbox = with_schema("id\na\n");
    let options = "--id-column id --output-schema schema.json";
    spawn_agent(&sandbox, options, "--heal");
    let shown = sandbox.mesh(&["runs", "show", &run_id(&sandbox), "--row", "a"]);
    let (first, second) = shown.out.split_once("\nAttempt 2: ").expect("two attempts");
    assert!(!first.contains("Your previous attempt failed"), "{first}");
    assert_contains(
        second,
        "added to its prompt:\n    # Your previous attempt failed\n",
    );
    assert_contains(second, "invalid_output_schema");
}
