//! The copies of the repository that workers see. Never writes to the user's tree.

pub mod checkout;
mod error;
mod kept_copy;

pub use checkout::Fingerprint;
pub use error::SnapshotError;
pub use kept_copy::{refresh, remove};
