//! A plan run, one command at a time: `mesh wave next` hands out waves, `mesh collect` takes answers in, `mesh integrate` applies one.

mod answers;
mod awaited;
mod import;
mod steps;
mod unknown_files;

pub use import::{Collect, Collected, CollectedWave, WaitingWave};
pub use steps::NextWaves;
