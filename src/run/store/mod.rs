//! The files of a run: its folder, its state (folded from its ledger), and the tasks that it holds.

mod recorder;
mod run_folder;
mod state;
pub mod task_holds;
mod trash;
mod unit;
mod wave;

pub use recorder::Recorder;
pub use run_folder::{CancelRequest, RunFolder, home};
pub use state::State;
pub use task_holds::{TaskHolds, release_tasks};
pub use trash::empty_trash;
pub use unit::{ACCEPTED, REJECTED, Unit};
pub use wave::Wave;
