//! Runs rows as processes on this machine.
//!
//! ```text
//! start: sets everything up
//! pool (the loop, owner of the state): row_queue -> active_rows -> task_queue -> worker_thread -> launcher -> attempt
//!   <- pool_event: report_socket, worker_thread
//! slots: shared by several jobs; slot_queue, which is pure: which of them is next
//! turn: what one turn of the loop records; completion: what follows from an attempt's end; early_end: when to stop
//! worker_registry, orphan_reaper: end what a killed run left running
//! ```
//!
//! Knows no schema and no retry rule of its own: both come from `job`.

mod active_rows;
mod attempt;
mod completion;
mod descriptors;
mod early_end;
mod enclosure;
mod heartbeat;
mod launcher;
mod orphan_reaper;
mod output_pipe;
mod pool;
mod pool_event;
mod report_socket;
mod row_queue;
mod slot_queue;
mod slots;
mod start;
mod task_queue;
mod turn;
mod worker_registry;
mod worker_thread;

pub(super) use early_end::EarlyEnd;
pub use report_socket::{Answer, Request, send};
pub use slot_queue::{Rank, SlotQueue};
pub(super) use slots::SharedSlots;
pub(super) use slots::SlotPermit;
pub use slots::{Share, Slots};
pub use start::run;
pub(super) use start::{end_orphans, shared_limits};
pub(super) use turn::Turn;
