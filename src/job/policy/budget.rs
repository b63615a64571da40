//! Budgets: the limits of a run, and whether another row fits. Each running row has room for an estimate,
//! which its actual usage replaces when it ends. Pure: knows sums, not rows.

use crate::model::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::ops::AddAssign;

/// The estimate for a row until one has ended: a short task of an agent.
pub const FIRST_ROW_TOKENS: u64 = 20_000;
/// The same in US dollars.
pub const FIRST_ROW_USD: f64 = 0.10;
/// What sums of costs may be too large by.
const ROUNDING_USD: f64 = 1e-9;

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

/// The room that a running row has: as much as is estimated of any row at the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
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
    /// Rows with a reservation.
    open: u64,
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

    /// Replaces the budget.
    pub fn set(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// The usage so far.
    pub fn spent(&self) -> Usage {
        self.spent.usage
    }

    /// Reserves room for a row; a fresh one has not been started before.
    pub fn reserve(&mut self, is_fresh: bool) -> Room {
        if let Some(no) = self.refusal(is_fresh) {
            return no;
        }
        self.open += 1;
        self.spent.rows += u64::from(is_fresh);
        Room::Yes(Reserve { is_fresh })
    }

    /// The option without room for this many fresh rows at once, and its value.
    pub fn lacking(&self, rows: u64) -> Option<(&'static str, Number)> {
        let Budget {
            max_cost_usd,
            max_tokens,
            max_rows,
        } = self.budget;
        let (tokens, usd) = self.expected(self.open + rows);
        if let Some(max) = max_rows.filter(|max| self.spent.rows + rows > *max) {
            return Some(("max_rows", max.into()));
        }
        if let Some(max) = max_tokens.filter(|max| tokens > *max) {
            return Some(("max_tokens", max.into()));
        }
        let max = max_cost_usd.filter(|max| usd > *max + ROUNDING_USD)?;
        Some(("max_cost_usd", number(max)))
    }

    /// Replaces a reservation by the usage of its attempt. `counts` is false if the attempt does not count, or never
    /// started.
    pub fn charge(&mut self, reserve: Reserve, usage: Option<Usage>, counts: bool) {
        self.open -= 1;
        self.spent.rows -= u64::from(reserve.is_fresh && !counts);
        if let Some(usage) = usage {
            self.spent.usage += usage;
            self.spent.attempts += 1;
        }
    }

    /// Tokens and US dollars in the end, if this many rows more use what is estimated: the mean of the attempts that reported their
    /// usage. Until there is one, a default, which a smaller budget caps so that one row can start.
    fn expected(&self, rows: u64) -> (u64, f64) {
        let Spent {
            usage, attempts, ..
        } = self.spent;
        let first_tokens = FIRST_ROW_TOKENS.min(self.budget.max_tokens.unwrap_or(u64::MAX));
        let first_usd = FIRST_ROW_USD.min(self.budget.max_cost_usd.unwrap_or(f64::MAX));
        let each_tokens = usage.tokens().checked_div(attempts);
        let mean_usd = usage.cost_usd.filter(|_| attempts > 0);
        let each_usd = mean_usd.map_or(first_usd, |usd| usd / attempts as f64);
        (
            usage
                .tokens()
                .saturating_add(each_tokens.unwrap_or(first_tokens).saturating_mul(rows)),
            usage.cost_usd.unwrap_or(0.0) + each_usd * rows as f64,
        )
    }

    fn refusal(&self, is_fresh: bool) -> Option<Room> {
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
            && is_fresh
            && self.spent.rows >= max
        {
            return no(false, "max_rows", max.into());
        }
        let (tokens, usd) = self.expected(self.open + 1);
        if let Some(max) = max_tokens
            && tokens > max
        {
            return no(self.spent.usage.tokens() >= max, "max_tokens", max.into());
        }
        if let Some(max) = max_cost_usd
            && usd > max + ROUNDING_USD
        {
            let spent = self.spent.usage.cost_usd.unwrap_or(0.0);
            return no(spent >= max, "max_cost_usd", number(max));
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
