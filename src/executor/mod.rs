//! Where rows run. `local` runs them as processes on this machine; `slices` divides a job among processes on many.

mod local;
pub mod slices;

pub use local::{Answer, Rank, Request, Slots, run, send};
