//! The result of a row: from an ended process to a cell of the output CSV.
//!
//! ```text
//! attempt_end -> classify -> result_check -> cells -> output_csv -> placement
//! ```

mod attempt_end;
mod cells;
mod classify;
mod failure;
mod logs;
mod output_csv;
mod placement;
mod result_check;

pub use attempt_end::{Cause, Ended, Leaked};
pub use cells::{FormulaCells, NoProperties, ResultColumns};
pub use classify::Outcome;
pub(crate) use classify::{Rules, judge, judge_unstarted};
pub use failure::Failure;
pub use logs::Logs;
pub(crate) use logs::{LogEnd, LogFolder};
pub use output_csv::{COLUMNS as OUTPUT_COLUMNS, Summary, stage_csv, summarize, write_csv};
pub use placement::{Placed, Placement, fingerprint, place};
pub use result_check::ResultCheck;
