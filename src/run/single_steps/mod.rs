//! A plan run, one command at a time, with an external runner.
//!
//! ```text
//! steps    mesh wave next, mesh integrate
//! import   mesh collect: answers, slice_answers -> imported_answers -> awaited (compare with the wave) -> imported_row (events) -> verdicts
//! ```

mod answers;
mod awaited;
mod import;
mod imported_answers;
mod imported_row;
mod slice_answers;
mod steps;
mod unknown_files;

pub use import::{Collect, Collected, CollectedWave, WaitingWave};
pub use imported_answers::IgnoredCopy;
pub use steps::NextWaves;
