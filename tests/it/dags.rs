//! Random plans with random times, for measuring dispatch. Shared by the test of the bar and by `benches/simulate.rs`.
//!
//! Every number comes from one seed, by a generator that is written out here, so that a table is the same everywhere.

use mesh::model::{RowKey, UnitId};
use mesh::plan::{ItemId, Metadata, Plan, SwarmOverrides};
use mesh::run::{ProtocolSearchPath, Protocols};
use mesh::schedule::{Concurrency, Dispatch, Limits};
use mesh::scope::Reach;
use mesh::simulate::{Prediction, Setup, Simulation, Times};
use std::collections::BTreeMap;
use std::path::Path;

/// Rolling dispatch is to take at most so many times the bound, in the median.
pub const BAR: f64 = 1.10;

/// Sizes of the plans.
pub const TASKS: [usize; 3] = [30, 120, 500];

/// How many rows at once.
pub const SLOTS: [usize; 3] = [5, 12, 32];

/// What every task goes through.
pub struct Tried {
    pub name: &'static str,
    pub title: &'static str,
}

/// The protocol with the most rounds, and the one with a single row.
pub const PROTOCOLS: [Tried; 2] = [
    Tried {
        name: "swarm",
        title: "Protocol `swarm`: ten rows a task, in rounds of 1, 3, 1 and 5",
    },
    Tried {
        name: "solo",
        title: "Protocol `solo`: one row a task",
    },
];

/// How the dependencies of a random plan are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Every task waits for up to three of the thirty before it.
    Sparse,
    /// Tasks stand in layers of 2 to 16; every task waits for one to three of the layer before.
    Layers,
    /// A task waits for one earlier one, any: a tree that grows from its root.
    Tree,
    /// Chains of 3 to 12 tasks, side by side; every tenth task also waits for one of another chain.
    Chains,
    /// A task forks into 3 to 12, which one task joins; then the next.
    ForkJoin,
}

impl Family {
    pub const ALL: [Family; 5] = [
        Family::Sparse,
        Family::Layers,
        Family::Tree,
        Family::Chains,
        Family::ForkJoin,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Family::Sparse => "sparse",
            Family::Layers => "layers",
            Family::Tree => "tree",
            Family::Chains => "chains",
            Family::ForkJoin => "fork-join",
        }
    }

    /// The dependencies of each task, all on earlier ones.
    fn deps(self, tasks: usize, random: &mut Random) -> Vec<Vec<usize>> {
        match self {
            Family::Sparse => sparse(tasks, random),
            Family::Layers => layers(tasks, random),
            Family::Tree => tree(tasks, random),
            Family::Chains => chains(tasks, random),
            Family::ForkJoin => fork_join(tasks, random),
        }
    }
}

fn sparse(tasks: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let deps = |task: usize, random: &mut Random| {
        let count = random.below(4).min(task);
        let window = task.min(30);
        (0..count)
            .map(|_| task - 1 - random.below(window))
            .collect()
    };
    (0..tasks).map(|task| deps(task, random)).collect()
}

fn layers(tasks: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut before = 0..0;
    while all.len() < tasks {
        let begin = all.len();
        let width = (2 + random.below(15)).min(tasks - begin);
        for _ in 0..width {
            let count = if before.is_empty() {
                0
            } else {
                1 + random.below(3)
            };
            let dep = |_| before.start + random.below(before.len());
            all.push((0..count).map(dep).collect());
        }
        before = begin..all.len();
    }
    all
}

fn tree(tasks: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let deps = |task: usize, random: &mut Random| match task {
        0 => Vec::new(),
        _ => vec![random.below(task)],
    };
    (0..tasks).map(|task| deps(task, random)).collect()
}

fn chains(tasks: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    while all.len() < tasks {
        let length = (3 + random.below(10)).min(tasks - all.len());
        for place in 0..length {
            let task = all.len();
            let mut deps = Vec::new();
            if place > 0 {
                deps.push(task - 1);
            }
            if task > 0 && random.below(10) == 0 {
                deps.push(random.below(task));
            }
            all.push(deps);
        }
    }
    all
}

fn fork_join(tasks: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    while all.len() < tasks {
        let fork = all.len() - 1;
        let width = (3 + random.below(10)).min(tasks - all.len());
        all.extend((0..width).map(|_| vec![fork]));
        if all.len() < tasks {
            all.push((fork + 1..=fork + width).collect());
        }
    }
    all
}

/// One random plan with its times.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub family: Family,
    pub tasks: usize,
    pub slots: usize,
    pub protocol: &'static str,
    pub seed: u64,
}

/// How many times longer than the bound each dispatch takes.
#[derive(Clone, Copy, Debug)]
pub struct Ratios {
    pub rolling: f64,
    pub barrier: f64,
    /// The work on all slots, as a multiple of the critical path: far below 1 the path decides, far above the slots do.
    pub work_to_path: f64,
}

impl Ratios {
    /// Whether neither decides alone; else any dispatch that keeps nobody waiting is at the bound.
    pub fn is_hard(&self) -> bool {
        (0.5..=2.0).contains(&self.work_to_path)
    }
}

