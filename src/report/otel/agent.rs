//! What the settings of a run say about its agents.

use crate::adapter::agent_and_model;
use crate::job::Worker;
use crate::model::{RowId, RowKey};
use crate::report::view::{RunView, role_workers};
use std::collections::BTreeMap;

/// An agent of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAgent {
    /// The adapter.
    pub adapter: String,
    /// `gen_ai.provider.name`; that of the adapter if the agent has no well-known provider.
    pub provider: String,
    /// `gen_ai.request.model`, if one is set.
    pub model: Option<String>,
}

/// The agents of a run.
#[derive(Clone, Debug, Default)]
pub struct RunAgents {
    usual: RunAgent,
    /// Of the roles that are bound to others.
    roles: BTreeMap<String, RunAgent>,
}

impl RunAgents {
    /// The agents of `run`.
    pub fn of(run: &RunView) -> Self {
        let settings = &run.started().settings;
        let worker = match run.job() {
            Some(job) => Some(job.worker.clone()),
            None => serde_json::from_value(settings["worker"].clone()).ok(),
        };
        let roles = role_workers(settings).into_iter();
        Self {
            usual: worker.map_or(RunAgent::default(), |worker| RunAgent::of_worker(&worker)),
            roles: roles
                .map(|(role, worker)| (role, RunAgent::of_worker(&worker)))
                .collect(),
        }
    }

    /// The agent of a row.
    pub fn of_row(&self, row: &RowId) -> &RunAgent {
        if self.roles.is_empty() {
            return &self.usual;
        }
        let key = RowKey::parse(row);
        let bound = key.and_then(|key| self.roles.get(key.role.as_str()));
        bound.unwrap_or(&self.usual)
    }
}

impl RunAgent {
    fn of_worker(worker: &Worker) -> Self {
        let (agent, model) = agent_and_model(worker);
        let provider = match agent.as_deref() {
            Some("codex") => "openai",
            Some("claude") => "anthropic",
            Some("gemini") => "gcp.gemini",
            Some(other) => other,
            None => &worker.adapter,
        };
        Self {
            adapter: worker.adapter.clone(),
            provider: provider.to_owned(),
            model,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn worker(adapter: &str, speaks: Value) -> Worker {
        let worker = json!({
            "adapter": adapter, "program": "/bin/a", "fixed_args": [], "args": [], "folder": "/", "env_names": [], "speaks": speaks,
        });
        serde_json::from_value(worker).expect("a worker")
    }

    #[test]
    fn the_provider_is_that_of_the_agent_and_not_of_its_name() {
        let spec = json!({"agent": {"agent": "claude", "model": "opus"}});
        let agent = RunAgent::of_worker(&worker("careful", spec));
        assert_eq!(
            (agent.adapter.as_str(), agent.provider.as_str()),
            ("careful", "anthropic")
        );
        assert_eq!(agent.model.as_deref(), Some("opus"));
        let agent = RunAgent::of_worker(&worker("command", Value::Null));
        assert_eq!((agent.provider.as_str(), agent.model), ("command", None));
    }
}
