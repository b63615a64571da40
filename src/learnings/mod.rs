//! The `$learnings` store: what was learned from work, as JSON Lines in the repository.
//!
//! A [`Draft`] and its `Context` become a [`NewRecord`]; a [`Store`] appends it; [`recall`] ranks the `Record`s of a file for
//! similar work; [`view`] renders them. This module deliberately knows nothing of plans, runs and rounds, and not why a
//! learning is captured.
//!
//! Invariants:
//!
//! - The file only grows. No existing line is changed or removed, whatever its author or damage.
//! - A line is whole or, after a kill or on a full disk, torn; the next append starts a new line.
//! - An unreadable line is reported with its number and skipped.
//! - `draft`, `record`, `lines`, `recall` and `view` take and return values: no file, no clock, no git.
//!
//! ```text
//! draft + context -> store (append) -> file -> lines -> record (loose) -> recall -> view
//! ```

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
