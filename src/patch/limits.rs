//! How large a patch may be, and what kinds of change it may hold.

use serde::{Deserialize, Serialize};

/// What any patch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest patch, in bytes as the model wrote it.
    pub bytes_max: u64,
    /// Whether it may change binary files.
    pub allow_binary: bool,
}

/// The largest patch unless told otherwise: as much as a whole answer may have.
pub const PATCH_BYTES_MAX: u64 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: PATCH_BYTES_MAX,
            allow_binary: false,
        }
    }
}
