//! When things happened in a run: attempts, integrations, and marks such as backpressure.

use crate::ledger::Record;
use crate::model::{AttemptFinished, AttemptStarted, Event, RowId, UnitId, WaveNo, counted};
use crate::platform::clock;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Everything with a time, in milliseconds since the start of the run.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    start_ms: i64,
    attempts: HashMap<(WaveNo, RowId), Vec<Map<String, Value>>>,
    integrations: HashMap<UnitId, Vec<Map<String, Value>>>,
    /// When each wave started, and the last end of its rows.
    waves: BTreeMap<WaveNo, (Option<i64>, Option<i64>)>,
    marks: Vec<Value>,
}

impl Timeline {
    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        let at = clock::read(&record.ts).map_or(0, |time| time.as_millisecond());
        if self.start_ms == 0 {
            self.start_ms = at;
        }
        let at = at - self.start_ms;
        match &record.event {
            Event::WaveStarted(body) => {
                self.waves.entry(body.wave).or_default().0.get_or_insert(at);
            }
            Event::AttemptStarted(body) => self.start_attempt(body, at),
            Event::AttemptReported(body) => {
                let key = (body.wave, body.item_id.clone());
                if let Some(attempt) = self.attempts.entry(key).or_default().last_mut() {
                    attempt.insert("via".to_owned(), json!(body.via));
                }
            }
            Event::AttemptFinished(body) => self.finish_attempt(body, at),
            Event::IntegrationStarted(body) => {
                let mut integration = Map::new();
                integration.insert("start".to_owned(), json!(at));
                self.integrations
                    .entry(body.unit.clone())
                    .or_default()
                    .push(integration);
            }
            Event::IntegrationFinished(body) => {
                let all = self.integrations.entry(body.unit.clone()).or_default();
                if all.last().is_none_or(|last| last.contains_key("end")) {
                    all.push(Map::from_iter([("start".to_owned(), json!(at))]));
                }
                if let Some(last) = all.last_mut() {
                    last.insert("end".to_owned(), json!(at));
                    last.insert("outcome".to_owned(), json!(body.outcome));
                    let mark = json!({"at": last["start"], "until": at, "kind": "integration", "unit": body.unit, "text": body.outcome});
                    self.marks.push(mark);
                }
            }
            event => self.mark(event, at),
        }
    }

    fn mark(&mut self, event: &Event, at: i64) {
        let mark = match event {
            Event::Backpressure(body) => {
                json!({"kind": "backpressure", "text": format!("concurrency {} -> {}", body.from, body.to)})
            }
            Event::RateLimited(body) => {
                let text = format!("rate limit: waits {} s", body.delay_ms / 1000);
                json!({"kind": "rate_limited", "row": body.item_id, "text": text, "until": at + body.delay_ms as i64})
            }
            Event::Violation(body) => json!({"kind": "violation", "text": body.message()}),
            Event::BudgetReached(body) => {
                json!({"kind": "budget", "text": format!("{} {} reached", body.budget, body.limit)})
            }
            Event::RunResumed(_) => {
                json!({"kind": "resumed", "text": "resumed with other settings"})
            }
            Event::RowsReopened(body) => {
                json!({"kind": "resumed", "text": format!("retrying {}", counted(body.rows, "failed row"))})
            }
            Event::RunFinished(body) if body.status == "cancelled" => {
                json!({"kind": "cancelled", "text": body.detail.as_deref().unwrap_or("cancelled")})
            }
            _ => return,
        };
        let mut mark = mark;
        mark["at"] = json!(at);
        self.marks.push(mark);
    }

    fn start_attempt(&mut self, body: &AttemptStarted, at: i64) {
        let attempt = [
            ("n".to_owned(), json!(body.attempt)),
            ("start".to_owned(), json!(at)),
        ];
        let key = (body.wave, body.item_id.clone());
        self.attempts
            .entry(key)
            .or_default()
            .push(attempt.into_iter().collect());
        self.waves.entry(body.wave).or_default().0.get_or_insert(at);
    }

    fn finish_attempt(&mut self, body: &AttemptFinished, at: i64) {
        let key = (body.wave, body.item_id.clone());
        let attempts = self.attempts.entry(key).or_default();
        if attempts.last().is_none_or(|last| last.contains_key("end")) {
            // Its start is not in the ledger: the result was taken from another run or from outside.
            attempts.push(Map::from_iter([
                ("n".to_owned(), json!(body.attempt)),
                ("start".to_owned(), json!(at)),
            ]));
        }
        let Some(attempt) = attempts.last_mut() else {
            return;
        };
        let usage = body.usage.unwrap_or_default();
        let optional = [
            ("error", json!(body.error)),
            ("exit_code", json!(body.exit_code)),
            ("signal", json!(body.signal)),
            ("cost_usd", json!(usage.cost_usd)),
            ("tokens", json!(body.usage.map(|usage| usage.tokens()))),
        ];
        attempt.insert("end".to_owned(), json!(at));
        attempt.insert("outcome".to_owned(), json!(body.end));
        let present = optional.into_iter().filter(|(_, value)| !value.is_null());
        attempt.extend(present.map(|(name, value)| (name.to_owned(), value)));
        self.waves.entry(body.wave).or_default().1 = Some(at);
    }

    /// The attempts of a row, in order.
    pub fn attempts(&self, wave: WaveNo, row: &RowId) -> &[Map<String, Value>] {
        self.attempts
            .get(&(wave, row.clone()))
            .map_or(&[], Vec::as_slice)
    }

    /// The integrations of a task, in order.
    pub fn integrations(&self, unit: &UnitId) -> &[Map<String, Value>] {
        self.integrations.get(unit).map_or(&[], Vec::as_slice)
    }

    /// The first start and the last end of a wave's rows.
    pub fn wave(&self, wave: WaveNo) -> (Option<i64>, Option<i64>) {
        self.waves.get(&wave).copied().unwrap_or_default()
    }

    /// Everything else with a time.
    pub fn marks(&self) -> &[Value] {
        &self.marks
    }
}
