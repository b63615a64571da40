//! The changes of a run that its fan-out receipt is computed from, taken from the ledger record by record.
//!
//! 24 bytes are kept for each start and each end of an attempt, so that a million rows fit into memory.

use super::idle::{Change, FanOut, Wait, sweep};
use crate::ledger::Record;
use crate::model::{
    AttemptEnd, AttemptFinished, Event, IntegrationOutcome, RunKind, Stage, UnitId,
    ValidationFinished, WaveNo,
};
use crate::platform::clock;
use crate::report::view::{Attempt, History, Moment, concurrency};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The rows of a wave of a plan that wait.
#[derive(Clone, Debug, Default)]
struct WaveRows {
    /// Without a verdict.
    open: i64,
    /// What they wait for: so many each, in the order of [`WAITS`].
    waiting: [i32; WAITS.len()],
}

const WAITS: [Wait; 3] = [Wait::Slot, Wait::Limit, Wait::Retry];

/// The fold.
#[derive(Clone, Debug, Default)]
pub struct FanOutFold {
    history: History,
    changes: Vec<(i64, Change)>,
    kind: Option<RunKind>,
    is_elsewhere: bool,
    last_ms: i64,
    last_start_ms: i64,
    is_driven: bool,
    /// The waves that have started.
    started: HashSet<WaveNo>,
    /// The waves of a plan that have no verdict on some of their rows.
    waves: HashMap<WaveNo, WaveRows>,
    /// What rows wait for, unless for a slot.
    waits: HashMap<(WaveNo, u64), Wait>,
    quota_ms: i64,
    places: u32,
    tasks: HashSet<UnitId>,
    integrating: HashSet<UnitId>,
}

