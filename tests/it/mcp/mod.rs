//! `mesh mcp` as a client sees it: JSON lines on standard input and output of the real program.

mod client;
mod confinement;
mod jobs;
mod many_rows;
mod plan;
mod protocol;
mod tasks;

pub use client::Client;
