//! The bounded worker pool: threads that each see one attempt through, and one loop that owns the state.
//!
//! The loop alone decides, records and counts; the threads alone touch processes. They meet in two bounded
//! channels. Each turn of the loop records everything that has come in and everything that is about
//! to start with one sync of the ledger (group commit), and only then lets it count or start.

use super::attempt::{self, Ended};
use super::input::{Input, Row};
use super::limits;
use super::outcome::{Failure, Outcome, Rules, judge};
use super::report::{Hub, Open};
use super::state::{State, Status};
use super::stop::{Stop, Urgency};
use super::worker::Launcher;
use super::{JobError, Journal, Observer, Settings, Snapshot};
use crate::clock;
use crate::collect::extract::Object;
use crate::collect::schema::Schema;
use crate::model::{
    AttemptEnd, AttemptFinished, AttemptReported, AttemptStarted, Event, ReportToken, ReportVia,
    RowId, WaveStarted,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the loop looks at the clock and the stop flag while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every row has its result or failed.
    Finished,
    /// A worker asked to end the job.
    StoppedByWorker,
    /// A signal asked to end it.
    Interrupted(i32),
}

impl Ending {
    /// The summary's `job_error`.
    pub fn job_error(self) -> Option<String> {
        match self {
            Ending::Finished => None,
            Ending::StoppedByWorker => Some("cancelled by worker request".to_owned()),
            Ending::Interrupted(signal) => Some(format!("interrupted by signal {signal}")),
        }
    }
}

/// What the threads tell the loop.
pub(super) enum PoolEvent {
    /// A result came over the report channel; the worker waits until it is safe.
    Reported {
        attempt: Open,
        result: Object,
        stop: bool,
        acknowledge: Sender<()>,
    },
    /// An attempt is over.
    Finished(Box<Finished>),
    /// The thread of this row met a defect of `mesh`.
    Panicked(RowId),
}

/// One attempt to see through.
struct Task {
    row: Row,
    attempt: u32,
    token: ReportToken,
    feedback: Option<String>,
}

/// One attempt that was seen through.
pub(super) struct Finished {
    row: Row,
    attempt: u32,
    outcome: Outcome,
    exit_code: Option<i32>,
    signal: Option<i32>,
    duration: Duration,
}

/// Runs the rows of a job that still need it, writes the output CSV, and says how it ended.
///
/// `state` is what the ledger already holds of this job; empty for a new one.
pub fn run(
    settings: &Settings,
    state: &mut State,
    journal: &mut dyn Journal,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Ending, JobError> {
    let total = Input::open(settings)?.check_all()?;
    let schema = match &settings.output_schema {
        Some(source) => Some(Schema::compile("output_schema", source.clone())?),
        None => None,
    };
    let slots = settings.bounds.max_concurrency.min(total.max(1) as usize);
    limits::make_room_for(slots)?;
    std::fs::create_dir_all(&settings.scratch).map_err(JobError::Scratch)?;
    let (events, inbox) = unbounded();
    let hub = Hub::listen(
        &settings.scratch,
        events.clone(),
        schema.clone(),
        settings.result_bytes_max,
    )
    .map_err(JobError::Scratch)?;
    let input = Input::open(settings)?;
    let launcher = Launcher::new(settings, input.header().to_vec(), hub.path().to_owned());
    launcher.write_shared_files().map_err(JobError::Scratch)?;
    let (tasks, work) = bounded(slots);
    let thread = WorkerThread {
        settings,
        launcher: &launcher,
        hub: &hub,
        schema: schema.as_ref(),
        stop,
    };
    let mut pool = Pool {
        settings,
        state,
        journal,
        input,
        retries: VecDeque::new(),
        running: HashMap::new(),
        slots,
        begun: Instant::now(),
        ended_before: 0,
    };
    let ending = std::thread::scope(|scope| {
        for _ in 0..slots {
            let (thread, work, events) = (&thread, work.clone(), events.clone());
            scope.spawn(move || thread.serve(&work, &events));
        }
        // The loop owns the only sender: when it returns, also in error, the threads run out of work.
        let tasks = tasks;
        let ending = pool.work(total, &tasks, &inbox, observer, stop);
        if ending.is_err() {
            // Nothing can be recorded any more: running workers must not go on for nobody.
            stop.end_now();
        }
        ending
    })?;
    super::output::write_csv(settings, pool.state)?;
    Ok(ending)
}

struct Pool<'p> {
    settings: &'p Settings,
    state: &'p mut State,
    journal: &'p mut dyn Journal,
    input: Input,
    retries: VecDeque<Row>,
    running: HashMap<u64, (Row, Instant)>,
    slots: usize,
    begun: Instant,
    ended_before: u64,
}

