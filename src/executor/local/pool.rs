//! The bounded worker pool: threads that each see one attempt through, and one loop that owns the state.
//!
//! The loop alone decides, records and counts; the threads alone touch processes. They meet in two
//! channels. Each turn of the loop takes in everything that has come, decides what follows and what starts, records all
//! of it with one sync of the ledger (group commit), and only then lets it count or start.
//!
//! Short attempts would wait for that sync longer than they work. So while attempts are short, rows beyond the free
//! slots are recorded and queued, and a thread that gets free finds its next row there. As long as half of that queue
//! is left, nobody waits for a sync: what comes in is written to the ledger, so that the death of this process can't lose it,
//! and the turn goes on. A queued row that is not started after all, because the job stops, is recorded as withdrawn;
//! after the death of this process it counts as one that was interrupted.

use super::attempt::Heartbeat;
use super::launcher::Launcher;
use super::orphan_reaper::WorkerRegistry;
use super::pool_event::{PoolEvent, Task};
use super::report_socket::Hub;
use super::slots::{Share, SlotPermit};
use super::worker_thread::WorkerThread;
use super::{descriptors, orphan_reaper};
use crate::job::{
    Admission, Capacity, Counts, Halt, Input, JobError, JobStatus, Journal, LogFolder, Observer,
    Progress, Reserve, ResultCheck, Room, Row, RowRecord, RunningRow, Settings, SharedLimits,
    State, Status, Stop, Survey, Urgency, When, details,
};
use crate::ledger::Lines;
use crate::model::{
    AttemptEnd, AttemptStarted, BudgetReached, Event, Fault, ReportToken, RowId, Session,
    WaveStarted, one_line,
};
use crate::platform::clock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use jiff::Timestamp;
use serde_json::Number;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the loop looks at the clock and the stop flag while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How often somebody who watches is told, and how many rows by name.
const SHOW_EVERY: Duration = Duration::from_millis(50);
const SHOWN_MAX: usize = 8;
/// Rows are queued ahead, enough to keep the threads busy for so long,
const AHEAD: Duration = Duration::from_millis(20);
/// but no more than this,
const AHEAD_MAX: usize = 64;
/// and none while attempts end less often than this.
const OFTEN: Duration = Duration::from_millis(5);
/// A turn that goes on looks so often at what came in meanwhile: cheaper than to be woken each time. This much of what
/// workers said last can be lost when this process dies.
const GATHER: Duration = Duration::from_micros(500);
/// The longest that a turn goes on without a sync.
const TURN_MAX: Duration = Duration::from_millis(10);
/// The most rows that wait for another attempt before no further row is begun.
const WAITING_MAX: usize = 4096;

