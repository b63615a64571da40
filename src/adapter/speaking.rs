//! How the worker of a job is spoken to: what the ledger keeps of it, and back.

use super::agent::{AgentSpec, Speaker};
use super::command::CommandSpec;
use super::error::AdapterError;
use super::registry::agent_named;
use crate::job::{AgentProtocol, Worker};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What is kept of an adapter in [`Worker::speaks`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Speaks {
    /// A built-in agent.
    Agent(AgentSpec),
    /// A user's own command.
    Command(CommandSpec),
}

impl Speaks {
    pub(crate) fn to_value(&self) -> Value {
        // A struct of plain values.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// How the worker of a job is spoken to, where that needs knowledge of it.
///
/// # Errors
/// [`AdapterError::Speaks`] for a ledger of another version.
pub fn agent_protocol(worker: &Worker) -> Result<Option<Arc<dyn AgentProtocol>>, AdapterError> {
    if worker.speaks.is_null() {
        return Ok(None);
    }
    let speaks: Speaks = serde_json::from_value(worker.speaks.clone())
        .map_err(|error| AdapterError::Speaks(error.to_string()))?;
    Ok(Some(match speaks {
        Speaks::Command(spec) => Arc::new(spec),
        Speaks::Agent(spec) => {
            let agent = agent_named(&spec.agent).ok_or_else(|| {
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
