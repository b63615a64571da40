//! `--executor slurm` on a Slurm without daemons (`tests/slurm/fake`). `tests/slurm/run` does the same, and more, on a real one.

use crate::fixture::*;
use std::fs::File;
use std::ops::Deref;
use std::process::{Child, Command};

/// Notes the row, and answers.
const ANSWER: &str = r#"cat >/dev/null; echo "$0" >>log; echo "{\"n\": $0}""#;
/// The same, when the file `go` is there; ends with its sandbox.
const WAIT: &str = r#"cat >/dev/null; echo "$0" >>log
    until [ -e go ] || [ ! -e rows.csv ]; do sleep 0.02; done; echo "{\"n\": $0}""#;
const OPTIONS: &str = "--instruction 'do {id}' --id-column id -o out.csv --env 'SLURM_*'";

/// A cluster with a sandbox; dropped in this order.
struct Cluster {
    slurm: Slurm,
    sandbox: Sandbox,
}

impl Deref for Cluster {
    type Target = Slurm;
    fn deref(&self) -> &Slurm {
        &self.slurm
    }
}

impl Cluster {
    fn command(&self, args: impl Into<Args>) -> Command {
        self.submitting(self.sandbox.command(args))
    }

    fn mesh(&self, args: impl Into<Args>) -> Said {
        self.command(args).run_to_end()
    }
}

/// A cluster, and `rows.csv` with rows 1 to `rows`.
fn cluster(rows: usize) -> Cluster {
    let sandbox = Sandbox::new();
    let lines = (1..=rows).map(|n| format!("row-{n},{n}\n"));
    let csv = format!("id,n\n{}", lines.collect::<String>());
    sandbox.write("rows.csv", &csv);
    let slurm = Slurm::beside(&sandbox);
    Cluster { slurm, sandbox }
}

/// `mesh spawn` of run `R` with workers that run `script` in a shell; its `$0` is the number of the row.
fn spawn(options: &str, script: &str) -> Args {
    let args = Args::from("spawn rows.csv --run-id R --executor slurm").and(OPTIONS);
    let command = ["--", "sh", "-c", script, "{n}"];
    args.and(options).and(&command[..])
}

/// Starts the program, with its standard error in the file `talk`.
fn start(slurm: &Cluster, args: impl Into<Args>) -> Child {
    let talk = File::create(slurm.sandbox.path("talk")).expect("a file");
    let mut command = slurm.command(args);
    command.stderr(talk).spawn().expect("it starts")
}

/// The numbers of the rows that were started, sorted.
fn started(slurm: &Cluster) -> Vec<u32> {
    let log = std::fs::read_to_string(slurm.sandbox.path("log")).unwrap_or_default();
    let mut rows: Vec<u32> = log.lines().map(|row| row.parse().expect("a row")).collect();
    rows.sort_unstable();
    rows
}

/// The status and the error of each row.
fn ends(slurm: &Cluster) -> Vec<(String, String)> {
    let text = slurm.sandbox.read("out.csv");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().expect("a header").clone();
    let at = |name| header.iter().position(|column| column == name);
    let (status, error) = (at("status").expect("it"), at("last_error").expect("it"));
    let rows = rows.records().map(|row| row.expect("a row"));
    rows.map(|row| (row[status].to_owned(), row[error].to_owned()))
        .collect()
}

fn all_completed(slurm: &Cluster) {
    let ends = ends(slurm);
    assert!(ends.iter().all(|end| end.0 == "completed"), "{ends:?}");
}

