//! The progress of the tasks: which are due, in flight and done, and the selection of the next tasks. Both dispatches use it;
//! they differ in the order of selection.

use super::setup::End;
use super::simulation::{SimulatedTask, Simulation};
use crate::plan::{Item, ItemId};
use crate::schedule::{Deps, Dispatch, DueTasks, SelectionRequest, Skipped, select_due};
use crate::scope::Claims;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Progress<'s> {
    simulation: &'s Simulation<'s>,
    due: DueTasks<'s>,
    /// Indexes in [`tasks`](Self::tasks) by index in the plan.
    in_flight: BTreeMap<usize, usize>,
    skipped: BTreeMap<ItemId, Skipped>,
    /// In the order of admission.
    pub tasks: Vec<SimulatedTask>,
}

impl<'s> Progress<'s> {
    pub fn new(simulation: &'s Simulation<'s>, dispatch: Dispatch) -> Self {
        let priority = match dispatch {
            Dispatch::Rolling => Some(&simulation.priority),
            Dispatch::Barrier => None,
        };
        let setup = &simulation.setup;
        let allows = |item: &Item| setup.closure.is_none_or(|ids| ids.contains(item.id()));
        Self {
            simulation,
            due: DueTasks::new(setup.plan, priority, allows),
            in_flight: BTreeMap::new(),
            skipped: BTreeMap::new(),
            tasks: Vec::new(),
        }
    }

    /// Admits tasks until no slot is free. Returns the indexes of the new ones in the plan.
    pub fn admit_tasks(&mut self, now_ms: u64) -> Vec<usize> {
        let setup = &self.simulation.setup;
        let places = setup.parallel_tasks.saturating_sub(self.in_flight.len());
        let places = places.min(setup.max_tasks.saturating_sub(self.tasks.len()));
        if places == 0 || self.due.is_empty() {
            return Vec::new();
        }
        let request = SelectionRequest {
            closure: setup.closure,
            // What was begun is not due.
            past: &BTreeSet::new(),
            claims: self.claims(),
            places,
            deps: Deps::Strict,
            // Unusable tasks were found when they were read.
            leaves_out_begun: false,
            is_workable: &|_| Ok(()),
        };
        let read = |item: &Item| self.simulation.read(item);
        let selection = select_due(setup.plan, request, self.due.items(), &read);
        for skipped in selection.skipped {
            self.skipped.insert(skipped.item.clone(), skipped);
        }
        let found = selection.tasks.iter();
        let found = found.filter_map(|task| self.begin(&task.id, now_ms));
        found.collect()
    }

    fn claims(&self) -> Claims {
        let mut claims = self.simulation.no_claims.cleared();
        let tasks = self.in_flight.keys();
        for task in tasks.filter_map(|place| self.simulation.task(*place)) {
            claims.add(task.reach.clone());
        }
        claims
    }

    fn begin(&mut self, id: &ItemId, now_ms: u64) -> Option<usize> {
        let (place, task) = self.simulation.find(id)?;
        self.due.begin(place);
        self.in_flight.insert(place, self.tasks.len());
        self.tasks.push(SimulatedTask {
            id: id.clone(),
            begins_ms: now_ms,
            ends_ms: now_ms,
            end: task.script.end.clone(),
        });
        Some(place)
    }

    /// Ends a task.
    pub fn end(&mut self, place: usize, now_ms: u64) {
        let Some(index) = self.in_flight.remove(&place) else {
            return;
        };
        let task = &mut self.tasks[index];
        task.ends_ms = now_ms;
        if task.end == End::Completed {
            self.due.complete(&task.id);
        }
    }

    /// The skipped tasks, in the order of their ids.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.skipped.values().cloned().collect()
    }
}
