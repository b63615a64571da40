//! Runs rows as tasks of Slurm job arrays.
//!
//! ```text
//! run (the loop, owner of the state) -> array: sbatch, squeue, scancel
//!   <- import, slice_reader: what the tasks wrote to the files of their slices
//!   folder: what the tasks share
//!   losses: what follows when a task ended before its rows
//! ```
//!
//! Each task is `mesh wave exec` on a node. Nothing but the shared folder connects it with this process, so this process may
//! die and start again at any time: results are in the files of the slices, and arrays are found again by their name. Login
//! node and controller get one query every ten seconds, however many rows there are.

mod array;
mod error;
mod folder;
mod import;
mod losses;
mod run;
mod slice_reader;

pub use array::find;
pub use error::SlurmError;
pub use run::run;
