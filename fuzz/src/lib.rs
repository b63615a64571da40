//! What each fuzz target checks: a reader of `mesh` against a reference that shares no code with it, or against what it promises of
//! any input.
//!
//! A target is one function `check`, which panics when a promise is broken. Inputs of several parts have them separated by the byte
//! 0xFF, which no UTF-8 text holds.

pub mod answers;
pub mod config;
pub mod csv;
pub mod diff;
pub mod diff_git;
pub mod ledger;
pub mod mcp;
pub mod notes;
pub mod plan;
pub mod protocol;
pub mod scope;
pub mod slices;

mod line_applier;
mod parts;
mod scratch;
