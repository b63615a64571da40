//! The history of a run as JSON for its page, in milliseconds since its start.

use crate::ledger::Record;
use crate::model::{RowId, UnitId, WaveNo};
use crate::report::view::{Attempt, History, Integration, Mark, Moment};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Everything with a time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    history: History,
    attempts: HashMap<(WaveNo, RowId), Vec<Map<String, Value>>>,
    integrations: HashMap<UnitId, Vec<Value>>,
    marks: Vec<Value>,
}

impl Timeline {
    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        for moment in self.history.apply(record) {
            self.add(moment);
        }
    }

    /// Adds what is still open, after the last record.
    pub fn close(&mut self) {
        for moment in self.history.open() {
            self.add(moment);
        }
    }

    fn add(&mut self, moment: Moment) {
        match moment {
            Moment::Attempt(attempt) => {
                let key = (attempt.wave, attempt.row.clone());
                let json = self.attempt(&attempt);
                self.attempts.entry(key).or_default().push(json);
            }
            Moment::Integration(integration) => self.add_integration(integration),
            Moment::Mark(mark) => {
                let json = self.mark(&mark);
                self.marks.push(json);
            }
        }
    }

    fn attempt(&self, attempt: &Attempt) -> Map<String, Value> {
        let mut json = Map::new();
        let mut add = |name: &str, value: Value| {
            if !value.is_null() {
                json.insert(name.to_owned(), value);
            }
        };
        add("n", json!(attempt.number));
        add("start", json!(self.since_start(attempt.start_ms)));
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
        let all = self.integrations.entry(integration.unit).or_default();
        all.push(json);
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
    pub fn attempts(&self, wave: WaveNo, row: &RowId) -> &[Map<String, Value>] {
        self.attempts
            .get(&(wave, row.clone()))
            .map_or(&[], Vec::as_slice)
    }

    /// The integrations of a task, in order.
    pub fn integrations(&self, unit: &UnitId) -> &[Value] {
        self.integrations.get(unit).map_or(&[], Vec::as_slice)
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
