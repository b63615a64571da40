//! The bounded worker pool: threads that each run one attempt at a time, and one loop that owns the state.
//!
//! Only the loop decides, records and counts; only the threads touch processes. They meet in two channels. Each turn of
//! the loop handles every event that has arrived, decides what follows and what starts, records all of it with one sync
//! of the ledger (group commit), and only then lets it count or start.
//!
//! A short attempt would wait longer for that sync than it works. So while attempts are short, rows beyond the free
//! slots are recorded and queued, and a free thread takes its next row from the queue. As long as half of the queue is
//! left, the turn continues without a sync: its events are written to the ledger, so they survive the death of this
//! process, though not a power failure. A queued row that never starts, because the job stops, is recorded as withdrawn;
//! after a kill it counts as interrupted.

use super::active_rows::{ActiveRow, ActiveRows};
use super::completion::Completion;
use super::early_end::EarlyEnd;
use super::heartbeat::Heartbeat;
use super::pool_event::{PoolEvent, Task};
use super::row_queue::{PendingRow, RowQueue};
use super::slots::{SharedSlots, SlotPermit};
use super::task_queue::TaskQueue;
use super::turn::Turn;
use crate::executor::recovery::first_events;
use crate::job::{
    Admission, Capacity, Halt, JobError, JobStatus, Journal, Observer, Progress, Reserve, Room,
    Settings, SharedLimits, State, Stop, Survey,
};
use crate::model::{AttemptKey, AttemptStarted, ReportRefused, ReportToken, ReportVia, one_line};
use crate::platform::clock;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the loop checks the clock and the stop flag while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How often the observer is called, and how many rows it sees by name.
const SHOW_EVERY: Duration = Duration::from_millis(50);
const SHOWN_MAX: usize = 8;
/// Rows are queued ahead to keep the threads busy for this long,
const PREFETCH_TIME: Duration = Duration::from_millis(20);
/// but never more than this many,
pub(crate) const PREFETCH_MAX: usize = 64;
/// and none while attempts end less often than this.
const PREFETCH_INTERVAL_MAX: Duration = Duration::from_millis(5);
/// A turn that continues checks its events this often, which is cheaper than a wake-up for each. A kill of this process
/// loses at most this much.
const GATHER: Duration = Duration::from_micros(500);
/// The longest turn without a sync.
const TURN_MAX: Duration = Duration::from_millis(10);
/// The most refused reports recorded for one job; more than that is a flood.
const REFUSED_REPORTS_MAX: u32 = 1000;

/// With this many rows whose account has no room, no further row is looked at.
const WITHHELD_MAX: usize = 256;

pub(crate) struct Pool<'p> {
    settings: &'p Settings,
    state: &'p mut State,
    journal: &'p mut dyn Journal,
    /// The budget, the concurrency limit and the breaker of each account: first that of the job, then others of its rows.
    accounts: Vec<Arc<SharedLimits>>,
    rows: RowQueue<'p>,
    /// A limit kept rows of `rows` from starting in this turn.
    is_withheld: bool,
    active: ActiveRows<'p>,
    tasks: TaskQueue,
    slots: usize,
    /// The slots shared with other jobs.
    share: Option<SharedSlots<'p>>,
    early_end: EarlyEnd,
    begun: Instant,
    shown: Instant,
    refused_reports: u32,
}

impl<'p> Pool<'p> {
    pub fn new(
        settings: &'p Settings,
        state: &'p mut State,
        journal: &'p mut dyn Journal,
        limits: Arc<SharedLimits>,
        rows: RowQueue<'p>,
        (tasks, slots): (TaskQueue, usize),
        share: Option<SharedSlots<'p>>,
    ) -> Self {
        Self {
            settings,
            state,
            journal,
            accounts: accounts(settings, limits),
            rows,
            is_withheld: false,
            active: ActiveRows::default(),
            tasks,
            slots,
            share,
            early_end: EarlyEnd::default(),
            begun: Instant::now(),
            shown: Instant::now(),
            refused_reports: 0,
        }
    }

