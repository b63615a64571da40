//! The ways in which a result comes back, and when it is refused.

use super::*;

#[test]
fn every_reporting_channel_gives_the_same_result() {
    for way in ["--good", "--file", "--report", "--prose"] {
        let sandbox = with_schema("id\na\n");
        let options = "--output-schema schema.json";
        let said = spawn_agent(&sandbox, options, &[way]);
        assert_eq!(said.code, 0, "{way}: {}", said.err);
        assert_eq!(
            ended(&sandbox),
            r#"completed | 1 |  | {"answer":"row-1","n":1}"#,
            "{way}"
        );
    }
}

/// Too long for a socket: nothing of it may be in the temporary folder, where a killed run would leave it.
#[test]
fn a_report_comes_back_whatever_the_length_of_the_path_of_the_run() {
    let sandbox = with_rows("id\na\n");
    let home = sandbox.beside(&"h".repeat(150));
    let temporary = sandbox.beside("temporary");
    std::fs::create_dir(&temporary).expect("a folder");
    let script = r#""$MESH" report-result --result '{"n":1}' >&2
        printf '%s' "$MESH_REPORT_SOCKET" >socket; ls -A "$TMPDIR" >listed"#;
    sandbox
        .command(arguments("--env MESH", &["sh", "-c", script]))
        .env("MESH_HOME", &home)
        .env("TMPDIR", &temporary)
        .run_to_end()
        .exits(0);
    assert_eq!(ended(&sandbox), r#"completed | 1 |  | {"n":1}"#);
    assert!(Path::new(&sandbox.read("socket")).starts_with(&home));
    assert_eq!(sandbox.read("listed"), "");
}

#[test]
fn a_report_counts_before_the_file_and_the_file_before_the_output() {
    let report = r#""$MESH" report-result --result '{"via":"report"}' >/dev/null;"#;
    let file = r#"echo '{"via":"file"}' >"$MESH_RESULT_FILE";"#;
    let output = r#"echo '{"via":"output"}'"#;
    for (script, via) in [
        (format!("{report}{file}{output}"), "report"),
        (format!("{file}{output}"), "file"),
        (output.to_owned(), "output"),
    ] {
        let sandbox = with_rows("id\na\n");
        spawn(&sandbox, "--env MESH", &["sh", "-c", &script]);
        assert_eq!(result(&sandbox)["via"], via);
    }
}

#[test]
fn the_last_json_object_in_prose_is_the_answer() {
    let fences = "```json\n{\"n\":1}\n```\n```json\n{\"n\":2}\n```\nbye\n";
    let lines = "log\n{\"n\":1}\n{\"n\":2}\nbye\n";
    for text in [fences, lines] {
        let sandbox = with_rows("id\na\n");
        spawn(&sandbox, "", &["printf", "%s", text]);
        assert_eq!(ended(&sandbox), r#"completed | 1 |  | {"n":2}"#);
    }
}

#[test]
fn an_accepted_report_is_kept_whatever_the_exit_code() {
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "", "--report-then-exit 9").exits(0);
    assert_eq!(
        ended(&sandbox),
        r#"completed | 1 |  | {"answer":"row-1","n":1}"#
    );
    assert_eq!(sandbox.read("said"), "{\"accepted\":true}\n");
}

#[test]
fn only_the_first_report_counts() {
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "", "--twice");
    assert_eq!(
        ended(&sandbox),
        r#"completed | 1 |  | {"answer":"row-1","n":1}"#
    );
    assert_snapshot!(sandbox.read("said"), @r#"
    {"accepted":true}
    {"accepted":false,"reason":"a result was already reported for this attempt"}
    "#);
}

#[test]
fn a_report_with_the_wrong_token_is_refused() {
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "--retries 0", "--foreign").exits(1);
    // The last command of the worker failed, and with it the worker.
    assert_eq!(table(&sandbox, "status result_json"), "failed |");
    assert_eq!(
        sandbox.read("said"),
        "{\"accepted\":false,\"reason\":\"wrong token for this attempt\"}\n"
    );
}

#[test]
fn a_report_for_another_item_is_refused() {
    let sandbox = with_rows("id\na\n");
    let script = r#"MESH_ITEM_ID=other "$MESH" report-result --result '{}' >answer"#;
    let options = "--retries 0 --env MESH";
    spawn(&sandbox, options, &["sh", "-c", script]).exits(1);
    assert_eq!(
        sandbox.read("answer"),
        "{\"accepted\":false,\"reason\":\"this token belongs to item `row-1`, not to `other`\"}\n"
    );
}

