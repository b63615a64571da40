//! Where rows run. `local` runs them as processes on this machine.

mod local;

pub use local::{Answer, Rank, Request, Slots, run, send};
