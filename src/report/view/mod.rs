//! The one typed view of a wave, an output or a run that every report stands on. Reads files, decides nothing.
//!
//! ```text
//! source ─┬─► run_rows    ledger (measures), wave CSVs, input copy ─┐
//!         └─► table_rows  wave CSV or output CSV                    ├─► row ─► column ─► cell ─► condition, table, diff
//!                                                                   └─► totals
//! ledger ─► history   attempts, integrations and marks, as they end
//! ```
//!
//! Rows are visited one at a time, in the order of the waves or the input, so a million of them need no more memory than their
//! measures: 48 bytes each. A run may be going on, may have died, or may come from another machine: only its folder is read.

mod cell;
mod column;
mod condition;
mod error;
mod history;
mod measures;
mod needs;
mod role_workers;
mod row;
mod run_rows;
mod run_status;
mod source;
mod table_rows;
mod totals;

pub use cell::Cell;
pub use column::Column;
pub use condition::Condition;
pub use error::ViewError;
pub use history::{Attempt, History, Integration, Mark, Moment, WaveSpan, concurrency};
pub use needs::Needs;
pub use role_workers::role_workers;
pub use row::{Headline, ViewRow};
pub use run_rows::RunView;
pub use run_status::{NOT_ENDED, RUNNING, WAITING, run_status};
pub use source::Source;
pub use table_rows::{TableKind, TableView};
pub use totals::Totals;
