//! The context of a call: everything that its steps share apart from the run, passed as one value.

use super::in_flight::WavesInFlight;
use super::integrations::Integrations;
use crate::job::{Journal, Stop, Urgency};
use crate::run::error::RunError;
use crate::run::store::Recorder;
use crate::run::watcher::Watcher;

/// The surroundings of a call. `'scope` is the lifetime of the wave threads, `'env` that of what they borrow.
pub(crate) struct Context<'scope, 'env> {
    /// Receives progress, messages and warnings.
    pub watcher: &'env mut dyn Watcher,
    /// The request to stop, if any.
    pub stop: &'env Stop,
    /// The waves whose rows run or have just ended.
    pub in_flight: WavesInFlight<'scope, 'env>,
    /// The accepted patches that are not applied yet.
    pub integrations: Integrations,
}

impl Context<'_, '_> {
    /// Whether the user or a limit asked the run to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.urgency() != Urgency::None
    }

    /// Whether patches are validated, and no wave is in flight.
    pub fn only_validates(&self) -> bool {
        self.in_flight.is_empty() && self.in_flight.is_validating()
    }

    /// Whether there is nothing to wait for: no wave, no validation and no result of one.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
            && !self.in_flight.is_validating()
            && !self.integrations.has_validated()
    }

    /// Runs `work` in a thread of its own and serves the wave threads until it returns.
    pub fn run_blocking<T: Send>(
        &mut self,
        recorder: &mut Recorder,
        work: impl FnOnce(&mut dyn Journal) -> Result<T, RunError> + Send,
    ) -> Result<T, RunError> {
        self.in_flight.run_blocking(recorder, self.watcher, work)
    }
}
