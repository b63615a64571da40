//! The lower bound of the makespan.

use super::script::{Script, Step};
use super::simulation::{SimulatedTask, Simulation};
use crate::plan::{Item, ItemId};
use crate::schedule::Priority;
use std::collections::{HashMap, HashSet};

/// The three lower bounds of the makespan of a set of tasks, under any dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The longest chain of tasks that wait for each other, each with a slot for every row.
    pub critical_path_ms: u64,
    /// That chain.
    pub critical_path: Vec<ItemId>,
    /// The sum over all rows.
    pub work_ms: u64,
    /// The number of slots.
    pub slots: usize,
    /// The sum over all integrations, which run one after the other.
    pub integration_ms: u64,
}

impl Bound {
    /// The bound of the simulated tasks.
    pub(super) fn of(simulation: &Simulation<'_>, tasks: &[SimulatedTask]) -> Self {
        let ids: HashSet<&ItemId> = tasks.iter().map(|task| &task.id).collect();
        let script = |id: &ItemId| Some(&simulation.find(id)?.1.script);
        let scripts: Vec<&Script> = tasks.iter().filter_map(|task| script(&task.id)).collect();
        let own = |item: &Item| {
            let is_simulated = ids.contains(item.id());
            is_simulated.then(|| script(item.id()).map_or(0.0, |script| script.alone_ms() as f64))
        };
        let paths = Priority::new(simulation.setup.plan, own);
        let first = paths.order().first();
        let length = first.and_then(|first| paths.remaining(first));
        let steps = || scripts.iter().flat_map(|script| &script.steps);
        let integrations = steps().filter(|step| matches!(step, Step::Integrate(_)));
        Self {
            critical_path_ms: length.unwrap_or_default() as u64,
            critical_path: first.map_or_else(Vec::new, |first| chain(simulation, &paths, first)),
            work_ms: steps().map(Step::work_ms).sum(),
            slots: simulation.setup.slots.get(),
            integration_ms: integrations.map(Step::longest_ms).sum(),
        }
    }

    /// The work, spread evenly over the slots.
    pub fn work_per_slot_ms(&self) -> u64 {
        self.work_ms.div_ceil(self.slots as u64)
    }

    /// The largest of the three.
    pub fn ms(&self) -> u64 {
        self.critical_path_ms
            .max(self.work_per_slot_ms())
            .max(self.integration_ms)
    }
}

/// The tasks along the longest path from `first` on.
fn chain(simulation: &Simulation<'_>, paths: &Priority, first: &ItemId) -> Vec<ItemId> {
    let mut dependents: HashMap<&ItemId, &ItemId> = HashMap::new();
    for item in simulation.setup.plan.items() {
        let id = item.id();
        for dep in item.deps().iter().filter(|_| paths.remaining(id).is_some()) {
            let next = dependents.entry(&dep.id).or_insert(id);
            if paths.rank(id) < paths.rank(next) {
                *next = id;
            }
        }
    }
    let mut chain = vec![first.clone()];
    let mut last = first;
    // Ends, because a task on a cycle has no path.
    while let Some(next) = dependents.get(last) {
        chain.push((*next).clone());
        last = next;
    }
    chain
}
