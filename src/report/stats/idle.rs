//! The fan-out receipt of a run: how many rows ran at once of those that were asked for, and why slots were idle. Pure: a sweep over
//! changes in the order of time.
//!
//! Every moment in which a process drives the run has as many slots as the run asked for. A slot is busy while a worker process runs
//! in it; every other one is put to the first cause that explains it ([`Cause::ALL`]). So busy and idle slot-seconds add up to the
//! slots times the time.

use super::rate::rounded;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Why a slot is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The run was stopped or met a budget: nothing starts any more.
    Stopping,
    /// A rate limit, a quota or the breaker keeps rows from starting.
    Limits,
    /// Backpressure keeps rows from starting.
    Backpressure,
    /// A patch is applied or validated: its task has no rows, and rows of others do not start while the tree changes.
    Integration,
    /// Rows are ready: the time to record and start a process.
    Start,
    /// Rows wait for their next attempt after a failure.
    Retries,
    /// Tasks whose scopes meet those of tasks in flight.
    Scopes,
    /// Tasks beyond `parallel_tasks`.
    TaskLimit,
    /// Tasks whose dependencies are not completed.
    Dependencies,
    /// The next rounds of the tasks in flight need the answers of rows that run.
    Rounds,
    /// Nothing is left to run.
    NoRows,
}

impl Cause {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 11] = [
        Self::Stopping,
        Self::Limits,
        Self::Backpressure,
        Self::Integration,
        Self::Start,
        Self::Retries,
        Self::Scopes,
        Self::TaskLimit,
        Self::Dependencies,
        Self::Rounds,
        Self::NoRows,
    ];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Limits => "limits",
            Self::Backpressure => "backpressure",
            Self::Integration => "integration",
            Self::Start => "start",
            Self::Retries => "retries",
            Self::Scopes => "scopes",
            Self::TaskLimit => "task_limit",
            Self::Dependencies => "dependencies",
            Self::Rounds => "rounds",
            Self::NoRows => "no_rows",
        }
    }

    /// Its name for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::TaskLimit => "parallel_tasks",
            Self::NoRows => "no rows left",
            cause => cause.as_str(),
        }
    }
}

/// What a row waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A slot.
    Slot,
    /// The end of a limit.
    Limit,
    /// Its next attempt.
    Retry,
}

/// A change of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many more rows wait from now on, or so many fewer.
    Wait(Wait, i32),
    /// A row that waited begins to run.
    Begin(Wait),
    /// A row ends, and may wait for another attempt.
    End(Option<Wait>),
    /// How many rows may run at once, as asked for.
    Slots(u32),
    /// How many rows may run at once under backpressure.
    Pressure(u32),
    /// How many rows the service allows at once.
    Places(u32),
    /// No row starts because of a quota, or rows start again.
    Quota(bool),
    /// A patch begins or ceases to be applied.
    Apply(i8),
    /// A task begins or ceases to be integrated or validated.
    Integrate(i8),
    /// Tasks begin or end.
    Tasks(i8),
    /// How many tasks wait: for scopes, beyond `parallel_tasks`, for dependencies.
    Held([u32; 3]),
    /// Nothing starts any more.
    Stop,
    /// No process drives the run, or one does again.
    Drive(bool),
}

/// How many rows ran at once, and why not more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FanOut {
    /// Rows at once, as asked for; the most, if a resume changed it.
    pub asked: u64,
    /// Attempts that ran.
    pub attempts: u64,
    /// The time in which a process drove the run, in milliseconds.
    pub span_ms: u64,
    /// The part of it in which rows were ready: only a slot or a limit kept them from running.
    pub ready_ms: u64,
    /// Slots times that part, in slot-milliseconds.
    pub ready_slot_ms: u64,
    /// Slot-milliseconds that were busy in that part.
    pub ready_busy_ms: u64,
    /// Slot-milliseconds that were busy.
    pub busy_ms: u64,
    /// Slot-milliseconds that were idle, by cause; without zeros.
    pub idle_ms: BTreeMap<Cause, u64>,
}

impl FanOut {
    /// The rows that ran at once, on average over the time in which rows were ready; none if no row ever had to wait.
    pub fn reached(&self) -> Option<f64> {
        (self.ready_ms > 0).then(|| self.ready_busy_ms as f64 / self.ready_ms as f64)
    }

    /// Busy slot-seconds by the slots times the time in which rows were ready, from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        (self.ready_slot_ms > 0).then(|| self.ready_busy_ms as f64 / self.ready_slot_ms as f64)
    }

    /// Idle slot-milliseconds of all causes.
    pub fn idle(&self) -> u64 {
        self.idle_ms.values().sum()
    }

    /// `{asked, attempts, seconds, ready_seconds, reached, reached_share, busy_slot_seconds, idle_slot_seconds: {cause: seconds}}`
    pub fn json(&self) -> Value {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let idle = self.idle_ms.iter();
        let idle = idle.map(|(cause, ms)| (cause.as_str().to_owned(), json!(seconds(*ms))));
        json!({
            "asked": self.asked,
            "attempts": self.attempts,
            "seconds": seconds(self.span_ms),
            "ready_seconds": seconds(self.ready_ms),
            "reached": self.reached().map(rounded),
            "reached_share": self.share().map(rounded),
            "busy_slot_seconds": seconds(self.busy_ms),
            "idle_slot_seconds": idle.collect::<Map<_, _>>(),
        })
    }
}

