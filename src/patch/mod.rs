//! Parses a diff as a model wrote it, checks it, and rewrites it so that git can read it in only one way.
//!
//! ```text
//! text of an answer
//!   │ `read`, `envelope`, `hunk`, `name`    sections, one for each file header
//!   │ `change`                              changes, one for each path
//!   │ `rules`, `spelling`, `binary`         checks that need no tree
//!   │ `path_check`, `link`                  no path leads through a link, a submodule or a file
//!   │ `fit`: `place`, `line_ends`           every hunk has one place in its file
//!   │ `compose`                             the result of every file, and hunks with the tree's own lines
//!   ▼ `write`                               the text that git applies
//! any doubt ──▶ `PatchError`, with the line of the patch and what the file has there (`misfit`, `likeness`)
//! ```
//!
//! The text of the model itself is never applied. The rewritten text has complete headers, right counts and the tree's
//! own lines around every change, so that git has nothing to guess. `diff` is the other way round: it shows two contents as
//! a diff for people. `reverse` turns a patch round, to take it back. The code is pure: it knows the tree only through
//! [`Tree`], and applies nothing.

mod binary;
mod change;
mod compose;
mod correction;
mod diff;
mod envelope;
mod error;
mod fit;
mod forbidden;
mod hunk;
mod likeness;
mod limits;
mod line_ends;
mod lines;
mod link;
mod misfit;
mod name;
mod near;
mod parse;
mod parsed;
mod path_check;
mod place;
mod read;
mod result;
mod reverse;
mod rules;
mod spelling;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use diff::{Diff, DiffSide};
pub use error::PatchError;
pub use forbidden::Forbidden;
pub use limits::{Limits, PATCH_BYTES_MAX};
pub use parsed::Patch;
pub use rules::Rules;
pub use tree::{Outcome, Tree, TreeEntry};
pub use write::ChangeList;
