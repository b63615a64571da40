//! Attempts that are made later: after a rate limit, which consumes none, and with `--retry-delay`.

use super::*;

const COLUMNS: [&str; 4] = ["item_id", "status", "attempt_count", "last_error"];

/// `… until 14:05 UTC on 2026-02-13: …` as `… until TIME: …`.
fn without_moment(text: &str) -> String {
    let Some((before, rest)) = text.split_once(" until ") else {
        return text.to_owned();
    };
    let length = "14:05 UTC on 2026-02-13".len();
    format!("{before} until TIME{}", &rest[length..])
}

/// The name, end and error of each event of an item.
fn history(sandbox: &Sandbox, item: &str) -> String {
    let line = |(name, record): (String, Value)| {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        (record["item_id"] == item).then(|| {
            let line = format!(
                "{name} {} {} {}",
                record["attempt"],
                text("end"),
                text("error")
            );
            line.trim_end().to_owned()
        })
    };
    let lines: Vec<String> = sandbox.events().into_iter().filter_map(line).collect();
    lines.join("\n")
}

#[test]
fn a_rate_limit_consumes_no_attempt_and_is_not_a_row_failure() {
    let sandbox = with_rows("id\na\n");
    // As short as a wait may be: one second.
    let script = r#"if [ -e met ]; then printf '{"prompt":%s}' "$("$0")"; else : >met; echo 'HTTP 429, retry-after: 0' >&2; exit 1; fi"#;
    let options = "--retries 0 --halt soon,fail=1";
    spawn(&sandbox, options, &["sh", "-c", script, &json_string()]).exits(0);
    assert_eq!(table(&sandbox, &COLUMNS), "row-1 | completed | 1 |");
    assert_snapshot!(history(&sandbox, "row-1"), @r"
    attempt_started 1
    attempt_finished 1 rate_limited rate_limited: exit code 1: HTTP 429, retry-after: 0
    rate_limited null
    attempt_started 1
    attempt_reported 1
    attempt_finished 1 completed
    ");
    let events = sandbox.events();
    let limited = events.iter().find(|(name, _)| name == "rate_limited");
    let delay = limited.expect("an event").1["delay_ms"].as_u64();
    let delay = delay.expect("a number");
    assert!((1000..2000).contains(&delay), "{delay}");
    let prompt = result(&sandbox)["prompt"].to_string();
    assert!(!prompt.contains("previous attempt"), "{prompt}");
}

#[test]
fn a_delayed_row_blocks_no_other_and_can_be_resumed() {
    let sandbox = with_rows("id,mock\n1,limited\n2,good\n3,good\n");
    let agent = fake_agent();
    let limit = "API Error: 529 Overloaded, try again in 50 minutes";
    let options = "--id-column id -j 1 --retries 0";
    let command = [&agent, "--log", "log", "--as", "{mock}", "met", limit];
    let mesh = start(&sandbox, options, &command);
    wait_for("the others are done", || {
        ledger(&sandbox).matches("\"completed\"").count() == 2
    });
    sandbox.mesh(&["cancel", &run_id(&sandbox)]).exits(0);
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        without_moment(&table(&sandbox, &COLUMNS)),
        "1 | pending | 0 | rate_limited: waiting for a rate limit until TIME: exit code 1: API Error: 529 Overloaded, try again in 50 minutes\n2 | completed | 1 |\n3 | completed | 1 |"
    );
    let limited = sandbox
        .events()
        .into_iter()
        .find(|(name, _)| name == "rate_limited");
    let (_, limited) = limited.expect("an event");
    assert_eq!(
        (&limited["item_id"], &limited["row_index"]),
        (&"1".into(), &0.into())
    );
    let delay = limited["delay_ms"].as_u64().expect("a number");
    assert!((3_000_000..3_300_000).contains(&delay), "{delay}");

    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1 |\n2 | completed | 1 |\n3 | completed | 1 |"
    );
    assert_eq!(sandbox.read("log"), "1\n2\n3\n1\n");
}

