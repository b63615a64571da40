//! The waves in flight. Each is one call of the executor in a thread of its own; all share the slots of the run. Beside them run
//! the validations of accepted patches, a thread each.
//!
//! Only the loop writes the ledger and the state. A thread sends its events as a message and waits for the reply; the loop
//! writes all pending messages and then syncs once (group commit). The loop must therefore serve the threads
//! ([`WavesInFlight::wait`]) as long as any runs, and does long work in a thread as well
//! ([`WavesInFlight::run_blocking`]).

use crate::executor::{Rank, Slots};
use crate::integrate::{Preview, Tried};
use crate::job;
use crate::job::{Counts, JobError, JobStatus, Journal, Observer, Progress, RunningRow, Stop};
use crate::ledger::{LedgerError, Lines};
use crate::model::{Event, RowId, UnitId, WaveCompiled, WaveNo};
use crate::platform::threads;
use crate::run::error::RunError;
use crate::run::store::Recorder;
use crate::run::watcher::Watcher;
use crate::workspace::Lease;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::thread::Scope;
use std::time::{Duration, Instant};

/// How many running rows the progress names.
const SHOWN_MAX: usize = 8;

/// A message of a thread to the loop.
enum LoopMessage {
    Write {
        events: Vec<Event>,
        reply: Sender<Result<Vec<u64>, LedgerError>>,
    },
    Sync {
        reply: Sender<Result<(), LedgerError>>,
    },
    Lines {
        reply: Sender<Result<Lines, LedgerError>>,
    },
    Progress {
        wave: WaveNo,
        snapshot: Progress,
    },
    Warn {
        text: String,
    },
    Ended {
        wave: WaveNo,
        result: Result<(JobStatus, Counts), JobError>,
    },
    Validated {
        which: Validation,
        result: Result<Validated, RunError>,
    },
    /// The work of [`WavesInFlight::run_blocking`] is done.
    Done,
}

/// A validation that runs beside the waves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Validation {
    /// Of the accepted patch of a unit.
    Patch(UnitId),
    /// Of the patch of a row, for the voters to see.
    Preview(RowId),
}

/// The result of a validation.
pub(crate) enum Validated {
    /// Of an accepted patch.
    Patch(Tried),
    /// What was seen; `None` if the run was asked to stop.
    Preview(Option<Preview>),
}

/// A wave whose rows have ended, and that is not judged yet.
pub(crate) struct EndedWave {
    pub compiled: WaveCompiled,
    pub result: Result<(JobStatus, Counts), JobError>,
}

struct RunningWave {
    compiled: WaveCompiled,
    snapshot: Progress,
    /// What its workers see, for as long as they run.
    _workspace: Lease,
}

/// The waves in flight. `'scope` is the lifetime of their threads, `'env` that of what they borrow.
pub(crate) struct WavesInFlight<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    slots: &'env Slots,
    stop: &'env Stop,
    sender: Sender<LoopMessage>,
    inbox: Receiver<LoopMessage>,
    running: BTreeMap<WaveNo, RunningWave>,
    ended: Vec<EndedWave>,
    /// The validations that run.
    validating: BTreeSet<Validation>,
    validated: Vec<(Validation, Result<Validated, RunError>)>,
}

impl<'scope, 'env> WavesInFlight<'scope, 'env> {
    /// No wave is in flight.
    pub fn new(scope: &'scope Scope<'scope, 'env>, slots: &'env Slots, stop: &'env Stop) -> Self {
        let (sender, inbox) = unbounded();
        Self {
            scope,
            slots,
            stop,
            sender,
            inbox,
            running: BTreeMap::new(),
            ended: Vec::new(),
            validating: BTreeSet::new(),
            validated: Vec::new(),
        }
    }

    /// Sets how many rows may run at once.
    pub fn set_concurrency(&self, number: usize) {
        self.slots.set_limit(number);
    }