impl FanOutFold {
    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        let at = clock::read(&record.ts).map_or(self.last_ms, |time| time.as_millisecond());
        let before = std::mem::replace(&mut self.last_ms, at);
        self.apply_drive(&record.event, at, before);
        match &record.event {
            Event::RunStarted(body) => {
                self.kind = Some(body.kind);
                self.is_elsewhere = runs_elsewhere(&body.settings);
                self.ask(&body.settings, at);
            }
            Event::RunResumed(body) => self.ask(&body.changed, at),
            Event::WaveCompiled(body) => {
                let rows = body.rows.len() as i32;
                let wave = self.waves.entry(body.wave).or_default();
                wave.open = rows.into();
                self.wait(body.wave, at, Wait::Slot, rows);
            }
            Event::WaveStarted(body) if self.started.insert(body.wave) => {
                if self.kind == Some(RunKind::Spawn) {
                    self.wait(body.wave, at, Wait::Slot, body.items as i32);
                }
            }
            Event::RowsReopened(body) => self.wait(body.wave, at, Wait::Slot, body.rows as i32),
            Event::Verdict(body) => self.judge(body.wave, at),
            Event::AttemptStarted(body) => {
                self.last_start_ms = at;
                self.heed_places(at, body.places);
            }
            Event::TasksHeld(body) => {
                let held = [body.scopes, body.task_limit, body.dependencies];
                let held = held.map(|tasks| u32::try_from(tasks).unwrap_or(u32::MAX));
                self.add(at, Change::Held(held));
            }
            Event::RateLimited(body) => {
                self.heed_places(at, body.places);
                let until = body.account_until.as_deref().and_then(clock::read);
                self.heed_quota(at, until.map_or(0, |until| until.as_millisecond()));
            }
            Event::Backpressure(body) => self.add(at, Change::Pressure(body.to as u32)),
            Event::BudgetReached(body) if body.unit.is_none() => self.add(at, Change::Stop),
            event => self.apply_task(event, at),
        }
        for moment in self.history.apply(record) {
            match moment {
                Moment::Attempt(attempt) => self.add_attempt(&attempt),
                Moment::Integration(it) => {
                    self.add(it.start_ms, Change::Apply(1));
                    self.add(at, Change::Apply(-1));
                }
                Moment::Mark(_) => {}
            }
        }
    }

    /// The receipt of what was applied so far; none for a run whose rows ran elsewhere, or that has started no row.
    pub fn receipt(&self) -> Option<FanOut> {
        let mut changes = self.changes.clone();
        for moment in self.history.open() {
            match moment {
                Moment::Attempt(attempt) => {
                    let wait = self.waits.get(&(attempt.wave, attempt.index));
                    let wait = wait.copied().unwrap_or(Wait::Slot);
                    changes.push((attempt.start_ms, Change::Begin(wait)));
                }
                Moment::Integration(it) => changes.push((it.start_ms, Change::Apply(1))),
                Moment::Mark(_) => {}
            }
        }
        let receipt = sweep(changes, self.last_ms);
        (!self.is_elsewhere && receipt.attempts > 0 && receipt.asked > 0).then_some(receipt)
    }

    fn add(&mut self, at: i64, change: Change) {
        self.changes.push((at, change));
    }

    /// Which part of the time counts: not that between an end or a kill and the next call.
    fn apply_drive(&mut self, event: &Event, at: i64, before: i64) {
        match event {
            Event::RunStarted(_) => {
                self.is_driven = true;
                self.add(at, Change::Drive(true));
            }
            Event::RunFinished(body) => {
                if body.status == "cancelled" {
                    // Rows were left, and none started after the last one.
                    self.add(self.last_start_ms, Change::Stop);
                }
                self.is_driven = false;
                self.add(at, Change::Drive(false));
            }
            event if self.is_driven && self.follows_kill(event) => {
                self.add(before, Change::Drive(false));
                self.add(at, Change::Drive(true));
            }
            event if !self.is_driven && drives(event) => {
                self.is_driven = true;
                self.add(at, Change::Drive(true));
            }
            _ => {}
        }
    }

    /// Whether an event shows that the process before was killed, and another one drives the run now.
    fn follows_kill(&self, event: &Event) -> bool {
        match event {
            Event::WaveStarted(body) => self.started.contains(&body.wave),
            Event::IntegrationFinished(body) => body.outcome == IntegrationOutcome::RolledBack,
            event => matches!(event, Event::RunResumed(_)),
        }
    }

    /// How many rows may run at once, if `settings` say so.
    fn ask(&mut self, settings: &Value, at: i64) {
        if let Some(slots) = concurrency(settings) {
            let slots = u32::try_from(slots).unwrap_or(u32::MAX);
            self.add(at, Change::Slots(slots));
        }
    }

    /// How many rows the service allows at once; none: as many as the run.
    fn heed_places(&mut self, at: i64, places: Option<usize>) {
        let places = places.map_or(u32::MAX, |places| places as u32);
        if std::mem::replace(&mut self.places, places) != places {
            self.add(at, Change::Places(places));
        }
    }

    fn heed_quota(&mut self, at: i64, until: i64) {
        if until > self.quota_ms.max(at) {
            self.add(at.max(self.quota_ms), Change::Quota(true));
            self.add(until, Change::Quota(false));
            self.quota_ms = until;
        }
    }

    fn add_attempt(&mut self, attempt: &Attempt) {
        let key = (attempt.wave, attempt.index);
        let end = attempt.end.as_ref().map(|(_, body)| body);
        if attempt.is_reused() {
            return self.wait(attempt.wave, attempt.start_ms, Wait::Slot, -1);
        }
        if end.is_some_and(|body| body.end == AttemptEnd::Withdrawn) {
            return;
        }
        let wait = self.waits.remove(&key).unwrap_or(Wait::Slot);
        let next = match end {
            Some(body) => next_wait(body),
            None => Some(Wait::Slot),
        };
        if let Some(next) = next.filter(|next| *next != Wait::Slot) {
            self.waits.insert(key, next);
        }
        let lost_ms = attempt.lost_ms.unwrap_or(self.last_ms);
        let end_ms = attempt.end.as_ref().map_or(lost_ms, |(at, _)| *at);
        if end_ms == attempt.start_ms {
            // The end of an attempt that a kill left open, recorded at the next start; the attempt itself was lost there.
            self.wait(attempt.wave, end_ms, wait, -1);
            if let Some(next) = next {
                self.wait(attempt.wave, end_ms, next, 1);
            }
            return;
        }
        self.note(attempt.wave, wait, -1);
        self.add(attempt.worked_from_ms().min(end_ms), Change::Begin(wait));
        if let Some(next) = next {
            self.note(attempt.wave, next, 1);
        }
        self.add(end_ms, Change::End(next));
    }

    /// So many more rows of a wave wait from now on.
    fn wait(&mut self, wave: WaveNo, at: i64, wait: Wait, more: i32) {
        self.note(wave, wait, more);
        self.add(at, Change::Wait(wait, more));
    }

    fn note(&mut self, wave: WaveNo, wait: Wait, more: i32) {
        if let Some(rows) = self.waves.get_mut(&wave) {
            rows.waiting[WAITS.iter().position(|it| *it == wait).unwrap_or(0)] += more;
        }
    }

    /// A row has its verdict. When all of a wave have, none of them waits any more, whether or not it ever ran.
    fn judge(&mut self, wave: WaveNo, at: i64) {
        let Some(rows) = self.waves.get_mut(&wave) else {
            return;
        };
        rows.open -= 1;
        if rows.open > 0 {
            return;
        }
        let waiting = rows.waiting;
        self.waves.remove(&wave);
        for (wait, rows) in WAITS
            .into_iter()
            .zip(waiting)
            .filter(|(_, rows)| *rows != 0)
        {
            self.add(at, Change::Wait(wait, -rows));
        }
    }

    /// Which tasks are in flight, and which of them are integrated.
    fn apply_task(&mut self, event: &Event, at: i64) {
        match event {
            Event::PlanMutated(body) if body.status == "in_progress" => self.begin(&body.unit, at),
            Event::PlanMutated(body) => self.end(&body.unit, at),
            Event::TaskAdmitted(body) => self.begin(&body.unit, at),
            Event::BeganEarly(body) => self.begin(&body.unit, at),
            Event::TaskDecided(body) => self.end(&body.unit, at),
            Event::PlanConflict(body) => self.end(&body.unit, at),
            Event::Tally(body) if body.consensus => self.integrate(&body.unit, at),
            Event::IntegrationStarted(body) => self.integrate(&body.unit, at),
            Event::IntegrationFinished(body) => self.cease(&body.unit, at),
            Event::ProtocolChanged(body) => self.cease(&body.unit, at),
            Event::ValidationFinished(body) => self.apply_validation(body, at),
            _ => {}
        }
    }

    fn apply_validation(&mut self, body: &ValidationFinished, at: i64) {
        let start = at.saturating_sub_unsigned(body.duration_ms);
        match body.stage {
            // Its task waits for it as well, whether or not it is among those that are integrated.
            _ if self.integrating.contains(&body.unit) => {}
            Stage::Integration => self.integrate(&body.unit, start),
            Stage::Before | Stage::Preview => {
                self.add(start, Change::Integrate(1));
                self.add(at, Change::Integrate(-1));
            }
        }
    }

    fn begin(&mut self, unit: &UnitId, at: i64) {
        if self.tasks.insert(unit.clone()) {
            self.add(at, Change::Tasks(1));
        }
    }

    fn end(&mut self, unit: &UnitId, at: i64) {
        self.cease(unit, at);
        if self.tasks.remove(unit) {
            self.add(at, Change::Tasks(-1));
        }
    }

    fn integrate(&mut self, unit: &UnitId, at: i64) {
        if self.integrating.insert(unit.clone()) {
            self.add(at, Change::Integrate(1));
        }
    }

    fn cease(&mut self, unit: &UnitId, at: i64) {
        if self.integrating.remove(unit) {
            self.add(at, Change::Integrate(-1));
        }
    }
}

