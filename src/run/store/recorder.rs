//! The one way an event gets into a run: into the ledger first, then into the state.

use super::state::State;
use crate::job::Journal;
use crate::ledger::{Ledger, LedgerError, Lines};
use crate::model::Event;

/// Ledger and state of a run, always in step.
#[derive(Debug)]
pub struct Recorder {
    ledger: Ledger,
    state: State,
}

impl Recorder {
    /// A run whose ledger holds what `state` was folded from.
    pub fn new(ledger: Ledger, state: State) -> Self {
        Self { ledger, state }
    }

    /// What is known.
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl Journal for Recorder {
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        let places = self.ledger.write(events)?;
        for (event, place) in events.iter().zip(&places) {
            self.state.apply(event, *place);
        }
        Ok(places)
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.ledger.sync()
    }

    fn lines(&self) -> Result<Lines, LedgerError> {
        self.ledger.lines()
    }
}
