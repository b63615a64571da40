//! A run as a trace of OpenTelemetry: one `ExportTraceServiceRequest` in the JSON encoding of OTLP, which collectors and viewers
//! read.
//!
//! ```text
//! run ─┬─ wave ── row ── attempt   invoke_agent, with the attributes of the semantic conventions for generative AI
//!      ├─ integration
//!      └─ validation
//! ```
//!
//! Spans are written as the ledger is read, so the number of rows does not decide how much memory is used. Ids are derived from the
//! id of the run and the names of its parts: the same run gives the same bytes. Prompts, answers, commands and error texts are left
//! out; a failure is named by its code.
//!
//! Sources: OpenTelemetry Protocol 1, "JSON Protobuf Encoding"; semantic conventions 1.41, "GenAI agent and framework spans".

mod agent;
mod span;
mod write;

pub use write::{Exported, export};