/// What the row waits for after this end of an attempt; none if it has ended.
fn next_wait(body: &AttemptFinished) -> Option<Wait> {
    match body.end {
        AttemptEnd::Completed | AttemptEnd::Failed => None,
        AttemptEnd::Retry | AttemptEnd::Unavailable => Some(Wait::Retry),
        AttemptEnd::RateLimited => Some(Wait::Limit),
        AttemptEnd::Interrupted | AttemptEnd::Withdrawn => Some(Wait::Slot),
    }
}

/// Whether an event shows that a process drives the run again after its end; `mesh undo` does not.
fn drives(event: &Event) -> bool {
    match event {
        Event::PlanMutated(body) => body.status == "in_progress",
        event => matches!(
            event,
            Event::RunResumed(_)
                | Event::WaveCompiled(_)
                | Event::WaveStarted(_)
                | Event::RowsReopened(_)
                | Event::AttemptStarted(_)
                | Event::IntegrationStarted(_)
                | Event::TaskAdmitted(_)
        ),
    }
}

/// Whether the rows of a run with these settings are worked by other machines, whose slots are not those of the run.
fn runs_elsewhere(settings: &Value) -> bool {
    let executors = [&settings["executor"], &settings["job"]["executor"]];
    executors.into_iter().any(|executor| !executor.is_null())
}