#[test]
fn a_job_ends_as_on_this_machine() {
    let slurm = cluster(30);
    let script = r#"cat >/dev/null
        case $0 in 7) echo no >&2; exit 3 ;; 8) echo '[]' ;; *) echo "{\"n\": $0}" ;; esac"#;
    slurm
        .mesh(spawn("-j 6 --rows-per-task 4", script))
        .exits(1)
        .err_has("28 completed, 2 failed");
    let arrays = slurm.arrays();
    assert_eq!(arrays.len(), 1, "{arrays:?}");
    assert_contains(&arrays[0], " --array=1-8%6 ");
    let there = redacted(&slurm.sandbox.read("out.csv"));
    let local = Args::from("spawn rows.csv --run-id L -j 6 --force").and(OPTIONS);
    let command = ["--", "sh", "-c", script, "{n}"];
    slurm.mesh(local.and(&command[..])).exits(1);
    assert_eq!(there, redacted(&slurm.sandbox.read("out.csv")));
}

#[test]
fn a_job_that_was_killed_finds_its_tasks_again() {
    let slurm = cluster(6);
    let mut run = start(&slurm, spawn("-j 2 --rows-per-task 2", WAIT));
    wait_for("two rows", || started(&slurm).len() == 2);
    signal(run.id(), "-KILL");
    run.wait().expect("ended");
    let mut resumed = start(&slurm, "resume R");
    let asked = slurm.queries();
    wait_for("a look at the queue", || slurm.queries() > asked);
    slurm.sandbox.write("go", "");
    assert!(resumed.wait().expect("ended").success());
    assert_eq!(started(&slurm), [1, 2, 3, 4, 5, 6]);
    assert_eq!(slurm.arrays().len(), 1);
    all_completed(&slurm);
}

#[test]
fn an_array_whose_number_was_never_heard_is_not_submitted_twice() {
    let slurm = cluster(4);
    slurm.tell("kill-submitter", "");
    slurm.mesh(spawn("", ANSWER)).exits(KILLED);
    slurm.mesh("resume R").exits(0);
    assert_eq!(started(&slurm), [1, 2, 3, 4]);
    assert_eq!(slurm.arrays().len(), 1);
    all_completed(&slurm);
}

#[test]
fn tasks_that_a_stop_cancelled_are_submitted_by_resume() {
    let slurm = cluster(5);
    let mut run = start(&slurm, spawn("-j 2", WAIT));
    wait_for("two rows", || started(&slurm).len() == 2);
    slurm.mesh("cancel R").exits(0);
    wait_for("three cancelled tasks", || slurm.ended("CANCELLED") == 3);
    slurm.sandbox.write("go", "");
    assert_eq!(run.wait().expect("ended").code(), Some(4));
    assert_eq!(started(&slurm).len(), 2);
    slurm.mesh("resume R").exits(0);
    assert_eq!(started(&slurm), [1, 2, 3, 4, 5]);
    assert_eq!(slurm.arrays().len(), 2);
    assert_contains(&slurm.arrays()[1], " --array=1-3%2 ");
    all_completed(&slurm);
}

#[test]
fn tasks_that_a_stop_cancelled_before_it_was_killed_are_submitted_by_resume() {
    let slurm = cluster(5);
    let mut run = start(&slurm, spawn("-j 2", WAIT));
    wait_for("two rows", || started(&slurm).len() == 2);
    signal(run.id(), "-INT");
    wait_for("three cancelled tasks", || slurm.ended("CANCELLED") == 3);
    signal(run.id(), "-KILL");
    run.wait().expect("ended");
    slurm.sandbox.write("go", "");
    slurm.mesh("resume R").exits(0);
    assert_eq!(started(&slurm), [1, 2, 3, 4, 5]);
    // As many of the others as there were places when the first two ended.
    assert_contains(&slurm.arrays()[1], " --array=3");
    all_completed(&slurm);
}

#[test]
fn the_second_interrupt_cancels_tasks_that_run() {
    let slurm = cluster(3);
    let mut run = start(&slurm, spawn("-j 2", WAIT));
    wait_for("two rows", || started(&slurm).len() == 2);
    signal(run.id(), "-INT");
    wait_for("a cancelled task", || slurm.ended("CANCELLED") == 1);
    signal(run.id(), "-INT");
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    assert_eq!(slurm.ended("CANCELLED"), 3);
    slurm.sandbox.write("go", "");
    slurm.mesh("resume R --json").exits(0);
    assert_eq!(started(&slurm), [1, 1, 2, 2, 3]);
    all_completed(&slurm);
}

