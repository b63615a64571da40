//! A job on a Slurm cluster that is made up, under a virtual clock: how long it takes, and what failing nodes cost.
//!
//! Slices, arrays, questions and the handling of lost tasks are those of a real run ([`Slicing`](crate::executor::slices::Slicing),
//! `slice_queue`, `losses`); only nodes, rows and the controller are made up. Pure: the same setup gives the same outcome.
//!
//! The model: a node runs one task at a time. The controller starts tasks in the order of their submission, so many each second,
//! and shows a failed node's task as `NODE_FAIL` five minutes after the failure; it does not requeue it. The node is back ten
//! minutes after the failure. A controller forgets ended tasks after five minutes. No row fails, and `mesh` is not killed.

mod cluster;
mod outcome;
mod random;
mod setup;

pub use outcome::Outcome;
pub use setup::Setup;
