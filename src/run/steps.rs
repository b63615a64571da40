//! A run one step at a time, each in a process of its own: hand out a wave, collect its answers, integrate.
//!
//! The steps are those of [`PlanRun::drive`] in the same order, over the same ledger; only who works the rows is
//! somebody else, who brings back an output CSV or a folder of answers.

use super::answers::{Answers, Brought};
use super::drive::{PlanRun, Watcher};
use super::floor::Floor;
use super::state::Wave;
use super::{RunError, Settings};
use crate::adapter::EXTERNAL;
use crate::clock;
use crate::collect::extract::Object;
use crate::job::{self, Journal, Measure, Slots, Stop, Survey};
use crate::model::{
    AttemptEnd, AttemptFinished, AttemptReported, AttemptStarted, Event, JobId, ReportVia, RowId,
    UnitId, WaveCompiled, WaveNo, WaveStarted,
};
use crate::protocol::Action;
use crate::schedule::Dispatch;
use crate::snapshot;
use serde_json::Value;
use std::path::PathBuf;

/// Which steps of a unit that need no rows are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    /// All.
    All,
    /// Those that lead to the next rows: metadata, votes, changes of protocol.
    Thinking,
    /// Those that end a task: integrate, and say so in the plan.
    Writing,
}

impl Steps {
    /// Whether `action` is one of them.
    pub fn include(self, action: &Action) -> bool {
        let writes = matches!(
            action,
            Action::Integrate | Action::Complete | Action::Block(..)
        );
        match self {
            Steps::All => true,
            Steps::Thinking => !writes,
            Steps::Writing => writes,
        }
    }
}

/// What somebody may work now.
#[derive(Clone, Debug, Default)]
pub struct HandedOut {
    /// Waves without answers.
    pub waves: Vec<WaveCompiled>,
    /// The copy of the repository that their workers are to see.
    pub snapshot: Option<PathBuf>,
    /// Tasks that wait for the integrator.
    pub to_integrate: Vec<UnitId>,
    /// The run has nothing left to do.
    pub is_done: bool,
}

/// What was made of the answers of one wave.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The wave.
    pub wave: WaveNo,
    /// Rows whose answers were taken in now.
    pub taken: usize,
    /// Rows that have none yet.
    pub missing: Vec<RowId>,
    /// Rows with a verdict that is not `accepted`, with its code.
    pub refused: Vec<(RowId, String)>,
}

impl Settings {
    /// Whether somebody else works the rows.
    pub fn is_external(&self) -> bool {
        self.adapter == EXTERNAL
    }
}

