//! `mesh collect` that is killed while it records answers and verdicts.

#![cfg(debug_assertions)]

use crate::fixture::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// The rows that an event of run `R` names, each once.
fn rows_with(bench: &Bench, event: &str) -> BTreeSet<String> {
    let events = bench.events_named(event);
    let row = |event: &Value| event["item_id"].as_str().expect("a row").to_owned();
    let rows: BTreeSet<String> = events.iter().map(row).collect();
    assert_eq!(rows.len(), events.len(), "{event}: a row twice");
    rows
}

fn tasks(count: usize) -> Vec<Task> {
    (0..count).map(|n| Task::new(&format!("t{n}"))).collect()
}

fn collect_with_kill(bench: &Bench, fault: &str) -> Said {
    let mut collecting = bench.command(&["collect", "R", &bench.answers()]);
    collecting.env("MESH_FAULT_KILL", fault);
    collecting.run_to_end()
}

#[test]
fn a_kill_at_any_step_leaves_no_verdict_without_its_answer_and_collecting_again_continues() {
    const TASKS: usize = 6;
    let waiting = || {
        let bench = Bench::new(&tasks(TASKS));
        bench.next("--run-id R max_tasks=6 parallel_tasks=6");
        bench
    };
    let first = waiting().events().len();
    let mut faults: Vec<String> = (1..10).map(|step| format!("write:{step}")).collect();
    for seq in [first + 1, first + 2, first + 3] {
        faults.extend([format!("before:{seq}"), format!("after:{seq}")]);
    }
    // The answers are one part, and so are the verdicts.
    let last = first + 1 + 4 * TASKS;
    faults.extend([format!("before:{last}"), format!("after:{last}")]);
    let mut killed = 0;
    for fault in faults {
        let bench = waiting();
        killed += usize::from(collect_with_kill(&bench, &fault).code == KILLED);
        let (reported, judged) = (
            rows_with(&bench, "attempt_reported"),
            rows_with(&bench, "verdict"),
        );
        assert!(judged.is_subset(&reported), "{fault}");
        assert!([0, TASKS].contains(&judged.len()), "{fault}");
        if judged.is_empty() {
            bench.mesh(&["collect", "R", &bench.answers()]).exits(0);
        }
        // A row keeps its first answer.
        assert_eq!(
            rows_with(&bench, "attempt_reported").len(),
            TASKS,
            "{fault}"
        );
        assert_eq!(rows_with(&bench, "verdict").len(), TASKS, "{fault}");
        bench.mesh("audit R").exits(0);
    }
    assert!(killed > 10, "{killed}");
}

#[test]
fn a_kill_between_two_parts_of_a_large_wave_leaves_the_other_rows_open() {
    // Rows are recorded 512 at a time, and judged 1024 at a time.
    const TASKS: usize = 1100;
    let bench = Bench::new(&tasks(TASKS));
    bench.next(&format!(
        "--run-id R max_tasks={TASKS} parallel_tasks={TASKS}"
    ));
    let first = bench.events().len() + 1;
    let killed = collect_with_kill(&bench, &format!("after:{}", first + 3 * 512));
    assert_eq!(killed.code, KILLED);
    assert_eq!(rows_with(&bench, "attempt_reported").len(), 512);
    let killed = collect_with_kill(&bench, &format!("after:{}", first + 3 * TASKS + 1024));
    assert_eq!(killed.code, KILLED);
    assert_eq!(rows_with(&bench, "attempt_reported").len(), TASKS);
    assert_eq!(rows_with(&bench, "verdict").len(), 1024);
    // The next wave has all tasks: the rows without a verdict are judged before.
    bench.next("--run R");
    assert_eq!(rows_with(&bench, "verdict").len(), TASKS);
    assert_eq!(bench.waves()[1].rows.len(), 3 * TASKS);
    bench.mesh("audit R").exits(0);
}
