use super::super::{Outcome, Setup};

fn setup() -> Setup {
    Setup {
        rows: 20_000,
        row_seconds: 60,
        row_spread: 0.0,
        rows_per_task: None,
        rows_at_once: 1,
        array_max: None,
        max_concurrency: None,
        nodes: 100,
        submit_rate: 1e9,
        node_failure_rate: 0.0,
        seed: 1,
    }
}

/// What holds of every job that ends.
fn checked(setup: &Setup) -> Outcome {
    let outcome = setup.simulate();
    assert_eq!(outcome.stopped_by, None);
    assert_eq!(outcome.rows_ended, setup.rows);
    let wrong = (
        outcome.rows_lost(),
        outcome.rows_left,
        outcome.rows_counted_twice,
    );
    assert_eq!(wrong, (0, 0, 0));
    assert!(outcome.ratio() > 0.999_999, "{}", outcome.text());
    let queries = outcome.makespan_ms / 10_000;
    assert!(outcome.squeue_calls <= queries, "{}", outcome.text());
    assert_eq!(outcome.result_files, outcome.slices);
    outcome
}

#[test]
fn without_failures_a_job_takes_as_long_as_its_bound() {
    let outcome = checked(&setup());
    // 20 rows in each of 1000 slices, 10 slices on each node.
    assert_eq!((outcome.slices, outcome.concurrency), (1000, 100));
    assert_eq!(outcome.lower_bound_ms(), 200 * 60_000);
    assert_eq!(outcome.makespan_ms, outcome.lower_bound_ms());
    assert_eq!((outcome.sbatch_calls, outcome.squeue_calls), (2, 1199));
    let idle = [
        outcome.node_failures,
        outcome.slices_submitted_again,
        outcome.rows_run_again,
    ];
    assert_eq!(idle, [0, 0, 0]);
}

#[test]
fn concurrency_rows_at_once_and_starts_limit_a_job() {
    let few = checked(&Setup {
        max_concurrency: Some(40),
        rows_at_once: 4,
        ..setup()
    });
    assert_eq!(few.concurrency, 40);
    assert_eq!(few.makespan_ms, few.lower_bound_ms());
    let slow = checked(&Setup {
        submit_rate: 0.5,
        ..setup()
    });
    // The last of ten tasks on the last of the nodes, which began two seconds behind the one before.
    assert_eq!(slow.makespan_ms, 100 * 2_000 + 10 * 1_200_000);
    let wide = checked(&Setup {
        row_spread: 0.8,
        ..setup()
    });
    assert!(wide.ratio() > 1.0 && wide.ratio() < 1.2, "{}", wide.text());
    let mean = wide.lower_bound_ms() as f64 / 200.0 / 60_000.0;
    assert!((0.97..1.03).contains(&mean), "the mean is as given: {mean}");
}

#[test]
fn failing_nodes_cost_time_and_no_row() {
    for seed in 1..=8 {
        let setup = Setup {
            node_failure_rate: 0.05 * seed as f64,
            rows_at_once: 1 + seed as usize % 3,
            seed,
            ..setup()
        };
        let outcome = checked(&setup);
        assert!(outcome.node_failures > 0 && outcome.slices_submitted_again > 0);
        assert!(outcome.rows_run_again <= outcome.node_failures * setup.rows_at_once as u64);
        assert!(outcome.rows_run_again > 0 && outcome.ratio() > 1.0);
        assert!(outcome.sbatch_calls > 2);
        // Lost slices run beside each other.
        assert!(outcome.ratio() < 1.8, "seed {seed}: {}", outcome.text());
        assert_eq!(outcome.text(), setup.simulate().text(), "seed {seed}");
    }
}

#[test]
fn a_job_that_gets_nowhere_stops_with_its_rows() {
    let outcome = Setup {
        rows: 10,
        nodes: 2,
        row_seconds: 100_000,
        node_failure_rate: 60.0,
        ..setup()
    }
    .simulate();
    assert!(outcome.stopped_by.is_some());
    assert_eq!((outcome.rows_ended, outcome.rows_left), (0, 10));
    assert_eq!(outcome.rows_lost(), 0);
    let text = outcome.stop_text().expect("a reason");
    assert!(text.contains("10 rows left"), "{text}");
}
