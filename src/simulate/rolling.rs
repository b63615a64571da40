//! Rolling dispatch: a task advances as soon as it can, and a free slot takes a row of the task with the longest remaining path.
//!
//! A discrete-event simulation. All events of one moment are handled before anything new starts, so rows of one round that start
//! at the same moment are one wave, and rows compete for slots by priority alone. Integrations are queued by the same priority for
//! the one integrator; rows run at the same time.

use super::progress::Progress;
use super::script::{Emitted, Step};
use super::simulation::{Simulation, Wave};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// Simulates the plan. Returns the waves and the makespan.
pub(super) fn simulate(
    simulation: &Simulation<'_>,
    progress: &mut Progress<'_>,
) -> (Vec<Wave>, u64) {
    let slots = simulation.setup.slots.get();
    let mut pool = SimulatedPool {
        simulation,
        now_ms: 0,
        free_slots: slots,
        is_integrating: false,
        units: HashMap::new(),
        ready_rows: Queue::default(),
        to_integrate: Queue::default(),
        events: BinaryHeap::new(),
        scheduled: 0,
        waves: Vec::new(),
        open_waves: HashMap::new(),
    };
    pool.admit_tasks(progress);
    loop {
        pool.start_queued();
        let Some(Reverse((time, ..))) = pool.events.peek() else {
            return (pool.waves, pool.now_ms);
        };
        pool.now_ms = *time;
        pool.open_waves.clear();
        let mut has_ended = false;
        while let Some(event) = pool.next_event() {
            has_ended |= pool.handle_event(event, progress);
        }
        if has_ended {
            pool.admit_tasks(progress);
        }
    }
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    /// A row of this wave.
    Row(usize),
    /// An integration.
    Integration,
}

/// Time, sequence number (the order of events of one moment), index of the task, kind.
type Event = Reverse<(u64, u64, usize, EventKind)>;

/// A task in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    step: usize,
    open_rows: usize,
}

struct SimulatedPool<'s> {
    simulation: &'s Simulation<'s>,
    now_ms: u64,
    free_slots: usize,
    is_integrating: bool,
    /// By index in the plan.
    units: HashMap<usize, Unit>,
    /// Rows that wait for a slot: task, wave, milliseconds.
    ready_rows: Queue<(usize, usize, u64)>,
    /// Tasks that wait for the integrator, with the milliseconds that they will take.
    to_integrate: Queue<(usize, u64)>,
    events: BinaryHeap<Event>,
    /// The number of events so far.
    scheduled: u64,
    waves: Vec<Wave>,
    /// The waves of this moment, by protocol and round.
    open_waves: HashMap<(&'s str, &'s str), usize>,
}

impl<'s> SimulatedPool<'s> {
    fn admit_tasks(&mut self, progress: &mut Progress<'_>) {
        // A task without a step ends at once and frees its slot.
        loop {
            let places = progress.admit_tasks(self.now_ms);
            let mut has_ended = false;
            for place in places {
                self.units.insert(place, Unit::default());
                has_ended |= self.advance(place, progress);
            }
            if !has_ended {
                return;
            }
        }
    }

    /// Begins rows and integrations until slots or queues are empty.
    fn start_queued(&mut self) {
        while self.free_slots > 0
            && let Some((place, wave, ms)) = self.ready_rows.pop()
        {
            self.free_slots -= 1;
            self.schedule(ms, place, EventKind::Row(wave));
        }
        if !self.is_integrating
            && let Some((place, ms)) = self.to_integrate.pop()
        {
            self.is_integrating = true;
            self.schedule(ms, place, EventKind::Integration);
        }
    }

    fn schedule(&mut self, ms: u64, place: usize, what: EventKind) {
        self.scheduled += 1;
        let ends_ms = self.now_ms.saturating_add(ms);
        self.events
            .push(Reverse((ends_ms, self.scheduled, place, what)));
    }

    /// The next event of this moment.
    fn next_event(&mut self) -> Option<(usize, EventKind)> {
        let Reverse((time, ..)) = self.events.peek()?;
        if *time > self.now_ms {
            return None;
        }
        let Reverse((_, _, place, what)) = self.events.pop()?;
        Some((place, what))
    }

    /// Handles an event; `true` if its task has ended.
    fn handle_event(
        &mut self,
        (place, what): (usize, EventKind),
        progress: &mut Progress<'_>,
    ) -> bool {
        let Some(unit) = self.units.get_mut(&place) else {
            return false;
        };
        match what {
            EventKind::Row(wave) => {
                self.free_slots += 1;
                self.waves[wave].ends_ms = self.now_ms;
                unit.open_rows -= 1;
                if unit.open_rows > 0 {
                    return false;
                }
            }
            EventKind::Integration => self.is_integrating = false,
        }
        unit.step += 1;
        self.advance(place, progress)
    }

    /// Queues the next step of a task; `true` if it has ended instead.
    fn advance(&mut self, place: usize, progress: &mut Progress<'_>) -> bool {
        let simulation = self.simulation;
        let unit = self.units.get_mut(&place);
        let (Some(task), Some(unit)) = (simulation.task(place), unit) else {
            return false;
        };
        // Its dependents, and the rest of the task.
        let behind_ms = simulation.dependents_ms(place);
        let path_ms = behind_ms + task.remaining_ms[unit.step];
        match task.script.steps.get(unit.step) {
            Some(Step::Rows(emitted)) => {
                unit.open_rows = emitted.rows_ms.len();
                self.queue_rows(place, path_ms, emitted);
                false
            }
            Some(Step::Integrate(ms)) => {
                self.to_integrate.push(path_ms, (place, *ms));
                false
            }
            None => {
                self.units.remove(&place);
                progress.end(place, self.now_ms);
                true
            }
        }
    }

    fn queue_rows(&mut self, place: usize, path_ms: u64, emitted: &'s Emitted) {
        let key = (emitted.protocol.as_str(), emitted.round.as_str());
        let waves = &mut self.waves;
        let wave = *self.open_waves.entry(key).or_insert_with(|| {
            waves.push(Wave {
                round: emitted.round.clone(),
                rows: 0,
                begins_ms: self.now_ms,
                ends_ms: self.now_ms,
            });
            waves.len() - 1
        });
        self.waves[wave].rows += emitted.rows_ms.len();
        for ms in &emitted.rows_ms {
            self.ready_rows.push(path_ms, (place, wave, *ms));
        }
    }
}

impl Simulation<'_> {
    /// The estimated longest path of the dependents of a task.
    fn dependents_ms(&self, place: usize) -> u64 {
        let item = self.setup.plan.items().get(place);
        let path = item.and_then(|item| self.priority.remaining(item.id()));
        let own = self.task(place).map_or(0, |task| task.remaining_ms[0]);
        (path.unwrap_or_default() as u64).saturating_sub(own)
    }
}

/// A queue by path, longest first; first in, first out for equal paths.
struct Queue<T> {
    entries: BTreeMap<(Reverse<u64>, u64), T>,
    pushed: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            pushed: 0,
        }
    }
}

impl<T> Queue<T> {
    fn push(&mut self, path_ms: u64, what: T) {
        self.pushed += 1;
        self.entries.insert((Reverse(path_ms), self.pushed), what);
    }

    fn pop(&mut self) -> Option<T> {
        self.entries.pop_first().map(|(_, what)| what)
    }
}
