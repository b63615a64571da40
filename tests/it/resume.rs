//! `mesh resume`: a run that was killed at any event of its ledger ends as if it had not been.

use crate::fixture::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

// Killed at every event.

/// One author and two voters, so that a whole run has few events.
const DUO: &str = "\
name: duo
roles: [synthesizer, skeptic]
rounds:
  - {name: synthesis, roles: [synthesizer], lane: patch, prompt: synthesis.md, schema: synthesis.json}
  - {name: vote, roles: [synthesizer, skeptic], lane: read_only, prompt: vote.md, schema: vote.json, inputs: [synthesis]}
consensus: {round: vote, threshold: 2, retries: 1, retry_from: synthesis}
";

const RUN: [&str; 2] = ["max_tasks=2", "protocol=duo.yaml"];

/// One task that ends completed and one that ends blocked, in a tree with changes of its own.
fn two_tasks() -> Bench {
    let a = Task::new("a").validation(&["echo x >made-by-a", "grep -q new a.txt"]);
    let b = Task::new("b").validation(&["echo x >made-by-b; false"]);
    let bench = Bench::with_files(&[a, b], &[("duo.yaml", DUO)]);
    bench.write("kept.txt", "changed by me\n");
    bench.write("mine.txt", "untracked\n");
    bench
}

/// What must not depend on a kill: the tree, the plan's statuses and comments, and the report.
#[derive(Debug, PartialEq)]
struct Outcome {
    tree: Vec<(std::path::PathBuf, u32, Vec<u8>)>,
    plan: Vec<(String, Vec<String>)>,
    report: Value,
}

fn outcome(bench: &Bench, said: &Said) -> Outcome {
    let plan = ["a", "b"].map(|id| (bench.status_of(id), bench.comments(id)));
    Outcome {
        tree: bench.tree(),
        plan: plan.into(),
        report: told(report(said)),
    }
}

/// The report without what a kill may change: attempts, slots, when something was learned, and how long something took.
fn told(report: Value) -> Value {
    let text = without_learning_times(&report.to_string());
    let mut report: Value = serde_json::from_str(&text).expect("JSON");
    for task in report["tasks"].as_array_mut().expect("tasks") {
        task["moved_aside"] = Value::Null;
        for run in task["validation"].as_array_mut().expect("commands") {
            run["duration_ms"] = Value::Null;
        }
    }
    for key in ["adapter", "slots"] {
        report[key] = Value::Null;
    }
    report
}

/// Every row that had its result when the program was killed was not started again.
fn nothing_ran_twice(events: &[(String, Value)]) {
    let mut reported = BTreeSet::new();
    let mut accepted = BTreeSet::new();
    for (index, (name, record)) in events.iter().enumerate() {
        assert_eq!(record["seq"], index + 1);
        let item = record["item_id"].to_string();
        match name.as_str() {
            "attempt_started" => assert!(!reported.contains(&item), "{item} ran again"),
            "attempt_reported" => assert!(reported.insert(item.clone()), "{item} counted twice"),
            "verdict" => assert!(accepted.insert(item.clone()), "{item} judged twice"),
            _ => {}
        }
    }
}

fn run_until(bench: &Bench, fault: &str) -> Option<i32> {
    let code = bench.run_with_kill(&RUN, fault).code;
    Some(code).filter(|code| *code > 128).map(|code| code - 128)
}

/// Kills the run at every fourth event, beginning with `first`.
fn killed_at(side: &str, first: usize) {
    let start = two_tasks();
    let untouched = start.copy();
    let said = untouched.run(&[RUN[0], RUN[1], "--json"]);
    let expected = outcome(&untouched, &said);
    assert_eq!(
        (
            said.code,
            expected.plan[0].1.len(),
            expected.plan[1].1.len()
        ),
        (1, 1, 1)
    );
    let events = untouched.events().len();
    assert!(events > 40, "{events}");
    for point in (first..=events).step_by(4) {
        let wish = format!("{side}:{point}");
        let bench = start.copy();
        let git = bench.git_state();
        assert_eq!(run_until(&bench, &wish), Some(9), "{wish}");
        let said = bench.mesh("resume R --json");
        assert_eq!(said.code, 1, "{wish}: {}", said.err);
        assert_eq!(outcome(&bench, &said), expected, "{wish}");
        assert_eq!(bench.git_state(), git, "{wish}");
        nothing_ran_twice(&bench.events());
    }
}

