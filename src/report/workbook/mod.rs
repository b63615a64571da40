//! The workbook of a wave, an output or a run: every row, the failures, and for a plan its tasks, votes, waves and cost.
//!
//! ```text
//! view ─► survey (first pass: columns, sums) ─┐
//!      ─► results, waves (second pass) ───────┼─► sheet (value, text, style) ─► write ─► FILE.xlsx
//! State ─► tasks ─────────────────────────────┤
//! stats ─► figures, cost, summary ─────────────────────┘
//! ```
//!
//! Rows go to unnamed temporary files one at a time, so a million of them need little memory. Every text is a string cell: nothing
//! in a row becomes a formula, and nothing becomes a link because it looks like one. The file appears whole or not at all.

mod cost;
mod error;
mod figures;
mod place;
mod results;
mod sheet;
mod style;
mod summary;
mod survey;
mod tasks;
mod text;
mod value;
mod waves;
mod write;

pub use error::WorkbookError;
pub use write::{Written, write};
