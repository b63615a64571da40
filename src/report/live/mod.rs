//! The page of a run, followed live: a server for this machine that only reads.
//!
//! ```text
//! GET /TOKEN/                 the runs
//! GET /TOKEN/run/ID/          the page of a run
//! GET /TOKEN/run/ID/events    server-sent events: view, rows, end
//! GET /TOKEN/run/ID/row       ?wave=N&id=ROW, the row with its long texts
//! GET /TOKEN/run/ID/task      ?id=TASK, likewise
//! ```
//!
//! A request is answered only if it has the token and names this server as its host; so no page of another site, and no name that
//! resolves to this machine, can read a run. Stopping the server, or a browser, changes nothing for the run.

mod feed;
mod pages;
mod request;
mod server;

pub use server::{ListenError, Server};
