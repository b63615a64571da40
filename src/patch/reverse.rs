//! Reverses a patch: what it adds is removed, and the other way round.
//!
//! The result has no places yet: it must be fitted to the tree as it is now. Only a copy can't be reversed, because the patch
//! does not hold all lines of the file that it creates.

use super::change::{Change, Content, Kind};
use super::error::PatchError;
use super::hunk::{Hunk, Mark, Stated};
use super::limits::Limits;
use super::parsed::Patch;
use super::read::Binary;
use crate::model::one_line;
use std::collections::BTreeMap;

impl Patch {
    /// Parses the text of a patch that was applied: its lines have the encoding of their files.
    pub fn parse_applied(bytes: &[u8], limits: &Limits) -> Result<Self, PatchError> {
        if let Ok(text) = str::from_utf8(bytes) {
            return Self::parse(text, limits);
        }
        // Each byte as one character, and back; the names are quoted, so they are ASCII.
        let text: String = bytes.iter().copied().map(char::from).collect();
        let mut patch = Self::parse(&text, limits)?;
        for change in &mut patch.changes {
            let Content::Hunks(hunks) = &mut change.content else {
                continue;
            };
            for line in hunks.iter_mut().flat_map(|hunk| &mut hunk.lines) {
                let text = String::from_utf8_lossy(&line.text);
                let bytes = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?'));
                line.text = bytes.collect();
            }
        }
        Ok(patch)
    }

    /// The patch that takes this one back.
    ///
    /// # Errors
    /// The patch copies a file.
    pub fn reversed(self) -> Result<Self, PatchError> {
        let changes = self.changes.into_iter().rev().map(reverse_change);
        Ok(Self {
            changes: changes.collect::<Result<_, _>>()?,
            corrections: self.corrections,
            outcomes: BTreeMap::new(),
        })
    }
}

fn reverse_change(change: Change) -> Result<Change, PatchError> {
    let (kind, path) = match change.kind {
        Kind::Edit => (Kind::Edit, change.path),
        Kind::Add => (Kind::Delete, change.path),
        Kind::Delete => (Kind::Add, change.path),
        Kind::Rename { from } => (Kind::Rename { from: change.path }, from),
        Kind::Copy { .. } => {
            let path = one_line(&change.path);
            let message =
                format!("`{path}` is a copy, which can't be reversed; remove it yourself");
            return Err(PatchError::at(change.line, message));
        }
    };
    // An edit that keeps the mode names it only as the old one.
    let (old_mode, new_mode) = match (change.old_mode, change.new_mode) {
        (old, None) if kind != Kind::Add => (old, None),
        (old, new) => (new, old),
    };
    Ok(Change {
        kind,
        path,
        old_mode,
        new_mode,
        content: match change.content {
            Content::Hunks(hunks) => Content::Hunks(hunks.into_iter().map(reverse_hunk).collect()),
            Content::Binary(binary) => Content::Binary(reverse_binary(binary)),
        },
        line: change.line,
        is_whole: false,
    })
}

fn reverse_hunk(mut hunk: Hunk) -> Hunk {
    for line in &mut hunk.lines {
        line.mark = match line.mark {
            Mark::Same => Mark::Same,
            Mark::Removed => Mark::Added,
            Mark::Added => Mark::Removed,
        };
    }
    std::mem::swap(&mut hunk.old_start, &mut hunk.new_start);
    if let Stated::Line { is_insertion } = &mut hunk.stated {
        *is_insertion = !hunk.lines.iter().any(|line| line.mark != Mark::Added);
    }
    hunk
}

/// Without the reverse data, git takes the content from its objects if it has it, and refuses the patch otherwise.
fn reverse_binary(mut binary: Binary) -> Binary {
    binary.blocks.reverse();
    if let Some((old, new)) = binary.index.split_once("..") {
        let (new, mode) = new.split_once(' ').unwrap_or((new, ""));
        binary.index = format!("{new}..{old} {mode}").trim_end().to_owned();
    }
    binary
}
