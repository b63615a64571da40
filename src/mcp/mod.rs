//! The Model Context Protocol: jobs and runs as tools and resources, over standard input and output.
//!
//! ```text
//! toolbox     what a server offers, without the protocol
//!   <- worker the tool that returns the result of one attempt (`mesh mcp --worker`)
//!   <- server the jobs, waves and runs of a folder (`mesh mcp`)
//! serve       a toolbox over the SDK; the only asynchronous code of the program
//! ```
//!
//! There is no logic here: the worker's tool sends the same report as `mesh report-result` to the same socket, and a job is
//! `mesh spawn` or `mesh run` in a process of its own.

mod serve;
mod server;
mod toolbox;
mod worker;

pub use serve::{serve, serve_on};
pub use server::{DETACHED, Root, Server, Settings};
pub use worker::{Identity, Worker};
