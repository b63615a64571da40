//! What a row took, folded from the ledger: when it started and ended, the time of its workers, tokens and cost.

use crate::ledger::Record;
use crate::model::{Event, RowId, Usage, VerdictRecord, WaveNo};
use crate::platform::clock;
use std::collections::HashMap;

/// The measures of one row. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measure {
    /// The start of its first attempt; 0 if it has none.
    pub started_ms: i64,
    /// The end of its last attempt; 0 if it has none.
    pub ended_ms: i64,
    /// The time of all its attempts.
    pub worker_ms: u64,
    /// Tokens of all its attempts.
    pub tokens: u64,
    /// Dollars of all its attempts.
    pub cost_usd: Option<f64>,
}

/// The measures of all rows, and the last verdict on each.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    rows: HashMap<WaveNo, Vec<Measure>>,
    verdicts: HashMap<(WaveNo, RowId), VerdictRecord>,
    /// The time of the last event.
    pub last_ms: i64,
}

impl Measures {
    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        let at = clock::read(&record.ts).map_or(0, |time| time.as_millisecond());
        self.last_ms = at;
        match &record.event {
            Event::AttemptStarted(body) => {
                let row = self.row(body.wave, body.row_index);
                if row.started_ms == 0 {
                    row.started_ms = at;
                }
            }
            Event::AttemptFinished(body) => {
                let row = self.row(body.wave, body.row_index);
                row.ended_ms = at;
                row.worker_ms += body.duration_ms;
                row.add(body.usage);
            }
            Event::Verdict(body) => {
                let key = (body.wave, body.item_id.clone());
                self.verdicts.insert(key, body.clone());
            }
            _ => {}
        }
    }

    /// The measures of row `index` of a wave; 1 is the wave of a spawned CSV.
    pub fn of(&self, wave: WaveNo, index: u64) -> Measure {
        let rows = self.rows.get(&wave);
        let row = rows.and_then(|rows| rows.get(index as usize));
        row.copied().unwrap_or_default()
    }

    /// The last verdict on a row.
    pub fn verdict(&self, wave: WaveNo, id: &RowId) -> Option<&VerdictRecord> {
        self.verdicts.get(&(wave, id.clone()))
    }

    fn row(&mut self, wave: WaveNo, index: u64) -> &mut Measure {
        let rows = self.rows.entry(wave).or_default();
        let needed = index as usize + 1;
        if rows.len() < needed {
            rows.resize(needed, Measure::default());
        }
        &mut rows[index as usize]
    }
}

impl Measure {
    fn add(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        self.tokens = self.tokens.saturating_add(usage.tokens());
        if let Some(cost) = usage.cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + cost);
        }
    }

    /// The seconds of its workers; none if no attempt has ended.
    pub fn seconds(&self) -> Option<f64> {
        (self.ended_ms > 0).then_some(self.worker_ms as f64 / 1000.0)
    }
}
