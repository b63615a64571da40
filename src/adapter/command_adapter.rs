//! The user's own command as an adapter.

use super::capabilities::{Capabilities, SchemaBy};
use super::command::CommandSpec;
use super::config::AdapterConfig;
use super::error::AdapterError;
use super::price::Price;
use super::recorded_protocol::ProtocolSettings;
use super::spec::{Adapter, Choice};
use crate::job::Worker;
use std::path::Path;

/// The capabilities of a command of `mesh.yaml` or of the command line.
pub(crate) fn capabilities(config: &AdapterConfig, price: Option<Price>) -> Capabilities {
    let usage = config.usage.clone().unwrap_or_default();
    let tokens = usage.input_tokens.is_some() && usage.output_tokens.is_some();
    Capabilities {
        fanout: config.fanout,
        lifecycle: true,
        follow_up: false,
        schema: SchemaBy::Prompt,
        tokens,
        cost: usage.cost_usd.is_some() || (tokens && price.is_some()),
        tool: false,
        max_runtime_seconds: config.timeout_seconds,
    }
}

pub(crate) fn adapter(
    name: &str,
    config: &AdapterConfig,
    price: Option<Price>,
    choice: &Choice,
    folder: &Path,
) -> Result<Adapter, AdapterError> {
    let env_names = config
        .env
        .iter()
        .chain(&choice.env_names)
        .cloned()
        .collect();
    let mut worker = Worker::find(name, &config.command, folder, env_names).map_err(|source| {
        AdapterError::Worker {
            adapter: name.to_owned(),
            source,
        }
    })?;
    let spec = CommandSpec::from_config(config, price);
    if spec.is_special() {
        worker.speaks = ProtocolSettings::Command(spec).to_value();
    }
    Ok(Adapter {
        name: name.to_owned(),
        worker,
        capabilities: capabilities(config, price),
    })
}
