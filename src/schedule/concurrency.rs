//! The concurrency of a run.
//!
//! Computed once, in preflight, from all its limits, and then passed as a value into wave rows, call files, the pool and the
//! ledger. Nothing else reads a configuration for it. After a bad wave it is smaller for a while ([`super::backpressure`]).

use std::fmt;

/// Above this share of a budget, in percent, the concurrency is not reduced.
const PLENTY: f64 = 33.0;
/// At or below this share, one row runs at a time.
const SCARCE: f64 = 10.0;

/// How many rows may run at once. Created only by preflight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(usize);

/// The limits of the concurrency.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The limit set by the user.
    pub allowed: usize,
    /// The limit of the adapter.
    pub fanout: Option<usize>,
    /// The remaining budget of the agent's service, in percent, for each of its windows.
    pub remaining: [Option<f64>; 2],
    /// The most rows that can exist at once.
    pub rows: usize,
}

impl Concurrency {
    /// The smallest of all limits, and at least 1.
    ///
    /// A low budget reduces the limit: not above 33 %, to 1 at 10 % and below, linearly in between.
    pub fn preflight(limits: &Limits) -> Self {
        let allowed = limits.allowed.min(limits.fanout.unwrap_or(usize::MAX));
        let clamped = limits.remaining.into_iter().flatten();
        let clamped = clamped.map(|percent| clamp(allowed, percent)).min();
        Self(clamped.unwrap_or(allowed).min(limits.rows).max(1))
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

/// `allowed` under a budget of which `percent` is left.
fn clamp(allowed: usize, percent: f64) -> usize {
    if percent > PLENTY {
        return allowed;
    }
    let share = ((percent - SCARCE) / (PLENTY - SCARCE)).max(0.0);
    let more = allowed.saturating_sub(1) as f64 * share;
    1 + more.floor() as usize
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(allowed: usize, fanout: Option<usize>, rows: usize) -> usize {
        let limits = Limits {
            allowed,
            fanout,
            rows,
            ..Limits::default()
        };
        Concurrency::preflight(&limits).get()
    }

    #[test]
    fn the_smallest_bound_wins_and_there_is_always_one_slot() {
        assert_eq!(number(16, None, 5), 5);
        assert_eq!(number(16, Some(3), 5), 3);
        assert_eq!(number(2, Some(3), 5), 2);
        assert_eq!(number(16, None, 0), 1);
    }

    #[test]
    fn a_low_budget_reduces_the_concurrency() {
        let with = |five_hour, weekly| {
            let limits = Limits {
                allowed: 24,
                fanout: None,
                remaining: [five_hour, weekly],
                rows: 100,
            };
            Concurrency::preflight(&limits).get()
        };
        let cases = [100.0, 33.1, 33.0, 21.5, 11.0, 10.0, 9.0, 0.0];
        let numbers = cases.map(|percent| with(Some(percent), None));
        assert_eq!(numbers, [24, 24, 24, 12, 2, 1, 1, 1]);
        assert_eq!(with(Some(80.0), Some(21.5)), 12, "the scarcer one counts");
        assert_eq!(with(None, None), 24);
    }
}