macro_rules! killed {
    ($($name:ident: $side:literal $first:literal;)*) => {$(
        #[test]
        fn $name() {
            killed_at($side, $first);
        }
    )*};
}

// `before:1` leaves an empty ledger; it has a test of its own.
killed! {
    killed_before_every_event_from_2: "before" 2;
    killed_before_every_event_from_3: "before" 3;
    killed_before_every_event_from_4: "before" 4;
    killed_before_every_event_from_5: "before" 5;
    killed_after_every_event_from_1: "after" 1;
    killed_after_every_event_from_2: "after" 2;
    killed_after_every_event_from_3: "after" 3;
    killed_after_every_event_from_4: "after" 4;
}

#[test]
fn a_run_that_was_killed_before_its_first_event_never_began() {
    let bench = two_tasks();
    let before = (bench.tree(), bench.read(PLAN));
    assert_eq!(run_until(&bench, "before:1"), Some(9));
    let said = bench.mesh("resume R").exits(2);
    said.err_has("its ledger is empty: it was killed before it started anything");
    assert_eq!((bench.tree(), bench.read(PLAN)), before);
    bench.mesh("runs list").exits(0);
}

/// Two tasks whose waves are under way at once; which event is which differs from run to run.
fn killed_while_rolling(side: &str) {
    let args = "max_tasks=2 parallel_tasks=2";
    for point in (3..75).step_by(9) {
        let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
        let answers = bench.answers();
        let head: &[&str] = &["run", "--run-id", "R", "--adapter", "replay"];
        let mut command = bench.command(Args::from(head).and(&["--answers", &answers]).and(args));
        let wish = format!("{side}:{point}");
        command.env("MESH_FAULT_KILL", &wish);
        let output = command.output().expect("mesh starts");
        assert_eq!(output.status.signal(), Some(9), "{wish}");
        let said = bench.mesh("resume R");
        assert_eq!(said.code, 0, "{wish}: {}", said.err);
        assert_eq!(bench.read("a.txt") + &bench.read("b.txt"), "new\nnew\n");
        let comments = ["a", "b"].map(|id| (bench.status_of(id), bench.comments(id).len()));
        let done = ("completed".to_owned(), 1);
        assert_eq!(comments, [done.clone(), done], "{wish}");
        nothing_ran_twice(&bench.events());
    }
}

#[test]
fn killed_before_events_while_two_tasks_are_in_flight() {
    killed_while_rolling("before");
}

#[test]
fn killed_after_events_while_two_tasks_are_in_flight() {
    killed_while_rolling("after");
}

#[test]
fn killed_twice_in_the_same_integration() {
    let untouched = two_tasks();
    let said = untouched.run(&[RUN[0], RUN[1], "--json"]);
    let expected = outcome(&untouched, &said);
    let of_b =
        |(name, record): &(String, Value)| name == "validation_finished" && record["unit"] == "b";
    let at = untouched
        .events()
        .iter()
        .position(of_b)
        .expect("a validation")
        + 1;
    let bench = two_tasks();
    assert_eq!(run_until(&bench, &format!("before:{at}")), Some(9));
    let mut again = bench.command("resume R");
    let again = again
        .env("MESH_FAULT_KILL", format!("before:{}", at + 3))
        .output()
        .expect("mesh starts");
    assert_eq!(again.status.signal(), Some(9));
    let said = bench.mesh("resume R --json").exits(1);
    assert_eq!(outcome(&bench, &said), expected);
}

// The same over the demo.

struct Demo {
    sandbox: Sandbox,
}

impl Demo {
    fn new() -> Self {
        Self {
            sandbox: Sandbox::new(),
        }
    }

    fn run(&self, wish: &str) -> std::process::Output {
        let mut command = self.sandbox.command("demo --dir demo --run-id R --json");
        command
            .env("MESH_FAULT_KILL", wish)
            .output()
            .expect("mesh starts")
    }

    fn outcome(&self, out: &str) -> (String, Vec<String>, Value) {
        let repo = self.sandbox.path("demo/repo");
        let git = std::process::Command::new("git")
            .args(["diff", "HEAD", "--", ".", ":!.step"])
            .current_dir(&repo)
            .output()
            .expect("git starts");
        let plan = self.sandbox.read("demo/repo/.step/st-plan.jsonl");
        let plan: Value = serde_json::from_str(plan.lines().last().expect("a line")).expect("JSON");
        let items = plan["items"].as_array().expect("items").iter();
        let items = items.map(|item| {
            let comments = item["comments"].as_array().expect("comments");
            let comments: Vec<&str> = comments
                .iter()
                .filter_map(|comment| comment["text"].as_str())
                .collect();
            let comments = without_learning_times(&comments.join("\n"));
            format!("{} {} {comments}", item["id"], item["status"])
        });
        let report = out
            .lines()
            .rfind(|line| line.starts_with('{'))
            .expect("a report");
        let mut report = told(serde_json::from_str(report).expect("JSON"));
        report["waves"] = Value::Null;
        (
            String::from_utf8_lossy(&git.stdout).into_owned(),
            items.collect(),
            report,
        )
    }
}

