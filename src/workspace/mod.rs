//! The copies of the repository that workers see. Writes nothing into the user's tree.

pub mod checkout;
mod error;
mod kept_copy;

pub use checkout::Fingerprint;
pub use error::SnapshotError;
pub use kept_copy::{refresh, remove};
