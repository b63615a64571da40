//! The files of a run: its folder, its state (folded from its ledger), and the tasks that it holds; and what joined runs share:
//! leases, heartbeats, and the changes that they made.

mod answer_place;
mod backpressure;
mod heartbeat;
pub mod leases;
mod recorder;
mod run_folder;
mod state;
pub mod task_holds;
mod trash;
mod tree_changes;
mod unit;
mod unstarted;
mod wave;

pub use answer_place::{AnswerPlace, Reported};
pub use heartbeat::HeartbeatThread;
pub use leases::Leases;
pub use recorder::Recorder;
pub use run_folder::{CancelRequest, RunFolder, home};
pub use state::State;
pub use task_holds::{TaskHolds, release_tasks};
pub use trash::{discard_unstarted, empty_trash};
pub use tree_changes::TreeChanges;
pub use unit::{ACCEPTED, REJECTED, Unit};
pub use wave::Wave;
