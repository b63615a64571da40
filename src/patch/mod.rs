//! A diff as a model wrote it -> the changes it makes, and one text that git reads in only one way.
//!
//! Text -> sections (`read`, `envelope`) -> changes (`change`) -> checked against rules that need no tree (`rules`) ->
//! fitted to the tree (`fit`): every hunk placed (`place`), every result known (`compose`) -> text (`write`). What is applied
//! is that last text, never the model's: it has every header spelled out, every count right and the tree's own lines around
//! every change, so nothing is left for git to guess. Pure: it knows the tree only through [`Tree`], and applies nothing. What
//! it can't read or place without a guess it refuses, with the line and with what the file has there.

mod binary;
mod change;
mod compose;
mod envelope;
mod error;
mod fit;
mod forbidden;
mod ground;
mod hunk;
mod likeness;
mod limits;
mod line_ends;
mod lines;
mod link;
mod mended;
mod misfit;
mod name;
mod near;
mod parse;
mod parsed;
mod place;
#[cfg(test)]
mod placing;
#[cfg(test)]
mod properties;
mod read;
mod rules;
mod spelling;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use error::PatchError;
pub use forbidden::Forbidden;
pub use limits::{Limits, PATCH_BYTES_MAX};
pub use parsed::Patch;
pub use rules::Rules;
pub use tree::{Found, Outcome, Tree};
pub use write::Listed;
