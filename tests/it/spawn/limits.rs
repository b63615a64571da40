//! A used-up quota and a missing log-in are the account's: no row is started only to be refused, and none fails.

use super::*;

const COLUMNS: [&str; 3] = ["item_id", "status", "attempt_count"];

fn numbered(rows: usize) -> Sandbox {
    let numbers = (1..=rows).map(|n| format!("{n}\n"));
    with_rows(&format!("id\n{}", numbers.collect::<String>()))
}

/// How many attempts ended so.
fn ends(sandbox: &Sandbox, end: &str) -> usize {
    let events = sandbox.events();
    events
        .iter()
        .filter(|(name, record)| name == "attempt_finished" && record["end"] == end)
        .count()
}

/// How many attempts were begun; those that were only queued are withdrawn.
fn started(sandbox: &Sandbox) -> usize {
    ledger(sandbox).matches("\"attempt_started\"").count() - ends(sandbox, "withdrawn")
}

#[test]
fn only_rows_in_flight_hit_a_quota() {
    let sandbox = numbered(500);
    // It holds for two seconds; the time that is named is a little later.
    let limit = "You've hit your limit · try again in 4s";
    let options = "-j 16 --retries 0 --progress plain";
    let said = spawn_agent(
        &sandbox,
        options,
        &["--quota", "row-20", "until", "2", limit],
    )
    .exits(0);
    let refused = ends(&sandbox, "rate_limited");
    assert!((1..=16).contains(&refused), "{refused} rows met it");
    assert_eq!(
        (ends(&sandbox, "completed"), ends(&sandbox, "failed")),
        (500, 0)
    );
    let rows = rows(&sandbox);
    assert!(
        rows.iter()
            .all(|row| row["attempt_count"] == "1" && row["last_error"].is_empty())
    );
    let waits = "waiting for a rate limit until ";
    said.err_has(waits);
    let limited = sandbox
        .events()
        .into_iter()
        .find(|(name, _)| name == "rate_limited");
    assert!(limited.expect("an event").1["account_until"].is_string());
}

#[test]
fn a_distant_quota_reset_ends_the_run_and_is_remembered() {
    let sandbox = numbered(100);
    let limit = "You've hit your session limit · resets Oct 9, 2099 at 5pm (UTC)";
    let said = spawn_agent(
        &sandbox,
        // The time limit only keeps a failure from waiting until 2099.
        "-j 1 --max-wall-seconds 600",
        &["--quota", "row-3", "until", "9999999999", limit],
    )
    .exits(4);
    let told =
        "a rate limit holds until 17:00 UTC on 2099-10-09, longer than rate_limit_wait_max allows";
    said.err_has(told);
    let command = format!("on 2099-10-09 with: mesh resume {}", run_id(&sandbox));
    said.err_has("resume at ");
    said.err_has(&command);
    let before = started(&sandbox);
    assert_eq!(before, 3);
    assert_eq!(ends(&sandbox, "failed"), 0);
    let waiting =
        "rate_limited: waiting for a rate limit until 17:00 UTC on 2099-10-09: exit code 1";
    let errors: Vec<String> = rows(&sandbox)
        .iter()
        .map(|row| row["last_error"].clone())
        .collect();
    assert!(
        errors.iter().any(|error| error.starts_with(waiting)),
        "{errors:?}"
    );

    let said = resume(&sandbox).exits(4);
    said.err_has("until 17:00 UTC on 2099-10-09");
    assert_eq!(
        started(&sandbox),
        before,
        "a row was started although the limit holds"
    );
    // It was lifted.
    sandbox.write("until", "0");
    sandbox
        .mesh(&["resume", &run_id(&sandbox), "--ask-now"])
        .exits(0);
}

#[test]
fn without_a_reset_nothing_is_waited_for_where_waiting_is_not_wanted() {
    let sandbox = numbered(30);
    let options = "-j 2 --rate-limit-wait-max 0";
    let agent = "--quota row-3 until 1 'You have reached your usage limit.'";
    let said = spawn_agent(&sandbox, options, agent).exits(4);
    said.err_has("of unknown end was waited for as long as rate_limit_wait_max allows: exit code 1: You have");
    assert_eq!(ends(&sandbox, "failed"), 0);
    // What is waited for may be said anew, also in a variable.
    sandbox
        .mesh(&["resume", &run_id(&sandbox), "--rate-limit-wait-max", "600"])
        .exits(0);
    assert_eq!(ends(&sandbox, "completed"), 30);
}

