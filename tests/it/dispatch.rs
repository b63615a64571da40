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