/// Kills the demo's run at six events that are far apart.
fn demo_killed(side: &str, points: [usize; 6]) {
    let untouched = Demo::new();
    let output = untouched.run("");
    assert_eq!(output.status.code(), Some(0));
    let expected = untouched.outcome(&String::from_utf8_lossy(&output.stdout));
    assert!(untouched.sandbox.events().len() >= points[5]);
    for point in points {
        let wish = format!("{side}:{point}");
        let demo = Demo::new();
        assert_eq!(demo.run(&wish).status.signal(), Some(9), "{wish}");
        let said = demo.sandbox.mesh("resume R --json");
        assert_eq!(said.code, 1, "{wish}: {}", said.err);
        assert_eq!(demo.outcome(&said.out), expected, "{wish}");
        nothing_ran_twice(&demo.sandbox.events());
    }
}

#[test]
fn the_demo_killed_before_events() {
    demo_killed("before", [5, 75, 145, 215, 285, 355]);
}

#[test]
fn the_demo_killed_after_events() {
    demo_killed("after", [40, 110, 180, 250, 320, 405]);
}

// What else can have happened to a run.

#[test]
fn a_torn_last_line_is_cut_off() {
    let bench = two_tasks();
    assert_eq!(run_until(&bench, "after:25"), Some(9));
    let ledger = bench.run_folder().join("ledger.jsonl");
    let whole = read_file(&ledger);
    std::fs::write(&ledger, format!("{whole}{{\"v\":1,\"seq\":9")).expect("written");
    bench.mesh("resume R").exits(1);
    let after = read_file(&ledger);
    assert!(after.starts_with(&whole) && !after.contains("\"seq\":9{"));
    nothing_ran_twice(&bench.events());
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "blocked"]
    );
}

#[test]
fn a_torn_line_before_the_last_is_an_error_that_names_it() {
    let bench = two_tasks();
    assert_eq!(run_until(&bench, "after:25"), Some(9));
    let ledger = bench.run_folder().join("ledger.jsonl");
    let text = read_file(&ledger);
    let mut lines: Vec<&str> = text.lines().collect();
    lines[6] = &lines[6][..20];
    let broken = lines.join("\n") + "\n";
    std::fs::write(&ledger, &broken).expect("written");
    let before = (bench.tree(), bench.read(PLAN));
    let said = bench.mesh("resume R").exits(2);
    said.err_has("line 7: not JSON");
    assert_eq!((bench.tree(), bench.read(PLAN)), before);
    assert_eq!(read_file(&ledger), broken);
}

#[test]
fn an_event_of_a_later_version_is_kept_and_skipped_and_a_later_format_refused() {
    let bench = two_tasks();
    assert_eq!(run_until(&bench, "after:25"), Some(9));
    let ledger = bench.run_folder().join("ledger.jsonl");
    let text = read_file(&ledger);
    let next = text.lines().count() + 1;
    let line = |version: u32| {
        format!(
            "{{\"v\":{version},\"seq\":{next},\"ts\":\"2026-01-01T00:00:00.000Z\",\"event\":\"from_later\",\"x\":1}}\n"
        )
    };
    std::fs::write(&ledger, text.clone() + &line(2)).expect("written");
    let said = bench.mesh("resume R").exits(2);
    said.err_has("version 2 is newer than 1");
    std::fs::write(&ledger, text + &line(1)).expect("written");
    bench.mesh("resume R").exits(1);
    assert_eq!(bench.events()[next - 1].0, "from_later");
}

#[test]
fn resuming_a_finished_run_only_reports_it_again() {
    let bench = two_tasks();
    let first = bench.run(&RUN);
    let state = || {
        let attempts =
            bench.trace("attempt_started verdict tally validation_finished plan_mutated");
        (bench.tree(), bench.git_state(), bench.read(PLAN), attempts)
    };
    let before = state();
    let again = bench.mesh("resume R").exits(first.code);
    assert_eq!(again.out, first.out);
    assert_eq!(state(), before);
    bench.mesh("runs show R").exits(0);
}

