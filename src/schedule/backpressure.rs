//! Backpressure: after a bad wave the next one runs at half the concurrency, until a wave is clean.
//!
//! The failure classes: a rejected answer, a timeout, workers that were started but not closed, and answers that break the
//! schema, even if a retry succeeded, because failures at full concurrency are likely to recur. Rate limits are not among them:
//! they have their own adaptation.

use std::fmt;

/// A failure of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An answer was refused.
    Reject,
    /// An attempt ran out of time.
    Timeout,
    /// Not every started worker has ended.
    LifecycleMismatch,
    /// An answer broke the schema.
    InvalidOutputSchema,
}

impl Cause {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Reject => "reject",
            Cause::Timeout => "timeout",
            Cause::LifecycleMismatch => "lifecycle_mismatch",
            Cause::InvalidOutputSchema => "invalid_output_schema",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The concurrency of the next wave: `full` after a clean wave, otherwise half of the `current` one, but at least 1.
pub fn next_concurrency(full: usize, current: usize, causes: &[Cause]) -> usize {
    match causes {
        [] => full,
        _ => (current / 2).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_waves_halve_down_to_one_and_a_clean_one_restores() {
        let bad = [Cause::Timeout];
        let mut numbers = vec![12];
        for causes in [&bad[..], &bad, &bad, &bad, &bad, &[], &bad] {
            numbers.push(next_concurrency(12, numbers[numbers.len() - 1], causes));
        }
        assert_eq!(numbers, [12, 6, 3, 1, 1, 1, 12, 6]);
    }
}
