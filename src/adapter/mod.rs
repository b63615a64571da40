//! How an agent is called: from a name or a command line to the worker command of the substrate.
//!
//! The verbs of the seed's adapter contract, and what carries each one here:
//!
//! | verb | carried by |
//! | --- | --- |
//! | `fanout` | [`crate::job::run`] over [`Adapter::worker`], one process per row |
//! | `collect` | [`crate::collect`] over what [`Dialect::read`] makes of the process's output |
//! | `retry` | the job's `--retries`: a new process with the reason in its prompt |
//! | `follow_up` | a new process in the same session ([`crate::job::Call::session`]), where the agent keeps one |
//! | `close` | the end of the attempt: the process group is gone before the row counts |
//! | `capabilities` | [`Adapter::capabilities`] |
//!
//! An adapter never retries by itself and knows nothing of waves or plans. What is known of a program is data and pure
//! functions; the one process that is started here asks a program for its version ([`version`]).

mod agent;
mod claude;
mod codex;
mod command;
mod config;
mod error;
mod gemini;
mod opencode;
mod price;
pub mod replay;
mod select;
mod strict;
#[cfg(test)]
mod tests;
mod version;

pub use agent::REPORT_TOOL;
pub use config::{AdapterConfig, Configured, PromptBy, ResultBy, UsagePointers};
pub use error::AdapterError;
pub use price::{Price, Prices};
pub use select::{Listed, default_name, list, select};
pub use version::version;

use crate::job::{Bounds, Budget, Dialect, Worker};
use agent::{Agent, AgentSpec, Speaker};
use command::CommandSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

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

/// The adapter of rows that somebody else works: waves are written, and `mesh collect` brings the answers.
pub const EXTERNAL: &str = "external";

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

/// Something that can work rows.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its id in the preflight line and the report.
    pub name: String,
    /// The command of one row.
    pub worker: Worker,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What the user said about who does the work.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `--adapter NAME`.
    pub name: Option<String>,
    /// `-- COMMAND …`.
    pub command: Vec<String>,
    /// `--answers DIR`.
    pub answers: Option<PathBuf>,
    /// `--env NAME`, repeated.
    pub env_names: Vec<String>,
    /// `--model`.
    pub model: Option<String>,
    /// `--effort`.
    pub effort: Option<String>,
}

/// What is kept of an adapter in [`Worker::speaks`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speaks {
    /// A built-in agent.
    Agent(AgentSpec),
    /// A user's own command.
    Command(CommandSpec),
}

impl Speaks {
    fn to_value(&self) -> Value {
        // A struct of plain values.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// How the worker of a job is spoken to, where that needs knowledge of it.
///
/// # Errors
/// [`AdapterError::Speaks`] for a ledger of another version.
pub fn dialect(worker: &Worker) -> Result<Option<Arc<dyn Dialect>>, AdapterError> {
    if worker.speaks.is_null() {
        return Ok(None);
    }
    let speaks: Speaks = serde_json::from_value(worker.speaks.clone())
        .map_err(|error| AdapterError::Speaks(error.to_string()))?;
    Ok(Some(match speaks {
        Speaks::Command(spec) => Arc::new(spec),
        Speaks::Agent(spec) => {
            let agent = Agent::named(&spec.agent).ok_or_else(|| {
                AdapterError::Speaks(format!("there is no agent `{}`", spec.agent))
            })?;
            // Without the path of this program there is no report tool, and the last message is the way back.
            let mesh = std::env::current_exe().ok();
            Arc::new(Speaker { agent, spec, mesh })
        }
    }))
}

/// What a worker is asked with beside its command line: everything that is kept of its adapter but prices.
pub fn asked(worker: &Worker) -> Value {
    let mut speaks = worker.speaks.clone();
    for kept in speaks.as_object_mut().into_iter().flatten() {
        if let Some(kept) = kept.1.as_object_mut() {
            kept.shift_remove("price");
        }
    }
    speaks
}

impl Adapter {
    /// The bounds of a job with it: its own limit on time is one that nobody else can raise.
    pub fn bounded(&self, mut bounds: Bounds) -> Bounds {
        if let Some(most) = self.capabilities.max_runtime_seconds {
            bounds.max_runtime_seconds = bounds.max_runtime_seconds.min(most);
        }
        bounds
    }

    /// Whether budgets of money and of tokens can be kept.
    ///
    /// # Errors
    /// [`AdapterError::NoUsage`] where the adapter never says what it used.
    pub fn check_budget(&self, budget: &Budget) -> Result<(), AdapterError> {
        let can = &self.capabilities;
        let wishes = [
            (
                budget.max_tokens.is_some() && !can.tokens,
                "how many tokens it used",
                "--max-tokens",
            ),
            (
                budget.max_cost_usd.is_some() && !can.cost,
                "what it cost",
                "--max-cost-usd",
            ),
        ];
        match wishes.into_iter().find(|(is_in_vain, ..)| *is_in_vain) {
            Some((_, what, option)) => Err(AdapterError::NoUsage {
                adapter: self.name.clone(),
                what,
                option,
                wants_price: can.tokens,
            }),
            None => Ok(()),
        }
    }
}
