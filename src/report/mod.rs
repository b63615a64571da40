//! Looking at what happened: folds over a ledger, turned into text. Nothing here decides anything, and nothing
//! is said that the ledger does not hold.

mod junit;
mod markdown;
mod plan_report;
mod rows;
mod text;

pub use plan_report::Report;
pub use rows::{AttemptStory, FailedRow, RowStory, failed_rows, row_story};
