//! Where the accepted answer of a row is in the ledger. The answers of all tasks may not fit into memory.

use crate::job::LedgerOffset;
use crate::ledger::{LedgerError, Lines};
use crate::protocol::Artifact;
use serde::Deserialize;
use serde_json::Value;

/// The record with an accepted answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerPlace {
    pub(super) place: LedgerOffset,
    pub(super) gist: Gist,
}

/// What decides about the next step of a unit, of the answer of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gist {
    agrees: bool,
    finds_nothing: bool,
}

impl Gist {
    pub fn of(answer: &Value) -> Self {
        Self {
            agrees: answer.agrees(),
            finds_nothing: answer.finds_nothing(),
        }
    }
}

impl Artifact for AnswerPlace {
    fn agrees(&self) -> bool {
        self.gist.agrees
    }

    fn finds_nothing(&self) -> bool {
        self.gist.finds_nothing
    }
}

impl AnswerPlace {
    /// Reads the answer.
    ///
    /// # Errors
    /// The ledger can't be read, or is not the one that the state was folded from.
    pub fn read(self, lines: &Lines) -> Result<Value, LedgerError> {
        Ok(Reported::read(self.place, lines)?.result)
    }
}

/// The fields of `attempt_reported` that are an answer.
#[derive(Deserialize)]
pub struct Reported {
    /// The answer.
    pub result: Value,
    /// Names of the secrets that were redacted in it.
    #[serde(default)]
    pub redacted: Vec<String>,
}

impl Reported {
    pub(super) fn read(place: LedgerOffset, lines: &Lines) -> Result<Self, LedgerError> {
        let line = lines.line_at(place.get())?;
        serde_json::from_str(&line).map_err(|error| lines.invalid_record(place.get(), &error))
    }
}
