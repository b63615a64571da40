//! The capabilities of an adapter.

use crate::job::Bounds;
use serde::Serialize;

/// What enforces the schema of an answer. `mesh` checks every answer in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaBy {
    /// The prompt only: it contains the schema.
    #[default]
    Prompt,
    /// The service of the model.
    Service,
    /// The program itself.
    Program,
}

/// The capabilities of an adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// The most workers at once, if it has a limit of its own.
    pub fanout: Option<usize>,
    /// Its workers run as processes of `mesh`.
    pub lifecycle: bool,
    /// A refused answer is corrected in the same session.
    pub follow_up: bool,
    /// What enforces the schema.
    pub schema: SchemaBy,
    /// It reports tokens.
    pub tokens: bool,
    /// It reports cost, or the price table has a price.
    pub cost: bool,
    /// Its workers have the tool `report_agent_job_result`.
    pub tool: bool,
    /// The time limit of one attempt.
    pub max_runtime_seconds: Option<u64>,
}

impl Capabilities {
    /// The bounds of a job with this adapter: its own time limit can't be raised.
    pub fn limit(&self, mut bounds: Bounds) -> Bounds {
        if let Some(most) = self.max_runtime_seconds {
            bounds.max_runtime_seconds = bounds.max_runtime_seconds.min(most);
        }
        bounds
    }
}
