//! The prediction of a plan under one dispatch.

use super::bound::Bound;
use super::progress::Progress;
use super::script::{Script, Step};
use super::setup::Setup;
use super::simulation::{Round, SimulatedTask, Simulation, Task, Wave};
use crate::plan::{Item, ItemId, Status};
use crate::schedule::{Dispatch, Priority, Selected, SkipReason, Skipped, read_task};
use crate::scope::{Claims, Reach};
use rayon::prelude::*;
use std::collections::HashMap;

/// The prediction under one dispatch.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The dispatch.
    pub dispatch: Dispatch,
    /// The waves, in the order in which they are compiled.
    pub waves: Vec<Wave>,
    /// The admitted tasks, in order.
    pub tasks: Vec<SimulatedTask>,
    /// Their rounds.
    pub rounds: Vec<Round>,
    /// Tasks that can't be run.
    pub skipped: Vec<Skipped>,
    /// From the first row to the last integration.
    pub makespan_ms: u64,
    /// The lower bound for these tasks under any dispatch.
    pub bound: Bound,
}

impl<'s> Simulation<'s> {
    /// Writes the script of every unfinished task.
    pub fn new(setup: Setup<'s>) -> Self {
        let items = setup.plan.items();
        let tasks: Vec<_> = items.par_iter().map(|item| task(item, &setup)).collect();
        let places = items.iter().enumerate();
        let indexes: HashMap<ItemId, usize> =
            places.map(|(at, item)| (item.id().clone(), at)).collect();
        let estimate = |item: &Item| {
            let is_in = setup.closure.is_none_or(|ids| ids.contains(item.id()));
            let task = tasks[*indexes.get(item.id())?].as_ref()?.as_ref().ok()?;
            is_in.then_some(task.remaining_ms[0] as f64)
        };
        Self {
            priority: Priority::new(setup.plan, estimate),
            no_claims: Claims::new(setup.shared.clone()),
            tasks,
            indexes,
            setup,
        }
    }

    /// Simulates the plan under `dispatch`.
    pub fn predict(&self, dispatch: Dispatch) -> Prediction {
        let mut progress = Progress::new(self, dispatch);
        let (waves, makespan_ms) = match dispatch {
            Dispatch::Rolling => crate::simulate::rolling::simulate(self, &mut progress),
            Dispatch::Barrier => crate::simulate::barrier::simulate(self, &mut progress),
        };
        Prediction {
            dispatch,
            waves,
            makespan_ms,
            bound: Bound::of(self, &progress.tasks),
            rounds: self.rounds(&progress.tasks),
            skipped: progress.skipped(),
            tasks: progress.tasks,
        }
    }

    /// The number of unfinished tasks that `ids=` selects.
    pub fn unfinished(&self) -> usize {
        let items = self.setup.plan.items().iter().zip(&self.tasks);
        let is_in = |id: &ItemId| self.setup.closure.is_none_or(|ids| ids.contains(id));
        items
            .filter(|(item, task)| task.is_some() && is_in(item.id()))
            .count()
    }

    /// The rounds of these tasks, in the order of their first use.
    fn rounds(&self, tasks: &[SimulatedTask]) -> Vec<Round> {
        let mut rounds: Vec<Round> = Vec::new();
        let tasks = tasks.iter().filter_map(|task| self.find(&task.id));
        for step in tasks.flat_map(|(_, task)| &task.script.steps) {
            let Step::Rows(emitted) = step else { continue };
            let known = rounds.iter().position(|known| known.name == emitted.round);
            let at = known.unwrap_or_else(|| {
                rounds.push(Round::new(&emitted.round));
                rounds.len() - 1
            });
            rounds[at].rows += emitted.rows_ms.len();
            rounds[at].work_ms += emitted.rows_ms.iter().sum::<u64>();
            rounds[at].roles.extend(emitted.roles.iter().cloned());
        }
        rounds
    }

    /// The task at an index of the plan; `None` if it is never selected.
    pub(crate) fn task(&self, place: usize) -> Option<&Task> {
        self.tasks.get(place)?.as_ref()?.as_ref().ok()
    }

    /// The task with an id, and its index.
    pub(crate) fn find(&self, id: &ItemId) -> Option<(usize, &Task)> {
        let place = *self.indexes.get(id)?;
        Some((place, self.task(place)?))
    }

    /// The item as selection needs it, read before.
    pub(crate) fn read(&self, item: &Item) -> Result<(Selected, Reach), SkipReason> {
        let place = self.indexes.get(item.id());
        match place.and_then(|place| self.tasks[*place].as_ref()) {
            Some(Ok(task)) => Ok((task.selected.clone(), task.reach.clone())),
            Some(Err(why)) => Err(why.clone()),
            // Only open tasks are selected, and all of them were read.
            None => read_task(item, &|_| Ok(())),
        }
    }
}

impl Prediction {
    /// Rows over all waves.
    pub fn rows(&self) -> usize {
        self.waves.iter().map(|wave| wave.rows).sum()
    }

    /// The makespan as a multiple of the bound; 1 when there is nothing to do.
    pub fn ratio(&self) -> f64 {
        match self.bound.ms() {
            0 => 1.0,
            bound => self.makespan_ms as f64 / bound as f64,
        }
    }

    /// The utilization of the slots, from 0 to 1.
    pub fn utilization(&self) -> f64 {
        let slots_ms = self.bound.slots as f64 * self.makespan_ms as f64;
        self.bound.work_ms as f64 / slots_ms.max(1.0)
    }
}

/// `None` for a task that is finished, deferred, blocked or cancelled.
fn task(item: &Item, setup: &Setup<'_>) -> Option<Result<Task, SkipReason>> {
    let is_open = matches!(item.status(), Status::Pending | Status::InProgress);
    is_open.then(|| open_task(item, setup))
}

fn open_task(item: &Item, setup: &Setup<'_>) -> Result<Task, SkipReason> {
    let (selected, reach) = read_task(item, &|_| Ok(()))?;
    let script = |times| {
        let metadata = selected.metadata.as_ref();
        Script::write(item.id(), metadata, setup, times).map_err(SkipReason::Refused)
    };
    Ok(Task {
        remaining_ms: script(setup.estimates)?.remaining_ms(),
        script: script(setup.times)?,
        selected,
        reach,
    })
}
