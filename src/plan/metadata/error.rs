//! Why an item has no usable metadata, with a hint.

use thiserror::Error;

use super::fields::{KEYS, Metadata, SWARM_KEYS};
use crate::plan::id::ItemId;

/// Why an item has no usable metadata. Lines are counted from 1 within the notes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Neither a block nor first-class fields.
    #[error("item `{item}` has no `mesh` block in its notes")]
    Missing {
        /// The item.
        item: ItemId,
    },
    /// A required key is missing or has no value, or the scope is empty.
    #[error(
        "item `{item}`: the `mesh` block lacks {}; it opens at line {line} of the notes",
        list_keys(keys)
    )]
    Incomplete {
        /// The item.
        item: ItemId,
        /// The line of the opening fence.
        line: usize,
        /// The missing keys.
        keys: Vec<&'static str>,
        /// The metadata that it has; a missing key is empty.
        given: Box<Metadata>,
    },
    /// The block is not valid YAML, or a value has the wrong type.
    #[error("item `{item}`: the `mesh` block is broken at line {line} of the notes: {message}")]
    Broken {
        /// The item.
        item: ItemId,
        /// The line.
        line: usize,
        /// What is wrong.
        message: String,
        /// How to correct it.
        hint: Option<&'static str>,
    },
    /// An unknown key.
    #[error("item `{item}`: unknown key `{key}` in the `mesh` block at line {line} of the notes")]
    UnknownKey {
        /// The item.
        item: ItemId,
        /// The key; `swarm.…` for one in `swarm`.
        key: String,
        /// The line.
        line: usize,
    },
    /// A first-class field of the item is not a list of texts.
    #[error("item `{item}`: its field `{field}` is not a list of texts that are not empty")]
    BrokenField {
        /// The item.
        item: ItemId,
        /// The field.
        field: &'static str,
    },
    /// The block has no closing fence.
    #[error("item `{item}`: the `mesh` block that opens at line {line} of the notes is not closed")]
    Unclosed {
        /// The item.
        item: ItemId,
        /// The line of the opening fence.
        line: usize,
    },
    /// More than one block.
    #[error("item `{item}` has {} `mesh` blocks in its notes, at lines {}", lines.len(), first_few(lines))]
    Several {
        /// The item.
        item: ItemId,
        /// The lines of the opening fences.
        lines: Vec<usize>,
    },
    /// The block is larger than [`BLOCK_BYTES_MAX`](super::block::BLOCK_BYTES_MAX).
    #[error(
        "item `{item}`: the `mesh` block that opens at line {line} of the notes is larger than {bytes_max} bytes"
    )]
    TooLarge {
        /// The item.
        item: ItemId,
        /// The line of the opening fence.
        line: usize,
        /// The bound.
        bytes_max: usize,
    },
}

/// How many of several blocks a message names.
const LINES_NAMED_MAX: usize = 5;

impl MetadataError {
    /// How to correct it.
    pub fn hint(&self) -> Option<String> {
        let set_notes = |item: &ItemId| format!("mesh st set-notes --id {item} --notes …");
        Some(match self {
            MetadataError::Missing { item } => {
                format!(
                    "run: {} with a ```mesh block that gives scope, acceptance and validation",
                    set_notes(item)
                )
            }
            MetadataError::Incomplete { item, keys, .. } => {
                format!("add {} with: {}", list_keys(keys), set_notes(item))
            }
            MetadataError::Broken { hint, .. } => (*hint)?.to_owned(),
            MetadataError::UnknownKey { key, .. } if key.starts_with("swarm.") => {
                format!("known keys of `swarm`: {}", SWARM_KEYS.join(", "))
            }
            MetadataError::UnknownKey { .. } => format!("known keys: {}", KEYS.join(", ")),
            MetadataError::BrokenField { .. } => {
                "correct it, or add a ```mesh block to the notes, which takes precedence".to_owned()
            }
            MetadataError::Unclosed { .. } => {
                "close it with a line that holds only the fence".to_owned()
            }
            MetadataError::Several { .. } => {
                "keep one of them; an example goes inside a longer fence".to_owned()
            }
            MetadataError::TooLarge { .. } => "move other text out of the block".to_owned(),
        })
    }

    /// Whether the metadata is missing or incomplete, not wrong, so that a hydration round can supply it.
    pub fn needs_hydration(&self) -> bool {
        matches!(
            self,
            MetadataError::Missing { .. } | MetadataError::Incomplete { .. }
        )
    }
}

fn list_keys(keys: &[&str]) -> String {
    keys.iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn first_few(lines: &[usize]) -> String {
    let named = lines.iter().take(LINES_NAMED_MAX).map(usize::to_string);
    let rest = (lines.len() > LINES_NAMED_MAX).then(|| "…".to_owned());
    named.chain(rest).collect::<Vec<_>>().join(", ")
}
