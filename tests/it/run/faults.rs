//! What the service and the machine do is never a vote and never a critique: the run waits or ends, and goes on later.

use super::*;

const ROLES: [&str; 5] = ["proposer", "skeptic", "synthesizer", "critic_a", "critic_b"];

/// One task, and a run in which rows whose id holds `part` do `how` as long as there is no file `mended`.
fn run_failing_at(part: &str, how: &str) -> (Bench, Said) {
    let bench = Bench::new(&[Task::new("a")]);
    let mended = bench.beside("mended").display().to_string();
    let said = bench.run_agent("--retries=0", &["--fail-at", part, &mended, how]);
    (bench, said)
}

fn mend_and_resume(bench: &Bench) -> Said {
    std::fs::write(bench.beside("mended"), "").expect("written");
    bench.mesh("resume R")
}

fn rows_of(bench: &Bench, round: &str) -> usize {
    let is_of = |row: &&String| row.contains(&format!(".{round}."));
    bench.rows().iter().filter(is_of).count()
}

#[test]
fn votes_that_memory_ran_out_for_are_asked_for_again() {
    let (bench, said) = run_failing_at(".vote.", "kill -9 $$");
    assert_eq!(said.code, 4, "{}", said.err);
    said.err_has("could not be asked: worker_exit: ended by signal 9");
    assert!(
        bench.trace("tally").is_empty(),
        "{:?}",
        bench.trace("tally")
    );
    assert_eq!(
        (rows_of(&bench, "vote"), bench.status_of("a").as_str()),
        (15, "in_progress")
    );
    for role in ROLES {
        bench.answer(
            "a",
            &format!("vote.{role}.4"),
            r#"{"vote":"agree","reason":"r"}"#,
        );
    }
    mend_and_resume(&bench).exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(bench.read("a.txt"), "new\n");
}

#[test]
fn an_outage_that_voters_print_is_no_verdict() {
    for (how, code) in [
        (
            "echo 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory' >&2; exit 134",
            4,
        ),
        ("echo 'Error: connect ECONNREFUSED 1.2.3.4:443'; exit 1", 4),
        ("echo '403 Forbidden'; exit 1", 4),
        ("echo 'raise MemoryError(self.name)' >&2; exit 1", 1),
    ] {
        let (bench, said) = run_failing_at(".vote.", how);
        assert_eq!(said.code, code, "{how}: {}", said.err);
        let status = if code == 4 { "in_progress" } else { "blocked" };
        assert_eq!(bench.status_of("a"), status, "{how}");
        assert_eq!(bench.trace("tally").is_empty(), code == 4, "{how}");
        assert_eq!(bench.path(".learnings.jsonl").exists(), code == 1, "{how}");
    }
}

#[test]
fn a_row_is_not_asked_again_right_after_a_fault() {
    let bench = Bench::new(&[Task::new("a")]);
    let mended = bench.beside("mended").display().to_string();
    let options = "--retries=0 --retry-delay=300";
    let behaviour = ["--fail-at", ".proposal.", mended.as_str(), "kill -9 $$"];
    let mut mesh = bench.command(bench.agent_args(options, &behaviour));
    let printed = std::fs::File::create(bench.beside("printed")).expect("a file");
    let mut mesh = mesh.stderr(printed).spawn().expect("mesh starts");
    wait_for("the wait", || {
        read_file(bench.beside("printed")).contains("are asked again in ")
    });
    wait_for("the next row", || {
        bench.rows().iter().any(|row| row.ends_with(".2"))
    });
    bench.mesh("cancel R").exits(0);
    assert_eq!(mesh.wait().expect("ended").code(), Some(4));
    let again: Vec<String> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "attempt_started")
        .map(|(_, started)| started["item_id"].to_string())
        .filter(|row| row.contains(".2"))
        .collect();
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn a_missing_vote_does_not_decide_when_the_others_do() {
    let (bench, said) = run_failing_at(
        ".vote.critic_b.",
        "echo 'fetch failed: ECONNREFUSED' >&2; exit 1",
    );
    assert_eq!(
        (said.code, bench.status_of("a").as_str()),
        (0, "completed"),
        "{}",
        said.err
    );
    let tallies: Vec<Value> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "tally")
        .map(|(_, tally)| json!([tally["agree"], tally["disagree"], tally["absent"]]))
        .collect();
    assert_eq!(tallies, [json!([4, 0, 1])]);
}

