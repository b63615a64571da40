//! Rolling dispatch comes near to what no dispatch can be faster than, without knowing how long rows will take. Simulated, so
//! no clock decides; `docs/SIMULATION.md` has the same plans in full.

use crate::dags::{
    BAR, Case, Family, PROTOCOLS, Played, Ratios, SLOTS, TASKS, median_and_worst, plan_in,
};
use mesh::model::{RowKey, UnitId};
use mesh::simulate::{End, Prediction, SimulatedTask, Times};
use proptest::collection::vec;
use proptest::prelude::*;
use rayon::prelude::*;

/// One plan of each group of the table.
fn plans(protocol: &'static str, seed: u64) -> Vec<(Family, Ratios)> {
    let sizes = TASKS
        .iter()
        .flat_map(|tasks| SLOTS.map(|slots| (*tasks, slots)));
    let cases: Vec<Case> = sizes
        .flat_map(|(tasks, slots)| {
            Family::ALL.map(|family| Case {
                family,
                tasks,
                slots,
                protocol,
                seed,
            })
        })
        .collect();
    let plans = cases.par_iter().map(|case| (case.family, case.play()));
    plans.collect()
}

#[test]
fn rolling_is_near_the_bound_and_barriers_are_not() {
    for protocol in PROTOCOLS {
        let plans = plans(protocol.name, 1);
        let rolling = |what: &str, is_in: &dyn Fn(&(Family, Ratios)) -> bool| {
            let ratios = plans.iter().filter(|plan| is_in(plan));
            let (median, _) = median_and_worst(ratios.map(|(_, plan)| plan.rolling));
            assert!(median <= BAR, "{}, {what}: {median}", protocol.title);
        };
        rolling("all", &|_| true);
        for family in Family::ALL {
            rolling(family.name(), &|plan| plan.0 == family);
        }
        rolling("hard", &|plan| plan.1.is_hard());
        let hard = plans.iter().filter(|(_, plan)| plan.is_hard()).count();
        assert!(hard > plans.len() / 5, "a bar that is one: {hard}");

        let barriers = plans.iter().map(|(_, plan)| plan.barrier);
        let (barrier, _) = median_and_worst(barriers);
        assert!(barrier > 1.3, "{}: {barrier}", protocol.title);
        let mut ratios = plans
            .iter()
            .flat_map(|(_, plan)| [plan.rolling, plan.barrier]);
        assert!(
            ratios.all(|ratio| ratio >= 1.0),
            "nothing is faster than the bound"
        );
    }
}

/// Times from a list, by the length and the last letter of the row's id, which is as good as any.
struct Listed<'l>(&'l [u64]);

impl Times for Listed<'_> {
    fn row_ms(&self, row: &RowKey) -> u64 {
        let id = row.id();
        let sum: usize = id.as_str().bytes().map(usize::from).sum();
        self.0[sum % self.0.len()]
    }

    fn integration_ms(&self, unit: &UnitId) -> u64 {
        self.0[unit.as_str().len() % self.0.len()]
    }

    fn task_ms(&self, _: &UnitId) -> Option<u64> {
        None
    }
}

/// What a dispatch may not do, whatever the times are.
fn keeps_the_rules(
    prediction: &Prediction,
    deps: &[Vec<usize>],
    folders: &[usize],
    parallel_tasks: usize,
) {
    let place = |task: &SimulatedTask| task.id.as_str()[1..].parse::<usize>().expect("a number");
    let of = |wanted: usize| {
        let found = prediction.tasks.iter().find(|task| place(task) == wanted);
        found.expect("every task is worked")
    };
    assert_eq!(prediction.tasks.len(), deps.len());
    assert!(prediction.makespan_ms >= prediction.bound.ms());
    for task in &prediction.tasks {
        assert_eq!(task.end, End::Completed);
        for dep in &deps[place(task)] {
            assert!(of(*dep).ends_ms <= task.begins_ms, "{task:?} does not wait");
        }
        // At the moment in which it is taken up; it is one of those that end later.
        let beside = prediction
            .tasks
            .iter()
            .filter(|other| other.begins_ms <= task.begins_ms && task.begins_ms < other.ends_ms);
        assert!(
            beside.clone().count() <= parallel_tasks,
            "{task:?} has no place"
        );
        for other in beside.filter(|other| other.id != task.id) {
            let folder = |task| folders[place(task) % folders.len()];
            assert!(folder(task) != folder(other), "{task:?} meets {other:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dependencies_scopes_and_places_hold_under_both_dispatches(
        wishes in vec(vec(0_usize..100, 0..3), 1..14),
        folders in vec(0_usize..6, 1..14),
        times in vec(1_u64..50, 1..9),
        (slots, parallel_tasks) in (1_usize..8, 1_usize..6),
    ) {
        let earlier = |(task, wishes): (usize, &Vec<usize>)| {
            let wishes = wishes.iter().filter(|_| task > 0);
            wishes.map(|wish| wish % task).collect()
        };
        let deps: Vec<Vec<usize>> = wishes.iter().enumerate().map(earlier).collect();
        let plan = plan_in(&deps, |task| folders[task % folders.len()].to_string());
        let played = Played { plan: &plan, protocol: "swarm", slots, parallel_tasks, times: &Listed(&times) };
        for prediction in played.predictions() {
            keeps_the_rules(&prediction, &deps, &folders, parallel_tasks);
        }
    }
}
