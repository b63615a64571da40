//! What an adapter can do.

use serde::Serialize;

/// Who sees to it that an answer fits the schema. The substrate checks every answer in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaBy {
    /// Nobody else: the schema stands in the prompt.
    #[default]
    Prompt,
    /// The model's service.
    Service,
    /// The program itself.
    Program,
}

/// What an adapter can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// The most workers at once; `None` is no limit of its own.
    pub fanout: Option<usize>,
    /// Its workers are started, watched and ended here.
    pub lifecycle: bool,
    /// A refused answer is mended in the same session.
    pub follow_up: bool,
    /// Who sees to the schema.
    pub schema: SchemaBy,
    /// It says how many tokens were used.
    pub tokens: bool,
    /// It says what that cost, or the price table does.
    pub cost: bool,
    /// Its workers have the tool `report_agent_job_result`.
    pub tool: bool,
    /// The longest that one attempt may take.
    pub max_runtime_seconds: Option<u64>,
}
