//! The Model Context Protocol: calls of this library as tools, over standard input and output.
//!
//! Messages are JSON-RPC 2.0, one per line ([`rpc`]). The worker's side is one tool that returns the result of one
//! attempt ([`worker`]). It has no logic of its own: it sends the same report as `mesh report-result` to the same
//! socket.
//!
//! Not built on an SDK: four methods without concurrency are needed, and the SDK adds an asynchronous runtime to every
//! build.

pub mod rpc;
mod worker;

pub use worker::{Identity, Worker};
