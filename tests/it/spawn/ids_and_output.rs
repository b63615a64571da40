//! Item ids, output columns, where the output goes.

use super::*;

#[test]
fn repeated_and_blank_ids() {
    let sandbox = with_rows("id\na\na\na-2\na\n\" \"\nrow-7\n\" \"\n");
    spawn_agent(&sandbox, "--id-column id", "--good").exits(0);
    assert_snapshot!(table(&sandbox, "row_index item_id source_id"), @r"
    0 | a | a
    1 | a-2 | a
    2 | a-2-2 | a-2
    3 | a-3 | a
    4 | row-5 |
    5 | row-7 | row-7
    6 | row-7-2 |
    ");
}

#[test]
fn input_columns_stay_as_they_are_also_one_named_like_ours() {
    let sandbox =
        with_rows("status,\"a,b\"\r\n x ,\"say \"\"hi\"\"\"\r\nplain,\"two\r\nlines\"\r\n");
    spawn_agent(&sandbox, "", "--good");
    assert_eq!(
        redacted(&sandbox.read("out.csv")),
        "status,\"a,b\",job_id,item_id,row_index,source_id,status,attempt_count,last_error,result_json,reported_at,completed_at\n \
         x ,\"say \"\"hi\"\"\",JOB,row-1,0,,completed,1,,\"{\"\"answer\"\":\"\"row-1\"\",\"\"n\"\":1}\",TIME,TIME\n\
         plain,\"two\r\nlines\",JOB,row-2,1,,completed,1,,\"{\"\"answer\"\":\"\"row-2\"\",\"\"n\"\":1}\",TIME,TIME\n"
    );
}

#[test]
fn results_keep_their_keys_and_large_numbers() {
    let sandbox = with_rows("id\na\n");
    let reported = "{\"z\": 1.0, \"a\": 12345678901234567890,\n \"é\": \"ü\"}";
    spawn(&sandbox, "", &["printf", "%s", reported]);
    assert_eq!(
        rows(&sandbox)[0]["result_json"],
        r#"{"z":1.0,"a":12345678901234567890,"é":"ü"}"#
    );
}

#[test]
fn the_default_output_is_beside_the_input_and_named_after_the_job() {
    let sandbox = Sandbox::new();
    sandbox.write("data/in.csv", "id\na\n");
    let said = sandbox.mesh("spawn data/in.csv --instruction x -- true");
    let path = sandbox.path("data").join(
        std::fs::read_dir(sandbox.path("data"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .find(|name| name != "in.csv")
            .expect("an output"),
    );
    assert_eq!(said.out, format!("{}\n", path.display()));
    let text = read_file(&path);
    let job = text.split(',').nth(11).expect("a job id");
    assert!(
        path.ends_with(format!("in.agent-job-{}.csv", &job[..8])),
        "{path:?}"
    );
}

#[test]
fn folders_of_the_output_are_made_and_an_old_one_is_replaced_only_by_force() {
    let sandbox = with_rows("id\na\n");
    let output = "-o new/folder/out.csv";
    spawn_agent(&sandbox, output, "--good").exits(0);
    let first = sandbox.read("new/folder/out.csv");
    spawn_agent(&sandbox, output, "--good").exits(2);
    assert_eq!(sandbox.read("new/folder/out.csv"), first);
    let options = "-o new/folder/out.csv --force";
    spawn_agent(&sandbox, options, "--never").exits(1);
    assert!(sandbox.read("new/folder/out.csv").contains("no_response"));
}

#[test]
fn a_csv_without_rows_completes_immediately() {
    let sandbox = with_rows("id,mock\n");
    spawn(&sandbox, "", "touch started").exits(0);
    assert!(!sandbox.path("started").exists());
}

#[test]
fn another_delimiter_is_accepted() {
    let sandbox = with_rows("id;mock\n1;ok\n");
    let warned = spawn_agent(&sandbox, "--dry-run", "--good");
    warned.err_has("--delimiter ';'");
    sandbox.write("in.csv", "id;mock\n1;a,b\n");
    let said = spawn_agent(&sandbox, "--delimiter ;", "--good");
    said.err_lacks("warning");
    assert_snapshot!(table(&sandbox, "id mock status"), @"1 | a,b | completed");
}

#[test]
fn an_output_can_be_fed_back_with_its_columns_renamed() {
    let sandbox = with_rows("id,job_id\n1,x\n");
    spawn_agent(&sandbox, "", "--good");
    std::fs::rename(sandbox.path("out.csv"), sandbox.path("in.csv")).expect("renamed");
    let refused = spawn_agent(&sandbox, "", "--good").exits(2);
    refused.err_has("--rename 'job_id=job_id_1'");
    spawn_agent(&sandbox, "--rename job_id=old", "--good").exits(0);
    assert!(sandbox.read("out.csv").starts_with("id,old,job_id,"));
}

#[test]
fn the_json_summary() {
    let sandbox = with_rows("id,mock\na,good\nb,never\nc,exit\n");
    let options = "--json --id-column id --retries 0";
    let said = spawn_agent(&sandbox, options, "--as {mock} 7").exits(1);
    let last = said.out.lines().last().expect("a line");
    let work = sandbox.work().display().to_string();
    let summary = redacted(last).replace(&work, "WORK");
    assert_snapshot!(summary, @r#"{"job_id":"JOB","status":"completed","output_csv_path":"WORK/out.csv","total_items":3,"completed_items":1,"failed_items":2,"job_error":null,"failed_item_errors":[{"item_id":"b","source_id":"b","last_error":"no_response: the worker ended without a report, a result file or any output"},{"item_id":"c","source_id":"c","last_error":"worker_exit: exit code 7"}]}"#);
    assert!(
        said.out
            .lines()
            .all(|line| line.starts_with("{\"job_id\":"))
    );
}

#[test]
fn the_summary_names_five_failures_at_most() {
    let sandbox = with_rows("id\n1\n2\n3\n4\n5\n6\n7\n");
    let said = spawn(&sandbox, "--json", "false");
    let last = said.out.lines().last().expect("a line");
    let summary: Value = serde_json::from_str(last).expect("an object");
    let errors = summary["failed_item_errors"].as_array().expect("a list");
    assert_eq!(
        (errors.len(), &summary["failed_items"]),
        (5, &Value::from(7))
    );
    let sandbox = with_rows("id\n1\n");
    let said = spawn_agent(&sandbox, "--json", "--good");
    let last = said.out.lines().last().expect("a line");
    let summary: Value = serde_json::from_str(last).expect("an object");
    assert_eq!(summary["failed_item_errors"], Value::Null);
}

#[test]
fn to_a_person_the_path_is_data_and_everything_else_is_talk() {
    let sandbox = with_rows("id,mock\na,good\nb,never\n");
    let options = "--id-column id --progress none";
    let said = spawn_agent(&sandbox, options, "--as {mock}");
    assert_eq!(said.out, format!("{}\n", sandbox.path("out.csv").display()));
    let talk = redacted(&said.err).replace(&run_id(&sandbox), "RUN");
    assert_snapshot!(talk, @r"
    mesh_spawn mesh_run_id=RUN job_id=JOB rows=2 adapter=command concurrency=16
    job completed: 1 of 2 rows completed, 1 failed
      b no_response: the worker ended without a report, a result file or any output
    ");
    let sandbox = with_rows("id\na\n");
    let said = spawn_agent(&sandbox, "-q", "--good");
    assert_eq!(said.err, "");
}

#[test]
fn a_closed_standard_output_is_a_quiet_success() {
    for options in [&["--json"][..], &[]] {
        let sandbox = with_rows("id\na\n");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let agent = fake_agent();
        let said = sandbox
            .command(arguments(options, &[&agent, "--good"]))
            .stdout(writer)
            .run_to_end()
            .exits(0);
        said.err_lacks("panicked");
        said.err_lacks("error");
        assert_eq!(rows(&sandbox)[0]["status"], "completed");
    }
}

#[test]
fn runs_are_listed_and_shown() {
    let sandbox = with_rows("id,mock\na,good\nb,never\n");
    let options = "--id-column id --retries 0";
    spawn_agent(&sandbox, options, "--as {mock}");
    let id = run_id(&sandbox);
    let work = sandbox.work().display().to_string();
    let list = sandbox.mesh("runs list --json");
    let line = list.out.replace(&id, "RUN").replace(&work, "WORK");
    assert_snapshot!(line.split(",\"cost_usd\":").next().expect("a part"), @r#"{"mesh_run_id":"RUN","kind":"spawn","status":"completed","exit_code":1,"work":"1 ok, 1 failed","root":"WORK""#);
    let state = sandbox.mesh_home().display().to_string();
    let show = sandbox.mesh(&["runs", "show", &id]);
    let show = show
        .out
        .replace(&id, "RUN")
        .replace(&work, "WORK")
        .replace(&state, "STATE");
    assert_snapshot!(show, @r"
    run RUN completed
    rows: 1 of 2 completed, 1 failed
    used: not reported by this agent
    output: WORK/out.csv
    folder: STATE/runs/RUN

    Failed rows
      b  no_response: the worker ended without a report, a result file or any output
        log: none kept
      show a row: mesh runs show RUN --row b
    ");
}

#[test]
fn a_run_id_that_is_taken_is_named_with_the_way_on() {
    let sandbox = with_rows("id\na\n");
    let options = "--run-id R --force";
    spawn(&sandbox, options, "echo {}").exits(0);
    let said = spawn(&sandbox, options, "echo {}").exits(2);
    assert_snapshot!(said.err, @r"
    error: run `R` already exists
    hint: resume it: mesh resume R; or pass another --run-id
    ");
    // As it is after a kill at the very beginning.
    std::fs::remove_file(sandbox.mesh_home().join("runs/R/ledger.jsonl")).expect("a ledger");
    let said = spawn(&sandbox, options, "echo {}").exits(2);
    said.err_has("error: run `R` was killed before it began\nhint: remove `");
}