impl Pool<'_> {
    /// The main loop: start what fits, wait, take in what came, until nothing runs and nothing may start.
    fn work(
        &mut self,
        total: u64,
        tasks: &Sender<Task>,
        inbox: &Receiver<PoolEvent>,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Ending, JobError> {
        self.begin(total)?;
        loop {
            if stop.urgency() == Urgency::None && !self.state.stop_requested {
                self.start_rows(tasks)?;
            }
            observer.progress(&self.snapshot());
            if self.running.is_empty() {
                return Ok(self.ending(stop));
            }
            let first = match inbox.recv_timeout(TICK) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                // The threads live as long as `tasks`, which outlives this loop.
                Err(RecvTimeoutError::Disconnected) => return Ok(self.ending(stop)),
            };
            let batch: Vec<PoolEvent> = std::iter::once(first).chain(inbox.try_iter()).collect();
            self.take_in(batch)?;
        }
    }

    fn begin(&mut self, total: u64) -> Result<(), JobError> {
        self.state.expect(total);
        let mut events = vec![Event::from(WaveStarted {
            wave: self.settings.wave,
            job_id: self.settings.job_id.clone(),
            items: total,
            max_concurrency: self.settings.bounds.max_concurrency,
        })];
        // What a kill left open is closed: a result that was safe counts, every other row is pending again.
        let open = self.state.recover();
        if !open.is_empty() {
            let mut input = Input::open(self.settings)?;
            while let Some(row) = input.next_row()? {
                match open.get(&row.index) {
                    Some(true) => events.push(self.closing(&row, AttemptEnd::Completed)),
                    Some(false) => events.push(self.closing(&row, AttemptEnd::Interrupted)),
                    None => {}
                }
            }
        }
        self.record(events)?;
        self.ended_before = self.state.counts().ended();
        Ok(())
    }

    /// Fills the free slots: attempts are durable before their processes exist.
    fn start_rows(&mut self, tasks: &Sender<Task>) -> Result<(), JobError> {
        let mut batch = Vec::new();
        let mut events = Vec::new();
        while self.running.len() + batch.len() < self.slots {
            let Some(row) = self.next_row()? else { break };
            let item = self.state.item(row.index);
            let attempt = item.map_or(0, |item| item.attempts) + 1;
            let feedback = item
                .and_then(|item| item.last_error.as_deref())
                .map(str::to_owned);
            events.push(Event::from(AttemptStarted {
                wave: self.settings.wave,
                item_id: row.id.clone(),
                row_index: row.index,
                attempt,
            }));
            batch.push(Task {
                row,
                attempt,
                token: ReportToken::new(uuid::Uuid::new_v4().simple().to_string()),
                feedback,
            });
        }
        self.record(events)?;
        for task in batch {
            self.running
                .insert(task.row.index, (task.row.clone(), Instant::now()));
            // Never blocks: there are as many places as slots.
            let _ = tasks.send(task);
        }
        Ok(())
    }

    /// Rows to try again come first; rows that a resumed job already has are passed over.
    fn next_row(&mut self) -> Result<Option<Row>, JobError> {
        if let Some(row) = self.retries.pop_front() {
            return Ok(Some(row));
        }
        while let Some(row) = self.input.next_row()? {
            let status = self.state.item(row.index).map(|item| item.status);
            if status == Some(Status::Pending) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn take_in(&mut self, batch: Vec<PoolEvent>) -> Result<(), JobError> {
        let mut events = Vec::new();
        let mut waiting = Vec::new();
        for event in batch {
            match event {
                PoolEvent::Reported {
                    attempt,
                    result,
                    stop,
                    acknowledge,
                } => {
                    events.push(Event::from(AttemptReported {
                        wave: self.settings.wave,
                        item_id: attempt.item_id,
                        row_index: attempt.row_index,
                        attempt: attempt.attempt,
                        via: ReportVia::Report,
                        result: Value::Object(result),
                        stop,
                        reported_at: clock::csv_time(clock::now()),
                    }));
                    waiting.push(acknowledge);
                }
                PoolEvent::Finished(finished) => events.extend(self.finish(*finished)),
                PoolEvent::Panicked(item) => return Err(JobError::Defect { item }),
            }
        }
        self.record(events)?;
        for acknowledge in waiting {
            // The connection may be gone; the result is safe all the same.
            let _ = acknowledge.send(());
        }
        Ok(())
    }

    /// The events of an attempt that is over; queues its row again when it may be retried.
    fn finish(&mut self, finished: Finished) -> Vec<Event> {
        let mut events = Vec::new();
        self.running.remove(&finished.row.index);
        let (end, error) = match &finished.outcome {
            Outcome::Result(result, via) => {
                if *via != ReportVia::Report {
                    events.push(Event::from(AttemptReported {
                        wave: self.settings.wave,
                        item_id: finished.row.id.clone(),
                        row_index: finished.row.index,
                        attempt: finished.attempt,
                        via: *via,
                        result: Value::Object(result.clone()),
                        stop: false,
                        reported_at: clock::csv_time(clock::now()),
                    }));
                }
                (AttemptEnd::Completed, None)
            }
            Outcome::Failed(failure, text) => {
                let end = self.after_failure(*failure, finished.row.index);
                (end, Some(format!("{failure}: {text}")))
            }
        };
        events.push(Event::from(AttemptFinished {
            wave: self.settings.wave,
            item_id: finished.row.id.clone(),
            row_index: finished.row.index,
            attempt: finished.attempt,
            end,
            error,
            exit_code: finished.exit_code,
            signal: finished.signal,
            duration_ms: finished.duration.as_millis() as u64,
            completed_at: clock::csv_time(clock::now()),
        }));
        if end == AttemptEnd::Retry {
            self.retries.push_back(finished.row);
        }
        events
    }

    fn after_failure(&self, failure: Failure, index: u64) -> AttemptEnd {
        let failures = self.state.item(index).map_or(0, |item| item.failures);
        if failure == Failure::Cancelled {
            AttemptEnd::Interrupted
        } else if failure.may_be_retried() && failures < self.settings.bounds.retries {
            AttemptEnd::Retry
        } else {
            AttemptEnd::Failed
        }
    }

    /// The end of an attempt that an earlier `mesh` began and never saw the end of.
    fn closing(&self, row: &Row, end: AttemptEnd) -> Event {
        let is_open = end == AttemptEnd::Interrupted;
        Event::from(AttemptFinished {
            wave: self.settings.wave,
            item_id: row.id.clone(),
            row_index: row.index,
            attempt: self.state.item(row.index).map_or(1, |item| item.attempts),
            end,
            error: is_open.then(|| format!("{}: mesh was ended while it ran", Failure::Cancelled)),
            exit_code: None,
            signal: None,
            duration_ms: 0,
            completed_at: clock::csv_time(clock::now()),
        })
    }

    fn record(&mut self, events: Vec<Event>) -> Result<(), JobError> {
        if events.is_empty() {
            return Ok(());
        }
        for event in &events {
            self.state.apply(event);
        }
        self.journal.record(events)?;
        Ok(())
    }

    fn ending(&self, stop: &Stop) -> Ending {
        match stop.signal() {
            _ if self.state.counts().ended() == self.state.counts().total => Ending::Finished,
            Some(signal) => Ending::Interrupted(signal),
            None => Ending::StoppedByWorker,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let counts = self.state.counts();
        let mut running: Vec<_> = self
            .running
            .values()
            .map(|(row, since)| (row.id.clone(), since.elapsed()))
            .collect();
        running.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        running.truncate(8);
        Snapshot {
            counts,
            ended_here: counts.ended() - self.ended_before,
            running,
            elapsed: self.begun.elapsed(),
        }
    }
}

/// What a thread of the pool needs to see an attempt through.
struct WorkerThread<'p> {
    settings: &'p Settings,
    launcher: &'p Launcher<'p>,
    hub: &'p Hub,
    schema: Option<&'p Schema>,
    stop: &'p Stop,
}

impl WorkerThread<'_> {
    fn serve(&self, work: &Receiver<Task>, events: &Sender<PoolEvent>) {
        for task in work {
            let item = task.row.id.clone();
            // A panic must not leave the loop waiting for a row whose thread is gone.
            let seen = catch_unwind(AssertUnwindSafe(|| self.see_through(task)));
            let event = match seen {
                Ok(finished) => PoolEvent::Finished(Box::new(finished)),
                Err(_) => PoolEvent::Panicked(item),
            };
            if events.send(event).is_err() {
                return;
            }
        }
    }

    fn see_through(&self, task: Task) -> Finished {
        let opened = Open {
            item_id: task.row.id.clone(),
            row_index: task.row.index,
            attempt: task.attempt,
            taken: None,
        };
        self.hub.open(&task.token, opened);
        let launch = self.launcher.launch(
            &task.row,
            task.attempt,
            &task.token,
            task.feedback.as_deref(),
        );
        let ended = launch.and_then(|launch| {
            let limits = self.settings.limits();
            let ended = attempt::run(launch.command, launch.prompt.as_bytes(), &limits, self.stop);
            let file = read_result_file(&launch.result_file, self.settings.result_bytes_max);
            remove(&launch.litter);
            Ok((ended?, file))
        });
        let report = self.hub.close(&task.token);
        let outcome = match &ended {
            Ok((ended, file)) => judge(ended, report, file.as_deref(), &self.rules()),
            Err(error) => Outcome::Failed(Failure::SpawnFailed, error.to_string()),
        };
        let ended = ended.ok().map(|(ended, _)| ended);
        if let (Outcome::Failed(..), Some(ended)) = (&outcome, &ended) {
            self.keep_output(&task, ended);
        }
        Finished {
            row: task.row,
            attempt: task.attempt,
            outcome,
            exit_code: ended.as_ref().and_then(|ended| ended.code),
            signal: ended.as_ref().and_then(|ended| ended.signal),
            duration: ended
                .as_ref()
                .map_or(Duration::ZERO, |ended| ended.duration),
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            schema: self.schema,
            result_bytes_max: self.settings.result_bytes_max,
            max_runtime: self.settings.limits().max_runtime,
        }
    }

    /// Keeps what a failed attempt printed. It helps a person and decides nothing, so a full disk is no error here.
    fn keep_output(&self, task: &Task, ended: &Ended) {
        let folder = self.settings.logs.join(self.settings.wave.to_string());
        let stem = format!("{}.{}", task.row.id.file_name(), task.attempt);
        let _ = std::fs::create_dir_all(&folder);
        for (suffix, bytes) in [("out", &ended.stdout), ("err", &ended.stderr)] {
            if !bytes.is_empty() {
                let _ = std::fs::write(folder.join(format!("{stem}.{suffix}")), bytes);
            }
        }
    }
}

/// The result file, if the worker wrote one; one byte more than the bound, so that the judge sees the excess.
fn read_result_file(path: &Path, bytes_max: usize) -> Option<Vec<u8>> {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
    let file = is_file.then(|| std::fs::File::open(path).ok()).flatten()?;
    let mut bytes = Vec::new();
    file.take((bytes_max as u64).saturating_add(1))
        .read_to_end(&mut bytes)
        .ok()?;
    (!bytes.trim_ascii().is_empty()).then_some(bytes)
}

fn remove(litter: &[std::path::PathBuf]) {
    for path in litter {
        // Most attempts leave none; whatever else fails is cleaned up with the run's folder.
        let _ = std::fs::remove_file(path);
    }
}
