//! The cluster: nodes, the controller with its arrays, and slices under work. One loop over the events in order of time.

use super::outcome::Outcome;
use super::random::Random;
use super::setup::Setup;
use crate::executor::slices::Slicing;
use crate::executor::slurm::slice_queue::{
    ASK_EVERY, Consequence, Limit, NextArray, SliceFiles, SliceQueue,
};
use crate::executor::slurm::tasks::{Task, Tasks};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

/// Microseconds since the start.
type Time = u64;

const SECOND: Time = 1_000_000;
/// When the controller notices a failed node (`SlurmdTimeout`).
const NOTICED_AFTER: Time = 300 * SECOND;
/// When a failed node is back.
const BACK_AFTER: Time = 600 * SECOND;
/// How long the controller shows an ended task (`MinJobAge`).
const FORGOTTEN_AFTER: Time = 300 * SECOND;
/// The number of the thing whose random numbers are the failures; rows have the others.
const FAILURES: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A row ends, unless its task was lost.
    RowEnds {
        slice: u64,
        copy: u32,
        row: u64,
    },
    /// The controller may start a task.
    Start,
    NodeFails,
    NodeIsBack {
        node: usize,
    },
    /// The controller notices that a task is lost.
    LossNoticed {
        slice: u64,
        array: usize,
    },
    Forgotten {
        slice: u64,
        array: usize,
    },
    /// `mesh` asks Slurm.
    Asked,
}

/// An array that was submitted.
struct Array {
    pending: VecDeque<u64>,
    tasks_at_once: usize,
    /// As the controller sees it.
    running: usize,
}

/// A slice, without a list of its rows.
#[derive(Clone, Default)]
struct Slice {
    /// Its first row and the one behind its last row.
    next: u64,
    end: u64,
    ended: u64,
    running: BTreeSet<u64>,
    /// Counts its tasks: what an earlier one would have done no longer happens.
    copy: u32,
    array: usize,
    node: Option<usize>,
    has_begun: bool,
    has_finished: bool,
}

struct Slices(Vec<Slice>);

impl Slices {
    fn get(&mut self, slice: u64) -> &mut Slice {
        &mut self.0[slice as usize - 1]
    }
}

impl SliceFiles for Slices {
    fn ended(&self, slice: u64) -> u64 {
        self.0[slice as usize - 1].ended
    }

    fn cut_off(&self, slice: u64) -> Vec<u64> {
        let running = &self.0[slice as usize - 1].running;
        running.iter().copied().collect()
    }

    fn has_finished(&self, slice: u64) -> bool {
        self.0[slice as usize - 1].has_finished
    }

    fn refusals(&self, _: u64) -> usize {
        0
    }
}

/// The rows that have a result, a bit each.
struct Results(Vec<u64>);

impl Results {
    /// Whether it is the first of the row.
    fn add(&mut self, row: u64) -> bool {
        let (word, bit) = (row as usize / 64, 1 << (row % 64));
        let is_first = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_first
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

struct Cluster<'s> {
    setup: &'s Setup,
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    /// Counts the events, so that those of one time keep their order.
    pushed: u64,
    /// What `mesh` decides.
    queue: SliceQueue,
    /// What `squeue` shows.
    tasks: Tasks,
    arrays: Vec<Array>,
    /// The first array with a task that has not started, or the number of arrays.
    first_pending: usize,
    slices: Slices,
    results: Results,
    /// Nodes that are up and have no task.
    free: BTreeSet<usize>,
    /// The slice of each node.
    on_nodes: Vec<Option<u64>>,
    is_down: Vec<bool>,
    /// When the controller may start the next task, and whether that is an event already.
    next_start: Time,
    start_is_due: bool,
    failures: Random,
    outcome: Outcome,
}

impl Setup {
    /// Simulates the job.
    pub fn simulate(&self) -> Outcome {
        let mut cluster = Cluster::new(self);
        cluster.submit();
        cluster.push_after(ASK_EVERY.as_micros() as Time, Event::Asked);
        cluster.plan_failure();
        while !cluster.queue.is_done()
            && cluster.outcome.stopped_by.is_none()
            && let Some(Reverse((time, _, event))) = cluster.events.pop()
        {
            cluster.now = time;
            cluster.handle(event);
        }
        cluster.outcome()
    }
}

impl<'s> Cluster<'s> {
    fn new(setup: &'s Setup) -> Self {
        let slicing = setup.slicing();
        let interval = start_interval(setup);
        Self {
            now: 0,
            events: BinaryHeap::new(),
            pushed: 0,
            queue: SliceQueue::new(&slicing, |_| false, true, Limit::Fixed, 0),
            tasks: Tasks::default(),
            arrays: Vec::new(),
            first_pending: 0,
            slices: Slices(
                (1..=slicing.count())
                    .map(|at| slice(&slicing, at))
                    .collect(),
            ),
            results: Results(vec![0; setup.rows as usize / 64 + 1]),
            free: (0..setup.nodes).collect(),
            on_nodes: vec![None; setup.nodes],
            is_down: vec![false; setup.nodes],
            // The probe of the folder is the first task.
            next_start: interval,
            start_is_due: false,
            failures: Random::of(setup.seed, FAILURES),
            outcome: Outcome::of(setup, &slicing),
            setup,
        }
    }

