//! Runs rows as tasks of Slurm job arrays.
//!
//! ```text
//! run (the loop, owner of the state) -> array: sbatch, squeue, scancel; tasks: what squeue lists
//!   <- import, slice_reader: what the tasks wrote to the files of their slices
//!   folder: what the tasks share
//!   slice_queue (pure): which slices are submitted; losses: what follows when a task ended before its rows
//!   holds: why tasks wait
//! simulation (pure): the same decisions under a virtual clock, on a cluster that is made up
//! ```
//!
//! Each task is `mesh wave exec` on a node. Nothing but the shared folder connects it with this process, so this process may
//! die and start again at any time: results are in the files of the slices, and arrays are found again by their name. Login
//! node and controller get one query every ten seconds, however many rows there are.

mod array;
mod error;
mod folder;
mod holds;
mod import;
mod losses;
mod run;
mod simulation;
mod slice_queue;
mod slice_reader;
mod tasks;

pub use array::find;
pub use error::SlurmError;
pub use run::run;
pub use simulation::{Outcome, Setup};
