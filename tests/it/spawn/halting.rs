//! `--halt` and `--max-wall-seconds`: jobs that end before their last row, by a rule of their own.

use super::*;

const COLUMNS: [&str; 3] = ["item_id", "status", "attempt_count"];

/// How a job of one row after the other ends: exit code, statuses, and the `job_error`.
fn halted(rule: &str, mocks: &[&str]) -> (i32, String, Value) {
    let rows: String = mocks.iter().map(|mock| format!("{mock}\n")).collect();
    let sandbox = with_rows(&format!("mock\n{rows}"));
    let options = ["--json", "-j", "1", "--retries", "0", "--halt", rule];
    let said = spawn_agent(&sandbox, &options, "--as {mock} 1");
    let last = said.out.lines().last().expect("a line");
    let summary: Value = serde_json::from_str(last).expect("an object");
    let statuses = table(&sandbox, "status").replace('\n', " ");
    (said.code, statuses, summary["job_error"].clone())
}

#[test]
fn rows_are_counted_by_how_they_ended() {
    for (rule, mocks, statuses, error) in [
        (
            "soon,fail=2",
            ["exit", "good", "never", "good", "good"],
            "failed completed failed pending pending",
            "halted: 2 rows failed (soon,fail=2)",
        ),
        (
            "now,fail=1",
            ["exit", "good", "never", "good", "good"],
            "failed pending pending pending pending",
            "halted: 1 row failed (now,fail=1)",
        ),
        (
            "soon,success=2",
            ["good", "exit", "good", "good", "good"],
            "completed failed completed pending pending",
            "halted: 2 rows completed (soon,success=2)",
        ),
        (
            "now,done=2",
            ["good", "exit", "good", "good", "good"],
            "completed failed pending pending pending",
            "halted: 2 rows ended (now,done=2)",
        ),
        (
            "soon,fail=40%",
            ["exit", "good", "exit", "good", "good"],
            "failed completed failed pending pending",
            "halted: 2 of 5 rows failed (soon,fail=40%)",
        ),
    ] {
        let found = halted(rule, &mocks);
        assert_eq!(found, (4, statuses.to_owned(), error.into()), "{rule}");
    }
}

#[test]
fn a_halt_rule_met_by_no_row_or_only_the_last_does_not_halt_early() {
    for (rule, mocks, code, statuses) in [
        ("never", ["exit", "exit"], 1, "failed failed"),
        ("soon,fail=2", ["good", "exit"], 1, "completed failed"),
        ("soon,fail=1", ["good", "exit"], 1, "completed failed"),
        ("now,success=2", ["good", "good"], 0, "completed completed"),
        ("now,done=100%", ["good", "good"], 0, "completed completed"),
    ] {
        let found = halted(rule, &mocks);
        assert_eq!(found, (code, statuses.to_owned(), Value::Null), "{rule}");
    }
}

#[test]
fn a_retried_attempt_is_not_a_failed_row() {
    let sandbox = with_schema("id\na\nb\n");
    let options = "--output-schema schema.json --halt now,fail=1";
    spawn_agent(&sandbox, options, "--heal").exits(0);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "row-1 | completed | 2\nrow-2 | completed | 2"
    );
}

/// Starts a job of which row 1 waits for `open`, row 2 fails once row 1 is at work, and row 3 is left.
fn beside_a_gate(rule: &str) -> (Sandbox, Child) {
    let sandbox = with_rows("id,mock\n1,gate\n2,never\n3,good\n");
    let agent = fake_agent();
    let script =
        r#"[ $MESH_ITEM_ID != 2 ] || until [ -e began.1 ]; do sleep 0.02; done; exec "$@""#;
    let options = format!("--id-column id -j 2 --retries 0 --halt '{rule}'");
    let command = ["sh", "-c", script, "sh", &agent, "--as", "{mock}", "."];
    let mesh = start(&sandbox, &options, &command);
    (sandbox, mesh)
}

#[test]
fn a_halt_with_soon_lets_running_rows_finish() {
    let (sandbox, mesh) = beside_a_gate("soon,fail=1");
    wait_for("row 2 has failed", || {
        ledger(&sandbox).contains("\"attempt_finished\"")
    });
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4, "{}", sandbox.read("talk"));
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | failed | 1\n3 | pending | 0"
    );
    let talk = sandbox.read("talk");
    let id = run_id(&sandbox);
    assert!(talk.contains(&format!("mesh resume {id}")), "{talk}");
}

#[test]
fn cancelling_now_ends_running_rows_and_they_can_be_resumed() {
    let (sandbox, mesh) = beside_a_gate("now,fail=1");
    // The gate is not opened: only being ended lets row 1 end.
    assert_eq!(finish(mesh), 4, "{}", sandbox.read("talk"));
    let columns = "item_id status attempt_count last_error";
    assert_snapshot!(table(&sandbox, columns), @r"
    1 | pending | 1 |
    2 | failed | 1 | no_response: the worker ended without a report, a result file or any output
    3 | pending | 0 |
    ");
    let (_, ended) = sandbox.events().pop().expect("an end");
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(ended["exit_code"], 4);
    assert_eq!(ended["detail"], "halted: 1 row failed (now,fail=1)");

    sandbox.write("open", "");
    resume(&sandbox).exits(1);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 2\n2 | failed | 1\n3 | completed | 1"
    );
}

#[test]
fn a_resumed_job_counts_failures_afresh() {
    let sandbox = with_rows("id\n1\n2\n3\n");
    let options = "-j 1 --halt soon,fail=1";
    spawn(&sandbox, options, "false").exits(4);
    assert_eq!(table(&sandbox, "status"), "failed\npending\npending");
    resume(&sandbox).exits(4);
    assert_eq!(table(&sandbox, "status"), "failed\nfailed\npending");
    resume(&sandbox).exits(1);
    assert_eq!(table(&sandbox, "status"), "failed\nfailed\nfailed");
}

