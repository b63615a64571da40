//! Selects the tasks to run, and computes the concurrency of a run.
//!
//! Pure: takes a plan and a request, returns a selection. Nothing here starts a process or changes a file.
//!
//! ```text
//! plan -> priority -> select (scopes, early) -> tasks to run
//! limits -> concurrency -> backpressure -> slots of the next wave
//! accepted patches -> integrations -> which are validated now, and which one is applied
//! several runs on one plan -> lease -> which of them works a task
//! ```

mod backpressure;
mod concurrency;
mod dispatch;
mod due;
mod early;
mod integrations;
mod lease;
mod priority;
mod scopes;
mod select;
mod skip_reason;
mod task_limit;

pub use backpressure::{Cause, next_concurrency};
pub use concurrency::{Concurrency, Limits};
pub use dispatch::Dispatch;
pub use due::DueTasks;
pub use integrations::{IntegrationQueue, must_validate_again};
pub use lease::{Heartbeat, LeaseState, Standing, TaskLease, Watched};
pub use priority::Priority;
pub use scopes::{item_reach, item_scope};
pub use select::{
    Deps, Selected, Selection, SelectionRequest, Skipped, read_task, select, select_due,
    select_longest_first,
};
pub use skip_reason::SkipReason;
pub use task_limit::{TaskArithmetic, TaskLimit, free_task_slots};
