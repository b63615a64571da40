//! The `command` adapter: any program, named after `--` or in `mesh.yaml`.

use super::{Adapter, AdapterError, Capabilities, Choice};
use crate::job::Worker;
use serde::Deserialize;
use std::path::Path;

/// One entry of `adapters` in `mesh.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// Program and arguments; `{column}` stands for a cell of the row.
    pub command: Vec<String>,
    /// Names of variables that the worker may see beside the allow-list.
    #[serde(default)]
    pub env: Vec<String>,
    /// The most workers at once.
    #[serde(default)]
    pub fanout: Option<usize>,
    /// Chosen when no `--adapter` is given.
    #[serde(default)]
    pub preferred: bool,
}

impl CommandConfig {
    /// A command line from after `--`.
    pub(super) fn of(command: &[String]) -> Self {
        Self {
            command: command.to_vec(),
            ..Self::default()
        }
    }
}

pub(super) fn adapter(
    name: &str,
    config: &CommandConfig,
    choice: &Choice,
    folder: &Path,
) -> Result<Adapter, AdapterError> {
    let env_names = config
        .env
        .iter()
        .chain(&choice.env_names)
        .cloned()
        .collect();
    let worker = Worker::find(name, &config.command, folder, env_names).map_err(|source| {
        AdapterError::Worker {
            adapter: name.to_owned(),
            source,
        }
    })?;
    Ok(Adapter {
        name: name.to_owned(),
        worker,
        capabilities: Capabilities {
            fanout: config.fanout,
        },
    })
}
