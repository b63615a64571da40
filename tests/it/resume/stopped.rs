//! Runs that were stopped by a signal or a budget.

use super::*;

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
