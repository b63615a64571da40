//! When things happened in a run, taken from its ledger record by record: attempts, integrations, waves, and marks such as
//! backpressure.
//!
//! Only what is open is kept, so the number of rows does not decide how much memory is used. Times are milliseconds since 1970.

use crate::ledger::Record;
use crate::model::{
    AttemptFinished, AttemptStarted, Event, IntegrationOutcome, ReportVia, RowId, UnitId, WaveNo,
    counted,
};
use crate::platform::clock;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// One attempt of a row.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its wave; 1 for a spawned CSV.
    pub wave: WaveNo,
    /// Its row.
    pub row: RowId,
    /// The row, from 0.
    pub index: u64,
    /// Its number, from 1.
    pub number: u32,
    /// When it started.
    pub start_ms: i64,
    /// How its result was returned, if it was.
    pub via: Option<ReportVia>,
    /// When and how it ended; none while it runs, or if mesh was killed.
    pub end: Option<(i64, AttemptFinished)>,
    /// The last moment at which the ledger shows it running, if mesh was killed.
    pub lost_ms: Option<i64>,
}

impl Attempt {
    /// Whether its result was taken from another run or from outside: it did not run here.
    pub fn is_reused(&self) -> bool {
        matches!(self.via, Some(ReportVia::Reuse | ReportVia::Collect))
    }

    /// When its worker started: attempts of short rows are recorded, and queued, before.
    pub fn worked_from_ms(&self) -> i64 {
        match &self.end {
            Some((at, body)) if body.duration_ms > 0 => at
                .saturating_sub_unsigned(body.duration_ms)
                .max(self.start_ms),
            _ => self.start_ms,
        }
    }
}

/// One integration of a task.
#[derive(Clone, Debug)]
pub struct Integration {
    /// The task.
    pub unit: UnitId,
    /// Its number among the integrations of the task, from 1.
    pub number: u32,
    /// When it started.
    pub start_ms: i64,
    /// When and how it ended; none while it is under way.
    pub end: Option<(i64, IntegrationOutcome)>,
}

/// Something to be marked on a line of time.
#[derive(Clone, Debug)]
pub struct Mark {
    /// `backpressure`, `rate_limited`, `violation`, `budget`, `resumed` or `cancelled`.
    pub kind: &'static str,
    /// When it begins.
    pub start_ms: i64,
    /// When it ends, if it lasts.
    pub end_ms: Option<i64>,
    /// The row.
    pub row: Option<RowId>,
    /// What to say about it.
    pub text: String,
}

/// Something that is over, or a mark.
#[derive(Clone, Debug)]
pub enum Moment {
    /// An attempt ended, or was lost when mesh was killed.
    Attempt(Box<Attempt>),
    /// An integration ended.
    Integration(Integration),
    /// A mark.
    Mark(Mark),
}

/// Start and end of a wave: the first start, and the last end of its rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct WaveSpan {
    /// When its first row started.
    pub start_ms: Option<i64>,
    /// When its last row ended.
    pub end_ms: Option<i64>,
}

/// The fold.
#[derive(Clone, Debug, Default)]
pub struct History {
    start_ms: Option<i64>,
    last_ms: i64,
    concurrency_max: Option<u64>,
    attempts: HashMap<(WaveNo, u64), Attempt>,
    integrations: HashMap<UnitId, (u32, Option<i64>)>,
    waves: BTreeMap<WaveNo, WaveSpan>,
}

impl History {
    /// Applies a record, and returns what it ends or marks.
    pub fn apply(&mut self, record: &Record) -> Vec<Moment> {
        let at = clock::read(&record.ts).map_or(0, |time| time.as_millisecond());
        self.start_ms.get_or_insert(at);
        let before = std::mem::replace(&mut self.last_ms, at);
        let allowed = match &record.event {
            Event::RunStarted(body) => concurrency(&body.settings),
            Event::RunResumed(body) => concurrency(&body.changed),
            _ => None,
        };
        self.concurrency_max = self.concurrency_max.max(allowed);
        match &record.event {
            Event::WaveStarted(body) => {
                let wave = self.waves.entry(body.wave).or_default();
                wave.start_ms.get_or_insert(at);
                self.lose(|key| key.0 == body.wave, before)
            }
            Event::AttemptStarted(body) => self.start_attempt(body, at, before),
            Event::AttemptReported(body) => {
                let attempt = self.attempts.get_mut(&(body.wave, body.row_index));
                if let Some(attempt) = attempt {
                    attempt.via = Some(body.via);
                } else {
                    let mut attempt = opened(body.wave, &body.item_id, body.row_index, at);
                    (attempt.number, attempt.via) = (body.attempt, Some(body.via));
                    self.attempts.insert((body.wave, body.row_index), attempt);
                }
                Vec::new()
            }
            Event::AttemptFinished(body) => vec![self.finish_attempt(body, at)],
            Event::IntegrationStarted(body) => {
                let (number, start) = self.integrations.entry(body.unit.clone()).or_default();
                (*number, *start) = (*number + 1, Some(at));
                Vec::new()
            }
            Event::IntegrationFinished(body) => {
                let (number, start) = self.integrations.entry(body.unit.clone()).or_default();
                if start.is_none() {
                    *number += 1;
                }
                vec![Moment::Integration(Integration {
                    unit: body.unit.clone(),
                    number: *number,
                    start_ms: start.take().unwrap_or(at),
                    end: Some((at, body.outcome)),
                })]
            }
            event => mark(event, at).into_iter().map(Moment::Mark).collect(),
        }
    }