#[test]
fn only_a_failed_attempt_meets_a_rate_limit() {
    for (script, wanted) in [
        (
            "echo 'HTTP 429' >&2; echo '{\"n\":1}'",
            r#"completed | 1 |  | {"n":1}"#,
        ),
        (
            "\"$MESH\" report-result --result '{\"n\":2}'; echo 'HTTP 429' >&2; exit 1",
            r#"completed | 1 |  | {"n":2}"#,
        ),
        (
            "echo 'error: 429 tests failed' >&2; exit 1",
            "failed | 1 | worker_exit: exit code 1: error: 429 tests failed |",
        ),
    ] {
        let sandbox = with_rows("id\na\n");
        let options = "--env MESH --max-wall-seconds 20";
        spawn(&sandbox, options, &["sh", "-c", script]);
        assert_eq!(ended(&sandbox), wanted, "{script}");
        assert!(!ledger(&sandbox).contains("\"rate_limited\""), "{script}");
    }
}

#[test]
fn agents_tell_of_rate_limits_on_either_stream() {
    let sandbox = with_rows("id\na\n");
    let script =
        r#"echo '{"error":{"type":"usage_limit_reached","resets_in_seconds":1800}}'; exit 1"#;
    let mesh = start(&sandbox, "", &["sh", "-c", script]);
    wait_for("it is known as one", || {
        ledger(&sandbox).contains("\"rate_limited\"")
    });
    sandbox.mesh(&["cancel", &run_id(&sandbox)]).exits(0);
    assert_eq!(finish(mesh), 4);
    assert_eq!(
        without_moment(&ended(&sandbox)),
        "pending | 0 | rate_limited: waiting for a rate limit until TIME: exit code 1: {\"error\":{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":1800}} |"
    );
}

#[test]
fn a_delayed_retry_blocks_no_other_row_and_keeps_its_reason_across_a_resume() {
    let sandbox = with_rows("id\n1\n2\n3\n");
    let script = r#"echo $MESH_ITEM_ID >>log
        if [ $MESH_ITEM_ID.$MESH_ATTEMPT = 1.1 ]; then echo hello; else printf '{"prompt":%s}' "$("$0")"; fi"#;
    let options = "--id-column id -j 1 --retry-delay 300";
    let mesh = start(&sandbox, options, &["sh", "-c", script, &json_string()]);
    wait_for("the others are done", || {
        ledger(&sandbox).matches("\"completed\"").count() == 2
    });
    sandbox.mesh(&["cancel", &run_id(&sandbox)]).exits(0);
    assert_eq!(finish(mesh), 4);
    assert_snapshot!(table(&sandbox, &COLUMNS), @r"
    1 | pending | 1 | no_response: no JSON object in 6 bytes of standard output, and no report
    2 | completed | 1 |
    3 | completed | 1 |
    ");
    resume(&sandbox).exits(0);
    assert_eq!(sandbox.read("log"), "1\n2\n3\n1\n");
    assert_eq!(table(&sandbox, "attempt_count"), "2\n1\n1");
    let prompt = &rows(&sandbox)[0]["result_json"];
    assert_contains(prompt, "no_response: no JSON object in 6 bytes");
}

#[test]
fn a_short_retry_delay_is_waited_out() {
    let sandbox = with_schema("id\na\nb\n");
    let options = "--output-schema schema.json --retry-delay 0.05";
    spawn_agent(&sandbox, options, "--heal").exits(0);
    assert_eq!(table(&sandbox, "attempt_count"), "2\n2");
}

#[test]
fn an_invalid_retry_delay_is_refused() {
    for (delay, why) in [
        ("", "is not a number of seconds"),
        ("soon", "`soon` is not a number of seconds"),
        ("5s", "`5s` is not a number of seconds"),
        ("-1", "`-1` is not a number of seconds"),
        ("inf", "`inf` is not a number of seconds"),
        ("301", "`301` is longer than the longest delay, 300 seconds"),
    ] {
        let sandbox = with_rows("id\na\n");
        let option = format!("--retry-delay={delay}");
        let said = spawn(&sandbox, &[&option], "touch started");
        assert_eq!(said.code, 2, "{delay}: {}", said.err);
        assert!(said.err.contains(why), "{delay}: {}", said.err);
        assert!(!sandbox.path("started").exists() && !sandbox.mesh_home().exists());
    }
}