    /// Whether no wave is running or waits to be judged.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.ended.is_empty()
    }

    /// Whether `wave` is running, or has ended and is not judged.
    pub fn has(&self, wave: WaveNo) -> bool {
        self.waves().any(|known| known == wave)
    }

    /// The waves that are running, or have ended and are not judged.
    pub fn waves(&self) -> impl Iterator<Item = WaveNo> {
        let ended = self.ended.iter().map(|ended| ended.compiled.wave);
        self.running.keys().copied().chain(ended)
    }

    /// Starts a wave. `state` is what the ledger already holds of it; `remaining_path` is the length of the remaining path of
    /// its unit, in thousandths of a task.
    pub fn start(
        &mut self,
        compiled: WaveCompiled,
        workspace: Lease,
        settings: job::Settings,
        mut state: job::State,
        remaining_path: u64,
    ) -> Result<(), RunError> {
        let wave = compiled.wave;
        let running = RunningWave {
            compiled,
            snapshot: Progress {
                counts: state.counts(),
                ..Progress::default()
            },
            _workspace: workspace,
        };
        let handle = LoopHandle {
            wave,
            sender: self.sender.clone(),
        };
        let (slots, stop) = (self.slots, self.stop);
        self.start_thread("wave", move || {
            let rank = Rank {
                remaining_path: std::cmp::Reverse(remaining_path),
                number: wave.0,
            };
            let mut guard = EndGuard {
                handle: handle.clone(),
                result: None,
            };
            let (mut journal, mut observer) = (handle.clone(), handle);
            let result = crate::executor::run(
                &settings,
                &mut state,
                &mut journal,
                &mut observer,
                stop,
                Some(slots.share(rank)),
            );
            let result = result.and_then(|(ending, survey)| {
                job::write_csv(&settings, &survey, &state, &journal.lines()?)?;
                Ok((ending, state.counts()))
            });
            guard.result = Some(result);
        })?;
        self.running.insert(wave, running);
        Ok(())
    }

    fn start_thread(
        &self,
        name: &str,
        work: impl FnOnce() + Send + 'scope,
    ) -> Result<(), RunError> {
        let started = threads::start_in(self.scope, name, work);
        started.map(drop).map_err(RunError::Thread)
    }

    /// Starts `work`, a validation.
    pub fn start_validation(
        &mut self,
        which: Validation,
        work: impl FnOnce(&Stop, &mut dyn Journal) -> Result<Validated, RunError> + Send + 'scope,
    ) -> Result<(), RunError> {
        let started = which.clone();
        let mut handle = LoopHandle {
            wave: WaveNo(0),
            sender: self.sender.clone(),
        };
        let stop = self.stop;
        self.start_thread("validation", move || {
            let mut guard = ValidationGuard {
                sender: handle.sender.clone(),
                which,
                result: None,
            };
            guard.result = Some(work(stop, &mut handle));
        })?;
        self.validating.insert(started);
        Ok(())
    }

    /// Whether a validation runs, or has ended and its result is not taken.
    pub fn is_validating(&self) -> bool {
        !self.validating.is_empty() || !self.validated.is_empty()
    }

    fn end_validation(&mut self, which: Validation, result: Result<Validated, RunError>) {
        self.validating.remove(&which);
        self.validated.push((which, result));
    }

    /// Takes the results of the validations that have ended.
    pub fn take_validated(&mut self) -> Vec<(Validation, Result<Validated, RunError>)> {
        std::mem::take(&mut self.validated)
    }

    /// Serves the threads until a wave or a validation has ended; returns at once when none runs, and after `tick`.
    pub fn wait(
        &mut self,
        tick: Option<Duration>,
        recorder: &mut Recorder,
        watcher: &mut dyn Watcher,
    ) {
        let began = Instant::now();
        while self.ended.is_empty() && self.validated.is_empty() && self.is_running() {
            let first = match tick {
                Some(tick) => {
                    let left = tick.saturating_sub(began.elapsed());
                    self.inbox.recv_timeout(left).ok()
                }
                None => self.inbox.recv().ok(),
            };
            let Some(first) = first else {
                return;
            };
            self.handle_messages(first, recorder, watcher);
            // Messages may come all the time.
            if tick.is_some_and(|tick| began.elapsed() >= tick) {
                return;
            }
        }
    }

    /// Whether a wave has ended and is not judged.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Takes the waves whose rows have ended, by number.
    pub fn take_ended(&mut self) -> Vec<EndedWave> {
        let mut ended = std::mem::take(&mut self.ended);
        ended.sort_by_key(|wave| wave.compiled.wave);
        ended
    }

    fn is_running(&self) -> bool {
        !self.running.is_empty() || !self.validating.is_empty()
    }

    /// Serves the threads until all waves and validations have ended.
    pub fn drain(&mut self, recorder: &mut Recorder, watcher: &mut dyn Watcher) {
        while self.is_running() {
            if let Ok(first) = self.inbox.recv() {
                self.handle_messages(first, recorder, watcher);
            }
        }
    }

    /// Runs `work` in a thread of its own, with a journal, and serves all threads until it returns.
    pub fn run_blocking<T: Send>(
        &mut self,
        recorder: &mut Recorder,
        watcher: &mut dyn Watcher,
        work: impl FnOnce(&mut dyn Journal) -> Result<T, RunError> + Send,
    ) -> Result<T, RunError> {
        let mut handle = LoopHandle {
            wave: WaveNo(0),
            sender: self.sender.clone(),
        };
        std::thread::scope(|scope| {
            let worker = threads::start_in(scope, "work", move || {
                let guard = DoneGuard(handle.sender.clone());
                let result = work(&mut handle);
                drop(guard);
                result
            });
            let worker = worker.map_err(RunError::Thread)?;
            while let Ok(message) = self.inbox.recv() {
                if self.handle_messages(message, recorder, watcher) {
                    break;
                }
            }
            match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Handles a message and all others that are pending. `true`: the work of [`WavesInFlight::run_blocking`] is done.
    fn handle_messages(
        &mut self,
        first: LoopMessage,
        recorder: &mut Recorder,
        watcher: &mut dyn Watcher,
    ) -> bool {
        let mut is_done = false;
        let mut waiting = Vec::new();
        let messages: Vec<LoopMessage> = std::iter::once(first)
            .chain(self.inbox.try_iter())
            .collect();
        for message in messages {
            match message {
                // A thread that has ended needs no reply.
                LoopMessage::Write { events, reply } => drop(reply.send(recorder.write(&events))),
                LoopMessage::Sync { reply } => waiting.push(reply),
                LoopMessage::Lines { reply } => drop(reply.send(recorder.lines())),
                LoopMessage::Progress { wave, snapshot } => {
                    if let Some(running) = self.running.get_mut(&wave) {
                        running.snapshot = snapshot;
                    }
                    watcher.progress(&self.progress());
                }
                LoopMessage::Warn { text } => watcher.warn(&text),
                LoopMessage::Ended { wave, result } => self.end(wave, result, watcher),
                LoopMessage::Validated { which, result } => self.end_validation(which, result),
                LoopMessage::Done => is_done = true,
            }
        }
        if !waiting.is_empty() {
            let mut synced = recorder.sync();
            for reply in waiting {
                // After a failure each thread gets the result of a sync of its own.
                let is_good = synced.is_ok();
                let answer = std::mem::replace(&mut synced, Ok(()));
                drop(reply.send(answer));
                if !is_good {
                    synced = recorder.sync();
                }
            }
        }
        is_done
    }

    fn end(
        &mut self,
        wave: WaveNo,
        result: Result<(JobStatus, Counts), JobError>,
        watcher: &mut dyn Watcher,
    ) {
        let Some(running) = self.running.remove(&wave) else {
            return;
        };
        let counts = match &result {
            Ok((_, counts)) => *counts,
            Err(_) => running.snapshot.counts,
        };
        watcher.wave_ends(&running.compiled, counts);
        self.ended.push(EndedWave {
            compiled: running.compiled,
            result,
        });
    }

    /// The progress of all waves in flight.
    fn progress(&self) -> Progress {
        let snapshots = self.running.values().map(|wave| &wave.snapshot);
        merge(snapshots)
    }
}

fn merge<'s>(snapshots: impl Iterator<Item = &'s Progress>) -> Progress {
    let mut all = Progress::default();
    for snapshot in snapshots {
        all.counts += snapshot.counts;
        all.ended_here += snapshot.ended_here;
        all.elapsed = all.elapsed.max(snapshot.elapsed);
        all.running.extend(snapshot.running.iter().cloned());
        // Both are totals of the run; the snapshot with the most tokens is the latest.
        if snapshot.usage.tokens() >= all.usage.tokens() {
            all.usage = snapshot.usage;
            all.capacity = snapshot.capacity;
        }
    }
    let longest_first = |a: &RunningRow, b: &RunningRow| b.age.cmp(&a.age).then(a.id.cmp(&b.id));
    all.running.sort_by(longest_first);
    all.running.truncate(SHOWN_MAX);
    all
}

/// The channel from a thread to the loop.
#[derive(Clone)]
struct LoopHandle {
    wave: WaveNo,
    sender: Sender<LoopMessage>,
}

impl LoopHandle {
    fn ask<T>(
        &self,
        message: impl FnOnce(Sender<Result<T, LedgerError>>) -> LoopMessage,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = bounded(1);
        // The loop serves messages as long as a thread lives; if it does not, the events must not count as written.
        let gone = || LedgerError::Io {
            path: PathBuf::from("ledger.jsonl"),
            source: io::ErrorKind::BrokenPipe.into(),
        };
        self.sender.send(message(reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Journal for LoopHandle {
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        let events = events.to_vec();
        self.ask(|reply| LoopMessage::Write { events, reply })
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.ask(|reply| LoopMessage::Sync { reply })
    }

    fn lines(&self) -> Result<Lines, LedgerError> {
        self.ask(|reply| LoopMessage::Lines { reply })
    }
}

impl Observer for LoopHandle {
    fn progress(&mut self, snapshot: &Progress) {
        let (wave, snapshot) = (self.wave, snapshot.clone());
        let _ = self.sender.send(LoopMessage::Progress { wave, snapshot });
    }

    fn warn(&mut self, text: &str) {
        let text = text.to_owned();
        let _ = self.sender.send(LoopMessage::Warn { text });
    }
}

/// Reports that a wave has ended when it is dropped, also after a panic.
struct EndGuard {
    handle: LoopHandle,
    result: Option<Result<(JobStatus, Counts), JobError>>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        let wave = self.handle.wave;
        let defect = JobError::Defect {
            item: RowId::new(format!("wave {wave}")),
        };
        let result = self.result.take().unwrap_or(Err(defect));
        let _ = self.handle.sender.send(LoopMessage::Ended { wave, result });
    }
}

/// Reports that a validation has ended when it is dropped, also after a panic.
struct ValidationGuard {
    sender: Sender<LoopMessage>,
    which: Validation,
    result: Option<Result<Validated, RunError>>,
}

impl Drop for ValidationGuard {
    fn drop(&mut self) {
        let which = self.which.clone();
        let name = match &which {
            Validation::Patch(unit) => unit.as_str(),
            Validation::Preview(row) => row.as_str(),
        };
        let defect = JobError::Defect {
            item: RowId::new(format!("validation of {name}")),
        };
        let result = self.result.take().unwrap_or(Err(defect.into()));
        let _ = self.sender.send(LoopMessage::Validated { which, result });
    }
}

/// Reports that the work is done when it is dropped.
struct DoneGuard(Sender<LoopMessage>);

impl Drop for DoneGuard {
    fn drop(&mut self) {
        let _ = self.0.send(LoopMessage::Done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may end while the loop applies another patch; the run is not over then.
    #[test]
    fn a_validation_is_in_flight_until_its_result_is_taken() {
        let (slots, stop) = (Slots::new(1), Stop::new().expect("a pipe"));
        std::thread::scope(|scope| {
            let mut flights = WavesInFlight::new(scope, &slots, &stop);
            let which = Validation::Patch(UnitId::new("a"));
            flights.validating.insert(which.clone());
            let defect = JobError::Defect {
                item: RowId::new("a"),
            };
            flights.end_validation(which, Err(defect.into()));
            assert!(flights.is_validating() && !flights.is_running());
            assert_eq!(flights.take_validated().len(), 1);
            assert!(!flights.is_validating());
        });
    }

    #[test]
    fn the_progress_of_several_waves_is_merged() {
        let row = |id: &str, seconds| RunningRow {
            id: RowId::new(id),
            age: Duration::from_secs(seconds),
            quiet: Duration::ZERO,
        };
        let wave = |total, running: Vec<RunningRow>| Progress {
            counts: Counts {
                total,
                running: running.len() as u64,
                ..Counts::default()
            },
            ended_here: 1,
            running,
            elapsed: Duration::from_secs(total),
            ..Progress::default()
        };
        let (one, two) = (
            wave(3, vec![row("a", 1)]),
            wave(5, vec![row("b", 9), row("c", 1)]),
        );
        let all = merge([&one, &two].into_iter());
        assert_eq!((all.counts.total, all.counts.running), (8, 3));
        assert_eq!((all.ended_here, all.elapsed.as_secs()), (2, 5));
        let ids: Vec<&str> = all.running.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["b", "a", "c"]);
    }
}