#[test]
fn a_report_that_violates_the_schema_can_be_corrected() {
    let sandbox = with_schema("id\na\n");
    let options = "--output-schema schema.json";
    spawn_agent(&sandbox, options, "--fix").exits(0);
    assert_eq!(
        ended(&sandbox),
        r#"completed | 1 |  | {"answer":"row-1","n":1}"#
    );
    assert_snapshot!(sandbox.read("said"), @r#"
    {"accepted":false,"reason":"the result does not fit the schema: /answer: value is not of type \"string\""}
    {"accepted":true}
    "#);
}

#[test]
fn a_report_that_is_not_an_object_is_refused() {
    let sandbox = with_rows("id\na\n");
    let script = r#"echo '[1]' | "$MESH" report-result >answer; echo $? >>answer"#;
    spawn(&sandbox, "--env MESH", &["sh", "-c", script]);
    assert_eq!(
        sandbox.read("answer"),
        "{\"accepted\":false,\"reason\":\"the result must be a JSON object, not an array\"}\n1\n"
    );
}

#[test]
fn a_report_from_a_file_and_from_standard_input() {
    for how in [
        "--result @answer.json",
        "--result - <answer.json",
        "<answer.json",
    ] {
        let sandbox = with_rows("id\na\n");
        sandbox.write("answer.json", "{\"from\":\"file\"}\n");
        let script = format!(r#""$MESH" report-result {how}"#);
        spawn(&sandbox, "--env MESH", &["sh", "-c", &script]);
        assert_eq!(
            ended(&sandbox),
            r#"completed | 1 |  | {"from":"file"}"#,
            "{how}"
        );
    }
}

#[test]
fn a_report_after_the_attempt_is_refused() {
    let sandbox = with_rows("id\n1\n2\n");
    let script = r#"if [ $MESH_ITEM_ID = 1 ]; then env >identity; else until [ -e open ]; do sleep 0.02; done; echo '{}'; fi"#;
    let options = "--id-column id --retries 0";
    let mesh = start(&sandbox, options, &["sh", "-c", script]);
    wait_for("the first row is over", || {
        ledger(&sandbox).contains("\"attempt_finished\"")
    });
    let identity = sandbox.read("identity");
    let variables = identity.lines().filter_map(|line| line.split_once('='));
    let late = sandbox
        .command("report-result --result {}")
        .envs(variables.filter(|(name, _)| name.starts_with("MESH_")))
        .run_to_end();
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 1);
    assert_eq!(late.code, 1);
    assert_eq!(
        late.out,
        "{\"accepted\":false,\"reason\":\"this attempt is over\"}\n"
    );
    assert_eq!(
        table(&sandbox, "item_id status"),
        "1 | failed\n2 | completed"
    );
    let later = sandbox
        .command("report-result --result {}")
        .envs(identity.lines().filter_map(|line| line.split_once('=')))
        .run_to_end();
    assert_eq!(
        (later.code, later.out),
        (late.code, late.out),
        "also when the job is over"
    );
}

#[test]
fn a_report_outside_of_a_worker_is_refused() {
    let sandbox = Sandbox::new();
    let said = sandbox.mesh("report-result --result {}").exits(2);
    said.err_has("works only inside a worker");
}

#[test]
fn a_stop_ends_the_job_early() {
    let sandbox = with_rows("id,mock\n1,good\n2,stop\n3,good\n");
    let options = "--id-column id -j 1 --json";
    let said = spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    assert_eq!(
        table(&sandbox, "item_id status attempt_count"),
        "1 | completed | 1\n2 | completed | 1\n3 | pending | 0"
    );
    let summary: Value =
        serde_json::from_str(said.out.lines().last().expect("a line")).expect("an object");
    assert_eq!(summary["status"], "cancelled");
    assert_eq!(summary["job_error"], "cancelled by worker request");
    said.err_has(&format!("mesh resume {}", run_id(&sandbox)));
}

#[test]
fn recorded_answers_give_the_same_results() {
    let sandbox = with_rows("id\na\nb/c\nunit.vote.critic.1\n");
    let options = "--id-column id --record answers";
    spawn_agent(&sandbox, options, "--good").exits(0);
    let first = table(&sandbox, "item_id status result_json");
    let mut args = vec!["spawn", "in.csv", "--instruction", "x", "--id-column", "id"];
    args.extend([
        "-o",
        "out.csv",
        "--force",
        "--adapter",
        "replay",
        "--answers",
        "answers",
    ]);
    sandbox.mesh(&args).exits(0);
    assert_eq!(table(&sandbox, "item_id status result_json"), first);
}