/// The state between two changes.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    slots: u64,
    pressure: Option<u64>,
    places: Option<u64>,
    has_quota: bool,
    busy: i64,
    ready: i64,
    limited: i64,
    retrying: i64,
    applying: i64,
    integrating: i64,
    tasks: i64,
    held: [u64; 3],
    is_stopping: bool,
    is_driven: bool,
}

/// The receipt of a run with these changes, each with its time in milliseconds; it ends at `end_ms`.
pub fn sweep(mut changes: Vec<(i64, Change)>, end_ms: i64) -> FanOut {
    changes.sort_by_key(|(at, _)| *at);
    let mut receipt = FanOut::default();
    let (mut now, mut last_ms) = (Now::default(), i64::MIN);
    for (at, change) in changes {
        let ms = at.min(end_ms).saturating_sub(last_ms);
        if last_ms > i64::MIN && ms > 0 {
            now.count(ms as u64, &mut receipt);
        }
        last_ms = last_ms.max(at);
        now.apply(change);
        receipt.asked = receipt.asked.max(now.slots);
        receipt.attempts += u64::from(matches!(change, Change::Begin(_)));
    }
    let ms = end_ms.saturating_sub(last_ms);
    if last_ms > i64::MIN && ms > 0 {
        now.count(ms as u64, &mut receipt);
    }
    receipt
}

impl Now {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Wait(wait, more) => *self.waiting(wait) += i64::from(more),
            Change::Begin(wait) => {
                *self.waiting(wait) -= 1;
                self.busy += 1;
            }
            Change::End(wait) => {
                self.busy -= 1;
                if let Some(wait) = wait {
                    *self.waiting(wait) += 1;
                }
            }
            Change::Slots(slots) => self.slots = slots.into(),
            Change::Pressure(most) => self.pressure = Some(most.into()),
            Change::Places(most) => self.places = Some(most.into()),
            Change::Quota(is_used_up) => self.has_quota = is_used_up,
            Change::Apply(more) => self.applying += i64::from(more),
            Change::Integrate(more) => self.integrating += i64::from(more),
            Change::Tasks(more) => self.tasks += i64::from(more),
            Change::Held(held) => self.held = held.map(u64::from),
            Change::Stop => self.is_stopping = true,
            Change::Drive(is_driven) => {
                self.is_driven = is_driven;
                self.is_stopping &= !is_driven;
            }
        }
    }

    fn waiting(&mut self, wait: Wait) -> &mut i64 {
        match wait {
            Wait::Slot => &mut self.ready,
            Wait::Limit => &mut self.limited,
            Wait::Retry => &mut self.retrying,
        }
    }

    /// Adds `ms` of this state.
    fn count(&self, ms: u64, receipt: &mut FanOut) {
        if !self.is_driven {
            return;
        }
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        // The ends of several rows are recorded together, so that for a moment more seem to run than there are slots.
        let busy = count(self.busy).min(self.slots);
        receipt.span_ms += ms;
        receipt.busy_ms += busy * ms;
        if !self.is_stopping && self.ready + self.limited > 0 {
            receipt.ready_ms += ms;
            receipt.ready_slot_ms += self.slots * ms;
            receipt.ready_busy_ms += busy * ms;
        }
        for (cause, slots) in self.idle(self.slots - busy) {
            *receipt.idle_ms.entry(cause).or_default() += slots * ms;
        }
    }

    /// The causes of `idle` slots.
    fn idle(&self, mut idle: u64) -> impl Iterator<Item = (Cause, u64)> {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let (ready, limited) = (count(self.ready), count(self.limited));
        let mut waiting = ready;
        let mut causes: Vec<(Cause, u64)> = Vec::new();
        let mut put = |cause: Cause, most: u64| {
            let slots = most.min(idle);
            idle -= slots;
            if slots > 0 {
                causes.push((cause, slots));
            }
            slots
        };
        let beyond = |most: Option<u64>| most.map_or(0, |most| self.slots.saturating_sub(most));
        if self.is_stopping {
            put(Cause::Stopping, u64::MAX);
        }
        put(Cause::Limits, limited);
        if self.has_quota {
            waiting -= put(Cause::Limits, waiting);
        }
        waiting -= put(Cause::Limits, beyond(self.places).min(waiting));
        waiting -= put(Cause::Backpressure, beyond(self.pressure).min(waiting));
        if self.applying > 0 {
            waiting -= put(Cause::Integration, waiting);
        }
        put(Cause::Start, waiting);
        put(Cause::Retries, count(self.retrying));
        put(Cause::Integration, count(self.integrating));
        let [scopes, task_limit, dependencies] = self.held;
        put(Cause::Scopes, scopes);
        put(Cause::TaskLimit, task_limit);
        put(Cause::Dependencies, dependencies);
        match self.tasks > 0 {
            true => put(Cause::Rounds, u64::MAX),
            false => put(Cause::NoRows, u64::MAX),
        };
        causes.into_iter()
    }
}

#[cfg(test)]
mod tests;
