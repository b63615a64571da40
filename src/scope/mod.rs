//! The scope of a task: the globs of the paths that it may change, and whether two scopes overlap.
//!
//! Globs match whole paths relative to the repository's root; `*` and `?` stay within one folder, `**` crosses
//! folders, `dir/` stands for everything below. Overlap is decided on the globs, not on existing files, and
//! conservatively: scopes are disjoint only if they provably match no common path.
//!
//! [`Scope`] matches paths and is compiled for the tasks that run. [`Reach`] compares two scopes, and is cheap enough for
//! every task of a plan. Both are built from the same normal form of the globs.

mod claims;
mod covered;
mod globs;
mod index;
mod pattern;
mod program;
#[cfg(test)]
mod properties;
mod reach;
mod shared;
#[cfg(test)]
mod tests;

pub use claims::Claims;
pub use covered::Scope;
pub use globs::ScopeError;
pub use reach::Reach;
pub use shared::SHARED_PATHS;
