//! The concurrency number of a run, as its ledger has it: full, or reduced by [`backpressure`](crate::schedule::next_concurrency).

use super::state::State;
use super::wave::Wave;
use crate::model::Backpressure;
use crate::schedule::{Cause, next_concurrency};

impl State {
    /// How many rows of the next wave may run at once, of `full`.
    pub fn concurrency(&self, full: usize) -> usize {
        self.reduced_concurrency.unwrap_or(full)
    }

    /// The change of the concurrency number after a judged wave; `is_refused` is whether one of its answers was refused.
    ///
    /// A wave that was compiled under another number is no reason to change the current one.
    pub fn backpressure_after(
        &self,
        wave: &Wave,
        is_refused: bool,
        full: usize,
    ) -> Option<Backpressure> {
        let from = self.concurrency(full);
        let causes = causes(wave, is_refused);
        let to = next_concurrency(full, from, &causes);
        (wave.compiled.max_concurrency == from && to != from).then(|| Backpressure {
            wave: wave.compiled.wave,
            causes: causes.iter().map(ToString::to_string).collect(),
            from,
            to,
        })
    }
}

/// The failures of a wave.
fn causes(wave: &Wave, is_refused: bool) -> Vec<Cause> {
    let attempts = wave.job.attempts;
    let known = [
        (Cause::Reject, is_refused),
        (Cause::Timeout, wave.failures.contains("timeout")),
        (
            Cause::LifecycleMismatch,
            attempts.spawned != attempts.closed,
        ),
        (
            Cause::InvalidOutputSchema,
            wave.failures.contains("invalid_output_schema"),
        ),
    ];
    let there = known.into_iter().filter(|(_, is_there)| *is_there);
    there.map(|(cause, _)| cause).collect()
}
