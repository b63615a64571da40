//! `kill -9` while several short rows are under way and further ones are queued.

use super::*;
use std::collections::BTreeSet;

const ROWS: usize = 8;
/// Records of such a job: its begin, that of its wave, three of each row, its output, its end.
const RECORDS: usize = 2 + 3 * ROWS + 2;

/// Starts the job, to be killed once record `seq` is on disk; gives the exit code.
fn killed_after(seq: usize, sandbox: &Sandbox) -> i32 {
    let script = r#"echo $MESH_ITEM_ID >>log; echo "{\"n\":$MESH_ITEM_ID}""#;
    let options = "--id-column id -j 4";
    sandbox
        .command(arguments(options, &["sh", "-c", script]))
        .env("MESH_FAULT_KILL", format!("after:{seq}"))
        .run_to_end()
        .code
}

fn job(rows: usize) -> Sandbox {
    let ids: String = (1..=rows).map(|n| format!("{n}\n")).collect();
    with_rows(&format!("id\n{ids}"))
}

/// Rows whose result is safe.
fn safe(sandbox: &Sandbox) -> BTreeSet<String> {
    let reported = |(name, record): (String, Value)| {
        let item = record["item_id"].as_str()?.to_owned();
        (name == "attempt_reported").then_some(item)
    };
    sandbox.events().into_iter().filter_map(reported).collect()
}

fn goes_on_after(seq: usize) {
    let sandbox = job(ROWS);
    assert_eq!(killed_after(seq, &sandbox), 137, "{seq}");
    let safe = safe(&sandbox);
    let said = resume(&sandbox);
    assert_eq!(said.code, 0, "{seq}: {}", said.err);
    let wanted: Vec<String> = (1..=ROWS)
        .map(|n| format!("{n} | {n} | completed |  | {{\"n\":{n}}}"))
        .collect();
    let columns = "id item_id status last_error result_json";
    assert_eq!(table(&sandbox, columns), wanted.join("\n"), "{seq}");
    let log = sandbox.read("log");
    for row in rows(&sandbox) {
        let item = &row["item_id"];
        let runs = log.lines().filter(|line| line == item).count();
        // What was under way when mesh was killed may be worked again, and once.
        let most = if safe.contains(item) { 1 } else { 2 };
        assert!((1..=most).contains(&runs), "{seq}: {item} ran {runs} times");
        assert_eq!(occurred(&sandbox, "attempt_reported", item), 1, "{seq}");
        let started = occurred(&sandbox, "attempt_started", item);
        let ended = occurred(&sandbox, "attempt_finished", item);
        assert_eq!(started, ended, "{seq}: {item}");
    }
}

#[test]
fn a_kill_early_in_a_job_loses_and_repeats_no_row() {
    (1..=RECORDS / 3).for_each(goes_on_after);
}

#[test]
fn a_kill_halfway_through_a_job_loses_and_repeats_no_row() {
    (RECORDS / 3 + 1..=RECORDS * 2 / 3).for_each(goes_on_after);
}

#[test]
fn a_kill_late_in_a_job_loses_and_repeats_no_row() {
    (RECORDS * 2 / 3 + 1..=RECORDS).for_each(goes_on_after);
    // There is no later record to be killed at.
    assert_eq!(killed_after(RECORDS + 1, &job(ROWS)), 0);
}

#[test]
fn repeated_kills_reach_the_same_end() {
    let sandbox = job(24);
    assert_eq!(killed_after(3, &sandbox), 137);
    let mut kills = 0;
    loop {
        // Rows are begun ahead, so a call may close what was left open and end none.
        assert!(kills < 60, "never came to an end");
        let records = sandbox.events().len();
        let mut mesh = sandbox.command(&["resume", &run_id(&sandbox)]);
        // Late enough for each call to close what the last one left open, to begin rows, and to end at least one.
        mesh.env("MESH_FAULT_KILL", format!("after:{}", records + 20));
        match mesh.run_to_end().code {
            0 => break,
            code => assert_eq!(code, 137),
        }
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills");
    for row in rows(&sandbox) {
        assert_eq!(row["status"], "completed", "{row:?}");
        assert_eq!(occurred(&sandbox, "attempt_reported", &row["item_id"]), 1);
    }
}

#[test]
fn the_question_of_a_job_is_kept_in_its_run() {
    let sandbox = with_schema("id\n1\n2\n3\n4\n5\n6\n");
    let options = "--rows 2-5 --flatten --output-schema schema.json --id-column id -j 4";
    let agent = fake_agent();
    sandbox
        .command(arguments(options, &[&agent, "--good"]))
        .env("MESH_FAULT_KILL", "after:7")
        .run_to_end()
        .exits(137);
    assert!(!sandbox.path("out.csv").exists());
    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, "item_id status result.answer"),
        "2 | completed | 2\n3 | completed | 3\n4 | completed | 4\n5 | completed | 5"
    );
}
