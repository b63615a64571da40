//! Backpressure: after a bad wave the next one runs at half the concurrency, until a wave is clean.
//!
//! The failure classes are those of the guardrail: a rejected answer, a time-out, workers that were started and not closed, and
//! answers that break the schema, also where a further attempt mended it: what goes wrong at full width is likely to
//! go wrong again. Rate limits are none of them: they have their own adaptation.

use std::fmt;

/// What was wrong with a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An answer was refused.
    Reject,
    /// An attempt ran out of time.
    Timeout,
    /// Not every worker that was started is gone.
    LifecycleMismatch,
    /// An answer broke the schema.
    InvalidOutputSchema,
}

impl Cause {
    /// The class, as the ledger has it.
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

/// The number of the next wave: `full` after a clean one, else half of the `present` one, and at least 1.
pub fn next_number(full: usize, present: usize, causes: &[Cause]) -> usize {
    match causes {
        [] => full,
        _ => (present / 2).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_down_to_one_and_is_whole_again_after_a_clean_wave() {
        let bad = [Cause::Timeout];
        let mut numbers = vec![12];
        for causes in [&bad[..], &bad, &bad, &bad, &bad, &[], &bad] {
            numbers.push(next_number(12, numbers[numbers.len() - 1], causes));
        }
        assert_eq!(numbers, [12, 6, 3, 1, 1, 1, 12, 6]);
    }
}
