//! The agent protocol of a job's worker, as recorded in the ledger.

use super::agent::{AgentSpec, BuiltInProtocol};
use super::command::CommandSpec;
use super::error::AdapterError;
use super::registry::agent_named;
use crate::job::{AgentProtocol, Worker};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The settings of an adapter in [`Worker::speaks`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProtocolSettings {
    /// A built-in agent.
    Agent(AgentSpec),
    /// The user's own command.
    Command(CommandSpec),
}

impl ProtocolSettings {
    pub(crate) fn to_value(&self) -> Value {
        // A struct of plain values.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The agent protocol of a job's worker, if it has one.
///
/// # Errors
/// [`AdapterError::UnknownProtocol`] for a ledger of another version.
pub fn agent_protocol(worker: &Worker) -> Result<Option<Arc<dyn AgentProtocol>>, AdapterError> {
    if worker.speaks.is_null() {
        return Ok(None);
    }
    let speaks: ProtocolSettings = serde_json::from_value(worker.speaks.clone())
        .map_err(|error| AdapterError::UnknownProtocol(error.to_string()))?;
    Ok(Some(match speaks {
        ProtocolSettings::Command(spec) => Arc::new(spec),
        ProtocolSettings::Agent(spec) => {
            let agent = agent_named(&spec.agent).ok_or_else(|| {
                AdapterError::UnknownProtocol(format!("there is no agent `{}`", spec.agent))
            })?;
            // Without the path of this program there is no report tool: the last message is the result.
            let mesh = std::env::current_exe().ok();
            Arc::new(BuiltInProtocol { agent, spec, mesh })
        }
    }))
}

/// The agent that a worker is, and its model, as far as its adapter's settings name them.
pub fn agent_and_model(worker: &Worker) -> (Option<String>, Option<String>) {
    match serde_json::from_value(worker.speaks.clone()) {
        Ok(ProtocolSettings::Agent(spec)) => (Some(spec.agent), spec.model),
        Ok(ProtocolSettings::Command(_)) | Err(_) => (None, None),
    }
}

/// The account that a worker uses, as far as its adapter tells: that of the agent program, whatever its model.
pub fn account(worker: &Worker) -> String {
    agent_and_model(worker)
        .0
        .unwrap_or_else(|| worker.adapter.clone())
}

/// The settings of a worker that affect its answers: all of its adapter's settings except prices.
pub fn answer_settings(worker: &Worker) -> Value {
    let mut speaks = worker.speaks.clone();
    for kept in speaks.as_object_mut().into_iter().flatten() {
        if let Some(kept) = kept.1.as_object_mut() {
            kept.shift_remove("price");
        }
    }
    speaks
}