#[test]
fn an_invalid_halt_rule_is_refused() {
    for rule in [
        "",
        "1",
        "5%",
        "soon",
        "later,fail=1",
        "soon,fail",
        "soon,fail=0",
        "now,fail=0%",
        "now,fail=101%",
        "now,error=1",
        "never,fail=1",
        "soon,fail=-1",
        "soon,fail=1,done=2",
    ] {
        let sandbox = with_rows("id\na\n");
        let said = spawn(&sandbox, &["--halt", rule], "touch started");
        assert_eq!(said.code, 2, "{rule}: {}", said.err);
        said.err_has("for example: soon,fail=3");
        assert!(!sandbox.path("started").exists() && !sandbox.mesh_home().exists());
    }
}

#[test]
fn when_the_time_budget_is_used_up_running_rows_finish_and_no_row_starts() {
    let sandbox = with_rows("id\n1\n2\n");
    let agent = fake_agent();
    let options = "--id-column id -j 1 --max-wall-seconds 3";
    let mesh = start(&sandbox, options, &[&agent, "--gate", "."]);
    wait_for("the budget is used up", || {
        ledger(&sandbox).contains("\"budget_reached\"")
    });
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4, "{}", sandbox.read("talk"));
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | pending | 0"
    );
    let talk = sandbox.read("talk");
    assert_contains(
        &talk,
        "max_wall_seconds of 3 reached; running rows ended by themselves",
    );
    resume_for_longer(&sandbox);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | completed | 1\n2 | completed | 1"
    );
}

/// Resumes to the end, however slow the machine is.
fn resume_for_longer(sandbox: &Sandbox) {
    let run = run_id(sandbox);
    let longer = ["resume", &run, "--max-wall-seconds", "600"];
    sandbox.mesh(&longer).exits(0);
}

#[test]
fn a_hard_budget_of_time_ends_running_rows() {
    let sandbox = with_rows("id\n1\n2\n");
    let agent = fake_agent();
    let options = ["--id-column", "id", "-j", "1", "--max-wall-seconds", "3"];
    let hard = ["--wall-hard", "--grace-seconds", "0"];
    let options = [&options[..], &hard].concat();
    // Nobody opens the gate: without the end from outside this would take a minute, and fail the row.
    let mesh = start(&sandbox, &options, &[&agent, "--gate", "."]);
    assert_eq!(finish(mesh), 4, "{}", sandbox.read("talk"));
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | pending | 1\n2 | pending | 0"
    );
    let talk = sandbox.read("talk");
    assert_contains(
        &talk,
        "max_wall_seconds of 3 reached; running rows were ended",
    );
    sandbox.write("open", "");
    resume_for_longer(&sandbox);
}

#[test]
fn a_time_budget_does_not_wait_for_a_delayed_retry() {
    let sandbox = with_rows("id\na\n");
    let options = "--retry-delay 300 --max-wall-seconds 3";
    // Without the budget this job would wait for minutes.
    spawn_agent(&sandbox, options, "--never").exits(4);
    assert_eq!(table(&sandbox, &COLUMNS), "row-1 | pending | 1");
    let budgets: Vec<Value> = sandbox
        .events()
        .into_iter()
        .filter_map(|(name, record)| (name == "budget_reached").then_some(record))
        .collect();
    assert_eq!(budgets.len(), 1);
    assert_eq!(budgets[0]["budget"], "max_wall_seconds");
    assert_eq!(budgets[0]["limit"], 3);
}

#[test]
fn a_time_budget_of_zero_is_refused() {
    let sandbox = with_rows("id\na\n");
    let said = spawn(&sandbox, "--max-wall-seconds 0", "true").exits(2);
    said.err_has("must be at least 1");
}

#[test]
fn queued_rows_that_never_started_are_withdrawn() {
    // Rows of a millisecond, so that further ones are queued ahead, and then two that fill both slots.
    let short: String = (1..=60).map(|n| format!("{n},good\n")).collect();
    let late: String = (63..=70).map(|n| format!("{n},good\n")).collect();
    let sandbox = with_rows(&format!("id,mock\n{short}61,gate\n62,gate\n{late}"));
    let script = r#"echo $MESH_ITEM_ID >>log
        if [ $1 = gate ]; then : >began.$MESH_ITEM_ID; until [ -e open ]; do sleep 0.02; done; fi; echo '{}'"#;
    let options = "--id-column id -j 2";
    let mesh = start(&sandbox, options, &["sh", "-c", script, "sh", "{mock}"]);
    wait_for("both slots are taken", || {
        sandbox.path("began.61").exists() && sandbox.path("began.62").exists()
    });
    sandbox.mesh(&["cancel", &run_id(&sandbox)]).exits(0);
    wait_for("it has arrived", || {
        sandbox.read("talk").contains("stopping")
    });
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 4);
    for row in rows(&sandbox) {
        let item = &row["item_id"];
        let number: u32 = item.parse().expect("a number");
        let began = if number <= 62 {
            "completed 1"
        } else {
            "pending 0"
        };
        let found = format!("{} {}", row["status"], row["attempt_count"]);
        assert_eq!(found, began, "{item}");
        // Whatever was written down as started has an end, also where it never began.
        assert_eq!(
            occurred(&sandbox, "attempt_started", item),
            occurred(&sandbox, "attempt_finished", item),
            "{item}"
        );
    }
    resume(&sandbox).exits(0);
    assert!(
        rows(&sandbox)
            .iter()
            .all(|row| row["status"] == "completed" && row["attempt_count"] == "1")
    );
    assert_eq!(sandbox.read("log").lines().count(), 70);
}