#[test]
fn a_service_that_never_answers_is_waited_for_as_long_as_allowed() {
    for (wait, said) in [
        (
            "529 overloaded_error: Overloaded",
            "of unknown end was waited for",
        ),
        ("HTTP 429, retry-after: 1", "of unknown end was waited for"),
        ("You've hit your limit · try again in 1s", "holds until "),
    ] {
        let sandbox = numbered(3);
        // The time limit only keeps a failure from waiting for an hour.
        let options = "-j 2 --rate-limit-wait-max 3 --max-wall-seconds 30";
        let script = r#"cat >/dev/null; echo "$0" >&2; exit 1"#;
        let ended = spawn(&sandbox, options, &["sh", "-c", script, wait]).exits(4);
        ended.err_has(said);
        ended.err_has(&format!("rate_limit_wait_max allows: exit code 1: {wait}"));
        assert_eq!(ends(&sandbox, "failed"), 0, "{wait}");
    }
}

#[test]
fn time_spent_waiting_is_time() {
    let sandbox = numbered(5);
    let options = "--max-wall-seconds 1";
    let agent = [
        "--quota",
        "row-1",
        "until",
        "60",
        "You've hit your limit · try again in 30 minutes",
    ];
    let said = spawn_agent(&sandbox, options, &agent).exits(4);
    said.err_has("max_wall_seconds of 1 reached");
}

#[test]
fn a_wait_is_visible_to_scripts_and_can_be_interrupted() {
    let sandbox = numbered(3);
    let agent = fake_agent();
    let limit = "5-hour limit reached · try again in 50 minutes";
    let options = "--json --max-runtime-seconds 60";
    let mut mesh = sandbox.command(arguments(
        options,
        &[&agent, "--quota", "row-1", "until", "60", limit],
    ));
    let shown = std::fs::File::create(sandbox.path("shown")).expect("a file");
    mesh.stdout(shown).stderr(Stdio::null());
    let mesh = mesh.spawn().expect("mesh starts");
    wait_for("it says that it waits", || {
        sandbox.read("shown").contains("\"waiting_until\":\"20")
    });
    let shown = sandbox.read("shown");
    let waits = |line: &&str| line.contains("\"waiting_until\":\"20");
    for line in shown.lines().filter(waits) {
        let shown: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(shown["eta_seconds"], Value::Null, "{line}");
    }
    sandbox.mesh(&["cancel", &run_id(&sandbox)]).exits(0);
    assert_eq!(finish(mesh), 4);
}

#[test]
fn without_a_log_in_no_further_row_is_started() {
    for (said, hint) in [
        ("Invalid API key · Please run /login", "hint: run `claude`"),
        (
            "unexpected status 401 Unauthorized: Missing bearer",
            "hint: ",
        ),
    ] {
        let sandbox = numbered(200);
        let agent = fake_agent();
        let mesh = spawn(&sandbox, "-j 4", &[&agent, "--locked", "key", said]).exits(4);
        mesh.err_has("the agent is not logged in: exit code 1");
        mesh.err_has(hint);
        assert_eq!(ends(&sandbox, "failed"), 0);
        let met = ends(&sandbox, "unavailable");
        assert!((1..=4).contains(&met), "{met} rows were refused");
        sandbox.write("key", "");
        resume(&sandbox).exits(0);
        assert_eq!(ends(&sandbox, "completed"), 200);
    }
}

/// A worker that is refused for `item` and answers all others.
fn refusing(item: &str) -> String {
    let refusal = "{ echo 'API Error: 403 forbidden' >&2; exit 1; }";
    format!("[ $MESH_ITEM_ID = {item} ] && {refusal}; echo '{{\"n\":1}}'")
}

