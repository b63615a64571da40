//! How near both dispatches come to the bound on random plans. Prints `docs/SIMULATION.md`, the same on every machine.
//!
//! Usage: `cargo bench --bench simulate >docs/SIMULATION.md`

#[path = "../tests/it/dags.rs"]
mod dags;

use dags::{BAR, Case, Family, PROTOCOLS, Ratios, SLOTS, TASKS, median_and_worst};
use rayon::prelude::*;

/// Each group of the table is so many plans.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=11;

fn main() {
    println!("{}", include_str!("simulate.md").trim_end());
    let mut all: Vec<Group> = Vec::new();
    for protocol in PROTOCOLS {
        println!("\n## {}\n", protocol.title);
        println!(
            "| family | tasks | slots | work : path | rolling, median | worst | barrier, median | worst |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        let mut groups: Vec<Group> = groups(protocol.name).collect();
        for group in &groups {
            println!("{}", group.line());
        }
        all.append(&mut groups);
    }
    println!("\n## By family\n");
    println!("| family | plans | rolling, median | worst | barrier, median | worst |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let lines = Family::ALL.map(Some).into_iter().chain([None]);
    for family in lines {
        println!("{}", over_all(&all, family));
    }
}

/// Plans that differ by their seed alone.
struct Group {
    case: Case,
    plans: Vec<Ratios>,
}

fn groups(protocol: &'static str) -> impl Iterator<Item = Group> {
    let families = Family::ALL.into_iter();
    let sizes = families.flat_map(|family| TASKS.map(|tasks| (family, tasks)));
    let cases = sizes.flat_map(|(family, tasks)| SLOTS.map(|slots| (family, tasks, slots)));
    cases.map(move |(family, tasks, slots)| {
        let case = |seed| Case {
            family,
            tasks,
            slots,
            protocol,
            seed,
        };
        let seeds: Vec<u64> = SEEDS.collect();
        Group {
            plans: seeds.par_iter().map(|seed| case(*seed).play()).collect(),
            case: case(0),
        }
    })
}

impl Group {
    fn line(&self) -> String {
        let Case {
            family,
            tasks,
            slots,
            ..
        } = self.case;
        let balance = median_and_worst(self.plans.iter().map(|plan| plan.work_to_path)).0;
        format!(
            "| {} | {tasks} | {slots} | {balance:.2} | {} |",
            family.name(),
            columns(self.plans.iter())
        )
    }
}

fn over_all(groups: &[Group], family: Option<Family>) -> String {
    let is_in = |group: &&Group| family.is_none_or(|family| group.case.family == family);
    let plans = groups.iter().filter(is_in).flat_map(|group| &group.plans);
    format!(
        "| {} | {} | {} |",
        family.map_or("all", Family::name),
        plans.clone().count(),
        columns(plans)
    )
}

/// Median and worst of both dispatches.
fn columns<'r>(plans: impl Iterator<Item = &'r Ratios> + Clone) -> String {
    let (rolling, rolling_worst) = median_and_worst(plans.clone().map(|plan| plan.rolling));
    let (barrier, barrier_worst) = median_and_worst(plans.map(|plan| plan.barrier));
    let rolling = match rolling > BAR {
        true => format!("**{rolling:.2}**"),
        false => format!("{rolling:.2}"),
    };
    format!("{rolling} | {rolling_worst:.2} | {barrier:.2} | {barrier_worst:.2}")
}
