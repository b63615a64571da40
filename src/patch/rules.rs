//! The rules that every patch must obey, independent of the tree.

use super::binary::{Sizes, sizes};
use super::change::{Change, Content};
use super::error::PatchError;
use super::forbidden::{Forbidden, NAME_BYTES_MAX, PATH_BYTES_MAX};
use super::limits::Limits;
use super::read::Binary;
use super::spelling::{is_codex_plan, is_in_git_folder, lies_below};
use crate::model::one_line;
use crate::scope::Scope;

/// The rules for the paths of a patch.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// The task's globs, for the message.
    pub globs: &'r [String],
    /// The task's globs, compiled.
    pub scope: &'r Scope,
    /// Paths that may not be changed, nor anything below them; relative to the repository's root.
    pub reserved: &'r [(String, Forbidden)],
    /// Limits of every patch.
    pub limits: Limits,
}

impl Rules<'_> {
    /// Refuses a change that is not allowed.
    pub(super) fn check(&self, change: &Change) -> Result<(), PatchError> {
        for path in change.paths() {
            let why = forbidden_path(path).or_else(|| self.reserved(path));
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
        match self.check_binary(change) {
            Some(why) => Err(PatchError::forbidden(&change.path, why)),
            None => Ok(()),
        }
    }

    fn reserved(&self, path: &str) -> Option<Forbidden> {
        let mut reserved = self.reserved.iter();
        reserved
            .find(|(folder, _)| lies_below(path, folder))
            .map(|(_, why)| why.clone())
    }

    fn check_binary(&self, change: &Change) -> Option<Forbidden> {
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
        let declared = |block: &Vec<String>| {
            let size = block.first().and_then(|head| head.split_once(' '));
            one_line(size.map_or("", |(_, size)| size))
        };
        let too_large = |bytes: String| Some(Forbidden::BinaryTooLarge { bytes, bytes_max });
        for block in &binary.blocks {
            let Some(sizes) = sizes(block) else {
                let is_number = declared(block)
                    .parse::<u64>()
                    .is_ok_and(|size| size <= bytes_max);
                return match is_number {
                    true => Some(Forbidden::BinaryBroken),
                    false => too_large(declared(block)),
                };
            };
            if sizes.unpacked > bytes_max {
                return too_large(declared(block));
            }
            if growth(&sizes) > bytes_max {
                return too_large(sizes.result.to_string());
            }
        }
        None
    }

    /// Refuses binary contents that are too large together.
    pub(super) fn check_size(&self, changes: &[Change]) -> Result<(), PatchError> {
        let bytes_max = self.limits.bytes_max;
        let mut bytes = 0_u64;
        for change in changes {
            let Content::Binary(Binary { blocks, .. }) = &change.content else {
                continue;
            };
            let sizes = blocks.first().and_then(|block| sizes(block));
            bytes = bytes.saturating_add(sizes.map_or(0, |sizes| growth(&sizes)));
            if bytes > bytes_max {
                let bytes = format!("{bytes} (with those above it)");
                let why = Forbidden::BinaryTooLarge { bytes, bytes_max };
                return Err(PatchError::forbidden(&change.path, why));
            }
        }
        Ok(())
    }
}

/// The number of bytes by which a binary block enlarges the tree.
fn growth(sizes: &Sizes) -> u64 {
    sizes.result.saturating_sub(sizes.source)
}

fn forbidden_path(path: &str) -> Option<Forbidden> {
    let parts = || path.split('/');
    if path.starts_with('/') {
        Some(Forbidden::Absolute)
    } else if parts().any(|part| matches!(part, "" | "." | "..")) {
        Some(Forbidden::NotPlain)
    } else if path.chars().any(char::is_control) {
        Some(Forbidden::Control)
    } else if is_in_git_folder(path) {
        Some(Forbidden::Git)
    } else if path.chars().any(is_direction) {
        Some(Forbidden::Direction)
    } else if is_codex_plan(path) {
        Some(Forbidden::Plan)
    } else {
        too_long(path)
    }
}

/// Found here, and not by the one who writes the file when others are written already.
fn too_long(path: &str) -> Option<Forbidden> {
    let longest = path.split('/').map(str::len).max().unwrap_or_default();
    if longest > NAME_BYTES_MAX {
        return Some(Forbidden::LongName { bytes: longest });
    }
    let bytes = path.len();
    (bytes > PATH_BYTES_MAX).then_some(Forbidden::LongPath { bytes })
}

/// The characters with `Bidi_Control`.
fn is_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}
