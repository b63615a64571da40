//! Rolling dispatch comes near to what no dispatch can be faster than, without knowing how long rows will take. Simulated, so
//! no clock decides; `docs/SIMULATION.md` has the same plans in full.

use crate::dags::{BAR, Case, Family, PROTOCOLS, Ratios, SLOTS, TASKS, median_and_worst};
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
        let median = |ratio: fn(&Ratios) -> f64, is_in: &dyn Fn(Family) -> bool| {
            let plans = plans.iter().filter(|(family, _)| is_in(*family));
            median_and_worst(plans.map(|(_, plan)| ratio(plan))).0
        };
        let rolling = median(|plan| plan.rolling, &|_| true);
        assert!(rolling <= BAR, "{}: {rolling}", protocol.title);
        // Where forks are joined again and again the bound is out of reach for everybody.
        let bound_by_it = |family: &Family| *family != Family::ForkJoin;
        for family in Family::ALL.into_iter().filter(bound_by_it) {
            let rolling = median(|plan| plan.rolling, &|other| other == family);
            assert!(
                rolling <= BAR,
                "{}, {}: {rolling}",
                protocol.title,
                family.name()
            );
        }
        let barrier = median(|plan| plan.barrier, &|_| true);
        assert!(barrier > 1.3, "{}: {barrier}", protocol.title);
        bar_is_none_for_nothing(&plans);
    }
}

/// With slots for everybody, or for nearly nobody, any dispatch is at the bound.
fn bar_is_none_for_nothing(plans: &[(Family, Ratios)]) {
    let balances = || plans.iter().map(|(_, plan)| plan.work_to_path);
    let hard = balances().filter(|work| (0.4..=2.5).contains(work));
    assert!(hard.count() > plans.len() / 4);
    assert!(balances().any(|work| work < 0.4) && balances().any(|work| work > 2.5));
    let mut ratios = plans
        .iter()
        .flat_map(|(_, plan)| [plan.rolling, plan.barrier]);
    assert!(ratios.all(|ratio| ratio >= 1.0), "no bound");
}