    /// Runs the loop to its end, and then the threads out of work.
    pub fn run(
        mut self,
        survey: &Survey,
        inbox: &Receiver<PoolEvent>,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<JobStatus, JobError> {
        let status = self.run_loop(survey, inbox, observer, stop);
        if status.is_err() {
            // Results can't be recorded any more: running workers must not continue.
            stop.end_now();
        }
        // A queued row that was never recorded as withdrawn must not start.
        self.tasks.take_back();
        status
    }

    /// The main loop: handle events, start what fits, make it durable, let it happen; until nothing runs and nothing may
    /// start.
    fn run_loop(
        &mut self,
        survey: &Survey,
        inbox: &Receiver<PoolEvent>,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<JobStatus, JobError> {
        self.recover(survey)?;
        let mut arrived = Vec::new();
        let mut turn = Turn::default();
        loop {
            for event in arrived.drain(..) {
                warn_of_leaks(&event, observer);
                self.handle_event(event, &mut turn)?;
            }
            let counts = self.state.counts();
            self.early_end
                .check(self.settings, counts, &self.accounts, stop, &mut turn);
            let may_start = self.early_end.may_start(stop);
            if self.may_continue(&turn, stop) {
                self.write(&mut turn)?;
            } else {
                match may_start {
                    true => self.fill(&mut turn)?,
                    false => self.withdraw_queued(&mut turn),
                }
                self.commit(std::mem::take(&mut turn))?;
            }
            if self.shown.elapsed() >= SHOW_EVERY {
                self.shown = Instant::now();
                observer.progress(&self.progress());
            }
            let is_idle = self.active.is_empty() && turn.events.is_empty();
            if is_idle && !(self.has_more() && self.early_end.may_start(stop)) {
                return Ok(self.early_end.status(self.state.counts(), stop));
            }
            if turn.written_since.is_some() {
                std::thread::sleep(GATHER);
            }
            match inbox.recv_timeout(self.poll_timeout(&turn, stop)) {
                Ok(event) => arrived.push(event),
                Err(RecvTimeoutError::Timeout) => {}
                // The threads live as long as `tasks`, which outlives this loop.
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(self.early_end.status(self.state.counts(), stop));
                }
            }
            arrived.extend(inbox.try_iter());
        }
    }

    /// Records the start, and the end of what a kill left open.
    fn recover(&mut self, survey: &Survey) -> Result<(), JobError> {
        let events = first_events(self.settings, self.state, survey)?;
        self.commit(Turn {
            events,
            ..Turn::default()
        })?;
        self.early_end.begin(self.state.counts());
        Ok(())
    }

    /// Adds an event from a thread or a worker to the turn.
    fn handle_event(&mut self, event: PoolEvent, turn: &mut Turn) -> Result<(), JobError> {
        match event {
            PoolEvent::Reported {
                attempt,
                result,
                redacted,
                stop,
                acknowledge,
            } => {
                if stop {
                    self.early_end.request_stop();
                }
                turn.acknowledge.push(acknowledge);
                let key = AttemptKey {
                    wave: self.settings.wave,
                    item_id: attempt.item_id,
                    row_index: attempt.row_index,
                    attempt: attempt.attempt,
                };
                let now = clock::csv_time(clock::now());
                let mut reported = key.reported(ReportVia::Report, Value::Object(result), now);
                reported.redacted = redacted;
                reported.stop = stop;
                turn.record(reported);
            }
            PoolEvent::Refused {
                item_id,
                attempt,
                reason,
            } => {
                self.refused_reports += 1;
                if self.refused_reports <= REFUSED_REPORTS_MAX {
                    turn.record(ReportRefused {
                        wave: self.settings.wave,
                        item_id: one_line(&item_id),
                        attempt,
                        reason: one_line(&reason),
                    });
                }
            }
            PoolEvent::Declined(task) => self.completion(task.row.index).decline(*task, turn),
            PoolEvent::Finished(finished) => {
                self.completion(finished.row.index).finish(*finished, turn);
            }
            PoolEvent::Panicked(item) => return Err(JobError::Defect { item }),
            // The turn starts all rows that fit in any case.
            PoolEvent::SlotFree => {}
        }
        Ok(())
    }

    /// The limits of the account of a row.
    fn limits_of(&self, row_index: u64) -> &SharedLimits {
        self.settings
            .worker_of(row_index)
            .limits
            .unwrap_or(&self.accounts[0])
    }

    /// Of all accounts together.
    fn capacity(&self) -> Capacity {
        Capacity::together(&self.accounts)
    }

    fn completion(&mut self, row_index: u64) -> Completion<'_, 'p> {
        let share = self.share.as_ref();
        let limits = self.settings.worker_of(row_index).limits;
        let limits = limits.unwrap_or(&self.accounts[0]);
        let running = match self.accounts.len() {
            1 => share.map_or(self.active.len(), SharedSlots::taken),
            _ => limits.running(),
        };
        Completion {
            settings: self.settings,
            limits,
            state: self.state,
            running,
            active: &mut self.active,
            slots: self.slots,
        }
    }

    /// Takes back the rows that no thread has begun; this job starts no more.
    fn withdraw_queued(&mut self, turn: &mut Turn) {
        if let Some(share) = &self.share {
            share.leave();
        }
        for task in self.tasks.take_back() {
            self.completion(task.row.index).withdraw(task, turn);
        }
    }

    /// Whether rows are left that may start later.
    fn has_more(&self) -> bool {
        let has_withheld = self.is_withheld && self.state.counts().pending() > 0;
        self.rows.has_retries() || self.rows.has_put_back() || has_withheld
    }

    /// How many rows may be active now.
    fn active_max(&self) -> usize {
        self.slots.min(self.capacity().places) + self.prefetch()
    }

    /// How many rows to queue beyond the free slots.
    fn prefetch(&self) -> usize {
        // With one slot rows run strictly one at a time; a halt rule or a budget must not be overtaken; a shared slot
        // must not be held by a queued row.
        let is_bounded = !self.settings.budget.is_none() || self.settings.halt != Halt::default();
        if self.slots == 1 || is_bounded || self.share.is_some() {
            return 0;
        }
        let average = self.active.average_duration();
        match average.map(|average| average / self.slots as u32) {
            Some(interval) if interval < PREFETCH_INTERVAL_MAX => {
                (PREFETCH_TIME.div_duration_f64(interval) as usize).min(PREFETCH_MAX)
            }
            _ => 0,
        }
    }

    /// Whether the turn can continue without a sync: no thread runs out of work soon, and no worker waits for a receipt.
    fn may_continue(&self, turn: &Turn, stop: &Stop) -> bool {
        let is_fresh = turn
            .written_since
            .is_none_or(|since| since.elapsed() < TURN_MAX);
        self.has_backlog()
            && is_fresh
            && turn.acknowledge.is_empty()
            && self.early_end.may_start(stop)
    }

    /// Whether more than half of the prefetched rows are left.
    fn has_backlog(&self) -> bool {
        self.tasks.len() > self.prefetch() / 2
    }

    /// Starts rows until every free slot is taken, and prefetches a few while attempts are short.
    fn fill(&mut self, turn: &mut Turn) -> Result<(), JobError> {
        self.is_withheld = false;
        let mut withheld = Vec::new();
        let filled = self.fill_with(&mut withheld, turn);
        self.is_withheld |= !withheld.is_empty();
        withheld
            .into_iter()
            .rev()
            .for_each(|row| self.rows.put_back(row));
        filled
    }

    /// The same. Rows whose account has no room are set aside in `withheld`, so that those of another one can start.
    fn fill_with(
        &mut self,
        withheld: &mut Vec<PendingRow>,
        turn: &mut Turn,
    ) -> Result<(), JobError> {
        if let Some(share) = &self.share {
            share.set_capacity(self.capacity().places);
        }
        let active_max = self.active_max();
        let has_others = self.accounts.len() > 1;
        while self.active.len() < active_max && withheld.len() < WITHHELD_MAX {
            if !self.accounts.iter().any(|account| account.would_admit()) {
                self.is_withheld = true;
                self.wait_for_no_slot();
                return Ok(());
            }
            let Some(next) = self.rows.take_next(self.state)? else {
                self.wait_for_no_slot();
                return Ok(());
            };
            if has_others && !self.limits_of(next.row.index).has_room() {
                withheld.push(next);
                continue;
            }
            let permit = match self.share.as_ref().map(SharedSlots::take) {
                None => None,
                Some(Some(permit)) => Some(permit),
                Some(None) => {
                    self.rows.put_back(next);
                    return Ok(());
                }
            };
            let Some(reserve) = self.reserve(&next, turn) else {
                self.rows.put_back(next);
                return Ok(());
            };
            let limits = self.limits_of(next.row.index);
            let (admission, places) = (limits.admit(), limits.capacity().places);
            if admission == Admission::Refused {
                // Another job met a limit, or started its own probe, just now.
                limits.charge(reserve, None, false);
                self.rows.put_back(next);
                self.is_withheld = true;
                return Ok(());
            }
            let is_probe = admission == Admission::Probe;
            self.start(next, permit, reserve, (is_probe, places), turn);
        }
        Ok(())
    }

    /// Leaves the queue for slots: without a row that may start, a job must not keep those of other accounts from a free one.
    fn wait_for_no_slot(&self) {
        if let Some(share) = &self.share {
            share.leave();
        }
    }

    fn start(
        &mut self,
        next: PendingRow,
        permit: Option<SlotPermit<'p>>,
        reserve: Reserve,
        (is_probe, places): (bool, usize),
        turn: &mut Turn,
    ) {
        let row = next.row;
        let attempts = self.state.item(row.index).map_or(0, |item| item.attempts);
        let key = AttemptKey {
            wave: self.settings.wave,
            item_id: row.id.clone(),
            row_index: row.index,
            attempt: u32::from(attempts) + 1,
        };
        let attempt = key.attempt;
        turn.record(AttemptStarted {
            places: (places < self.slots).then_some(places),
            adapter: self.settings.other_adapter(row.index).map(str::to_owned),
            ..key.started()
        });
        let heartbeat = Arc::new(Heartbeat::new());
        let active = ActiveRow {
            id: row.id.clone(),
            heartbeat: Arc::clone(&heartbeat),
            feedback: next.feedback.clone(),
            session: next.session.clone(),
            reserve,
            faults: next.faults,
            permit,
            is_probe,
        };
        self.active.insert(row.index, active);
        turn.start.push(Task {
            row,
            attempt,
            token: ReportToken::new(uuid::Uuid::new_v4().simple().to_string()),
            feedback: next.feedback,
            session: next.session,
            heartbeat,
            is_probe,
            was_locked_out: next.was_locked_out,
        });
    }

    /// Reserves what a row may use, if the budget has room for it.
    fn reserve(&mut self, next: &PendingRow, turn: &mut Turn) -> Option<Reserve> {
        let is_fresh = !self.state.has_begun(next.row.index);
        match self.limits_of(next.row.index).reserve(is_fresh) {
            Room::Yes(reserve) => Some(reserve),
            Room::Wait => None,
            // Rows that have begun take their retries first.
            Room::Reached(..) if self.rows.has_retries() => None,
            Room::Reached(budget, limit) => {
                self.early_end
                    .reach_budget(budget, limit, self.settings, turn);
                None
            }
        }
    }

    /// Writes the turn's new events to the ledger, without a sync.
    fn write(&mut self, turn: &mut Turn) -> Result<(), JobError> {
        let new = &turn.events[turn.offsets.len()..];
        if !new.is_empty() {
            turn.offsets.extend(self.journal.write(new)?);
            turn.written_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Makes the turn durable, and only then lets it count and happen.
    fn commit(&mut self, mut turn: Turn) -> Result<(), JobError> {
        self.write(&mut turn)?;
        self.journal.sync()?;
        for (event, offset) in turn.events.iter().zip(turn.offsets) {
            self.state.apply(event, offset);
        }
        for acknowledge in turn.acknowledge {
            // The connection may be closed; the result is durable all the same.
            let _ = acknowledge.send(());
        }
        self.active.release_slots();
        for task in turn.start {
            self.tasks.send(task);
        }
        for (delay, row) in turn.retries {
            self.rows.retry_after(delay, row);
        }
        Ok(())
    }

    /// How long to wait for events at most. A due retry counts only if it could start; otherwise the end of another row
    /// wakes the loop.
    fn poll_timeout(&self, turn: &Turn, stop: &Stop) -> Duration {
        if turn.written_since.is_some() {
            return TURN_MAX;
        }
        let could_start = self.active.len() < self.active_max()
            && !self.has_backlog()
            && !self.rows.has_put_back()
            && self.accounts.iter().any(|account| account.would_admit())
            && self.early_end.may_start(stop);
        match self.rows.first_retry().filter(|_| could_start) {
            Some((due, _)) => due.saturating_duration_since(Instant::now()).min(TICK),
            None => TICK,
        }
    }

    fn progress(&self) -> Progress {
        let counts = self.state.counts();
        Progress {
            counts,
            ended_here: counts.ended() - self.early_end.ended_before(),
            running: self.active.longest_running(SHOWN_MAX),
            elapsed: self.begun.elapsed(),
            usage: self.accounts[0].spent(),
            capacity: Capacity {
                waits_until: self.waits_until(),
                ..self.capacity()
            },
        }
    }

    /// Until when a limit keeps all rows waiting: the limit of the account, or those of the rows that are left.
    fn waits_until(&self) -> Option<Timestamp> {
        let rows_wait_until = || {
            let (due, first) = self.rows.first_retry()?;
            let waits = self.active.is_empty() && first.faults.rate_limits > 0;
            let left = due.saturating_duration_since(Instant::now());
            (waits && !left.is_zero()).then(|| clock::now() + left)
        };
        self.capacity().waits_until.or_else(rows_wait_until)
    }
}

/// `limits`, and those of other accounts that work rows of the job.
fn accounts(settings: &Settings, limits: Arc<SharedLimits>) -> Vec<Arc<SharedLimits>> {
    let mut accounts = vec![limits];
    for other in settings
        .others
        .workers
        .iter()
        .filter_map(|other| other.limits.as_ref())
    {
        if !accounts.iter().any(|known| Arc::ptr_eq(known, other)) {
            accounts.push(Arc::clone(other));
        }
    }
    accounts
}

/// Warns of processes that a worker left running; its row is not affected.
fn warn_of_leaks(event: &PoolEvent, observer: &mut dyn Observer) {
    if let PoolEvent::Finished(finished) = event
        && !finished.leaked.is_empty()
    {
        observer.warn(&format!(
            "item `{}` left processes running, which were killed: {}",
            finished.row.id,
            one_line(&finished.leaked.join(", "))
        ));
    }
}
