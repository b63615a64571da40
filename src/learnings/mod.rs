//! The `$learnings` store: what was learned while working, one JSON object a line, kept with the repository.
//!
//! A [`Draft`] and the `Context` it was captured in become a [`NewRecord`]; a [`Store`] appends it; [`recall`]
//! ranks the `Record`s of a file for somebody who begins something similar; [`view`] makes text of them. What this
//! module deliberately does not know: plans, runs, rounds, and why anybody captures a learning.
//!
//! Invariants:
//!
//! - The file only grows. No line that is in it is changed or removed, whoever wrote it and however
//!   damaged it is.
//! - A line is whole or, after a kill or a full disk, torn off; the next append begins a line of its own.
//! - What can't be read is named with its line and skipped; it stops nobody.
//! - `draft`, `record`, `lines`, `recall` and `view` take values and give values: no file, no clock, no git.

mod context;
mod draft;
mod error;
mod lines;
mod loose;
mod recall;
mod record;
mod store;
pub mod view;

pub use context::{FILE_NAME, Place};
pub use draft::{Draft, NewRecord};
pub use error::LearningsError;
pub use lines::{BadLine, Contents};
pub use recall::{Query, recall};
pub use store::{Duplicates, Outcome, Store};