    fn push_after(&mut self, delay: Time, event: Event) {
        self.pushed += 1;
        let time = self.now.saturating_add(delay);
        self.events.push(Reverse((time, self.pushed, event)));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::RowEnds { slice, copy, row } => self.end_row(slice, copy, row),
            Event::Start => self.start_task(),
            Event::NodeFails => self.fail_node(),
            Event::NodeIsBack { node } => {
                self.is_down[node] = false;
                self.free_node(node);
            }
            Event::LossNoticed { slice, array } => {
                self.end_task(slice, array, "NODE_FAIL", "NodeDown");
            }
            Event::Forgotten { slice, array } => {
                if self
                    .task(slice, array)
                    .is_some_and(|task| !task.is_active())
                {
                    self.tasks.of_slices.remove(&slice);
                }
            }
            Event::Asked => self.ask(),
        }
    }

    /// `mesh` asks for the tasks, and submits lost slices again.
    fn ask(&mut self) {
        self.outcome.squeue_calls += 1;
        for lost in self.queue.find_lost(&self.tasks, &self.slices) {
            if let Consequence::GivesUp { .. } = lost.follows {
                self.outcome.stopped_by = Some(lost.slice);
            }
        }
        if self.outcome.stopped_by.is_none() {
            self.outcome.slices_submitted_again += self.submit();
            self.push_after(ASK_EVERY.as_micros() as Time, Event::Asked);
        }
    }

    /// Submits the slices that wait. Returns how many those are.
    fn submit(&mut self) -> u64 {
        let allowed = self.setup.tasks_allowed();
        let Some(next) = self.queue.next_array(&self.tasks, |_| allowed) else {
            return 0;
        };
        self.queue.mark_submitted(&next);
        self.outcome.sbatch_calls += 1;
        let NextArray {
            slices,
            tasks_at_once,
        } = next;
        let array = self.arrays.len();
        for slice in &slices {
            self.tasks.of_slices.insert(
                *slice,
                Task {
                    id: array as u64,
                    state: "PENDING".to_owned(),
                    reason: "Priority".to_owned(),
                    node: String::new(),
                },
            );
        }
        let count = slices.len() as u64;
        self.arrays.push(Array {
            pending: slices.into(),
            tasks_at_once,
            running: 0,
        });
        self.plan_start();
        count
    }

    /// The first array with a task that may start.
    fn startable(&mut self) -> Option<usize> {
        let is_empty = |array: &Array| array.pending.is_empty();
        while self.arrays.get(self.first_pending).is_some_and(is_empty) {
            self.first_pending += 1;
        }
        let may_start = |at: &usize| {
            let array = &self.arrays[*at];
            !array.pending.is_empty() && array.running < array.tasks_at_once
        };
        (self.first_pending..self.arrays.len()).find(may_start)
    }

    fn plan_start(&mut self) {
        if !self.start_is_due && !self.free.is_empty() && self.startable().is_some() {
            self.start_is_due = true;
            self.push_after(self.next_start.saturating_sub(self.now), Event::Start);
        }
    }

    fn start_task(&mut self) {
        self.start_is_due = false;
        let Some(array) = self.startable().filter(|_| !self.free.is_empty()) else {
            return;
        };
        let node = self.free.pop_first();
        let slice = self.arrays[array].pending.pop_front();
        if let (Some(node), Some(slice)) = (node, slice) {
            self.arrays[array].running += 1;
            self.on_nodes[node] = Some(slice);
            if let Some(task) = self.tasks.of_slices.get_mut(&slice) {
                "RUNNING".clone_into(&mut task.state);
            }
            let state = self.slices.get(slice);
            (state.array, state.node) = (array, Some(node));
            self.outcome.result_files += u64::from(!state.has_begun);
            state.has_begun = true;
            self.start_rows(slice);
        }
        self.next_start = self.now + start_interval(self.setup);
        self.plan_start();
    }