#[test]
fn without_a_log_in_no_round_is_spent() {
    for part in [".proposal.", ".critique.", ".vote."] {
        let (bench, said) = run_failing_at(
            part,
            "echo 'API Error: 401 authentication_error' >&2; exit 1",
        );
        assert_eq!(said.code, 4, "{part}: {}", said.err);
        assert!(said.err.contains("hint: "), "{part}: {}", said.err);
        assert_eq!(bench.status_of("a"), "in_progress", "{part}");
        let said = mend_and_resume(&bench);
        assert_eq!(
            (said.code, bench.status_of("a").as_str()),
            (0, "completed"),
            "{part}: {}",
            said.err
        );
        // No row of a second round was needed: none was counted.
        assert!(
            bench.rows().iter().all(|row| row.ends_with(".1")),
            "{:?}",
            bench.rows()
        );
    }
}

#[test]
fn a_quota_pauses_every_wave_of_a_run() {
    let tasks = ["a", "b", "c"].map(Task::new);
    let bench = Bench::new(&tasks);
    let mended = bench.beside("mended").display().to_string();
    let how = "echo \"You've hit your limit · resets Oct 9, 2099 5pm (UTC)\"; exit 1";
    // The time limit only keeps a failure from waiting until 2099.
    let options = "max_tasks=3 parallel_tasks=3 max_wall_seconds=60";
    let said = bench
        .run_agent(options, &["--fail-at", ".critique.", &mended, how])
        .exits(4);
    said.err_has("until 17:00 UTC on 2099-10-09");
    let count = |event: &str| {
        bench
            .events()
            .iter()
            .filter(|(name, _)| name == event)
            .count()
    };
    let started = count("attempt_started");
    said.err_has("resume at ");
    assert_eq!(
        bench
            .events()
            .iter()
            .filter(|(_, record)| record["end"] == "failed")
            .count(),
        0
    );
    let said = mend_and_resume(&bench);
    assert_eq!(said.code, 4, "the limit holds: {}", said.err);
    assert_eq!(count("attempt_started"), started);
}

#[test]
fn an_overload_at_every_vote_is_waited_for_as_long_as_allowed() {
    let bench = Bench::new(&[Task::new("a")]);
    let mended = bench.beside("mended").display().to_string();
    let how = "echo '529 overloaded_error: Overloaded' >&2; exit 1";
    let options = "--rate-limit-wait-max=2 max_wall_seconds=60";
    let said = bench
        .run_agent(options, &["--fail-at", ".vote.", &mended, how])
        .exits(4);
    said.err_has("was waited for as long as rate_limit_wait_max allows: exit code 1: 529 over");
    assert_eq!(bench.status_of("a"), "in_progress");
    mend_and_resume(&bench).exits(0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn a_short_quota_is_waited_for_and_every_task_completes() {
    let bench = Bench::new(&["a", "b"].map(Task::new));
    let until = bench.beside("until").display().to_string();
    // From the first critique on, and for two seconds.
    let how = format!(
        "[ -e '{until}' ] || echo $(($(date +%s) + 2)) >'{until}'; [ \"$(date +%s)\" -ge \"$(cat '{until}')\" ] || {{ echo \"You've hit your usage limit. Try again in 4s\" >&2; exit 1; }}"
    );
    let options = "max_tasks=2 parallel_tasks=2";
    let mended = bench.beside("mended").display().to_string();
    bench
        .run_agent(options, &["--fail-at", ".critique.", &mended, &how])
        .exits(0);
    assert_eq!(
        (bench.status_of("a"), bench.status_of("b")),
        ("completed".into(), "completed".into())
    );
    let met = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "rate_limited")
        .count();
    assert!((1..=6).contains(&met), "{met} rows met it");
}

#[test]
fn machine_failures_do_not_reduce_concurrency() {
    let bench = Bench::new(&[Task::new("a")]);
    let critique = r#"{"findings":[],"must_fix":[],"flip_conditions":[],"risk":"low"}"#;
    bench.answer("a", "critique.critic_a.2", critique);
    let mended = bench.beside("mended").display().to_string();
    let fails = ["--fail-at", ".critique.critic_a.1", &mended, "kill -9 $$"];
    bench.run_agent("--retries=0", &fails).exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    assert!(
        bench.rows().contains(&"a.critique.critic_a.2".to_owned()),
        "{:?}",
        bench.rows()
    );
    assert_eq!(bench.trace("backpressure"), Vec::<String>::new());
}
