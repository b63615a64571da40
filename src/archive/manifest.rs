//! What is in an archive.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The name of the manifest below the folder of the run.
pub const FILE_NAME: &str = "manifest.json";
/// Raised when an older reader would misread an archive.
pub const VERSION: u32 = 1;

/// The list of members.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub v: u32,
    /// The version of `mesh` that wrote it.
    pub mesh_version: String,
    /// The run.
    pub run_id: String,
    /// All files but the manifest, in the order of the archive.
    pub members: Vec<Member>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Below the folder of the run, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its hash, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Whether secrets were removed, so that it is not the file of the run any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

impl Manifest {
    /// The members from which secrets were removed.
    pub fn redacted(&self) -> BTreeSet<String> {
        let members = self.members.iter().filter(|member| member.redacted);
        members.map(|member| member.path.clone()).collect()
    }

    /// The bytes of all members.
    pub fn bytes(&self) -> u64 {
        self.members.iter().map(|member| member.bytes).sum()
    }
}