    /// Starts the rows that ran when the task before was lost, and others up to the limit.
    fn start_rows(&mut self, slice: u64) {
        let again: Vec<u64> = self.slices.get(slice).running.iter().copied().collect();
        self.outcome.rows_run_again += again.len() as u64;
        for row in again {
            self.start_row(slice, row);
        }
        while self.slices.get(slice).running.len() < self.setup.rows_at_once
            && self.start_next_row(slice)
        {}
    }

    fn start_next_row(&mut self, slice: u64) -> bool {
        let state = self.slices.get(slice);
        if state.next == state.end {
            return false;
        }
        let row = state.next;
        state.next += 1;
        state.running.insert(row);
        let took = self.start_row(slice, row);
        self.outcome.count_row(took);
        true
    }

    fn start_row(&mut self, slice: u64, row: u64) -> Time {
        let mean = (self.setup.row_seconds * SECOND) as f64;
        let took = match self.setup.row_spread {
            0.0 => mean,
            sigma => Random::of(self.setup.seed, row).log_normal(mean, sigma),
        };
        let took = took.round() as Time;
        let copy = self.slices.get(slice).copy;
        self.push_after(took, Event::RowEnds { slice, copy, row });
        took
    }

    fn end_row(&mut self, slice: u64, copy: u32, row: u64) {
        let state = self.slices.get(slice);
        if state.copy != copy {
            return;
        }
        state.running.remove(&row);
        state.ended += 1;
        match self.results.add(row) {
            true => self.queue.end_row(slice),
            false => self.outcome.rows_counted_twice += 1,
        }
        if !self.start_next_row(slice) && self.slices.get(slice).running.is_empty() {
            let state = self.slices.get(slice);
            state.has_finished = true;
            let (array, node) = (state.array, state.node.take());
            self.end_task(slice, array, "COMPLETED", "None");
            if let Some(node) = node {
                self.on_nodes[node] = None;
                self.free_node(node);
            }
        }
    }

    fn task(&mut self, slice: u64, array: usize) -> Option<&mut Task> {
        let task = self.tasks.of_slices.get_mut(&slice);
        task.filter(|task| task.id == array as u64)
    }

    fn end_task(&mut self, slice: u64, array: usize, state: &str, reason: &str) {
        if let Some(task) = self.task(slice, array) {
            state.clone_into(&mut task.state);
            reason.clone_into(&mut task.reason);
        }
        self.arrays[array].running -= 1;
        self.push_after(FORGOTTEN_AFTER, Event::Forgotten { slice, array });
        self.plan_start();
    }

    fn free_node(&mut self, node: usize) {
        self.free.insert(node);
        self.plan_start();
    }

    fn plan_failure(&mut self) {
        let each_hour = self.setup.node_failure_rate * self.setup.nodes as f64;
        if each_hour > 0.0 {
            let mean = 3600.0 * SECOND as f64 / each_hour;
            let delay = self.failures.exponential(mean).round() as Time;
            self.push_after(delay, Event::NodeFails);
        }
    }

    fn fail_node(&mut self) {
        self.plan_failure();
        let node = (self.failures.next() % self.setup.nodes as u64) as usize;
        if std::mem::replace(&mut self.is_down[node], true) {
            return;
        }
        self.outcome.node_failures += 1;
        self.free.remove(&node);
        self.push_after(BACK_AFTER, Event::NodeIsBack { node });
        if let Some(slice) = self.on_nodes[node].take() {
            let state = self.slices.get(slice);
            state.copy += 1;
            state.node = None;
            let array = state.array;
            self.push_after(NOTICED_AFTER, Event::LossNoticed { slice, array });
        }
    }

    fn outcome(mut self) -> Outcome {
        self.outcome.makespan_ms = self.now.div_ceil(1000);
        self.outcome.rows_ended = self.results.count();
        self.outcome.rows_left = self.queue.rows_left();
        self.outcome
    }
}

fn slice(slicing: &Slicing, number: u64) -> Slice {
    let rows = slicing.rows_of(number);
    // The rows of a simulated job are one range.
    let first = rows.as_ref().and_then(|rows| rows.numbers().next());
    let first = first.map_or(0, |number| number - 1);
    Slice {
        next: first,
        end: first + rows.map_or(0, |rows| rows.len()),
        ..Slice::default()
    }
}

fn start_interval(setup: &Setup) -> Time {
    (SECOND as f64 / setup.submit_rate).round() as Time
}

#[cfg(test)]
mod tests;
