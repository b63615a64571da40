//! Budgets: what a run may use up, and whether a further row still fits. Each row reserves an estimate before it starts
//! and gives it back when it ends, with what it really used in its place. Pure: it knows no rows, only sums.

use crate::model::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::ops::AddAssign;

/// What a row is taken to use until one has ended: a short task of an agent.
pub const FIRST_ROW_TOKENS: u64 = 20_000;
/// The same in US dollars.
pub const FIRST_ROW_USD: f64 = 0.10;

/// What may be used up; nothing is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// Tokens in both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Rows that are begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
}

impl Budget {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// This one where it says something, else `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            max_cost_usd: self.max_cost_usd.or(other.max_cost_usd),
            max_tokens: self.max_tokens.or(other.max_tokens),
            max_rows: self.max_rows.or(other.max_rows),
        }
    }
}

/// What was used up before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// By all attempts that said so.
    pub usage: Usage,
    /// How many those are.
    pub attempts: u64,
    /// Rows that were begun.
    pub rows: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.usage += other.usage;
        self.attempts += other.attempts;
        self.rows += other.rows;
    }
}

/// What a row may use, put aside for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reserve {
    tokens: u64,
    usd: f64,
    /// It is counted among the rows that were begun because of this.
    is_fresh: bool,
}

/// Whether a row may start.
#[derive(Clone, Debug, PartialEq)]
pub enum Room {
    /// It may, with so much put aside.
    Yes(Reserve),
    /// Not now: what is put aside for others may come back.
    Wait,
    /// No more: the option that says so, and its value.
    Reached(&'static str, Number),
}

/// The account of a run.
#[derive(Clone, Debug, Default)]
pub struct BudgetTracker {
    budget: Budget,
    spent: Spent,
    open: u64,
    reserved_tokens: u64,
    reserved_usd: f64,
}

impl BudgetTracker {
    /// An account with a history.
    pub fn new(budget: Budget, spent: Spent) -> Self {
        Self {
            budget,
            spent,
            ..Self::default()
        }
    }

    /// What was used up.
    pub fn spent(&self) -> Usage {
        self.spent.usage
    }

    /// Room for one more row; a fresh one was never begun before.
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

    /// The option that has no room for so many fresh rows at once, and its value.
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

    /// The row's attempt is over, and whether it counts as one: it may not have begun after all.
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
            // What is left is the rounding of many small sums.
            self.reserved_usd = 0.0;
        }
    }

    /// The mean of the attempts that said what they used. Until there is one, a default; one row may find out also with
    /// a budget that is smaller than that.
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
    // The command line takes nothing else.
    Number::from_f64(usd).unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(tokens: u64, usd: f64) -> Option<Usage> {
        Some(Usage {
            input_tokens: tokens,
            cached_input_tokens: 0,
            output_tokens: 0,
            cost_usd: Some(usd),
        })
    }

    fn purse(budget: Budget) -> BudgetTracker {
        BudgetTracker::new(budget, Spent::default())
    }

    fn yes(room: Room) -> Reserve {
        match room {
            Room::Yes(reserve) => reserve,
            no => panic!("{no:?}"),
        }
    }

    fn reached(room: Room) -> String {
        match room {
            Room::Reached(name, limit) => format!("{name}={limit}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_budget_always_has_room() {
        let mut tracker = purse(Budget::default());
        for _ in 0..1000 {
            yes(tracker.reserve(true));
        }
    }

    #[test]
    fn rows_are_counted_when_they_begin_and_not_again_when_they_are_retried() {
        let mut tracker = purse(Budget {
            max_rows: Some(2),
            ..Budget::default()
        });
        let first = yes(tracker.reserve(true));
        let second = yes(tracker.reserve(true));
        assert_eq!(tracker.reserve(true), Room::Wait);
        tracker.charge(first, None, true);
        let again = yes(tracker.reserve(false));
        tracker.charge(second, None, false);
        let third = yes(tracker.reserve(true));
        tracker.charge(again, None, true);
        tracker.charge(third, None, true);
        assert_eq!(reached(tracker.reserve(true)), "max_rows=2");
    }

    #[test]
    fn the_first_rows_reserve_a_default_and_later_ones_the_mean() {
        let mut tracker = purse(Budget {
            max_tokens: Some(50_000),
            ..Budget::default()
        });
        let (one, two) = (yes(tracker.reserve(true)), yes(tracker.reserve(true)));
        assert_eq!(tracker.reserve(true), Room::Wait, "three times 20,000");
        tracker.charge(one, used(1_000, 0.0), true);
        tracker.charge(two, used(3_000, 0.0), true);
        let open: Vec<Reserve> = (0..23).map(|_| yes(tracker.reserve(true))).collect();
        assert_eq!(
            tracker.reserve(true),
            Room::Wait,
            "4,000 and 23 times 2,000"
        );
        for reserve in open {
            tracker.charge(reserve, used(2_000, 0.0), true);
        }
        assert_eq!(reached(tracker.reserve(true)), "max_tokens=50000");
    }

    #[test]
    fn a_round_fits_as_a_whole_or_not_at_all() {
        let budget = Budget {
            max_tokens: Some(10_000),
            max_rows: Some(9),
            ..Budget::default()
        };
        let mut tracker = purse(budget);
        assert_eq!(tracker.lacking(1), None, "one row may find out");
        let first = yes(tracker.reserve(true));
        tracker.charge(first, used(2_000, 0.0), true);
        assert_eq!(tracker.lacking(4), None);
        let lacking = |rows| tracker.lacking(rows).map(|(name, _)| name);
        assert_eq!(lacking(5), Some("max_tokens"));
        assert_eq!(lacking(9), Some("max_rows"));
    }

    #[test]
    fn a_budget_that_is_used_up_is_reached_although_others_still_run() {
        let mut tracker = purse(Budget {
            max_cost_usd: Some(0.25),
            ..Budget::default()
        });
        let (one, two) = (yes(tracker.reserve(true)), yes(tracker.reserve(true)));
        assert_eq!(tracker.reserve(true), Room::Wait);
        tracker.charge(one, used(10, 0.3), true);
        assert_eq!(reached(tracker.reserve(true)), "max_cost_usd=0.25");
        tracker.charge(two, None, true);
        assert_eq!(tracker.spent().cost_usd, Some(0.3));
    }

    #[test]
    fn a_budget_below_the_first_estimate_lets_one_row_find_out_and_a_history_counts() {
        let budget = Budget {
            max_cost_usd: Some(0.05),
            ..Budget::default()
        };
        let mut small = purse(budget);
        let first = yes(small.reserve(true));
        assert_eq!(small.reserve(true), Room::Wait);
        small.charge(first, used(10, 0.03), true);
        assert_eq!(reached(small.reserve(true)), "max_cost_usd=0.05");
        let spent = Spent {
            usage: used(100, 0.02).expect("some"),
            attempts: 2,
            rows: 2,
        };
        let mut tracker = BudgetTracker::new(budget, spent);
        for _ in 0..3 {
            let reserve = yes(tracker.reserve(true));
            tracker.charge(reserve, used(50, 0.01), true);
        }
        assert_eq!(reached(tracker.reserve(true)), "max_cost_usd=0.05");
    }

    #[test]
    fn nothing_is_left_reserved_when_all_have_ended() {
        let mut tracker = purse(Budget::default());
        let open: Vec<Reserve> = (0..7).map(|_| yes(tracker.reserve(true))).collect();
        for reserve in open {
            tracker.charge(reserve, used(3, 0.1), true);
        }
        assert_eq!((tracker.reserved_tokens, tracker.reserved_usd), (0, 0.0));
    }
}
