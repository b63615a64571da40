//! What runs, and how many at once: selection from the plan and the one concurrency number.
//!
//! Pure: plan and wishes in, a choice out. Nothing here starts a process or changes a file.

mod backpressure;
mod concurrency;
mod dispatch;
mod early;
mod priority;
mod scopes;
mod select;
mod skip_reason;

pub use backpressure::{Cause, next_number};
pub use concurrency::{Concurrency, Limits};
pub use dispatch::Dispatch;
pub use priority::Priority;
pub use scopes::reach_of;
pub use select::{
    Deps, Selected, Selection, SelectionRequest, Skipped, read_task, select, select_longest_first,
    select_read,
};
pub use skip_reason::SkipReason;
