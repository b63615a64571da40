//! Reports that are refused are recorded, and change nothing else.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// The refused reports of the ledger, a line for each: item, attempt, reason.
fn refusals(sandbox: &Sandbox) -> String {
    let line = |(name, record): (String, Value)| {
        let text = |key: &str| record[key].as_str().expect("a text").to_owned();
        (name == "report_refused").then(|| {
            let (item, attempt) = (text("item_id"), &record["attempt"]);
            format!("{item} {attempt}: {}", text("reason"))
        })
    };
    let lines: Vec<String> = sandbox.events().into_iter().filter_map(line).collect();
    lines.join("\n")
}

/// A variable of a worker's environment, as it wrote it down.
fn variable(identity: &str, name: &str) -> String {
    let line = identity
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.expect("a variable").to_owned()
}

#[test]
fn a_repeated_report() {
    let sandbox = with_rows("id\na\n");
    spawn_agent(&sandbox, "", "--twice").exits(0);
    assert_snapshot!(refusals(&sandbox), @"row-1 1: a result was already reported for this attempt");
    assert_eq!(
        ended(&sandbox),
        r#"completed | 1 |  | {"answer":"row-1","n":1}"#
    );
}

#[test]
fn a_report_with_a_wrong_token_or_for_another_item() {
    let sandbox = with_rows("id\na\n");
    let script = r#"MESH_REPORT_TOKEN=wrong "$MESH" report-result --result '{"n":1}' >answers
        MESH_ITEM_ID=other "$MESH" report-result --result '{"n":2}' >>answers
        MESH_ATTEMPT=7 MESH_REPORT_TOKEN=wrong "$MESH" report-result --result '{"n":3}' >>answers
        echo '{"n":4}'"#;
    spawn(&sandbox, "--env MESH", &["sh", "-c", script]).exits(0);
    assert_snapshot!(refusals(&sandbox), @r"
    row-1 1: wrong token for this attempt
    other 1: this token belongs to item `row-1`, not to `other`
    row-1 7: this attempt is over
    ");
    assert_eq!(sandbox.read("answers").matches("false").count(), 3);
    assert_eq!(ended(&sandbox), r#"completed | 1 |  | {"n":4}"#);
}

#[test]
fn a_report_for_an_earlier_attempt_is_refused_while_the_next_one_runs() {
    let sandbox = with_rows("id\na\n");
    let script = r#"if [ $MESH_ATTEMPT = 1 ]; then env >identity; exit 0; fi
        MESH_ATTEMPT=1 MESH_REPORT_TOKEN=$(sed -n 's/^MESH_REPORT_TOKEN=//p' identity) \
            "$MESH" report-result --result '{"late":1}' >answer
        echo '{"n":2}'"#;
    spawn(&sandbox, "--env MESH", &["sh", "-c", script]).exits(0);
    assert_snapshot!(refusals(&sandbox), @"row-1 1: this attempt is over");
    assert_eq!(ended(&sandbox), r#"completed | 2 |  | {"n":2}"#);
}

#[test]
fn a_report_for_a_neighbour_fails_the_row_of_its_sender() {
    let sandbox = with_rows("id\n1\n2\n");
    // Row 2 is at work for as long as row 1 reports in its name.
    let script = r#"if [ $MESH_ITEM_ID = 2 ]; then
            : >began; until [ -e reported ]; do sleep 0.02; done; echo '{"own":2}'
        else
            until [ -e began ]; do sleep 0.02; done
            MESH_ITEM_ID=2 "$MESH" report-result --result '{"stolen":1}' >answer; : >reported
        fi"#;
    let options = "--id-column id -j 2 --retries 0 --env MESH";
    spawn(&sandbox, options, &["sh", "-c", script]).exits(1);
    assert_eq!(
        table(&sandbox, "item_id status result_json"),
        "1 | failed |\n2 | completed | {\"own\":2}"
    );
    assert_eq!(
        refusals(&sandbox),
        "2 1: this token belongs to item `1`, not to `2`"
    );
}

#[test]
fn the_reply_to_a_report_is_not_its_result() {
    // As an agent would call it: the answer goes where the agent's own output goes.
    for report in [
        r#"MESH_REPORT_TOKEN=wrong "$MESH" report-result --result '{"n":1}'"#,
        r#"MESH_ITEM_ID=other "$MESH" report-result --result '{"n":1}'"#,
        r#"MESH_ATTEMPT=7 MESH_REPORT_TOKEN=wrong "$MESH" report-result --result '{"n":1}'"#,
        r#""$MESH" report-result --result '[1]'"#,
        r#""$MESH" report-result --result 'oops'"#,
        r#""$MESH" report-result --result '[1]'; "$MESH" report-result --result 'oops'"#,
    ] {
        let sandbox = with_rows("id\na\n");
        let options = "--retries 0 --env MESH";
        let script = format!("{report}; exit 0");
        let said = spawn(&sandbox, options, &["sh", "-c", &script]);
        assert_eq!(said.code, 1, "{report}: {}", ended(&sandbox));
        assert_eq!(
            table(&sandbox, "status result_json"),
            "failed |",
            "{report}"
        );
    }
}

#[test]
fn a_refused_stop_report_does_not_stop_the_job() {
    let sandbox = with_rows("id\n1\n2\n");
    let script =
        r#"MESH_REPORT_TOKEN=wrong "$MESH" report-result --stop --result '{}'; echo '{"n":1}'"#;
    let options = "-j 1 --env MESH";
    spawn(&sandbox, options, &["sh", "-c", script]).exits(0);
    assert_eq!(table(&sandbox, "status"), "completed\ncompleted");
}

#[test]
fn a_run_with_refused_reports_can_be_resumed() {
    let sandbox = with_rows("id,mock\n1,twice\n2,stop\n3,twice\n");
    let options = "--id-column id -j 1";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    resume(&sandbox).exits(0);
    assert_eq!(occurred(&sandbox, "report_refused", "1"), 1);
    assert_eq!(table(&sandbox, "attempt_count"), "1\n1\n1");
}

#[test]
fn a_flood_of_refused_reports_is_recorded_up_to_a_limit() {
    let sandbox = with_rows("id\n1\n");
    let script = "env >identity.new; mv identity.new identity; until [ -e open ]; do sleep 0.02; done; echo '{}'";
    let mesh = start(&sandbox, "--id-column id", &["sh", "-c", script]);
    wait_for("the row has begun", || sandbox.path("identity").exists());
    let socket = variable(&sandbox.read("identity"), "MESH_REPORT_SOCKET");
    for _ in 0..1100 {
        let mut connection = UnixStream::connect(&socket).expect("a listener");
        let request = r#"{"token":"wrong","item_id":"1","attempt":1,"result":{}}"#;
        writeln!(connection, "{request}").expect("sent");
        let mut answer = String::new();
        BufReader::new(connection)
            .read_line(&mut answer)
            .expect("an answer");
        assert_eq!(
            answer,
            "{\"accepted\":false,\"reason\":\"wrong token for this attempt\"}\n"
        );
    }
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0);
    assert_eq!(occurred(&sandbox, "report_refused", "1"), 1000);
}

#[test]
fn the_record_of_a_refused_report_is_bounded() {
    let sandbox = with_rows("id\n1\n");
    let script = r#"name=$(head -c 100000 /dev/zero | tr '\0' x)
        MESH_ITEM_ID=$name "$MESH" report-result --result '{"n":1}' >answer
        echo '{"n":2}'"#;
    spawn(&sandbox, "--env MESH", &["sh", "-c", script]).exits(0);
    assert!(sandbox.read("answer").contains("false"));
    let events = sandbox.events();
    let refused: Vec<&Value> = events
        .iter()
        .filter_map(|(name, record)| (name == "report_refused").then_some(record))
        .collect();
    assert_eq!(refused.len(), 1);
    let bytes = refused[0].to_string().len();
    assert!(bytes < 10_000, "a record of {bytes} bytes");
}

#[test]
fn garbage_on_the_report_socket_is_answered_and_ignored() {
    let sandbox = with_rows("id\n1\n");
    let script = "env >identity.new; mv identity.new identity; until [ -e open ]; do sleep 0.02; done; echo '{}'";
    let mesh = start(&sandbox, "--id-column id", &["sh", "-c", script]);
    wait_for("the row has begun", || sandbox.path("identity").exists());
    let socket = variable(&sandbox.read("identity"), "MESH_REPORT_SOCKET");
    for line in ["hello", "{}", "[]", "\u{0}", r#"{"token":5}"#] {
        let mut connection = UnixStream::connect(&socket).expect("a listener");
        writeln!(connection, "{line}").expect("sent");
        let mut answer = String::new();
        BufReader::new(connection)
            .read_line(&mut answer)
            .expect("an answer");
        assert!(answer.contains("the report is not valid"), "{answer}");
    }
    // One that says nothing at all.
    drop(UnixStream::connect(&socket).expect("a listener"));
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0, "{}", sandbox.read("talk"));
    assert_eq!(table(&sandbox, "status"), "completed");
}

#[test]
fn of_concurrent_reports_one_is_accepted_and_the_rest_are_recorded() {
    let sandbox = with_rows("id\n1\n");
    let script = "env >identity.new; mv identity.new identity; until [ -e open ]; do sleep 0.02; done; echo '{}'";
    let mesh = start(&sandbox, "--id-column id", &["sh", "-c", script]);
    wait_for("the row has begun", || sandbox.path("identity").exists());
    let identity = sandbox.read("identity");
    let socket = variable(&identity, "MESH_REPORT_SOCKET");
    let token = variable(&identity, "MESH_REPORT_TOKEN");
    let together = std::sync::Barrier::new(64);
    let report = |number: usize| {
        let mut connection = UnixStream::connect(&socket).expect("a listener");
        together.wait();
        let result = format!("{{\"n\":{number}}}");
        let request =
            format!(r#"{{"token":"{token}","item_id":"1","attempt":1,"result":{result}}}"#);
        writeln!(connection, "{request}").expect("sent");
        let mut answer = String::new();
        BufReader::new(connection)
            .read_line(&mut answer)
            .expect("an answer");
        (answer == "{\"accepted\":true}\n").then_some(result)
    };
    let taken: Vec<String> = std::thread::scope(|scope| {
        let report = &report;
        let threads: Vec<_> = (0..64).map(|n| scope.spawn(move || report(n))).collect();
        let answers = threads.into_iter().map(|thread| thread.join());
        answers
            .filter_map(|answer| answer.expect("no panic"))
            .collect()
    });
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0);
    assert_eq!(taken.len(), 1);
    assert_eq!(table(&sandbox, "result_json"), taken[0]);
    assert_eq!(occurred(&sandbox, "attempt_reported", "1"), 1);
    assert_eq!(occurred(&sandbox, "report_refused", "1"), 63);
}
