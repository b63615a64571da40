//! Records events of a run: in the ledger first, then in the state.

use super::state::State;
use crate::job::Journal;
use crate::ledger::{Ledger, LedgerError, Lines};
use crate::model::Event;
use std::sync::OnceLock;

/// The ledger and the state of a run, kept in step.
#[derive(Debug)]
pub struct Recorder {
    ledger: Ledger,
    state: State,
    /// Opened when the first record is read again.
    reader: OnceLock<Lines>,
}

impl Recorder {
    /// A run whose ledger was folded into `state`.
    pub fn new(ledger: Ledger, state: State) -> Self {
        Self {
            ledger,
            state,
            reader: OnceLock::new(),
        }
    }

    /// The ledger, to read single records.
    pub fn reader(&self) -> Result<&Lines, LedgerError> {
        match self.reader.get() {
            Some(reader) => Ok(reader),
            None => {
                let lines = self.ledger.lines()?;
                Ok(self.reader.get_or_init(|| lines))
            }
        }
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
