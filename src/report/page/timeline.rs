//! The history of a run as JSON for its page, in milliseconds since its start.

use super::ROWS_MAX;
use crate::ledger::Record;
use crate::model::{AttemptEnd, AttemptFinished, RowId, UnitId, WaveNo};
use crate::report::view::{Attempt, History, Integration, Mark, Moment};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Everything with a time. Of a run with more rows than a page can have, the attempts of those that failed first and of those
/// that ended first.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    history: History,
    ended: Spans,
    open: Spans,
    marks: Vec<Value>,
    /// Rows without and with a failed attempt.
    rows: [u64; 2],
}

/// Attempts and integrations, in order.
#[derive(Clone, Debug, Default)]
struct Spans {
    attempts: HashMap<(WaveNo, RowId), Vec<Map<String, Value>>>,
    integrations: HashMap<UnitId, Vec<Value>>,
}

impl Timeline {
    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        for moment in self.history.apply(record) {
            match moment {
                Moment::Attempt(attempt) => self.add_attempt(&attempt),
                Moment::Integration(integration) => self.add_integration(integration),
                Moment::Mark(mark) => {
                    let json = self.mark(&mark);
                    self.marks.push(json);
                }
            }
        }
    }

    /// Adds what is still open, after the last record; records may follow, and another call.
    pub fn close(&mut self) {
        let mut open = Spans::default();
        for moment in self.history.open() {
            match moment {
                Moment::Attempt(attempt) => open.add_attempt(&attempt, self.attempt(&attempt)),
                Moment::Integration(one) => {
                    let start = json!({"start": self.since_start(one.start_ms)});
                    open.add_integration(one.unit, start);
                }
                Moment::Mark(_) => {}
            }
        }
        self.open = open;
    }

    fn add_attempt(&mut self, attempt: &Attempt) {
        let has_failed = |(_, body): &(i64, AttemptFinished)| body.end != AttemptEnd::Completed;
        let rows = &mut self.rows[usize::from(attempt.end.as_ref().is_some_and(has_failed))];
        let key = (attempt.wave, attempt.row.clone());
        if !self.ended.attempts.contains_key(&key) {
            if *rows == ROWS_MAX {
                return;
            }
            *rows += 1;
        }
        let json = self.attempt(attempt);
        self.ended.add_attempt(attempt, json);
    }

    fn attempt(&self, attempt: &Attempt) -> Map<String, Value> {
        let mut json = Map::new();
        let mut add = |name: &str, value: Value| {
            if !value.is_null() {
                json.insert(name.to_owned(), value);
            }
        };
        add("n", json!(attempt.number));
        add("start", json!(self.since_start(attempt.worked_from_ms())));
        add("via", json!(attempt.via));
        if let Some((at, body)) = &attempt.end {
            add("end", json!(self.since_start(*at)));
            add("outcome", json!(body.end));
            add("error", json!(body.error));
            add("exit_code", json!(body.exit_code));
            add("signal", json!(body.signal));
            add("cost_usd", json!(body.usage.and_then(|it| it.cost_usd)));
            add("tokens", json!(body.usage.map(|it| it.tokens())));
        }
        json
    }

    /// Among the integrations of its task, and as a mark once it has ended.
    fn add_integration(&mut self, integration: Integration) {
        let start = self.since_start(integration.start_ms);
        let mut json = json!({"start": start});
        if let Some((at, outcome)) = integration.end {
            let end = self.since_start(at);
            (json["end"], json["outcome"]) = (json!(end), json!(outcome));
            self.marks.push(json!({"at": start, "until": end, "kind": "integration", "unit": integration.unit, "text": outcome}));
        }
        self.ended.add_integration(integration.unit, json);
    }

    fn mark(&self, mark: &Mark) -> Value {
        let mut json =
            json!({"kind": mark.kind, "text": mark.text, "at": self.since_start(mark.start_ms)});
        if let Some(row) = &mark.row {
            json["row"] = json!(row);
        }
        if let Some(until) = mark.end_ms {
            json["until"] = json!(self.since_start(until));
        }
        json
    }

    fn since_start(&self, ms: i64) -> i64 {
        ms - self.history.span_ms().0
    }

    /// The attempts of a row, in order.
    pub fn attempts(&self, wave: WaveNo, row: &RowId) -> impl Iterator<Item = &Map<String, Value>> {
        let key = (wave, row.clone());
        let [ended, open] = [&self.ended, &self.open].map(|spans| spans.attempts.get(&key));
        ended.into_iter().chain(open).flatten()
    }

    /// The integrations of a task, in order.
    pub fn integrations(&self, unit: &UnitId) -> Vec<&Value> {
        let parts = [&self.ended, &self.open].map(|spans| spans.integrations.get(unit));
        parts.into_iter().flatten().flatten().collect()
    }

    /// The most rows that might run at once.
    pub fn slots(&self) -> Option<u64> {
        self.history.concurrency_max()
    }

    /// The first start and the last end of a wave's rows.
    pub fn wave(&self, wave: WaveNo) -> (Option<i64>, Option<i64>) {
        let span = self.history.waves().get(&wave).copied().unwrap_or_default();
        let since_start = |ms: i64| self.since_start(ms);
        (span.start_ms.map(since_start), span.end_ms.map(since_start))
    }

    /// Everything else with a time.
    pub fn marks(&self) -> &[Value] {
        &self.marks
    }
}

impl Spans {
    fn add_attempt(&mut self, attempt: &Attempt, json: Map<String, Value>) {
        let key = (attempt.wave, attempt.row.clone());
        self.attempts.entry(key).or_default().push(json);
    }

    fn add_integration(&mut self, unit: UnitId, json: Value) {
        self.integrations.entry(unit).or_default().push(json);
    }
}