impl PlanRun {
    /// Compiles what the units need next; gives the waves that have no answers yet, those of before too.
    pub fn hand_out(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<HandedOut, RunError> {
        self.roll_back(watcher, stop)?;
        self.with_floor(watcher, stop, |run, floor, watcher| {
            run.judge_what_was_taken(floor, watcher, stop)?;
            let is_rolling = run.settings.dispatch == Dispatch::Rolling;
            if is_rolling || run.open_waves().next().is_none() {
                run.settle(Steps::Thinking, floor, watcher, stop)?;
                run.take_up(floor, watcher)?;
                run.emit(watcher)?;
            }
            Ok(())
        })?;
        let waves: Vec<WaveCompiled> = self
            .open_waves()
            .map(|wave| wave.compiled.clone())
            .collect();
        let snapshot = (!waves.is_empty()).then(|| self.folder.snapshot(1));
        if let Some(snapshot) = &snapshot {
            snapshot::make(&self.ground()?, snapshot)?;
        }
        Ok(HandedOut {
            to_integrate: self.to_integrate()?,
            is_done: waves.is_empty() && self.end_if_done(watcher)?,
            waves,
            snapshot,
        })
    }

    /// Takes in what came back for a wave: the one that is named, else the only open one. When every row has an answer, or
    /// `gives_up` on those without one, the rows are judged.
    pub fn collect(
        &mut self,
        wave: Option<WaveNo>,
        answers: Option<&std::path::Path>,
        gives_up: bool,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<Collected, RunError> {
        let wave = self.to_collect(wave)?.clone();
        let number = wave.compiled.wave;
        let mut settings = self.job_settings(&wave.compiled, wave.job_id.clone())?;
        let path = answers.unwrap_or(&settings.output_csv_path);
        let reads_text = settings.read_text;
        let answers = Answers::read(path, &wave.compiled.rows, reads_text)?;
        if let (None, Some(job_id)) = (&wave.job_id, answers.job_id()) {
            settings.job_id = JobId::new(job_id);
        }
        let (events, missing) = self.taken_in(&wave, &settings, answers, gives_up)?;
        let taken = wave.compiled.rows.len() - missing.len() - ended(&wave);
        self.recorder.record(&events)?;
        self.write_output(number, &settings)?;
        if missing.is_empty() {
            self.with_floor(watcher, stop, |run, floor, watcher| {
                run.judge(number, floor, watcher, stop)
            })?;
        }
        Ok(Collected {
            wave: number,
            taken,
            missing,
            refused: self.refused(number),
        })
    }

    /// Integrates and persists every unit that is ready for it; gives their number.
    pub fn integrate_ready(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<usize, RunError> {
        self.roll_back(watcher, stop)?;
        let before = self.state().in_flight().count();
        self.with_floor(watcher, stop, |run, floor, watcher| {
            run.settle(Steps::Thinking, floor, watcher, stop)?;
            run.settle(Steps::Writing, floor, watcher, stop)
        })?;
        let ended = before - self.state().in_flight().count();
        if self.open_waves().next().is_none() {
            self.end_if_done(watcher)?;
        }
        Ok(ended)
    }

    /// A kill may have left a wave with all of its answers and without verdicts.
    fn judge_what_was_taken(
        &mut self,
        floor: &mut Floor<'_, '_>,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let is_answered = |wave: &&Wave| ended(wave) == wave.compiled.rows.len();
        let answered = self.open_waves().filter(is_answered);
        let waves: Vec<WaveNo> = answered.map(|wave| wave.compiled.wave).collect();
        for wave in waves {
            self.judge(wave, floor, watcher, stop)?;
        }
        Ok(())
    }

    fn with_floor(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
        step: impl FnOnce(&mut Self, &mut Floor<'_, '_>, &mut dyn Watcher) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let slots = Slots::new(self.concurrency());
        std::thread::scope(|scope| step(self, &mut Floor::new(scope, &slots, stop), watcher))
    }

    pub(super) fn open_waves(&self) -> impl Iterator<Item = &Wave> {
        self.state().waves.iter().filter(|wave| wave.is_open())
    }

    fn to_collect(&self, wanted: Option<WaveNo>) -> Result<&Wave, RunError> {
        let refuse = |why: String| RunError::NothingToCollect { why };
        let mut open = self.open_waves();
        if let Some(number) = wanted {
            let found = open.find(|wave| wave.compiled.wave == number);
            return found.ok_or_else(|| refuse(format!("wave {number} is not open")));
        }
        let first = open.next();
        let first = first.ok_or_else(|| refuse("no wave waits for answers".to_owned()))?;
        match open.next() {
            None => Ok(first),
            Some(second) => Err(refuse(format!(
                "several waves wait for answers: {}, {}, …; name one with --wave",
                first.compiled.wave, second.compiled.wave
            ))),
        }
    }

    /// Tasks whose next step is the integrator's.
    fn to_integrate(&self) -> Result<Vec<UnitId>, RunError> {
        let plan = self.store.read()?;
        let mut found = Vec::new();
        for unit in self.state().in_flight() {
            let action = self.task(&plan, &unit.id)?.next(&unit.state);
            if Steps::Writing.include(&action) && !self.has_to_wait(&plan, unit)? {
                found.push(unit.id.clone());
            }
        }
        Ok(found)
    }

    /// Records the end of the run when no task is in flight and none can be taken up.
    fn end_if_done(&mut self, watcher: &mut dyn Watcher) -> Result<bool, RunError> {
        if self.has_more()? {
            return Ok(false);
        }
        if self.state().finished.is_none() {
            let end = self.own_end();
            self.end(&end, watcher)?;
        }
        Ok(true)
    }

    /// The events of what came back, and the rows without an answer.
    fn taken_in(
        &self,
        wave: &Wave,
        settings: &job::Settings,
        mut answers: Answers,
        gives_up: bool,
    ) -> Result<(Vec<Event>, Vec<RowId>), RunError> {
        let measure = Measure::of(settings)?;
        let mut events = Vec::new();
        if wave.job_id.is_none() {
            events.push(Event::from(WaveStarted {
                wave: wave.compiled.wave,
                job_id: settings.job_id.clone(),
                items: wave.compiled.rows.len() as u64,
                max_concurrency: wave.compiled.max_concurrency,
            }));
        }
        let mut missing = Vec::new();
        for (index, id) in wave.compiled.rows.iter().enumerate() {
            if has_ended(wave, index) {
                continue;
            }
            let brought = match answers.take(id) {
                Brought::Nothing if !gives_up => {
                    missing.push(id.clone());
                    continue;
                }
                Brought::Nothing => Brought::failed("no_response: no answer came back"),
                other => other,
            };
            let row = Taken {
                wave: wave.compiled.wave,
                id,
                index: index as u64,
            };
            row.events(brought, &measure, &mut events);
        }
        Ok((events, missing))
    }

    /// The answers of a wave beside its rows, however they came.
    fn write_output(&self, number: WaveNo, settings: &job::Settings) -> Result<(), RunError> {
        let Some(wave) = self.state().wave(number) else {
            return Ok(());
        };
        let survey = Survey::take(settings)?;
        job::write_csv(settings, &survey, &wave.job, &self.recorder.lines()?)?;
        Ok(())
    }

    fn refused(&self, number: WaveNo) -> Vec<(RowId, String)> {
        let wave = self.state().wave(number);
        wave.map_or(Vec::new(), |wave| wave.refused.clone())
    }
}

fn has_ended(wave: &Wave, index: usize) -> bool {
    let item = wave.job.item(index as u64);
    item.is_some_and(|item| matches!(item.status, job::Status::Completed | job::Status::Failed))
}

fn ended(wave: &Wave) -> usize {
    let rows = 0..wave.compiled.rows.len();
    rows.filter(|index| has_ended(wave, *index)).count()
}

/// A row whose answer is taken in.
struct Taken<'t> {
    wave: WaveNo,
    id: &'t RowId,
    index: u64,
}

impl Taken<'_> {
    /// What occurred elsewhere, as far as what came back tells: every attempt, and the outcome of the last one. A result
    /// is measured like one of our own workers'.
    fn events(&self, brought: Brought, measure: &Measure, events: &mut Vec<Event>) {
        let (attempts, outcome) = match brought {
            Brought::Nothing => return,
            Brought::Result { result, attempts } => (attempts, self.measured(result, measure)),
            Brought::Failed { error, attempts } => (attempts, Err(error)),
        };
        let attempts = attempts.max(1);
        for attempt in 1..=attempts {
            events.push(Event::from(AttemptStarted {
                wave: self.wave,
                item_id: self.id.clone(),
                row_index: self.index,
                attempt,
            }));
            if attempt < attempts {
                events.push(self.finished(attempt, AttemptEnd::Retry, None));
            }
        }
        match outcome {
            Ok(result) => {
                events.push(Event::from(AttemptReported {
                    wave: self.wave,
                    item_id: self.id.clone(),
                    row_index: self.index,
                    attempt: attempts,
                    via: ReportVia::Collect,
                    result: Value::Object(result),
                    stop: false,
                    reported_at: clock::csv_time(clock::now()),
                }));
                events.push(self.finished(attempts, AttemptEnd::Completed, None));
            }
            Err(error) => events.push(self.finished(attempts, AttemptEnd::Failed, Some(error))),
        }
    }

    fn measured(&self, result: Object, measure: &Measure) -> Result<Object, String> {
        let checked = measure.check(result);
        checked.map_err(|(failure, text)| format!("{failure}: {text}"))
    }

    fn finished(&self, attempt: u32, end: AttemptEnd, error: Option<String>) -> Event {
        Event::from(AttemptFinished {
            wave: self.wave,
            item_id: self.id.clone(),
            row_index: self.index,
            attempt,
            end,
            error,
            exit_code: None,
            signal: None,
            leaked: Vec::new(),
            session: None,
            usage: None,
            duration_ms: 0,
            completed_at: clock::csv_time(clock::now()),
        })
    }
}
