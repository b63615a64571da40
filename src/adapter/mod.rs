//! Adapters: from a name or a command line to the worker command of a job.
//!
//! The verbs of the seed's adapter contract, and what implements each:
//!
//! | verb | carried by |
//! | --- | --- |
//! | `fanout` | [`crate::executor::run`] over `Adapter::worker`, one process per row |
//! | `collect` | [`crate::verdict`] over what `AgentProtocol::read` makes of the process's output |
//! | `retry` | the job's `--retries`: a new process with the reason in its prompt |
//! | `follow_up` | a new process in the same session ([`crate::job::Call::session`]), where the agent keeps one |
//! | `close` | the end of the attempt: the process group is gone before the row counts |
//! | `capabilities` | `Adapter::capabilities` |
//!
//! An adapter never retries by itself and knows nothing of waves or plans. A program is described by data and pure
//! functions; the only process started here asks a program for its version ([`version`]).

mod agent;
mod capabilities;
mod claude;
mod codex;
mod command;
mod command_adapter;
mod config;
mod error;
mod gemini;
mod opencode;
mod price;
mod recorded_protocol;
mod registry;
pub mod replay;
mod select;
mod spec;
mod strict;
#[cfg(test)]
mod tests;
mod version;

pub use agent::REPORT_TOOL;
pub use capabilities::{Capabilities, SchemaBy};
pub use config::{AdapterConfig, Configured};
pub use error::AdapterError;
pub use price::Prices;
pub use recorded_protocol::{account, agent_and_model, agent_protocol, answer_settings};
pub(crate) use registry::agent_names;
pub use replay::WORKER_COMMAND;
pub use select::{Listed, default_name, list, select};
pub use spec::{Adapter, Choice, EXTERNAL, REPLAY};
pub use version::version;
