//! The one concurrency number of a run.
//!
//! Computed once, in preflight, from everything that bounds it; afterwards it is carried as a value into wave
//! rows, call files, the pool and the ledger. Nothing else may read a configuration for it.

use std::fmt;

/// How many rows may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(usize);

impl Concurrency {
    /// The smallest of: what the user allows, what the adapter can do, and what there is to run at most (the
    /// widest round times the tasks in flight). At least 1.
    pub fn preflight(allowed: usize, fanout: Option<usize>, widest: usize) -> Self {
        Self(allowed.min(fanout.unwrap_or(usize::MAX)).min(widest).max(1))
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_bound_wins_and_there_is_always_one_slot() {
        assert_eq!(Concurrency::preflight(16, None, 5).get(), 5);
        assert_eq!(Concurrency::preflight(16, Some(3), 5).get(), 3);
        assert_eq!(Concurrency::preflight(2, Some(3), 5).get(), 2);
        assert_eq!(Concurrency::preflight(16, None, 0).get(), 1);
    }
}