#[test]
fn tasks_that_somebody_cancelled_end_the_job() {
    let slurm = cluster(3);
    let mut run = start(&slurm, spawn("-j 1 --rows-per-task 3", WAIT));
    wait_for("a row", || started(&slurm).len() == 1);
    slurm.cancel(&["--me"]);
    assert_eq!(run.wait().expect("ended").code(), Some(4));
    let talk = slurm.sandbox.read("talk");
    assert_contains(&talk, "tasks of the array 2 were cancelled in Slurm");
    slurm.sandbox.write("go", "");
    slurm.mesh("resume R").exits(0);
    assert_eq!(started(&slurm), [1, 1, 2, 3]);
    all_completed(&slurm);
}

/// Row 2 of 3 ends its task each time with a state of Slurm, after the signal that Slurm sends then.
fn ended_by(state: &str, reason: &str, signal: &str) -> (Cluster, Said) {
    let slurm = cluster(3);
    let script = format!(
        r#"cat >/dev/null; echo "$0" >>log
        if [ "$0" = 2 ]; then end-task {state} {reason} {signal}; while [ -e rows.csv ]; do sleep 0.02; done; fi
        echo "{{\"n\": $0}}""#
    );
    let said = slurm.mesh(spawn("-j 1 --rows-per-task 3 --retries 1", &script));
    (slurm, said)
}

#[test]
fn a_row_fails_after_its_retries_if_its_task_uses_up_memory_or_time() {
    for (state, reason, signal, error) in [
        (
            "OUT_OF_MEMORY",
            "OutOfMemory",
            "KILL",
            "out_of_memory: the task of slice 1 used up its memory on n1",
        ),
        (
            "TIMEOUT",
            "TimeLimit",
            "TERM",
            "time_limit: the task of slice 1 used up its time on n1",
        ),
    ] {
        let (slurm, said) = ended_by(state, reason, signal);
        said.exits(1).err_has("2 completed, 1 failed");
        let completed = || ("completed".to_owned(), String::new());
        let failed = ("failed".to_owned(), error.to_owned());
        assert_eq!(ends(&slurm), [completed(), failed, completed()]);
        assert_eq!(slurm.ended(state), started(&slurm).len() - 2, "{state}");
    }
}

#[test]
fn what_the_cluster_does_costs_no_attempt() {
    for (state, reason, signal, arrays) in [
        ("NODE_FAIL", "NodeDown", "KILL", 2),
        ("FAILED", "JobLaunchFailure", "KILL", 2),
        ("PREEMPTED", "None", "TERM", 2),
        ("REQUEUE", "None", "TERM", 1),
    ] {
        let slurm = cluster(3);
        let script = format!(
            r#"cat >/dev/null; echo "$0" >>log
            if [ "$0" = 2 ] && mkdir once 2>/dev/null; then end-task {state} {reason} {signal}; while [ -e rows.csv ]; do sleep 0.02; done; fi
            echo "{{\"n\": $0}}""#
        );
        let options = "-j 1 --rows-per-task 3 --retries 0";
        slurm.mesh(spawn(options, &script)).exits(0);
        assert_eq!(started(&slurm), [1, 2, 2, 3], "{state}");
        assert_eq!(slurm.arrays().len(), arrays, "{state}");
        all_completed(&slurm);
    }
}

#[test]
fn a_slice_that_ends_again_and_again_ends_the_job() {
    let (slurm, said) = ended_by("FAILED", "NonZeroExitCode", "KILL");
    said.exits(4)
        .err_has("slice 1 ended again and again without an answer, last on n1");
    assert_eq!(started(&slurm), [1, 2, 2, 2, 2]);
    assert_eq!(slurm.arrays().len(), 4);
}