impl Case {
    pub fn play(&self) -> Ratios {
        let mut random = Random::new(self.seed);
        let deps = self.family.deps(self.tasks, &mut random);
        let [rolling, barrier] = Played {
            plan: &plan(&deps),
            protocol: self.protocol,
            slots: self.slots,
            parallel_tasks: usize::MAX,
            times: &Drawn { seed: self.seed },
        }
        .predictions();
        assert_eq!(rolling.tasks.len(), self.tasks, "{self:?}");
        assert_eq!(rolling.bound, barrier.bound, "both worked the same");
        let bound = &rolling.bound;
        Ratios {
            rolling: rolling.ratio(),
            barrier: barrier.ratio(),
            work_to_path: bound.work_per_slot_ms() as f64 / bound.critical_path_ms as f64,
        }
    }
}

/// A plan that is played through; the dispatch takes all rows to be alike.
pub struct Played<'p> {
    pub plan: &'p Plan,
    pub protocol: &'p str,
    pub slots: usize,
    pub parallel_tasks: usize,
    pub times: &'p dyn Times,
}

impl Played<'_> {
    /// Rolling, barrier.
    pub fn predictions(&self) -> [Prediction; 2] {
        let overrides = SwarmOverrides::default();
        let shelf = ProtocolSearchPath {
            root: Path::new("."),
            named: &BTreeMap::new(),
        };
        let protocols = Protocols::load(self.protocol, shelf, overrides).expect("built in");
        let protocol_of = |id: &ItemId, metadata: Option<&Metadata>, changed: Option<&str>| {
            let found = protocols.resolve(id, metadata, changed);
            found.map_err(|error| error.to_string())
        };
        let simulation = Simulation::new(Setup {
            plan: self.plan,
            closure: None,
            shared: Reach::new(&[]).expect("no globs"),
            slots: Concurrency::preflight(&Limits {
                allowed: self.slots,
                rows: usize::MAX,
                ..Limits::default()
            }),
            parallel_tasks: self.parallel_tasks,
            max_tasks: usize::MAX,
            protocol_of: &protocol_of,
            lost_votes: 0,
            times: self.times,
            estimates: &Equal,
        });
        Dispatch::ALL.map(|dispatch| simulation.predict(dispatch))
    }
}

/// Every task has a folder of its own, so that nothing but dependencies and slots keeps it.
fn plan(deps: &[Vec<usize>]) -> Plan {
    plan_in(deps, |task| format!("t{task:03}"))
}

/// The tasks `t000`, `t001`, …, each in its folder.
pub fn plan_in(deps: &[Vec<usize>], folder: impl Fn(usize) -> String) -> Plan {
    let id = |task: usize| format!("t{task:03}");
    let item = |(task, deps): (usize, &Vec<usize>)| {
        let deps: Vec<String> = deps.iter().map(|dep| id(*dep)).collect();
        let notes = format!(
            "scope: [\"{}/**\"]\nacceptance: []\nvalidation: [make]\n",
            folder(task)
        );
        let item = serde_json::json!({"id": id(task), "step": "s", "deps": deps, "notes": notes});
        item.to_string().parse().expect("an item")
    };
    let items = deps.iter().enumerate().map(item);
    Plan::from_items(items.collect()).expect("each id once")
}

/// Log-normal around the median of the round: one factor for the whole task and one for each row, sigma 0.5 each. Together
/// that is a sigma of 0.7: one row of twenty takes more than three times the median.
struct Drawn {
    seed: u64,
}

impl Drawn {
    fn factor(&self, of: &str) -> f64 {
        let mut random = Random::new(self.seed);
        of.bytes().for_each(|byte| random.mix(byte));
        (0.5 * random.normal()).exp()
    }
}

impl Times for Drawn {
    fn row_ms(&self, row: &RowKey) -> u64 {
        let median_ms = match row.round.as_str() {
            "proposal" => 60_000.0,
            "critique" => 90_000.0,
            "synthesis" => 240_000.0,
            _ => 45_000.0,
        };
        let factor = self.factor(row.unit.as_str()) * self.factor(row.id().as_str());
        // Whole milliseconds: the last bit of `exp` is not the same on all machines.
        f64::round(median_ms * factor) as u64
    }

    fn integration_ms(&self, _: &UnitId) -> u64 {
        0
    }

    fn task_ms(&self, _: &UnitId) -> Option<u64> {
        None
    }
}

/// What the dispatch believes: all rows are alike.
struct Equal;

impl Times for Equal {
    fn row_ms(&self, _: &RowKey) -> u64 {
        1000
    }

    fn integration_ms(&self, _: &UnitId) -> u64 {
        0
    }

    fn task_ms(&self, _: &UnitId) -> Option<u64> {
        None
    }
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn mix(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
        self.0 = self.next();
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, near enough: the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// The middle, and the largest.
pub fn median_and_worst(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let at = numbers.len();
    let median = f64::midpoint(numbers[(at - 1) / 2], numbers[at / 2]);
    (median, numbers[at - 1])
}
