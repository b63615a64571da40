//! The protocol, explored exhaustively: every outcome of every row and every validation, in every order in which waves can end, with
//! a kill before every write.
//!
//! The model calls the functions of the program: `protocol::next`, its verdicts on unusable answers, `tally` and the order of
//! candidates; `schedule::select`, `free_task_slots`, `IntegrationQueue`, `must_validate_again`; `executor::SlotQueue`,
//! `job::BudgetTracker`, and the fold over the ledger (`run::State`) with its concurrency number. [`shell`] repeats the order in which
//! `run::plan_run` calls them, and nothing else: it is the part to keep in step with the program ([`admission`], [`integration`] and
//! [`pool`] belong to it). [`properties`] says what must hold.
//!
//! Not in the model: checks of texts (an outcome says how they end), several runs on one plan but for [`leases`], edits of the plan by
//! others, previews as work of their own, time.
//!
//! `cargo test --test it protocol_model -- --nocapture` shows states, transitions and seconds.

mod admission;
mod integration;
mod key;
mod leases;
mod observer;
mod outcomes;
mod pool;
mod properties;
mod run_model;
mod search;
mod shell;
mod slots;
mod world;

use self::run_model::RunModel;
use self::search::explore;
use self::world::{Kills, Scenario, Setting, TaskSpec};
use mesh::job::Budget;
use mesh::plan::SwarmOverrides;
use mesh::schedule::{Deps, Dispatch};

const NONE: Budget = Budget {
    max_cost_usd: None,
    max_tokens: None,
    max_rows: None,
};

fn task(id: &'static str, scope: &'static str) -> TaskSpec {
    TaskSpec {
        id,
        after: &[],
        scope,
        risk: "medium",
    }
}

/// One task under `protocol`, without bounds but those of the protocol.
fn one(protocol: &'static str) -> Scenario {
    Scenario {
        name: protocol.to_owned(),
        protocol,
        swarm: SwarmOverrides::default(),
        tasks: vec![task("a", "a/**")],
        dispatch: Dispatch::Rolling,
        deps: Deps::Strict,
        concurrency: 2,
        parallel_tasks: 2,
        validation_parallel: 2,
        budget: [NONE, NONE],
        task_budget: NONE,
        failures_max: None,
        kills: Kills::Any,
    }
}

/// Two tasks under `duo`, an author and a voter each, of which one row or validation fails in some way.
fn two(name: &str) -> Scenario {
    Scenario {
        name: name.to_owned(),
        swarm: SwarmOverrides {
            consensus_retries: Some(0),
            ..SwarmOverrides::default()
        },
        tasks: vec![task("a", "a/**"), task("b", "b/**")],
        failures_max: Some(1),
        kills: Kills::Resumed,
        ..one("duo")
    }
}

/// Explores scenarios, and fails with the first counter-example.
fn check(scenarios: Vec<Scenario>) {
    let folder = tempfile::tempdir().expect("a folder");
    for scenario in scenarios {
        let name = scenario.name.clone();
        let model = RunModel(Setting::new(scenario, folder.path()));
        match explore(&model) {
            Ok(found) => found.print(&name),
            Err(found) => panic!("{name}: {found}"),
        }
    }
}

#[test]
fn one_task_under_small_protocols() {
    check(vec![one("solo"), one("duo"), one("repro")]);
}

/// One task under a protocol of many roles, of which one row or validation fails in some way. Votes are free.
fn wide(protocol: &'static str, consensus_retries: u32) -> Scenario {
    Scenario {
        swarm: SwarmOverrides {
            consensus_retries: Some(consensus_retries),
            ..SwarmOverrides::default()
        },
        failures_max: Some(1),
        kills: Kills::Resumed,
        ..one(protocol)
    }
}

#[test]
fn one_task_under_race() {
    check(vec![wide("race", 0)]);
}

#[test]
fn one_task_under_best() {
    check(vec![wide("best", 0)]);
}

#[test]
fn one_task_under_swarm3() {
    check(vec![wide("swarm3", 1)]);
}

#[test]
fn one_task_under_swarm() {
    check(vec![wide("swarm", 1)]);
}

#[test]
fn one_task_under_tiered() {
    check(vec![wide("tiered", 0)]);
}

/// Two tasks under `duo`, each with a kill that is explored to its end.
fn killed(name: &str) -> Scenario {
    Scenario {
        kills: Kills::Once,
        failures_max: Some(0),
        ..two(name)
    }
}

fn after(mut scenario: Scenario, deps: Deps) -> Scenario {
    scenario.tasks[1].after = &["a"];
    scenario.deps = deps;
    scenario
}

fn overlapping(mut scenario: Scenario) -> Scenario {
    scenario.tasks[1].scope = "a/b/**";
    scenario
}

#[test]
fn two_independent_tasks() {
    check(vec![
        two("two tasks"),
        killed("two tasks, killed"),
        Scenario {
            concurrency: 1,
            parallel_tasks: 1,
            validation_parallel: 1,
            ..two("two tasks, one at a time")
        },
    ]);
}

#[test]
fn two_tasks_in_lock_step() {
    let barrier = |scenario| Scenario {
        dispatch: Dispatch::Barrier,
        ..scenario
    };
    check(vec![
        barrier(two("two tasks, lock step")),
        barrier(after(two("dependent, lock step"), Deps::Strict)),
    ]);
}

#[test]
fn two_tasks_with_a_dependency() {
    check(vec![
        after(two("dependent"), Deps::Strict),
        after(killed("dependent, killed"), Deps::Strict),
        after(two("dependent, early"), Deps::Advisory),
        after(killed("dependent, early, killed"), Deps::Advisory),
        overlapping(after(two("dependent, early, overlap"), Deps::Advisory)),
    ]);
}

#[test]
fn two_tasks_with_overlapping_scopes() {
    check(vec![
        overlapping(two("overlapping")),
        overlapping(killed("overlapping, killed")),
    ]);
}

#[test]
fn two_tasks_of_which_one_has_no_metadata() {
    let mut scenario = two("without metadata");
    scenario.tasks[0].scope = "";
    check(vec![Scenario {
        protocol: "solo",
        ..scenario
    }]);
}

#[test]
fn two_tasks_that_are_promoted() {
    let mut scenario = two("two tasks, tiered");
    scenario.tasks[0].risk = "low";
    scenario.tasks[1].risk = "low";
    check(vec![Scenario {
        protocol: "tiered",
        failures_max: Some(1),
        ..scenario
    }]);
}

#[test]
fn two_tasks_with_budgets() {
    let rows = |max| Budget {
        max_rows: Some(max),
        ..NONE
    };
    let tokens = |max| Budget {
        max_tokens: Some(max),
        ..NONE
    };
    check(vec![
        Scenario {
            budget: [rows(3), rows(6)],
            ..two("budget of rows")
        },
        Scenario {
            budget: [tokens(2_500), NONE],
            ..two("budget of tokens")
        },
        Scenario {
            task_budget: rows(2),
            ..two("budget of tasks")
        },
    ]);
}