#[test]
fn a_controller_that_does_not_answer_is_told_once_and_asked_again() {
    let slurm = cluster(2);
    let mut run = start(&slurm, spawn("-j 1 --rows-per-task 2", WAIT));
    wait_for("a row", || started(&slurm).len() == 1);
    slurm.tell("down", "");
    let asked = slurm.queries();
    wait_for("more looks at the queue", || slurm.queries() > asked + 3);
    slurm.forget("down");
    slurm.sandbox.write("go", "");
    assert!(run.wait().expect("ended").success());
    let warning = "Unable to contact slurm controller";
    assert_eq!(slurm.sandbox.read("talk").matches(warning).count(), 1);
    assert_eq!(slurm.arrays().len(), 1);
    all_completed(&slurm);
}

#[test]
fn tasks_that_do_not_start_are_told_once() {
    let slurm = cluster(2);
    slurm.tell("held", "BadConstraints\n");
    let mut run = start(&slurm, spawn("", ANSWER));
    let warning = "Slurm holds 2 tasks: BadConstraints; no node can give what";
    wait_for("a warning", || slurm.sandbox.read("talk").contains(warning));
    let asked = slurm.queries();
    wait_for("more looks at the queue", || slurm.queries() > asked + 2);
    slurm.forget("held");
    assert!(run.wait().expect("ended").success());
    assert_eq!(slurm.sandbox.read("talk").matches(warning).count(), 1);
    all_completed(&slurm);
}

#[test]
fn what_slurm_refuses_starts_nothing_and_can_be_resumed() {
    let slurm = cluster(2);
    let refused = slurm.mesh(spawn("--slurm-partition none", ANSWER)).exits(3);
    refused.err_has("invalid partition specified: none");
    refused.err_has("correct --slurm-partition");
    assert!(started(&slurm).is_empty());
    slurm.mesh("resume R --slurm-partition main").exits(0);
    assert_eq!(started(&slurm), [1, 2]);
    all_completed(&slurm);
}

#[test]
fn without_sbatch_no_run_begins() {
    let slurm = cluster(1);
    let path = slurm.sandbox.path_with(&["sh", "cat", "git"]);
    let mut command = slurm.command(spawn("", ANSWER));
    let missing = command.env("PATH", path).run_to_end().exits(3);
    missing.err_has("Slurm can't be used: there is no `sbatch` on PATH");
    assert!(!slurm.sandbox.mesh_home().join("runs").exists());
}

#[test]
fn a_folder_that_no_node_sees_is_noticed_before_a_row_starts() {
    let slurm = cluster(2);
    slurm.tell("blind", "");
    let blind = slurm.mesh(spawn("", ANSWER)).exits(4);
    blind.err_has("node n1 does not see ");
    assert!(started(&slurm).is_empty());
    slurm.forget("blind");
    slurm.mesh("resume R").exits(0);
    assert_eq!(started(&slurm), [1, 2]);
    all_completed(&slurm);
}

#[test]
fn a_plan_ends_as_on_this_machine() {
    let tasks = [Task::new("a"), Task::new("b").after(&["a"]).agree(&[2])];
    let (here, there) = (Bench::new(&tasks), Bench::new(&tasks));
    let slurm = Slurm::beside(&there);
    let settings = "max_tasks=2 consensus_retries=0";
    here.run(settings).exits(1);
    let submitting = there.replay_command(Args::from(settings).and("--executor slurm"));
    slurm.submitting(submitting).run_to_end().exits(1);
    assert_eq!(here.tree(), there.tree());
    assert_eq!(here.rows(), there.rows());
    for id in ["a", "b"] {
        assert_eq!(here.status_of(id), there.status_of(id));
        assert_eq!(here.comments(id), there.comments(id));
    }
    assert_eq!(slurm.arrays().len(), there.waves().len());
}
