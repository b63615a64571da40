//! The durations of rows in earlier runs, from their ledgers.
//!
//! The duration of a row is the sum over its attempts until it had a result, without those that ended by a rate limit or a stop.
//! Rows without a result are ignored, because their duration is that of a time limit.

use crate::model::{AttemptEnd, Event, Role, RoundName, RowId, RowKey, RunKind, UnitId};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Durations by round and role, over all runs that were read.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    rows_ms: BTreeMap<(RoundName, Role), Vec<u64>>,
    integrations_ms: Vec<u64>,
    run: CurrentRun,
}

/// The open rows and integrations of the run that is being read.
#[derive(Clone, Debug, Default)]
struct CurrentRun {
    is_plan: bool,
    rows_ms: HashMap<RowId, u64>,
    integrations: HashMap<UnitId, Timestamp>,
}

/// The median of several durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median {
    /// Milliseconds; for an even number, the mean of the two in the middle.
    pub ms: u64,
    /// The number of durations.
    pub samples: usize,
}

impl Learned {
    /// Applies an event of a ledger and its time. Apply whole ledgers, one after the other.
    pub fn apply(&mut self, event: &Event, ts: &str) {
        match event {
            Event::RunStarted(body) => {
                self.run = CurrentRun {
                    is_plan: body.kind == RunKind::Plan,
                    ..CurrentRun::default()
                };
            }
            // The ids of a spawned CSV are the user's, and may look like those of a wave.
            _ if !self.run.is_plan => {}
            Event::AttemptFinished(body) => match body.end {
                AttemptEnd::Completed | AttemptEnd::Retry => {
                    let sum = self.run.rows_ms.entry(body.item_id.clone()).or_default();
                    *sum = sum.saturating_add(body.duration_ms);
                    if body.end == AttemptEnd::Completed {
                        self.row_ended(&body.item_id);
                    }
                }
                AttemptEnd::Failed
                | AttemptEnd::Interrupted
                | AttemptEnd::RateLimited
                | AttemptEnd::Unavailable
                | AttemptEnd::Withdrawn => {}
            },
            Event::IntegrationStarted(body) => {
                if let Ok(began) = ts.parse() {
                    self.run.integrations.insert(body.unit.clone(), began);
                }
            }
            Event::IntegrationFinished(body) => {
                let began = self.run.integrations.remove(&body.unit);
                if let (Some(began), Ok(ended)) = (began, ts.parse::<Timestamp>()) {
                    let took = ended.duration_since(began).as_millis();
                    // Negative if the clock was set back.
                    self.integrations_ms.extend(u64::try_from(took));
                }
            }
            _ => {}
        }
    }

    fn row_ended(&mut self, id: &RowId) {
        let ms = self.run.rows_ms.remove(id).unwrap_or_default();
        if let Some(key) = RowKey::parse(id) {
            let times = self.rows_ms.entry((key.round, key.role)).or_default();
            times.push(ms);
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows_ms.values().map(Vec::len).sum()
    }

    /// The median of `role` in `round`.
    pub fn row(&self, round: &RoundName, role: &Role) -> Option<Median> {
        median(self.rows_ms.get(&(round.clone(), role.clone())).into_iter())
    }

    /// The median of `round`, over all roles.
    pub fn round(&self, round: &RoundName) -> Option<Median> {
        let rows = self.rows_ms.iter().filter(|((known, _), _)| known == round);
        median(rows.map(|(_, times)| times))
    }

    /// The median of all rows.
    pub fn any_row(&self) -> Option<Median> {
        median(self.rows_ms.values())
    }

    /// The median of all integrations, failed ones included.
    pub fn integration(&self) -> Option<Median> {
        median([&self.integrations_ms].into_iter())
    }
}

fn median<'t>(times: impl Iterator<Item = &'t Vec<u64>>) -> Option<Median> {
    let mut times: Vec<u64> = times.flatten().copied().collect();
    times.sort_unstable();
    let samples = times.len();
    let (low, high) = (
        times.get(samples.checked_sub(1)? / 2)?,
        times.get(samples / 2)?,
    );
    Some(Median {
        ms: low.midpoint(*high),
        samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn take(learned: &mut Learned, name: &str, body: Value, ts: &str) {
        let Value::Object(body) = body else {
            panic!("an object")
        };
        learned.apply(&Event::parse(name, body).expect("a good event"), ts);
    }

    fn started(learned: &mut Learned, kind: &str) {
        let body =
            json!({"run_id": "R", "kind": kind, "mesh_version": "0", "root": "/", "settings": {}});
        take(learned, "run_started", body, "");
    }

    fn attempt(learned: &mut Learned, row: &str, end: &str, ms: u64) {
        let body = json!({"wave": 1, "item_id": row, "row_index": 0, "attempt": 1, "end": end, "duration_ms": ms, "completed_at": ""});
        take(learned, "attempt_finished", body, "");
    }

    #[test]
    fn the_duration_of_a_row_is_the_sum_of_its_counted_attempts() {
        let mut learned = Learned::default();
        started(&mut learned, "plan");
        attempt(&mut learned, "a.vote.skeptic.1", "retry", 30);
        attempt(&mut learned, "a.vote.skeptic.1", "rate_limited", 1000);
        attempt(&mut learned, "a.vote.skeptic.1", "interrupted", 1000);
        attempt(&mut learned, "a.vote.skeptic.1", "completed", 10);
        attempt(&mut learned, "b.vote.skeptic.1", "completed", 20);
        attempt(&mut learned, "b.vote.critic.1", "completed", 50);
        attempt(&mut learned, "c.vote.critic.1", "failed", 9000);
        started(&mut learned, "spawn");
        attempt(&mut learned, "a.vote.skeptic.1", "completed", 7000);
        let (vote, skeptic) = (RoundName::new("vote"), Role::new("skeptic"));
        let found = |ms, samples| Some(Median { ms, samples });
        assert_eq!(learned.row(&vote, &skeptic), found(30, 2));
        assert_eq!(learned.round(&vote), found(40, 3));
        assert_eq!(learned.any_row(), found(40, 3));
        assert_eq!(learned.round(&RoundName::new("other")), None);
        assert_eq!(learned.integration(), None);
        assert_eq!(learned.rows(), 3);
    }

    #[test]
    fn the_duration_of_an_integration_is_from_start_to_finish() {
        let mut learned = Learned::default();
        started(&mut learned, "plan");
        for (unit, began, ended) in [("a", "00.250", "03.000"), ("b", "03.000", "02.000")] {
            let start = json!({"unit": unit, "patch_path": "p", "paths": [], "patched": [], "new_folders": [], "left_alone": []});
            let ts = |seconds| format!("2026-02-13T01:55:{seconds}Z");
            take(&mut learned, "integration_started", start, &ts(began));
            let finish = json!({"unit": unit, "outcome": "applied", "reason": null, "detail": null, "paths": []});
            take(&mut learned, "integration_finished", finish, &ts(ended));
        }
        let once = Median {
            ms: 2750,
            samples: 1,
        };
        assert_eq!(learned.integration(), Some(once));
    }
}
