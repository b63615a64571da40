//! What runs, and how many at once: selection from the plan and the one concurrency number.
//!
//! Pure: plan and wishes in, a choice out. Nothing here starts a process or changes a file.

mod concurrency;
mod early;
mod select;

pub use concurrency::Concurrency;
pub use select::{Deps, Selected, Selection, SkipReason, Skipped, Wish, select};