#[test]
fn a_row_that_is_refused_while_all_others_are_answered_fails_for_itself() {
    let sandbox = numbered(200);
    // One at a time, so that the first row is refused before any other is answered.
    spawn(&sandbox, "-j 1", &["sh", "-c", &refusing("row-1")]).exits(4);
    assert_eq!(ends(&sandbox, "completed"), 0);
    resume(&sandbox).exits(1);
    assert_eq!(
        (ends(&sandbox, "completed"), ends(&sandbox, "failed")),
        (199, 1)
    );
}

#[test]
fn a_last_row_that_is_refused_again_is_named() {
    let sandbox = numbered(3);
    let mesh = spawn(&sandbox, "-j 1", &["sh", "-c", &refusing("row-3")]).exits(4);
    mesh.err_has("API Error: 403 forbidden)");
    // No other row is left that shows whether anybody is logged in.
    let mesh = resume(&sandbox).exits(4);
    mesh.err_has("item `row-3` was refused before: if other prompts are answered, it is the row");
    mesh.err_has("hint: log the agent in");
    assert_eq!(
        (ends(&sandbox, "completed"), ends(&sandbox, "failed")),
        (2, 0)
    );
}

#[test]
fn a_rate_limit_message_counts_only_when_there_is_no_answer() {
    let far = "resets Oct 9, 2099 5pm (UTC)";
    for text in [
        format!("You've hit your limit · {far}"),
        "Claude usage limit reached. Your limit will reset at Oct 9, 2099 5pm (UTC).".to_owned(),
        format!("You've used 100% of your weekly limit. {far}"),
        "Your 5-hour limit resets Oct 9, 2099 3am (UTC). Limit reached.".to_owned(),
        format!("Model limit reached for claude-opus-4: {far}"),
        format!(r#"{{"type":"result","is_error":true,"result":"You've hit your limit · {far}"}}"#),
        r#"{"type":"turn.failed","error":{"message":"You've hit your usage limit. Try again at Oct 9th, 2099 5:00 PM."}}"#.to_owned(),
    ] {
        let sandbox = with_rows("id\na\n");
        assert_eq!(spawn_agent(&sandbox, "", &["--say", &text]).code, 4, "{text}");
        assert_eq!(table(&sandbox, &COLUMNS), "row-1 | pending | 0", "{text}");
    }
    for (text, exit) in [
        (r#"{"answer":"You've hit your limit · resets 3pm"}"#, 0),
        ("It says:\n{\"answer\":\"429 Too Many Requests\"}", 0),
        (
            "I made a limiter; who has reached the rate limit gets 429 Too Many Requests",
            1,
        ),
    ] {
        let sandbox = with_rows("id\na\n");
        let said = spawn_agent(&sandbox, "--retries 0", &["--say", text]);
        assert_eq!(said.code, exit, "{text}: {}", said.err);
        assert!(!ledger(&sandbox).contains("\"rate_limited\""), "{text}");
    }
}

#[test]
fn without_credit_nothing_is_probed_and_the_run_says_what_to_do() {
    for text in [
        "Credit balance is too low",
        "Billing hard limit has been reached",
        "Error: 429 You exceeded your current quota, please check your plan and billing details.",
    ] {
        let sandbox = numbered(100);
        let agent = ["--quota", "row-3", "until", "9999999999", text];
        let said = spawn_agent(&sandbox, "-j 4", &agent);
        assert_eq!(said.code, 4, "{text}: {}", said.err);
        for part in [
            "the account has no credit left: exit code 1: ",
            "hint: add credit to the account",
            &format!("mesh resume {}", run_id(&sandbox)),
        ] {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
        let met = ends(&sandbox, "unavailable");
        assert!((1..=4).contains(&met), "{met} rows were refused");
        assert_eq!(
            (ends(&sandbox, "failed"), ends(&sandbox, "rate_limited")),
            (0, 0)
        );
        // Somebody paid.
        sandbox.write("until", "0");
        let said = resume(&sandbox);
        assert_eq!(said.code, 0, "{text}: {}", said.err);
        assert_eq!(ends(&sandbox, "completed"), 100);
    }
}

#[test]
fn a_worker_waiting_for_a_rate_limit_does_not_time_out() {
    let sandbox = with_rows("id\na\n");
    let script = "echo 'Error: Free usage exceeded, subscribe to Go retrying in 6h16m - attempt #1' >&2; exec sleep 600";
    let options = "--max-runtime-seconds 4 --retries 0";
    spawn(&sandbox, options, &["sh", "-c", script]).exits(4);
    assert_eq!(table(&sandbox, &COLUMNS), "row-1 | pending | 0");
    let script = "echo 'I will try again after HTTP 429' >&2; exec sleep 600";
    let sandbox = with_rows("id\na\n");
    spawn(&sandbox, options, &["sh", "-c", script]).exits(1);
    assert_eq!(table(&sandbox, &COLUMNS), "row-1 | failed | 1");
}

#[test]
fn transient_machine_failures_are_retried_without_using_an_attempt() {
    for (how, code) in [
        ("echo 'API Error: Connection error.' >&2; exit 1", 0),
        ("echo 'API Error: Connection error.'; exit 0", 0),
        ("echo 'getaddrinfo ENOTFOUND api.x'; exit 1", 0),
        ("echo '{\"error\":{\"message\":\"fetch failed\"}}'", 0),
        ("kill -9 $$", 0),
        ("exit 137", 0),
        ("echo 'fork: Cannot allocate memory'; exit 1", 0),
        (
            "echo \"terminate called after throwing an instance of 'std::bad_alloc'\" >&2; exit 134",
            0,
        ),
        ("echo 'assertion failed: connected' >&2; exit 1", 1),
    ] {
        let script = format!("[ -e met ] && {{ echo '{{}}'; exit; }}; : >met; {how}");
        let sandbox = with_rows("id\na\n");
        let said = spawn(&sandbox, "", &["sh", "-c", &script]);
        assert_eq!(said.code, code, "{how}: {}", said.err);
        let status = if code == 0 { "completed" } else { "failed" };
        assert_eq!(
            table(&sandbox, &COLUMNS),
            format!("row-1 | {status} | 1"),
            "{how}"
        );
    }
    // Somebody wants every row to be tried once.
    let sandbox = with_rows("id\na\n");
    let script = "[ -e met ] && { echo '{}'; exit; }; : >met; kill -9 $$";
    spawn(&sandbox, "--retries 0", &["sh", "-c", script]).exits(1);
}

#[test]
fn test_and_compiler_output_about_limits_is_not_a_rate_limit() {
    for text in [
        "FAILED tests/test_quota.py::test_quota_exceeded - AssertionError: assert 200 == 429",
        "src/quota.rs:12: error: cannot find function `quota_exceeded`",
        "test limits::rate_limit_exceeded ... FAILED",
        "expected 401 Unauthorized, got 200",
        "except MemoryError:",
        "src/heap.rs:9:1: error: out of memory is not handled",
    ] {
        let sandbox = with_rows("id\na\n");
        let script = r#"printf '%s\n' "$0" >&2; exit 1"#;
        let said = spawn(&sandbox, "--retries 0", &["sh", "-c", script, text]);
        assert_eq!(said.code, 1, "{text}: {}", said.err);
        assert_eq!(table(&sandbox, &COLUMNS), "row-1 | failed | 1", "{text}");
    }
}

#[test]
fn a_suggested_command_finds_the_run_where_the_runs_are() {
    let sandbox = with_rows("id\na\n");
    let far = "You've hit your limit · resets Oct 9, 2099 5pm (UTC)";
    let options = "--artifacts 'my runs'";
    let said = spawn_agent(&sandbox, options, &["--say", far]).exits(4);
    let bare = "mesh resume --artifacts 'my runs' ";
    let (_, rest) = said.err.split_once(bare).expect(&said.err);
    let id = rest.split_whitespace().next().expect("a run");
    sandbox
        .mesh(&["resume", "--artifacts", "my runs", id])
        .exits(4);
    let said = sandbox.mesh("resume --artifacts 'my runs' nothing");
    let hint = "mesh runs list --artifacts 'my runs'";
    said.err_has(hint);
}

#[test]
fn a_folder_for_runs_that_can_not_be_made_is_no_riddle() {
    let sandbox = with_rows("id\na\n");
    let said = spawn_agent(&sandbox, "--artifacts /proc/x", "--say {}");
    let hint = "hint: choose a writable folder for runs";
    said.err_has(hint);
}