#[test]
fn a_missing_run_is_refused() {
    let bench = two_tasks();
    for name in ["R", "../R", ""] {
        let said = bench.mesh(&["resume", name]);
        assert_eq!(said.code, 2, "{name}: {}", said.err);
        said.err_has("no run `");
    }
}

// Stopped from outside.

/// Starts a run whose row `held` blocks, calls `stop`, unblocks the row, and returns the exit status.
fn stopped(bench: &Bench, held: &str, stop: impl Fn(u32, &Path)) -> std::process::ExitStatus {
    let gate = bench.beside("gate");
    let text = gate.display().to_string();
    let log = bench.beside("log").display().to_string();
    let args = bench.agent_args("-j 1", &["--log", &log, "--hold-at", held, &text]);
    let stderr = bench.beside("stderr");
    let file = std::fs::File::create(&stderr).expect("a file");
    let mut child = bench
        .command(&args)
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("started");
    wait_for("the row", || bench.beside("gate.held").exists());
    stop(child.id(), &stderr);
    std::fs::write(&gate, "").expect("opened");
    child.wait().expect("ended")
}

fn signal_and_wait(process: u32, name: &str, stderr: &Path, text: &str) {
    signal(process, name);
    wait_for(text, || {
        std::fs::read_to_string(stderr).is_ok_and(|said| said.contains(text))
    });
}

/// How often each row was started.
fn started(bench: &Bench, row: &str) -> usize {
    let log = read_file(bench.beside("log"));
    log.lines().filter(|line| *line == row).count()
}

#[test]
fn an_interrupt_lets_running_rows_finish_and_the_run_can_be_resumed() {
    let bench = Bench::new(&[Task::new("a")]);
    let status = stopped(&bench, "a.critique.critic_a.1", |process, stderr| {
        signal_and_wait(process, "-INT", stderr, "stopping: no further rows start");
    });
    assert_eq!(status.code(), Some(130));
    let (name, last) = bench.events().pop().expect("events");
    assert_eq!(
        (name.as_str(), &last["status"], &last["exit_code"]),
        ("run_finished", &json!("cancelled"), &json!(130))
    );
    let said = read_file(bench.beside("stderr"));
    assert!(said.contains("resume with: mesh resume R"), "{said}");
    assert_eq!(
        (
            started(&bench, "a.critique.critic_a.1"),
            started(&bench, "a.critique.critic_b.1")
        ),
        (1, 0)
    );
    assert_eq!(bench.status_of("a"), "in_progress");

    bench.mesh("resume R").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(
        (
            started(&bench, "a.critique.critic_a.1"),
            started(&bench, "a.critique.critic_b.1")
        ),
        (1, 1)
    );
    nothing_ran_twice(&bench.events());
}

#[test]
fn a_second_interrupt_ends_the_running_rows() {
    let bench = Bench::new(&[Task::new("a")]);
    let status = stopped(&bench, "a.critique.critic_a.1", |process, stderr| {
        signal_and_wait(process, "-INT", stderr, "stopping: no further rows start");
        signal_and_wait(
            process,
            "-INT",
            stderr,
            "stopping: terminating the running rows",
        );
        let ended = || bench.trace("attempt_finished").len() == 2;
        wait_for("the end of the row", ended);
    });
    assert_eq!(status.code(), Some(130));
    bench.mesh("resume R").exits(0);
    assert_eq!(started(&bench, "a.critique.critic_a.1"), 2);
}

#[test]
fn a_termination_ends_the_run_with_its_own_code() {
    let bench = Bench::new(&[Task::new("a")]);
    let status = stopped(&bench, "a.critique.critic_a.1", |process, stderr| {
        signal_and_wait(
            process,
            "-TERM",
            stderr,
            "stopping: terminating the running rows",
        );
        wait_for("the end of the row", || {
            bench.trace("attempt_finished").len() == 2
        });
    });
    assert_eq!(status.code(), Some(143));
    bench.mesh("resume R").exits(0);
}

#[test]
fn a_worker_that_outlives_a_killed_run_does_no_harm() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").validation(&["false"])]);
    let status = stopped(&bench, "a.vote.skeptic.1", |process, _| {
        signal(process, "-KILL")
    });
    assert_eq!(status.signal(), Some(9));
    let said = bench.mesh("resume R");
    assert_eq!(bench.status_of("a"), "completed", "{}", said.err);
    assert_eq!(
        (bench.read("a.txt").as_str(), bench.comments("a").len()),
        ("new\n", 1)
    );
    nothing_ran_twice(&bench.events());
}