/// Runs the rows of a job that still need it, and says how it ended and what the input holds. The output CSV is its caller's.
///
/// `state` is what the ledger already holds of this job; empty for a new one. With a `share`, each of its rows also takes one
/// of the places that several jobs have in common.
pub fn run(
    settings: &Settings,
    state: &mut State,
    journal: &mut dyn Journal,
    observer: &mut dyn Observer,
    stop: &Stop,
    share: Option<Share<'_>>,
) -> Result<(JobStatus, Survey), JobError> {
    let survey = Survey::take(settings)?;
    let total = survey.total();
    let check = ResultCheck::of(settings)?;
    let slots = settings.bounds.max_concurrency.min(total.max(1) as usize);
    descriptors::make_room_for(slots)?;
    crate::platform::make_folders(&settings.scratch).map_err(JobError::Scratch)?;
    let (events, inbox) = unbounded();
    let redactor = crate::job::redactor(&settings.worker);
    let (about, secrets) = (check.clone(), redactor.clone());
    let hub = Hub::listen(&settings.scratch, events.clone(), about, secrets)
        .map_err(JobError::Scratch)?;
    let launcher = Launcher::new(settings, survey.header().to_vec(), hub.path().to_owned());
    launcher.write_shared_files().map_err(JobError::Scratch)?;
    let (tasks, work) = bounded(slots + AHEAD_MAX);
    let registry = settings.scratch.join("workers");
    let swept = orphan_reaper::end(
        &registry,
        &settings.job_id,
        Duration::from_secs(settings.bounds.grace_seconds),
        stop,
    );
    for orphan in &swept.ended {
        observer.warn(&format!("ended what a killed mesh left behind: {orphan}"));
    }
    for (orphan, doubt) in &swept.left {
        observer.warn(&format!(
            "what a killed mesh started may still run: {orphan}; it was left alone: {doubt}"
        ));
    }
    let registry = WorkerRegistry::begin(&registry, slots).map_err(JobError::Scratch)?;
    let logs = LogFolder::new(settings.keep_logs, &settings.logs, settings.wave);
    let limits = settings.limits.clone().unwrap_or_else(|| {
        let has_service = settings
            .agent_protocol
            .as_ref()
            .is_some_and(|it| it.has_service());
        let most = settings.bounds.max_concurrency;
        let wait_max = settings.bounds.rate_limit_wait_max();
        let (budget, spent) = (settings.budget, state.spent);
        let limits = SharedLimits::new(budget, spent, most, has_service, wait_max);
        limits.remember(state.account_until);
        Arc::new(limits)
    });
    let thread = WorkerThread {
        limits: &limits,
        settings,
        launcher: &launcher,
        hub: &hub,
        check: &check,
        registry: &registry,
        logs: &logs,
        redactor: &redactor,
        stop,
    };
    let mut pool = Pool {
        settings,
        limits: Arc::clone(&limits),
        lines: journal.lines()?,
        state,
        journal,
        input: survey.rows(settings)?,
        queue: work.clone(),
        waiting: BTreeMap::new(),
        held: VecDeque::new(),
        doubtful: VecDeque::new(),
        is_withheld: false,
        running: HashMap::new(),
        share,
        freed: Vec::new(),
        wake: events.clone(),
        average: None,
        slots,
        begun: Instant::now(),
        shown: Instant::now(),
        before: Counts::default(),
        refusals: 0,
        stop_seen: false,
        halted: None,
    };
    let ending = std::thread::scope(|scope| {
        for number in 0..slots {
            let (thread, work, events) = (&thread, work.clone(), events.clone());
            scope.spawn(move || thread.serve(number, &work, &events));
        }
        drop(work);
        // The loop owns the only sender: when it returns, also in error, the threads run out of work.
        let ending = pool.work(&survey, tasks, &inbox, observer, stop);
        if ending.is_err() {
            // Nothing can be recorded any more: running workers must not go on for nobody.
            stop.end_now();
        }
        // Rows that were queued and never recorded as withdrawn must not start.
        while pool.queue.try_recv().is_ok() {}
        ending
    })?;
    drop(pool);
    Ok((ending, survey))
}

pub(crate) struct Pool<'p> {
    pub settings: &'p Settings,
    pub state: &'p mut State,
    pub journal: &'p mut dyn Journal,
    pub lines: Lines,
    pub input: Input<'p>,
    /// The far end of the threads' queue, to take back what no thread has begun.
    pub queue: Receiver<Task>,
    /// The budget, and how many may run at once.
    pub limits: Arc<SharedLimits>,
    /// The next rows, for which there is no room in the budget, or no place. Further attempts that come due meanwhile stand
    /// in front.
    pub held: VecDeque<Waiting>,
    /// Rows that an earlier call took for ones that nobody was logged in for, or that nobody paid for: they come last, when it is known whether
    /// others are answered.
    pub doubtful: VecDeque<Waiting>,
    /// Rows may be left that this turn did not begin because of a limit.
    pub is_withheld: bool,
    /// Rows to try again, by when and in which order.
    pub waiting: BTreeMap<(Instant, u64), Waiting>,
    pub running: HashMap<u64, Running<'p>>,
    /// The places that other jobs want as well.
    pub share: Option<Share<'p>>,
    /// Those of rows whose end is not in the ledger yet.
    pub freed: Vec<SlotPermit<'p>>,
    /// Where this loop hears of a free one.
    pub wake: Sender<PoolEvent>,
    /// What an attempt takes, the last ones weighing most.
    pub average: Option<Duration>,
    pub slots: usize,
    pub begun: Instant,
    /// When somebody was last told.
    pub shown: Instant,
    /// Rows by status when this call began.
    pub before: Counts,
    pub refusals: u32,
    /// A worker asked to end the job; perhaps not on disk yet.
    pub stop_seen: bool,
    /// Why no further row starts, when a rule of the job says so.
    pub halted: Option<JobStatus>,
}

