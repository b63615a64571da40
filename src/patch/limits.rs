//! Limits of every patch.

use serde::{Deserialize, Serialize};

/// Limits of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Size of the model's text, in bytes.
    pub bytes_max: u64,
    /// Whether it may change binary files.
    pub allow_binary: bool,
}

/// Default size limit of a patch: that of a whole answer.
pub const PATCH_BYTES_MAX: u64 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: PATCH_BYTES_MAX,
            allow_binary: false,
        }
    }
}
