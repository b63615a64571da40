//! Reports: folds over a ledger, as text, JSON, JUnit XML and Markdown. Decides nothing, and reports only what the ledger has.
//!
//! ```text
//! ledger -> State -> plan_report -> text, junit, markdown
//!        -> rows (one row, or all failed ones)
//!        -> page (one HTML file), live (the same, served), picture (SVG), otel (a trace)
//! ledgers -> stats (figures over several runs)
//! wave, output or run -> view (every row, its columns, conditions and sums) -> workbook
//! ```

mod candidates;
pub mod grid;
mod job_junit;
mod job_markdown;
mod junit;
pub mod live;
mod log_tail;
mod markdown;
pub mod otel;
pub mod page;
pub mod picture;
mod plan_report;
mod row_detail;
mod rows;
pub mod run_summary;
pub mod stats;
mod text;
pub mod view;
pub mod workbook;

pub use job_junit::{junit_of_plan, write_junit};
pub use job_markdown::job_markdown;
pub use log_tail::tail;
pub use plan_report::{AuditOutcome, Report};
pub use row_detail::{RowDetail, RowError};
pub use rows::{AttemptHistory, FailedRow, FailedRows, RowHistory, read_row_history};
