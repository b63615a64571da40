//! What is in a bundle.

use crate::archive::entries::{Limits, is_plain};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the manifest.
pub const FILE_NAME: &str = "manifest.json";
/// Raised when an older reader would misread a bundle.
pub const VERSION: u32 = 1;
/// The longest target of a link, as the longest path of Linux.
const TARGET_BYTES_MAX: u64 = 4096;

/// The list of members.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleManifest {
    /// The version of the format.
    pub v: u32,
    /// The version of `mesh` that wrote it.
    pub mesh_version: String,
    /// All members but the manifest, in the order of the bundle.
    pub members: Vec<BundleMember>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A folder, which has no content.
    Folder,
    /// A file.
    File,
    /// A file that can be executed.
    Program,
    /// A symbolic link; its target is the content.
    Link,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleMember {
    /// Below the folder that is unpacked, with `/`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its size.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// Its hash, in lower-case hexadecimal digits; empty for a folder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// When it was written last, in whole seconds since 1970: git compares them with its index.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mtime: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A member that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A member, and what is wrong with it.
    Member(String, &'static str),
    /// The bundle has more than this.
    TooLarge(String),
}

impl BundleManifest {
    /// The bytes of all members; `u64::MAX` if the sum is larger.
    pub fn bytes(&self) -> u64 {
        let bytes = self.members.iter().map(|member| member.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    /// How many members are files or links.
    pub fn files(&self) -> u64 {
        let files = self.members.iter();
        files.filter(|member| member.kind != Kind::Folder).count() as u64
    }

    /// Checks sizes and names, before anything is written: each path is there once, and only folders have something below.
    pub fn check(&self, limits: Limits) -> Result<(), Fault> {
        if self.members.len() as u64 > limits.members {
            let max = crate::model::counted(limits.members, "member");
            return Err(Fault::TooLarge(max));
        }
        if self.bytes() > limits.bytes {
            return Err(Fault::TooLarge(format!("{} bytes", limits.bytes)));
        }
        let mut kinds = BTreeMap::new();
        for member in &self.members {
            let wrong = |why| Err(Fault::Member(member.path.clone(), why));
            if !is_plain(&member.path) || member.path == FILE_NAME {
                return wrong("its name is not one of a member");
            }
            if member.kind == Kind::Folder && member.bytes > 0 {
                return wrong("a folder has no content");
            }
            if member.kind == Kind::Link && member.bytes > TARGET_BYTES_MAX {
                return wrong("its target is too long");
            }
            if kinds.insert(member.path.as_str(), member.kind).is_some() {
                return wrong("it is there twice");
            }
        }
        for member in &self.members {
            let is_below = member.path.match_indices('/').any(|(at, _)| {
                kinds
                    .get(&member.path[..at])
                    .is_some_and(|kind| *kind != Kind::Folder)
            });
            if is_below {
                return Err(Fault::Member(
                    member.path.clone(),
                    "it is below a member that is no folder",
                ));
            }
        }
        Ok(())
    }

    /// The folders, those above others first.
    pub fn folders(&self) -> BTreeSet<&str> {
        let folders = self.members.iter();
        let folders = folders.filter(|member| member.kind == Kind::Folder);
        folders.map(|member| member.path.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(members: &[(&str, Kind, u64)]) -> Option<Fault> {
        let member = |(path, kind, bytes): &(&str, Kind, u64)| BundleMember {
            path: (*path).to_owned(),
            kind: *kind,
            bytes: *bytes,
            sha256: String::new(),
            mtime: 0,
        };
        let manifest = BundleManifest {
            v: VERSION,
            mesh_version: String::new(),
            members: members.iter().map(member).collect(),
        };
        let limits = Limits {
            bytes: 100,
            members: 3,
        };
        manifest.check(limits).err()
    }

    #[test]
    fn sizes_and_names_are_checked_before_anything_is_written() {
        use Kind::{File, Folder, Link};
        assert_eq!(fault_of(&[("a", Folder, 0), ("a/b", File, 100)]), None);
        assert_eq!(
            fault_of(&[("a", File, u64::MAX), ("b", File, 2)]),
            Some(Fault::TooLarge("100 bytes".to_owned()))
        );
        assert_eq!(
            fault_of(&[("a", File, 0); 4]),
            Some(Fault::TooLarge("3 members".to_owned()))
        );
        for name in ["/a", "../a", "a/../b", "a//b", "a/", "", "manifest.json"] {
            let fault = fault_of(&[(name, File, 0)]);
            assert!(matches!(fault, Some(Fault::Member(..))), "{name}");
        }
        for above in [File, Link] {
            let fault = fault_of(&[("a", above, 1), ("a/b", Folder, 0), ("a/b/c", File, 1)]);
            assert!(matches!(fault, Some(Fault::Member(path, _)) if path == "a/b"));
        }
        let twice = fault_of(&[("a", File, 0), ("a", Link, 0)]);
        assert_eq!(
            twice,
            Some(Fault::Member("a".to_owned(), "it is there twice"))
        );
    }
}
