//! The `$st` plan: reads it, checks it, and changes it under one lock.
//!
//! A plan file is JSON Lines. Its records fold into a list of [`Item`]s ([`Plan`]); a [`Store`] reads that fold and rewrites
//! the file atomically; [`view`] and [`mirror`] render a plan as text; [`metadata`] reads the `mesh` block in an item's notes.
//! This module deliberately knows nothing of waves, workers and rounds, and not why an item is changed.
//!
//! Invariants:
//!
//! - A state that breaks a rule of [`Plan::check`] is never written, and [`Store::read`] never returns one. (Whether several
//!   items may be in progress is the caller's policy: [`Plan::check_single_in_progress`].)
//! - All changes of one [`Store::mutate`] reach the disk in one rename, or not at all.
//! - Other programs write the file as well: unknown fields of records, items, dependencies and comments survive every
//!   rewrite, in their order.
//! - Nothing recurses over the plan's graph, so a long dependency chain costs memory but no stack.
//!
//! ```text
//! file -> lines -> record -> fold (sequence) -> state (items, rules) -> view, mirror, snapshot
//!                    └> histories (ancestor) -> merge ──┘
//! ```

mod actor;
mod ancestor;
mod cache;
mod error;
mod file;
mod fold;
mod foreign;
mod histories;
mod id;
mod item;
mod json;
mod lines;
mod link;
mod lock;
mod merge;
#[cfg(test)]
mod merge_properties;
pub mod metadata;
pub mod mirror;
#[cfg(test)]
mod properties;
mod record;
mod resolve;
mod rules;
mod sequence;
pub mod snapshot;
mod state;
mod status;
mod store;
pub mod view;

pub use actor::comment_author;
pub use error::PlanError;
pub use histories::Origin;
pub use id::ItemId;
pub use item::Item;
pub use link::{Comment, Dep};
pub use lock::check_lock_ignored;
pub use merge::Conflict;
pub use metadata::{Metadata, MetadataError, SwarmOverrides};
pub use resolve::{PLAN_FILE_CODEX, PLAN_FILE_DEFAULT, ResolveError, resolve};
pub use state::{NewItem, Plan};
pub use status::{DepState, Status};
pub use store::{InitOutcome, MutateOptions, OnConflict, Store};
