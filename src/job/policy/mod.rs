//! When a row starts, waits, is retried or fails for good.
//!
//! ```text
//! slots -> shared_limits (budget, concurrency_control, breaker, service_wait) -> row -> backoff or halt
//! ```
//!
//! Pure decisions: the caller passes the time.

pub mod backoff;
mod breaker;
mod budget;
mod concurrency_control;
mod halt;
mod service_wait;
mod shared_limits;

pub use backoff::{Backoff, Delayed};
pub use breaker::{Admission, Shut};
pub use budget::{Budget, BudgetTracker, Reserve, Room, Spent};
pub use halt::{Halt, When};
pub use shared_limits::{Capacity, SharedLimits};
