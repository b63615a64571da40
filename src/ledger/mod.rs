//! The append-only JSON Lines file that is the only durable truth of a run.
//!
//! One JSON object a line: `{"v":1,"seq":1,"ts":"2026-02-13T01:55:00.000Z","event":"…", …}`. The ledger does not know what
//! an event means; folds do. Invariants: one writer at a time (an exclusive `flock`), `seq` rises by one, and a line is
//! either whole or cut off at the next open.
//!
//! ```text
//! events -> writer -> file -> scan (record by record) -> folds
//!                          └> lines (single lines, by offset)
//! ```

mod error;
mod lines;
mod record;
mod scan;
mod writer;

pub use error::LedgerError;
pub(crate) use error::io_error as unreadable;
pub use lines::Lines;
pub use record::{Record, VERSION};
pub use scan::{Contents, Tail, first, is_in_use, read, scan, scan_from};
pub use writer::Ledger;

#[cfg(test)]
mod tests;
