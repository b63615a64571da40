//! Model Context Protocol: calls of this library behind tools, over standard input and output.
//!
//! Messages are JSON-RPC 2.0, one a line ([`rpc`]). So far there is the worker's side: one tool that hands back the result of
//! one attempt ([`worker`]). It holds no logic: the same report as `mesh report-result` goes over the same channel.
//!
//! Written out rather than taken from an SDK: what is needed of the protocol is four methods without concurrency, and the
//! SDK brings an asynchronous runtime into every build.

pub mod rpc;
mod worker;

pub use worker::{Identity, Worker};
