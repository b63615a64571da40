//! Records events of a run: in the ledger first, then in the state.

use super::state::State;
use crate::job::Journal;
use crate::ledger::{Ledger, LedgerError, Lines};
use crate::model::Event;

/// The ledger and the state of a run, kept in step.
#[derive(Debug)]
pub struct Recorder {
    ledger: Ledger,
    state: State,
}

impl Recorder {
    /// A run whose ledger was folded into `state`.
    pub fn new(ledger: Ledger, state: State) -> Self {
        Self { ledger, state }
    }

    /// The state.
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