/// A row whose next attempt is due later.
pub(crate) struct Waiting {
    pub row: Row,
    pub feedback: Option<String>,
    /// The conversation to go on with.
    pub session: Option<Session>,
    /// What kept it from an answer before.
    pub kept: Kept,
    /// An earlier call took it for one that nobody was logged in for, or that nobody paid for.
    pub was_locked_out: bool,
}

/// What kept a row from an answer in this call, though the row was not to blame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    /// Rate limits met in a row.
    pub rate_limits: u32,
    /// How many rows were answered before the first of these.
    pub answers_before: u64,
    /// How often the network or the machine failed.
    pub outages: u32,
}

/// A row that is queued or under way.
pub(crate) struct Running<'p> {
    pub id: RowId,
    pub heartbeat: Arc<Heartbeat>,
    /// What its prompt says of the attempt before.
    pub feedback: Option<String>,
    /// The conversation that it goes on with.
    pub session: Option<Session>,
    /// What is put aside for it.
    pub reserve: Reserve,
    /// What kept it from an answer before.
    pub kept: Kept,
    /// Its place among all jobs.
    pub place: Option<SlotPermit<'p>>,
    /// It is to find out whether a limit still holds.
    pub asks: bool,
}

/// What one turn of the loop is about to record, and what follows once it is on disk.
#[derive(Default)]
pub(crate) struct Turn {
    pub events: Vec<Event>,
    /// The places in the ledger of those events that are written already, the first ones.
    pub places: Vec<u64>,
    /// When the first of them was written.
    pub since: Option<Instant>,
    pub acknowledge: Vec<Sender<()>>,
    pub start: Vec<Task>,
    pub again: Vec<(Duration, Waiting)>,
    pub completed: u64,
    pub failed: u64,
}

