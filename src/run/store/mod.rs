//! The files of a run: its folder, its state (folded from its ledger), and the tasks that it holds.

mod recorder;
mod run_folder;
mod state;
pub mod task_holds;
mod trash;
mod wave;

pub use recorder::Recorder;
pub use run_folder::{CancelRequest, RunFolder, home};
pub use state::{State, Unit};
pub use task_holds::{TaskHolds, release_tasks};
pub use trash::empty_trash;
pub use wave::Wave;
