//! The metadata of a task: the `mesh` block in the notes of its item.
//!
//! The block is fenced with the info string `mesh` and holds a YAML mapping. Notes that consist of that mapping are accepted
//! as well, and so are first-class `scope` and `validation` lists on an item without a block. The format is ours, so an
//! unknown key is an error: a misspelt `validaton` must not read as "no validation".
//!
//! Invariant: written notes read back as what was written, and a block that can't be read is never overwritten.
//!
//! ```text
//! notes -> fence (find the block) -> block -> yaml, shape (refuse) -> fields
//!      └──────────── notes.rs reads and writes ────────────────────────┘
//! ```

mod block;
mod error;
mod fence;
mod fields;
mod notes;
#[cfg(test)]
mod properties;
mod shape;
mod yaml;

pub use error::MetadataError;
pub use fields::{Metadata, SwarmOverrides};
pub use notes::{read, write, write_without_validation};

#[cfg(test)]
mod tests;
