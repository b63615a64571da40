//! Looking at what happened: folds over a ledger, turned into text. Nothing here decides anything, and nothing
//! is said that the ledger does not hold.

mod report;

pub use report::{Report, TaskReport};
