//! What failures cost: attempts that failed, and answers that were refused, by failure code.
//!
//! Every attempt counts once: one that failed under the code of its error, one with an answer under the code with which that was
//! refused. Attempts that met a rate limit or an outage are among them, also if their row was completed later.

use super::spend::Spend;
use crate::model::{AttemptEnd, AttemptFinished, RowId, VerdictKind, VerdictRecord, WaveNo};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the attempts under each code took; `rows` is how many rows had such an attempt.
pub type Failures = BTreeMap<String, Spend>;

/// The codes with what they cost, the dearest first: by dollars, then by time.
pub fn dearest_first(failures: &Failures) -> Vec<(&str, Spend)> {
    let mut list: Vec<(&str, Spend)> = failures
        .iter()
        .map(|(code, spend)| (code.as_str(), *spend))
        .collect();
    let cost = |spend: &Spend| spend.cost_usd.unwrap_or(0.0);
    list.sort_by(|(_, one), (_, two)| {
        let by_cost = cost(two).total_cmp(&cost(one));
        by_cost.then(two.worker_ms.cmp(&one.worker_ms))
    });
    list
}

/// `[{code, rows, attempts, worker_seconds, tokens, cost_usd}]`, the dearest first.
pub fn failures_json(failures: &Failures) -> Value {
    let list = dearest_first(failures).into_iter().map(|(code, spend)| {
        let mut json = spend.json();
        json["code"] = json!(code);
        json
    });
    list.collect()
}

/// The fold over the attempts and verdicts of a run.
#[derive(Clone, Debug, Default)]
pub struct FailureFold {
    codes: Failures,
    /// Which rows have failed under which code: an index into `names`.
    rows: HashSet<(u16, WaveNo, u64)>,
    names: Vec<String>,
    /// The attempt whose answer awaits its verdict.
    answered: HashMap<(WaveNo, RowId), (u64, Spend)>,
}

impl FailureFold {
    /// An attempt ended. `is_judged`: its answer awaits a verdict.
    pub fn attempt(&mut self, body: &AttemptFinished, is_judged: bool) {
        let spend = Spend::of(body);
        match body.end {
            AttemptEnd::Completed if is_judged => {
                let key = (body.wave, body.item_id.clone());
                self.answered.insert(key, (body.row_index, spend));
            }
            AttemptEnd::Completed | AttemptEnd::Interrupted | AttemptEnd::Withdrawn => {}
            AttemptEnd::Failed
            | AttemptEnd::Retry
            | AttemptEnd::RateLimited
            | AttemptEnd::Unavailable => {
                let error = body.error.as_deref().unwrap_or("unknown");
                let code = error.split(':').next().unwrap_or(error);
                self.add(code, (body.wave, body.row_index), spend);
            }
        }
    }

    /// The verdict on an answer.
    pub fn verdict(&mut self, body: &VerdictRecord) {
        let answered = self.answered.remove(&(body.wave, body.item_id.clone()));
        if let Some((index, spend)) = answered.filter(|_| body.verdict != VerdictKind::Accepted) {
            let code = body.code.as_deref().unwrap_or("unknown");
            self.add(code, (body.wave, index), spend);
        }
    }

    /// The sums.
    pub fn finish(self) -> Failures {
        self.codes
    }

    fn add(&mut self, code: &str, (wave, index): (WaveNo, u64), spend: Spend) {
        let known = self.names.iter().position(|name| name == code);
        let at = known.unwrap_or_else(|| {
            self.names.push(code.to_owned());
            self.names.len() - 1
        });
        let is_new = self.rows.insert((at as u16, wave, index));
        let rows = u64::from(is_new);
        *self.codes.entry(code.to_owned()).or_default() += Spend { rows, ..spend };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptKey, Usage};

    fn attempt(row: u64, attempt: u32, end: AttemptEnd, error: Option<&str>) -> AttemptFinished {
        let key = AttemptKey {
            wave: WaveNo(1),
            item_id: RowId::new(format!("row-{row}")),
            row_index: row,
            attempt,
        };
        AttemptFinished {
            error: error.map(str::to_owned),
            duration_ms: 1000,
            usage: Some(Usage {
                input_tokens: 10,
                output_tokens: 1,
                cost_usd: Some(0.5),
                ..Usage::default()
            }),
            ..key.finished(end, String::new())
        }
    }

    #[test]
    fn each_attempt_counts_once_under_its_code() {
        let mut fold = FailureFold::default();
        fold.attempt(
            &attempt(0, 1, AttemptEnd::Retry, Some("timeout: 60 s")),
            true,
        );
        fold.attempt(
            &attempt(0, 2, AttemptEnd::Failed, Some("timeout: 60 s")),
            true,
        );
        fold.attempt(&attempt(1, 1, AttemptEnd::Completed, None), true);
        fold.attempt(&attempt(2, 1, AttemptEnd::Completed, None), true);
        fold.attempt(
            &attempt(3, 1, AttemptEnd::Interrupted, Some("cancelled: stop")),
            true,
        );
        let verdict = |row: u64, verdict, code: Option<&str>| VerdictRecord {
            evidence: None,
            wave: WaveNo(1),
            item_id: RowId::new(format!("row-{row}")),
            verdict,
            code: code.map(str::to_owned),
            detail: None,
            fault: None,
            checks: None,
        };
        // The row without an answer was counted with its attempts.
        fold.verdict(&verdict(0, VerdictKind::Rejected, Some("timeout")));
        fold.verdict(&verdict(1, VerdictKind::Retry, Some("lane")));
        fold.verdict(&verdict(2, VerdictKind::Accepted, None));
        let failures = fold.finish();
        let sums = dearest_first(&failures);
        let sums: Vec<_> = sums
            .iter()
            .map(|(code, it)| {
                (
                    *code,
                    it.rows,
                    it.attempts,
                    it.tokens,
                    it.cost_usd,
                    it.worker_ms,
                )
            })
            .collect();
        assert_eq!(
            sums,
            [
                ("timeout", 1, 2, Some(22), Some(1.0), 2000),
                ("lane", 1, 1, Some(11), Some(0.5), 1000)
            ]
        );
    }
}
