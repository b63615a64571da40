//! What attempts took: rows, attempts, time of workers, tokens and cost.

use crate::model::{AttemptEnd, AttemptFinished};
use serde_json::{Value, json};
use std::ops::AddAssign;

/// What some attempts took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spend {
    /// Rows with at least one attempt.
    pub rows: u64,
    /// Attempts; those that were withdrawn before they started don't count.
    pub attempts: u64,
    /// The time of their workers, in milliseconds.
    pub worker_ms: u64,
    /// Tokens in both directions; none if no attempt reported any.
    pub tokens: Option<u64>,
    /// US dollars; none if no attempt reported any.
    pub cost_usd: Option<f64>,
}

impl Spend {
    /// What one attempt took. It stands for its row if it is the first of it.
    pub fn of(attempt: &AttemptFinished) -> Self {
        if attempt.end == AttemptEnd::Withdrawn {
            return Self::default();
        }
        let usage = attempt.usage.filter(|usage| usage.is_some());
        Self {
            rows: u64::from(attempt.attempt == 1),
            attempts: 1,
            worker_ms: attempt.duration_ms,
            tokens: usage.map(|usage| usage.tokens()),
            cost_usd: usage.and_then(|usage| usage.cost_usd),
        }
    }

    /// The time of the workers in minutes.
    pub fn minutes(&self) -> f64 {
        minutes(self.worker_ms)
    }

    /// `{rows, attempts, worker_seconds, tokens, cost_usd}`
    pub fn json(&self) -> Value {
        json!({
            "rows": self.rows, "attempts": self.attempts, "worker_seconds": self.worker_ms as f64 / 1000.0, "tokens": self.tokens,
            "cost_usd": self.cost_usd,
        })
    }
}

impl AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.attempts += other.attempts;
        self.worker_ms += other.worker_ms;
        if let Some(tokens) = other.tokens {
            self.tokens = Some(self.tokens.unwrap_or(0).saturating_add(tokens));
        }
        if let Some(cost) = other.cost_usd {
            // To a billionth of a dollar: sums of short decimals stay short.
            let sum = self.cost_usd.unwrap_or(0.0) + cost;
            self.cost_usd = Some((sum * 1e9).round() / 1e9);
        }
    }
}

/// Milliseconds as minutes.
pub fn minutes(ms: u64) -> f64 {
    ms as f64 / 60_000.0
}
