//! Budgets: the limits of a run, and whether another row fits. A row reserves an estimate before it starts, which its
//! actual usage replaces when it ends. Pure: knows sums, not rows.

use crate::model::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::ops::AddAssign;

/// The estimate for a row until one has ended: a short task of an agent.
pub const FIRST_ROW_TOKENS: u64 = 20_000;
/// The same in US dollars.
pub const FIRST_ROW_USD: f64 = 0.10;

/// The budget of a run; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// Tokens in both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Rows started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
}

impl Budget {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// This budget, with the limits of `other` where it has none.
    pub fn or(self, other: Self) -> Self {
        Self {
            max_cost_usd: self.max_cost_usd.or(other.max_cost_usd),
            max_tokens: self.max_tokens.or(other.max_tokens),
            max_rows: self.max_rows.or(other.max_rows),
        }
    }
}

/// The usage of a run so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Of all attempts that reported it.
    pub usage: Usage,
    /// The number of these attempts.
    pub attempts: u64,
    /// Rows started.
    pub rows: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.usage += other.usage;
        self.attempts += other.attempts;
        self.rows += other.rows;
    }
}

/// The estimate reserved for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reserve {
    tokens: u64,
    usd: f64,
    /// Whether the row is counted as started by this reservation.
    is_fresh: bool,
}

/// Whether a row may start.
#[derive(Clone, Debug, PartialEq)]
pub enum Room {
    /// It may, with this reservation.
    Yes(Reserve),
    /// Not now: reservations of running rows may be released.
    Wait,
    /// No: the budget's option and its value.
    Reached(&'static str, Number),
}

/// Tracks the budget of a run.
#[derive(Clone, Debug, Default)]
pub struct BudgetTracker {
    budget: Budget,
    spent: Spent,
    open: u64,
    reserved_tokens: u64,
    reserved_usd: f64,
}

impl BudgetTracker {
    /// A tracker for a run that has used `spent`.
    pub fn new(budget: Budget, spent: Spent) -> Self {
        Self {
            budget,
            spent,
            ..Self::default()
        }
    }

    /// The usage so far.
    pub fn spent(&self) -> Usage {
        self.spent.usage
    }

    /// Reserves room for a row; a fresh one has not been started before.
    pub fn reserve(&mut self, is_fresh: bool) -> Room {
        let reserve = self.estimate(is_fresh);
        if let Some(no) = self.refusal(&reserve) {
            return no;
        }
        self.open += 1;
        self.reserved_tokens += reserve.tokens;
        self.reserved_usd += reserve.usd;
        self.spent.rows += u64::from(is_fresh);
        Room::Yes(reserve)
    }

    /// The option without room for this many fresh rows at once, and its value.
    pub fn lacking(&self, rows: u64) -> Option<(&'static str, Number)> {
        let Budget {
            max_cost_usd,
            max_tokens,
            max_rows,
        } = self.budget;
        let each = self.estimate(true);
        let tokens = self.spent.usage.tokens() + self.reserved_tokens;
        let tokens = tokens.saturating_add(each.tokens.saturating_mul(rows));
        let usd = self.spent.usage.cost_usd.unwrap_or(0.0) + self.reserved_usd;
        let usd = usd + each.usd * rows as f64;
        if let Some(max) = max_rows.filter(|max| self.spent.rows + rows > *max) {
            return Some(("max_rows", max.into()));
        }
        if let Some(max) = max_tokens.filter(|max| tokens > *max) {
            return Some(("max_tokens", max.into()));
        }
        let max = max_cost_usd.filter(|max| usd > *max)?;
        Some(("max_cost_usd", number(max)))
    }

    /// Replaces a reservation by the usage of its attempt. `counts` is false if the attempt does not count, or never
    /// started.
    pub fn charge(&mut self, reserve: Reserve, usage: Option<Usage>, counts: bool) {
        self.release(reserve);
        self.spent.rows -= u64::from(reserve.is_fresh && !counts);
        if let Some(usage) = usage {
            self.spent.usage += usage;
            self.spent.attempts += 1;
        }
    }

    fn release(&mut self, reserve: Reserve) {
        self.open -= 1;
        self.reserved_tokens -= reserve.tokens;
        self.reserved_usd -= reserve.usd;
        if self.open == 0 {
            // The remainder is a rounding error.
            self.reserved_usd = 0.0;
        }
    }

    /// The mean of the attempts that reported their usage. Until there is one, a default, which a smaller budget caps
    /// so that one row can start.
    fn estimate(&self, is_fresh: bool) -> Reserve {
        let Spent {
            usage, attempts, ..
        } = self.spent;
        let Budget {
            max_cost_usd,
            max_tokens,
            ..
        } = self.budget;
        let has_mean = attempts > 0;
        let mean_usd = usage.cost_usd.map(|usd| usd / attempts.max(1) as f64);
        let first_tokens = FIRST_ROW_TOKENS.min(max_tokens.unwrap_or(u64::MAX));
        let first_usd = FIRST_ROW_USD.min(max_cost_usd.unwrap_or(f64::MAX));
        Reserve {
            tokens: if has_mean {
                usage.tokens() / attempts
            } else {
                first_tokens
            },
            usd: mean_usd.filter(|_| has_mean).unwrap_or(first_usd),
            is_fresh,
        }
    }

    fn refusal(&self, reserve: &Reserve) -> Option<Room> {
        let Budget {
            max_cost_usd,
            max_tokens,
            max_rows,
        } = self.budget;
        let no = |is_spent: bool, name, limit| match is_spent || self.open == 0 {
            true => Some(Room::Reached(name, limit)),
            false => Some(Room::Wait),
        };
        if let Some(max) = max_rows
            && reserve.is_fresh
            && self.spent.rows >= max
        {
            return no(false, "max_rows", max.into());
        }
        let tokens = self.spent.usage.tokens();
        if let Some(max) = max_tokens
            && tokens + self.reserved_tokens + reserve.tokens > max
        {
            return no(tokens >= max, "max_tokens", max.into());
        }
        let usd = self.spent.usage.cost_usd.unwrap_or(0.0);
        if let Some(max) = max_cost_usd
            && usd + self.reserved_usd + reserve.usd > max
        {
            return no(usd >= max, "max_cost_usd", number(max));
        }
        None
    }
}

fn number(usd: f64) -> Number {
    // The command line accepts nothing else.
    Number::from_f64(usd).unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests;