#[test]
fn a_validation_that_was_interrupted_is_rolled_back_and_run_again() {
    let gate = "while [ ! -e ../go ]; do : >../validating; sleep 0.05; done";
    let bench = Bench::new(&[Task::new("a").validation(&[gate])]);
    let before = bench.tree();
    let mut child = bench
        .replay_command("")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    wait_for("the validation", || bench.beside("validating").exists());
    signal(child.id(), "-TERM");
    assert_eq!(child.wait().expect("ended").code(), Some(143));
    assert_eq!(
        (bench.tree(), bench.status_of("a").as_str()),
        (before, "in_progress")
    );
    std::fs::write(bench.beside("go"), "").expect("opened");
    bench.mesh("resume R").exits(0);
    assert_eq!(
        (bench.read("a.txt").as_str(), bench.comments("a").len()),
        ("new\n", 1)
    );
    assert_eq!(bench.trace("integration_finished").len(), 2);
}

#[test]
fn a_run_resumed_after_a_kill_can_succeed() {
    let bench = Bench::new(&[Task::new("a")]);
    let out = bench
        .replay_command("")
        .env("MESH_FAULT_KILL", "after:5")
        .output()
        .expect("it works");
    assert_eq!(out.status.signal(), Some(9));
    bench.mesh("resume R").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn a_raised_budget_persists() {
    let bench = Bench::with_files(&[Task::new("a")], &[("duo.yaml", DUO)]);
    bench.run("protocol=duo.yaml --max-rows 1").exits(4);
    let changes = || {
        let events = bench.events().into_iter();
        let resumed = events.filter(|(name, _)| name == "run_resumed");
        let changes = resumed.map(|(_, record)| record["changed"].clone());
        changes.collect::<Vec<_>>()
    };
    let rows = || bench.trace("attempt_started").len();
    assert_eq!((changes().len(), rows()), (0, 1));
    let told = |rows: u64| json!({"budget": {"max_rows": rows}});
    bench.mesh("resume R --max-rows 2").exits(4);
    assert_eq!((changes(), rows()), (vec![told(2)], 2));
    bench.mesh("resume R").exits(4);
    assert_eq!((changes(), rows()), (vec![told(2)], 2));
    bench.mesh("resume R --max-rows 9").exits(0);
    assert_eq!((changes(), rows()), (vec![told(2), told(9)], 3));
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn resuming_a_finished_run_writes_nothing() {
    let bench = two_tasks();
    bench.run("max_tasks=2");
    let n = bench.events().len();
    bench.mesh("resume R");
    assert_eq!(bench.events().len(), n);
}

#[test]
fn resuming_a_finished_run_takes_up_nothing_new() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").status("deferred")]);
    bench.run("max_tasks=5");
    bench.mesh("st set-status --id b --status pending").exits(0);
    bench.mesh("resume R");
    assert_eq!(bench.status_of("b"), "pending");
}

#[test]
fn an_edit_made_after_a_kill_is_kept() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("kept.txt", "mine 1\n");
    bench.run_killed_before("validation_finished");
    bench.write("kept.txt", "mine 2\n");
    bench.mesh("resume R");
    assert_eq!(bench.read("kept.txt"), "mine 2\n");
}

#[test]
fn a_comment_made_after_the_kill_stays_in_the_plan() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.git("add --all");
    bench.git("commit -qm plan");
    bench.run_killed_before("validation_finished");
    bench.mesh("st add-comment --id a --text 'by me'").exits(0);
    let said = bench.mesh("resume R");
    assert!(
        bench.comments("a").iter().any(|c| c == "by me"),
        "{:?} {}",
        bench.comments("a"),
        said.err
    );
}

/// What a validation leaves behind when `mesh` is killed: the tree is as before after a resume, whatever it was.
#[test]
fn what_a_killed_validation_made_or_removed_does_not_stay() {
    let meddle = "git init -q nested; rm kept.txt mine.txt; echo x >new.txt; false";
    let bench = Bench::new(&[Task::new("a").validation(&[meddle])]);
    bench.write("mine.txt", "mine\n");
    let before = bench.tree();
    bench.run_killed_before("validation_finished");
    assert!(bench.path("nested").exists() && !bench.path("mine.txt").exists());
    bench.mesh("resume R").exits(1);
    assert!((bench.tree() == before));
}
