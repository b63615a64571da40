//! What the kernel enforces a sandbox with.

use serde::{Deserialize, Serialize};

/// What the kernel enforces the sandbox with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// A user and mount namespace with read-only mounts (Linux).
    Namespace,
    /// Landlock rules (Linux 6.2 and later).
    Landlock,
    /// A profile of `sandbox-exec` (macOS).
    Seatbelt,
}

impl Mechanism {
    /// Those of this system, the stricter first.
    pub const HERE: &[Self] = if cfg!(target_os = "macos") {
        &[Self::Seatbelt]
    } else if cfg!(target_os = "linux") {
        &[Self::Namespace, Self::Landlock]
    } else {
        &[]
    };

    /// Its name, as in the ledger and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Landlock => "landlock",
            Self::Seatbelt => "seatbelt",
        }
    }
}