    /// What is still open, in the order of its start.
    pub fn open(&self) -> Vec<Moment> {
        let mut attempts: Vec<&Attempt> = self.attempts.values().collect();
        attempts.sort_by_key(|attempt| (attempt.start_ms, attempt.wave, attempt.index));
        let attempts = attempts
            .into_iter()
            .cloned()
            .map(Box::new)
            .map(Moment::Attempt);
        let mut integrations: Vec<Integration> = Vec::new();
        for (unit, (number, start)) in &self.integrations {
            integrations.extend(start.map(|start_ms| Integration {
                unit: unit.clone(),
                number: *number,
                start_ms,
                end: None,
            }));
        }
        integrations.sort_by(|one, two| one.unit.cmp(&two.unit));
        let integrations = integrations.into_iter().map(Moment::Integration);
        attempts.chain(integrations).collect()
    }

    /// When the run started, and its last record.
    pub fn span_ms(&self) -> (i64, i64) {
        (self.start_ms.unwrap_or(0), self.last_ms)
    }

    /// The most rows that might run at once, before and after a resume; none if the ledger does not say.
    pub fn concurrency_max(&self) -> Option<u64> {
        self.concurrency_max
    }

    /// The waves that have started.
    pub fn waves(&self) -> &BTreeMap<WaveNo, WaveSpan> {
        &self.waves
    }

    /// A row has one attempt at a time: an earlier one without an end was lost.
    fn start_attempt(&mut self, body: &AttemptStarted, at: i64, before: i64) -> Vec<Moment> {
        let key = (body.wave, body.row_index);
        let lost = self.lose(|open| *open == key, before);
        let mut attempt = opened(body.wave, &body.item_id, body.row_index, at);
        attempt.number = body.attempt;
        self.attempts.insert(key, attempt);
        let wave = self.waves.entry(body.wave).or_default();
        wave.start_ms.get_or_insert(at);
        lost
    }

    fn finish_attempt(&mut self, body: &AttemptFinished, at: i64) -> Moment {
        // Without a start, the result was taken from another run or from outside.
        let open = self.attempts.remove(&(body.wave, body.row_index));
        let mut attempt =
            open.unwrap_or_else(|| opened(body.wave, &body.item_id, body.row_index, at));
        attempt.number = body.attempt;
        attempt.end = Some((at, body.clone()));
        let wave = self.waves.entry(body.wave).or_default();
        wave.start_ms.get_or_insert(attempt.start_ms);
        wave.end_ms = Some(at);
        Moment::Attempt(Box::new(attempt))
    }

    fn lose(&mut self, which: impl Fn(&(WaveNo, u64)) -> bool, at: i64) -> Vec<Moment> {
        let mut keys: Vec<_> = self
            .attempts
            .keys()
            .filter(|key| which(key))
            .copied()
            .collect();
        keys.sort();
        let lost = keys.iter().filter_map(|key| self.attempts.remove(key));
        let lost = lost.map(|mut attempt| {
            attempt.lost_ms = Some(at.max(attempt.start_ms));
            Moment::Attempt(Box::new(attempt))
        });
        lost.collect()
    }
}

/// The concurrency number in the settings of a run, if they have one.
pub fn concurrency(settings: &Value) -> Option<u64> {
    let bounds = [&settings["job"]["bounds"], &settings["bounds"]];
    let mut numbers = bounds
        .map(|bounds| bounds["max_concurrency"].as_u64())
        .into_iter();
    numbers.find_map(|number| number)
}

fn opened(wave: WaveNo, row: &RowId, index: u64, start_ms: i64) -> Attempt {
    Attempt {
        wave,
        row: row.clone(),
        index,
        number: 1,
        start_ms,
        via: None,
        end: None,
        lost_ms: None,
    }
}

fn mark(event: &Event, at: i64) -> Option<Mark> {
    let (mut row, mut end_ms) = (None, None);
    let (kind, text) = match event {
        Event::Backpressure(body) => (
            "backpressure",
            format!("concurrency {} -> {}", body.from, body.to),
        ),
        Event::RateLimited(body) => {
            row = Some(body.item_id.clone());
            end_ms = Some(at.saturating_add_unsigned(body.delay_ms));
            let seconds = body.delay_ms / 1000;
            ("rate_limited", format!("rate limit: waits {seconds} s"))
        }
        Event::Violation(body) => ("violation", body.message()),
        Event::BudgetReached(body) => ("budget", format!("{} {} reached", body.budget, body.limit)),
        Event::RunResumed(_) => ("resumed", "resumed with other settings".to_owned()),
        Event::RowsReopened(body) => (
            "resumed",
            format!("retrying {}", counted(body.rows, "failed row")),
        ),
        Event::RunFinished(body) if body.status == "cancelled" => (
            "cancelled",
            body.detail
                .clone()
                .unwrap_or_else(|| "cancelled".to_owned()),
        ),
        _ => return None,
    };
    Some(Mark {
        kind,
        start_ms: at,
        end_ms,
        row,
        text,
    })
}
