//! From a worker's output to a checked result.
//!
//! A worker's output is untrusted data: it becomes plain text ([`plain`]) without reasoning ([`reasoning`]), in which
//! the answer is found ([`extract`], with [`scan`] or [`prose`]); the answer is checked against the schema ([`schema`])
//! and, for rows of a wave, against its lane ([`lane`]). Nothing here writes or starts anything, or decides what runs
//! next.

pub mod extract;
mod fence;
pub mod lane;
mod near;
mod plain;
pub mod prose;
mod reasoning;
mod scan;
mod schema;

pub use extract::{NoAnswer, Object, PickRules, Picked, object};
pub use schema::{Schema, SchemaError, VIOLATIONS_MAX};