impl<'p> Pool<'p> {
    /// The main loop: take in what came, start what fits, make it durable, let it happen; until nothing runs and nothing
    /// may start.
    fn work(
        &mut self,
        survey: &Survey,
        tasks: Sender<Task>,
        inbox: &Receiver<PoolEvent>,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<JobStatus, JobError> {
        self.begin(survey)?;
        let mut came = Vec::new();
        let mut turn = Turn::default();
        loop {
            for event in came.drain(..) {
                tell_of_leaks(&event, observer);
                self.handle_event(event, &mut turn)?;
            }
            self.check_rules(stop, &mut turn);
            if self.may_go_on(&turn, stop) {
                self.write(&mut turn)?;
            } else {
                if self.may_start(stop) {
                    self.fill(&mut turn)?;
                } else {
                    self.withdraw(&mut turn);
                }
                self.commit(std::mem::take(&mut turn), &tasks)?;
            }
            if self.shown.elapsed() >= SHOW_EVERY {
                self.shown = Instant::now();
                observer.progress(&self.snapshot());
            }
            let is_idle = self.running.is_empty() && turn.events.is_empty();
            if is_idle && (!self.has_more() || !self.may_start(stop)) {
                return Ok(self.ending(stop));
            }
            if turn.since.is_some() {
                std::thread::sleep(GATHER);
            }
            match inbox.recv_timeout(self.poll_timeout(&turn, stop)) {
                Ok(event) => came.push(event),
                Err(RecvTimeoutError::Timeout) => {}
                // The threads live as long as `tasks`, which outlives this loop.
                Err(RecvTimeoutError::Disconnected) => return Ok(self.ending(stop)),
            }
            came.extend(inbox.try_iter());
        }
    }

    fn begin(&mut self, survey: &Survey) -> Result<(), JobError> {
        self.state.expect(survey.total());
        let mut turn = Turn::default();
        turn.events.push(Event::from(WaveStarted {
            wave: self.settings.wave,
            job_id: self.settings.job_id.clone(),
            items: survey.total(),
            max_concurrency: self.settings.bounds.max_concurrency,
        }));
        // What a kill left open is closed: a result that was safe counts, every other row is pending again.
        let mut open = self.state.recover();
        let mut input = survey.rows(self.settings)?;
        while !open.is_empty()
            && let Some(row) = input.next_row()?
        {
            if let Some(has_result) = open.remove(&row.index) {
                let end = match has_result {
                    true => AttemptEnd::Completed,
                    false => AttemptEnd::Interrupted,
                };
                turn.events.push(self.closing(&row, end));
            }
        }
        let (unused, _) = bounded(0);
        self.commit(turn, &unused)?;
        self.before = self.state.counts();
        Ok(())
    }

    fn may_start(&self, stop: &Stop) -> bool {
        let is_asked = stop.urgency() != Urgency::None;
        !(is_asked || self.stop_seen || self.halted.is_some())
    }

    /// The job's own rules for ending early. What this turn brings counts already.
    fn check_rules(&mut self, stop: &Stop, turn: &mut Turn) {
        self.check_time(stop, turn);
        if self.halted.is_some() {
            return;
        }
        let Counts {
            total,
            completed,
            failed,
            ..
        } = self.state.counts();
        // Only what this call did: a resumed job must not halt over what it halted over before.
        let completed = completed + turn.completed - self.before.completed;
        let failed = failed + turn.failed - self.before.failed;
        if let Some(when) = self.settings.halt.due(completed, failed, total) {
            let reason = self.settings.halt.reason(completed, failed, total);
            self.halted = Some(JobStatus::Halted(reason));
            if when == When::Now {
                stop.end_now();
            }
        }
        if let Some(shut) = self.limits.shut() {
            self.halted = Some(JobStatus::Shut(shut));
        }
    }

    /// The budget of time; a hard one also ends rows that another rule lets run on.
    fn check_time(&mut self, stop: &Stop, turn: &mut Turn) {
        let limit = self.settings.max_wall_seconds;
        let is_over = |seconds| self.limits.elapsed() >= Duration::from_secs(seconds);
        let Some(seconds) = limit.filter(|seconds| is_over(*seconds)) else {
            return;
        };
        if self.halted.is_none() {
            self.reached("max_wall_seconds", seconds.into(), turn);
        }
        if self.settings.wall_hard && stop.urgency() != Urgency::Now {
            stop.end_now();
        }
    }

    /// A budget is used up.
    fn reached(&mut self, budget: &str, limit: Number, turn: &mut Turn) {
        self.halted = Some(JobStatus::BudgetReached {
            budget: budget.to_owned(),
            limit: limit.clone(),
            is_hard: budget == "max_wall_seconds" && self.settings.wall_hard,
        });
        turn.events.push(Event::from(BudgetReached {
            budget: budget.to_owned(),
            limit,
            unit: None,
        }));
    }

    /// Whether rows are left for which it is too early.
    fn has_more(&self) -> bool {
        let is_held = self.is_withheld && self.state.counts().pending() > 0;
        !self.waiting.is_empty() || !self.held.is_empty() || is_held
    }

    /// How many rows may run at once now.
    pub(crate) fn places(&self) -> usize {
        self.slots.min(self.limits.capacity().places)
    }

    /// Nothing is to start for a while, because a service said so.
    fn is_on_hold(&self) -> bool {
        !self.limits.would_admit()
    }

    /// How many rows are to be queued beyond the free slots.
    fn prefetch(&self) -> usize {
        // One at a time is one at a time, neither a halt rule nor a budget is to be overtaken, and a shared place is not
        // to be sat on.
        let is_bounded = !self.settings.budget.is_none() || self.settings.halt != Halt::default();
        if self.slots == 1 || is_bounded || self.share.is_some() {
            return 0;
        }
        match self.average.map(|average| average / self.slots as u32) {
            Some(between_ends) if between_ends < OFTEN => {
                (AHEAD.div_duration_f64(between_ends) as usize).min(AHEAD_MAX)
            }
            _ => 0,
        }
    }

    /// Whether nobody waits for what this turn brought: no thread runs dry soon, and no worker waits for its receipt.
    fn may_go_on(&self, turn: &Turn, stop: &Stop) -> bool {
        let is_fresh = turn.since.is_none_or(|since| since.elapsed() < TURN_MAX);
        self.has_backlog() && is_fresh && turn.acknowledge.is_empty() && self.may_start(stop)
    }

    /// Whether more than half of what is queued ahead is left.
    fn has_backlog(&self) -> bool {
        self.queue.len() > self.prefetch() / 2
    }

    /// Begins as many rows as there are free slots, and a few more while attempts are short.
    fn fill(&mut self, turn: &mut Turn) -> Result<(), JobError> {
        self.is_withheld = false;
        if let Some(share) = &self.share {
            share.set_capacity(self.limits.capacity().places);
        }
        let places = self.places() + self.prefetch();
        while self.running.len() < places {
            if self.is_on_hold() {
                self.is_withheld = true;
                return Ok(());
            }
            let Some(next) = self.next_row()? else {
                return Ok(());
            };
            let place = self.share.as_ref().map(|share| share.take(&self.wake));
            if let Some(None) = place {
                self.held.push_front(next);
                return Ok(());
            }
            let Some(reserve) = self.reserve(&next, turn) else {
                self.held.push_front(next);
                return Ok(());
            };
            let admission = self.limits.admit();
            if admission == Admission::Refused {
                // Another job was told of a limit, or sent its own row to ask, just now.
                self.limits.charge(reserve, None, false);
                self.held.push_front(next);
                self.is_withheld = true;
                return Ok(());
            }
            let asks = admission == Admission::Asks;
            let row = next.row;
            let attempts = self.state.item(row.index).map_or(0, |item| item.attempts);
            let attempt = u32::from(attempts) + 1;
            turn.events.push(Event::from(AttemptStarted {
                wave: self.settings.wave,
                item_id: row.id.clone(),
                row_index: row.index,
                attempt,
            }));
            let heartbeat = Arc::new(Heartbeat::new());
            let running = Running {
                id: row.id.clone(),
                heartbeat: Arc::clone(&heartbeat),
                feedback: next.feedback.clone(),
                session: next.session.clone(),
                reserve,
                kept: next.kept,
                place: place.flatten(),
                asks,
            };
            self.running.insert(row.index, running);
            turn.start.push(Task {
                row,
                attempt,
                token: ReportToken::new(uuid::Uuid::new_v4().simple().to_string()),
                feedback: next.feedback,
                session: next.session,
                heartbeat,
                asks,
                was_locked_out: next.was_locked_out,
            });
        }
        Ok(())
    }

    /// Puts aside what a row may use, where the budget has room for it.
    fn reserve(&mut self, next: &Waiting, turn: &mut Turn) -> Option<Reserve> {
        match self.limits.reserve(!self.state.has_begun(next.row.index)) {
            Room::Yes(reserve) => Some(reserve),
            Room::Wait => None,
            // A row that was begun may have its further attempts first.
            Room::Reached(..) if !self.waiting.is_empty() => None,
            Room::Reached(budget, limit) => {
                self.reached(budget, limit, turn);
                None
            }
        }
    }

    /// Rows whose time to be tried again has come go first; rows that a resumed job already has are passed over.
    fn next_row(&mut self) -> Result<Option<Waiting>, JobError> {
        if let Some(first) = self.waiting.first_entry()
            && first.key().0 <= Instant::now()
        {
            return Ok(Some(first.remove()));
        }
        if let Some(held) = self.held.pop_front() {
            return Ok(Some(held));
        }
        if self.waiting.len() >= WAITING_MAX {
            return Ok(None);
        }
        while let Some(row) = self.input.next_row()? {
            let item = self.state.item(row.index).copied().unwrap_or_default();
            if item.status != Status::Pending {
                continue;
            }
            // Only a row of an earlier call has been tried before it is met here.
            let details = match item.finished {
                Some(_) => details(&item, &self.lines)?,
                None => RowRecord::default(),
            };
            let next = Waiting {
                row,
                feedback: details.feedback,
                session: details.session,
                kept: Kept::default(),
                was_locked_out: matches!(details.fault, Some(Fault::LogIn | Fault::Credit)),
            };
            match next.was_locked_out {
                true => self.doubtful.push_back(next),
                false => return Ok(Some(next)),
            }
        }
        Ok(self.doubtful.pop_front())
    }

    /// Writes what this turn brought since it was last written.
    fn write(&mut self, turn: &mut Turn) -> Result<(), JobError> {
        let new = &turn.events[turn.places.len()..];
        if !new.is_empty() {
            turn.places.extend(self.journal.write(new)?);
            turn.since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Makes the turn durable, and only then lets it count and happen.
    fn commit(&mut self, mut turn: Turn, tasks: &Sender<Task>) -> Result<(), JobError> {
        self.write(&mut turn)?;
        self.journal.sync()?;
        for (event, place) in turn.events.iter().zip(turn.places) {
            self.state.apply(event, place);
        }
        for acknowledge in turn.acknowledge {
            // The connection may be gone; the result is safe all the same.
            let _ = acknowledge.send(());
        }
        self.freed.clear();
        for task in turn.start {
            // Never blocks: there are as many places as rows may be running.
            let _ = tasks.send(task);
        }
        let now = Instant::now();
        for (delay, row) in turn.again {
            let number = row.row.index;
            self.waiting.insert((now + delay, number), row);
        }
        Ok(())
    }

    /// Until there is something to do at the latest. A row whose time has come is something to do only where it could
    /// start: the end of another one is heard of anyway.
    fn poll_timeout(&self, turn: &Turn, stop: &Stop) -> Duration {
        if turn.since.is_some() {
            return TURN_MAX;
        }
        let has_place = self.running.len() < self.places() + self.prefetch()
            && !self.has_backlog()
            && self.held.is_empty()
            && !self.is_on_hold();
        let due = self.waiting.first_key_value().map(|((due, _), _)| *due);
        match due.filter(|_| has_place && self.may_start(stop)) {
            Some(due) => due.saturating_duration_since(Instant::now()).min(TICK),
            None => TICK,
        }
    }

    fn ending(&self, stop: &Stop) -> JobStatus {
        let counts = self.state.counts();
        if counts.ended() == counts.total {
            return JobStatus::Finished;
        }
        match &self.halted {
            Some(halted) => halted.clone(),
            None => JobStatus::of(stop),
        }
    }

    fn snapshot(&self) -> Progress {
        let counts = self.state.counts();
        let mut running: Vec<_> = self
            .running
            .values()
            .filter_map(|row| {
                Some(RunningRow {
                    id: row.id.clone(),
                    age: row.heartbeat.running_for()?,
                    quiet: row.heartbeat.quiet_for()?,
                })
            })
            .collect();
        running.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.id.cmp(&b.id)));
        running.truncate(SHOWN_MAX);
        Progress {
            counts,
            ended_here: counts.ended() - self.before.ended(),
            running,
            elapsed: self.begun.elapsed(),
            usage: self.limits.spent(),
            capacity: Capacity {
                waits_until: self.waits_until(),
                ..self.limits.capacity()
            },
        }
    }

    /// Until when nothing starts because of a limit: that of the account, or those of the rows that are left.
    fn waits_until(&self) -> Option<Timestamp> {
        let of_rows = || {
            let ((due, _), first) = self.waiting.first_key_value()?;
            let is_all = self.running.is_empty() && first.kept.rate_limits > 0;
            let left = due.saturating_duration_since(Instant::now());
            (is_all && !left.is_zero()).then(|| clock::now() + left)
        };
        self.limits.capacity().waits_until.or_else(of_rows)
    }
}

/// A worker that leaves processes behind is a worker to be mended, though its row is none the worse.
fn tell_of_leaks(event: &PoolEvent, observer: &mut dyn Observer) {
    if let PoolEvent::Finished(finished) = event
        && !finished.leaked.is_empty()
    {
        observer.warn(&format!(
            "item `{}` left processes behind, which were ended: {}",
            finished.row.id,
            one_line(&finished.leaked.join(", "))
        ));
    }
}
