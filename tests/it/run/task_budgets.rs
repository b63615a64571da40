//! Budgets of single tasks: one task stops, the others go on.

use super::*;

#[test]
fn a_task_that_used_up_its_row_budget_stops_and_others_continue() {
    // Two cycles of nine rows behind the proposal, against one.
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 5]),
        Task::new("b"),
        Task::new("c"),
    ]);
    let said = bench
        .run("max_tasks=3 parallel_tasks=2 task_max_rows=12")
        .exits(4);
    assert_eq!(
        ["a", "b", "c"].map(|id| bench.status_of(id)),
        ["in_progress", "completed", "completed"]
    );
    let reached: Vec<Value> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "budget_reached")
        .map(|(_, record)| json!([record["unit"], record["budget"], record["limit"]]))
        .collect();
    assert_eq!(reached, [json!(["a", "task_max_rows", 12])]);
    let of_a = |rows: &[String]| rows.iter().filter(|row| row.starts_with("a.")).count();
    assert_eq!(of_a(&bench.rows()), 10, "the three critiques did not fit");
    said.err_has("mesh resume R --task-max-rows MORE");
    bench.mesh("resume R --task-max-rows 19").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(of_a(&bench.rows()), 19);
}

#[test]
fn a_budget_that_the_adapter_cannot_measure_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("task_max_tokens=1000").exits(3);
    assert!(!bench.run_folder().exists());
}
