//! What no patch may do, whatever the tree looks like; and the words for everything that is refused about a path.

use super::change::{Change, Content};
use super::{Limits, PatchError};
use crate::model::one_line;
use crate::scope::Scope;

/// Why a path may not be touched, or not so. Reads on from "the patch touches `path`, which …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Begins at the root of the file system.
    #[error("is absolute; paths are relative to the repository's root")]
    Absolute,
    /// `..`, `.` or an empty part.
    #[error("is not a plain path below the repository's root")]
    NotPlain,
    /// Line ends, escapes, bells.
    #[error("holds control characters")]
    Control,
    /// `.git`, or what some file system takes for it.
    #[error("belongs to git")]
    Git,
    /// The plan file, or a folder that holds plans.
    #[error("belongs to the plan")]
    Plan,
    /// Where runs keep their files.
    #[error("belongs to the runs of `mesh`")]
    Artifacts,
    /// A link of the repository, or one that the patch itself makes.
    #[error("lies behind a symbolic link, `{link}`")]
    BehindLink {
        /// The link.
        link: String,
    },
    /// A link that the patch takes for a file.
    #[error(
        "is a symbolic link; the diff has to say so (`index … 120000`), or name the file behind it"
    )]
    IsLink,
    /// A link whose new content is not spelled out as one line.
    #[error("is a symbolic link, whose hunk has one `-` and one `+` line, both without a line end")]
    LinkContent,
    /// A link to somewhere else.
    #[error("would be a symbolic link to `{target}`, which {why}")]
    LinkTarget {
        /// Where it would point.
        target: String,
        /// What is wrong with that.
        why: &'static str,
    },
    /// From a file to a link or back.
    #[error("would change between file and symbolic link; delete the one and add the other")]
    ChangeOfType,
    /// Git would take it for a submodule, or find out only while it writes.
    #[error("is a folder, or something else that is no file")]
    NoFile,
    /// Git would find out only while it writes.
    #[error("lies below `{file}`, which is a file")]
    BelowFile {
        /// The file; of the tree, or of the patch.
        file: String,
    },
    /// Mode 160000, or an entry of that kind in the index.
    #[error("is a submodule; what it points to is not the task's to change")]
    Submodule,
    /// Below one.
    #[error("lies in `{submodule}`, which is a repository of its own")]
    InSubmodule {
        /// The submodule, or a repository that lies in this one.
        submodule: String,
    },
    /// Set-uid, group-writable, devices.
    #[error("would get mode {0}; only 100644, 100755 and 120000 are allowed")]
    Mode(String),
    /// Without leave.
    #[error("is binary; `--allow-binary` lets that through")]
    Binary,
    /// `Binary files a/x and b/x differ`
    #[error("is binary, and the diff does not hold what it becomes; `git diff --binary` does")]
    BinaryWithoutContent,
    /// Git takes binary content only with both full object ids.
    #[error(
        "is binary, and its `index` line does not hold two full object ids; `git diff --binary` writes them"
    )]
    BinaryWithoutIndex,
    /// A small patch may unpack to a large file.
    #[error("is binary and would unpack to {bytes} bytes; `--patch-bytes-max` allows {bytes_max}")]
    BinaryTooLarge {
        /// As the patch declares it.
        bytes: String,
        /// What is allowed.
        bytes_max: u64,
    },
}

/// What the paths of a patch are measured against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// The task's globs, for the message.
    pub globs: &'r [String],
    /// The task's globs, compiled.
    pub scope: &'r Scope,
    /// Paths that nobody may touch, nor anything below them, relative to the repository's root.
    pub reserved: &'r [(String, Forbidden)],
    /// What any patch may be.
    pub limits: Limits,
}

impl Rules<'_> {
    /// Refuses a change that is not allowed.
    pub(super) fn check(&self, change: &Change) -> Result<(), PatchError> {
        for path in change.paths() {
            let why = forbidden(path).or_else(|| self.reserved(path));
            if let Some(why) = why {
                return Err(PatchError::forbidden(path, why));
            }
            if !self.scope.covers(path) {
                return Err(PatchError::OutOfScope {
                    path: one_line(path),
                    scope: self.globs.to_vec(),
                });
            }
        }
        match self.about_binary(change) {
            Some(why) => Err(PatchError::forbidden(&change.path, why)),
            None => Ok(()),
        }
    }

    fn reserved(&self, path: &str) -> Option<Forbidden> {
        // Some file systems fold case; nobody needs a second `.Step` beside the plan's.
        let path = path.to_lowercase();
        let is_below = |folder: &str| {
            let rest = path.strip_prefix(&folder.to_lowercase());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut reserved = self.reserved.iter();
        reserved
            .find(|(folder, _)| is_below(folder))
            .map(|(_, why)| why.clone())
    }

    fn about_binary(&self, change: &Change) -> Option<Forbidden> {
        let Content::Binary(binary) = &change.content else {
            return None;
        };
        if !self.limits.allow_binary {
            return Some(Forbidden::Binary);
        }
        if binary.blocks.is_empty() {
            return Some(Forbidden::BinaryWithoutContent);
        }
        let is_id = |id: &str| {
            matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !binary
            .index
            .split_once("..")
            .is_some_and(|(old, new)| is_id(old) && is_id(new))
        {
            return Some(Forbidden::BinaryWithoutIndex);
        }
        let bytes_max = self.limits.bytes_max;
        let heads = binary
            .blocks
            .iter()
            .filter_map(|block| block.first()?.split_once(' '));
        heads
            .map(|(_, size)| size)
            .find(|size| !size.parse::<u64>().is_ok_and(|size| size <= bytes_max))
            .map(|size| Forbidden::BinaryTooLarge {
                bytes: one_line(size),
                bytes_max,
            })
    }
}

fn forbidden(path: &str) -> Option<Forbidden> {
    let parts = || path.split('/');
    if path.starts_with('/') {
        Some(Forbidden::Absolute)
    } else if parts().any(|part| matches!(part, "" | "." | "..")) {
        Some(Forbidden::NotPlain)
    } else if path.chars().any(char::is_control) {
        Some(Forbidden::Control)
    } else if is_in_git_folder(path) {
        Some(Forbidden::Git)
    } else if path.to_ascii_lowercase().starts_with(".codex/st-plan") {
        Some(Forbidden::Plan)
    } else {
        None
    }
}

/// Whether some file system would take a part of `path` for `.git`, as git itself asks before a checkout
/// (`verify_path`, with `core.protectHFS` and `core.protectNTFS`): any case; with code points that HFS+ ignores; as
/// `git~1`, with dots, blanks or a stream behind it, or between backslashes, as NTFS does.
pub(super) fn is_in_git_folder(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| {
        let seen: String = part.chars().filter(|c| !is_ignored_by_hfs(*c)).collect();
        let name = seen.split(':').next().unwrap_or_default();
        let name = name.trim_end_matches([' ', '.']);
        name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
    })
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(
        c,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}
