//! The copies of the repository for workers. Never writes to the user's tree.
//!
//! ```text
//! user's tree -> kept_copy (copies what changed) -> copy of a wave
//!             -> checkout::Fingerprint (before and after a wave)
//! ```

pub mod checkout;
mod error;
mod kept_copy;

pub use checkout::Fingerprint;
pub use error::SnapshotError;
pub use kept_copy::{refresh, remove};
