//! Rows as processes of this machine.
//!
//!     pool (the loop: one owner of the state) -> slots -> worker_thread -> launcher -> attempt
//!       <- pool_event: report_socket, worker_thread
//!     completion decides what follows; orphan_reaper ends what a killed run left
//!
//! Knows no schema and no retry rule of its own: both come from `job`.

mod attempt;
mod completion;
mod descriptors;
mod launcher;
mod orphan_reaper;
mod pool;
mod pool_event;
mod report_socket;
mod slots;
mod worker_thread;

pub use pool::run;
pub use report_socket::{Answer, Request, send};
pub use slots::{Rank, Slots};
