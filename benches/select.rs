//! How long it takes to select tasks from 10,000 ready ones with five globs each; the plan is in memory already.
//! Prints, for each shape of scopes, the median of five passes as a line of `docs/BENCHMARKS.md`.
//!
//! Usage: `cargo bench --bench select`

use mesh::plan::Plan;
use mesh::schedule::{Deps, SelectionRequest, select};
use mesh::scope::{Claims, Reach, SHARED_PATHS};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const TASKS: usize = 10_000;
const PASSES: usize = 5;

fn main() {
    println!("| 10,000 ready tasks with five globs each | slots | selected | median |");
    println!("| --- | --- | --- | --- |");
    let crates = |n: usize| {
        [
            "src/**",
            "tests/*.rs",
            "benches/*_bench.rs",
            "README.md",
            "{build,make}.rs",
        ]
        .map(|glob| format!("crates/c{n}/{glob}"))
    };
    measure("a folder each", TASKS, crates);
    measure("the same, few slots", 4, crates);
    measure("paths without wild cards", TASKS, |n| {
        ["a.rs", "b.rs", "tests/a.rs", "docs/a.md", "c.json"]
            .map(|name| format!("m{}/{n}/{name}", n % 7))
    });
    measure("wild cards in one folder", TASKS, |n| {
        ["*.rs", "_test*.rs", "?.md", "[a-z].txt", "{a,b}*.c"]
            .map(|rest| format!("src/f{n:05}{rest}"))
    });
    measure("wild cards in front", TASKS, |n| {
        ["_a.rs", "_b.rs", "_c.rs", ".md", ".txt"].map(|end| format!("**/f{n:05}{end}"))
    });
    measure("wild cards at both ends", TASKS, |n| {
        ["**", "*.rs", "?", "[ab]", "c*/d*"].map(|rest| format!("*/f{n:05}/{rest}"))
    });
    measure("every scope meets every other", TASKS, |n| {
        ["src/**", "docs/**", "a", "b", "c"].map(|glob| {
            format!(
                "{glob}{}",
                if glob.len() == 1 {
                    n.to_string()
                } else {
                    String::new()
                }
            )
        })
    });
}

fn measure(shape: &str, places: usize, globs: impl Fn(usize) -> [String; 5]) {
    let plan = plan(globs);
    let mut times = Vec::new();
    let mut selected = 0;
    for _ in 0..PASSES {
        let begin = Instant::now();
        selected = pass(&plan, places);
        times.push(begin.elapsed());
    }
    times.sort();
    let median: Duration = times[PASSES / 2];
    println!(
        "| {shape} | {places} | {selected} | {:.2} s |",
        median.as_secs_f64()
    );
}

fn pass(plan: &Plan, places: usize) -> usize {
    let wish = SelectionRequest {
        closure: None,
        past: &BTreeSet::new(),
        claims: Claims::new(Reach::new(&SHARED_PATHS.map(str::to_owned)).expect("globs")),
        places,
        deps: Deps::Strict,
        leaves_out_begun: false,
        is_workable: &|_| Ok(()),
    };
    select(plan, wish).tasks.len()
}

fn plan(globs: impl Fn(usize) -> [String; 5]) -> Plan {
    let item = |number: usize| {
        let scope = globs(number).map(|glob| format!("  - {glob:?}\n")).concat();
        let notes = format!(
            "Do it well.\n\n```mesh\nscope:\n{scope}acceptance: [it works]\nvalidation: [make]\n```\n"
        );
        let item = serde_json::json!({"id": format!("st-{number:05}"), "step": "Do a part", "deps": [], "notes": notes});
        item.to_string().parse().expect("an item")
    };
    Plan::from_items((0..TASKS).map(item).collect()).expect("each id once")
}
