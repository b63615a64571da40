//! Bytes -> Report -> Verdict.
//!
//! What a worker hands back is data from a stranger: it is found in its output ([`extract`], [`prose`]),
//! checked against the schema ([`schema`]) and, for rows of a wave, against its lane
//! ([`lane`]). Nothing here writes anything, starts anything or decides what runs next.

pub mod extract;
pub mod lane;
pub mod prose;
pub mod schema;
