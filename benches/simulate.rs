//! How near both dispatches come to the bound on random plans. Prints `docs/SIMULATION.md`, the same on every machine.
//!
//! Usage: `cargo bench --profile dev --bench simulate >docs/SIMULATION.md`, as `.ci/generate` does.

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
    let plans = || all.iter().flat_map(|group| &group.plans);
    for family in Family::ALL {
        let groups = all.iter().filter(|group| group.case.family == family);
        print(family.name(), groups.flat_map(|group| &group.plans));
    }
    print("all", plans());
    print(
        "all, work : path from 0.5 to 2",
        plans().filter(|plan| plan.is_hard()),
    );
}

fn print<'r>(name: &str, plans: impl Iterator<Item = &'r Ratios> + Clone) {
    println!(
        "| {name} | {} | {} |",
        plans.clone().count(),
        columns(plans)
    );
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
