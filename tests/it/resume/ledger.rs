//! Ledgers that are torn, of another version, or finished.

use super::*;

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
    bench.breaks(&["one_concurrency_number", "ledger"]);
    assert_eq!(run_until(&bench, "after:25"), Some(9));
    let ledger = bench.run_folder().join("ledger.jsonl");
    let text = read_file(&ledger);
    let mut lines: Vec<&str> = text.lines().collect();
    lines[7] = &lines[7][..20];
    let broken = lines.join("\n") + "\n";
    std::fs::write(&ledger, &broken).expect("written");
    let before = (bench.tree(), bench.read(PLAN));
    let said = bench.mesh("resume R").exits(2);
    said.err_has("line 8: not JSON");
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
