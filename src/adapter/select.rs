//! Selects an adapter by the command line, `mesh.yaml`, or what is installed; lists all adapters.

use super::agent::{Agent, AgentSpec};
use super::capabilities::Capabilities;
use super::config::{AdapterConfig, Configured};
use super::error::AdapterError;
use super::price::Price;
use super::recorded_protocol::ProtocolSettings;
use super::registry::{AGENTS, agent_names};
use super::spec::{Adapter, Choice, EXTERNAL, NOOP};
use super::{price, replay};
use crate::job::Worker;
use crate::platform::{machine_fault, program};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An adapter of the list, usable or not.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it comes from: `built in` or `mesh.yaml`.
    pub source: &'static str,
    /// The tested version, for a built-in agent.
    pub tried: Option<&'static str>,
    /// Its program, if found.
    pub program: Option<PathBuf>,
    /// What is missing, and how to fix it.
    pub missing: Option<String>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How to select it, if its name alone is not enough.
    pub usage: Option<&'static str>,
}

/// Adapters without a program of their own, with how to select each.
const WITHOUT_PROGRAM: [(&str, &str); 3] = [
    ("command", "any program: its command line goes after `--`"),
    ("replay", "recorded answers: --adapter replay --answers DIR"),
    (
        EXTERNAL,
        "starts nothing: waves are written, `mesh collect` brings the answers",
    ),
];

/// Selects the adapter: `-- COMMAND`, else `--adapter`, else the preferred one of `mesh.yaml`, else its only one, else
/// the first built-in agent whose program is found.
pub fn select(
    choice: &Choice,
    configured: &Configured,
    folder: &Path,
) -> Result<Adapter, AdapterError> {
    if !choice.command.is_empty() {
        if let Some(name) = choice.name.as_ref().filter(|name| *name != "command") {
            return Err(AdapterError::Both { name: name.clone() });
        }
        let config = AdapterConfig {
            command: choice.command.clone(),
            ..AdapterConfig::default()
        };
        refuse_agent_options("command", choice)?;
        return crate::adapter::command_adapter::adapter("command", &config, None, choice, folder);
    }
    let name = match &choice.name {
        Some(name) => name.clone(),
        None => default_name(configured, folder)?,
    };
    let config = configured.adapters.get(&name).cloned();
    match (config, name.as_str()) {
        (None, EXTERNAL | NOOP) => {
            refuse_agent_options(&name, choice)?;
            Ok(without_process(&name, folder))
        }
        (None, "replay") => {
            refuse_agent_options("replay", choice)?;
            replay::adapter(choice, folder)
        }
        (config, _) => {
            let config = config.unwrap_or_default();
            match config.agent(&name) {
                Some(agent) => agent_adapter(&name, agent, &config, choice, configured, folder),
                None if config.command.is_empty() => Err(unknown(name, configured)),
                None => {
                    refuse_agent_options(&name, choice)?;
                    let price = price::find(&configured.prices, config.model.as_deref());
                    crate::adapter::command_adapter::adapter(&name, &config, price, choice, folder)
                }
            }
        }
    }
}

/// An adapter that starts no processes.
fn without_process(name: &str, folder: &Path) -> Adapter {
    Adapter {
        name: name.to_owned(),
        worker: Worker {
            adapter: name.to_owned(),
            program: PathBuf::new(),
            fixed_args: Vec::new(),
            args: Vec::new(),
            folder: folder.to_owned(),
            env_names: Vec::new(),
            speaks: Value::Null,
            sandbox: None,
        },
        capabilities: Capabilities::default(),
    }
}

fn unknown(name: String, configured: &Configured) -> AdapterError {
    let built_in = agent_names().into_iter().chain(["replay", EXTERNAL]);
    let mut known: Vec<String> = configured.adapters.keys().cloned().collect();
    for name in built_in {
        if !known.iter().any(|known| known == name) {
            known.push(name.to_owned());
        }
    }
    AdapterError::Unknown { name, known }
}

fn refuse_agent_options(adapter: &str, choice: &Choice) -> Result<(), AdapterError> {
    let given = [
        ("--model", choice.model.is_some()),
        ("--effort", choice.effort.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(AdapterError::NoSuchOption {
            adapter: adapter.to_owned(),
            option,
        }),
        None => Ok(()),
    }
}

/// The adapter when none is given.
pub fn default_name(configured: &Configured, folder: &Path) -> Result<String, AdapterError> {
    let adapters = &configured.adapters;
    let marked: Vec<&String> = adapters
        .iter()
        .filter(|(_, config)| config.preferred)
        .map(|(name, _)| name)
        .collect();
    match (marked.as_slice(), adapters.len()) {
        ([name], _) => Ok((*name).clone()),
        ([], 1) => Ok(adapters.keys().cloned().collect()),
        ([], _) => {
            for agent in &AGENTS {
                let config = adapters.get(agent.name).cloned().unwrap_or_default();
                let is_own = config.agent(agent.name).is_some();
                if is_own && find(agent, &config, folder)?.is_some() {
                    return Ok(agent.name.to_owned());
                }
            }
            Err(AdapterError::NoneFound)
        }
        (names, _) => Err(AdapterError::SeveralPreferred {
            names: names.iter().map(|name| (*name).clone()).collect(),
        }),
    }
}

/// The program of an agent.
fn find(
    agent: &Agent,
    config: &AdapterConfig,
    folder: &Path,
) -> Result<Option<PathBuf>, AdapterError> {
    let name = config.program.as_deref().unwrap_or(agent.name);
    let found = program::find(name, folder);
    let found = found.map_err(AdapterError::unreadable(Path::new(name)))?;
    Ok(found.map(|found| std::path::absolute(&found).unwrap_or(found)))
}

fn agent_adapter(
    name: &str,
    agent: &Agent,
    config: &AdapterConfig,
    choice: &Choice,
    configured: &Configured,
    folder: &Path,
) -> Result<Adapter, AdapterError> {
    let Some(program) = find(agent, config, folder)? else {
        return Err(AdapterError::NotInstalled {
            adapter: name.to_owned(),
            what: not_found(agent, config),
            install: agent.install,
        });
    };
    if choice.effort.is_some() && !agent.has_effort {
        return Err(AdapterError::NoSuchOption {
            adapter: name.to_owned(),
            option: "--effort",
        });
    }
    let model = choice.model.clone().or_else(|| config.model.clone());
    let spec = AgentSpec {
        agent: agent.name.to_owned(),
        price: price::find(&configured.prices, model.as_deref()),
        model,
        effort: choice.effort.clone().or_else(|| config.effort.clone()),
        args: config.args.clone(),
        rate_limit_patterns: config.rate_limit_patterns.clone(),
    };
    let own = config.env.iter().chain(&choice.env_names).cloned();
    Ok(Adapter {
        name: name.to_owned(),
        capabilities: agent_capabilities(agent, config, spec.price),
        worker: Worker {
            adapter: name.to_owned(),
            program,
            fixed_args: Vec::new(),
            args: Vec::new(),
            folder: folder.to_owned(),
            env_names: agent.env_names().chain(own).collect(),
            speaks: ProtocolSettings::Agent(spec).to_value(),
            sandbox: None,
        },
    })
}

fn agent_capabilities(agent: &Agent, config: &AdapterConfig, price: Option<Price>) -> Capabilities {
    let own = agent.capabilities();
    Capabilities {
        fanout: config.fanout,
        max_runtime_seconds: config.timeout_seconds,
        cost: own.cost || price.is_some(),
        ..own
    }
}

fn not_found(agent: &Agent, config: &AdapterConfig) -> String {
    match &config.program {
        Some(program) => format!("its program `{program}` does not exist"),
        None => format!("its program `{}` is not on PATH", agent.name),
    }
}

/// All adapters, in the order of the search.
pub fn list(configured: &Configured, folder: &Path) -> Vec<Listed> {
    let mut listed: Vec<Listed> = configured
        .adapters
        .iter()
        .map(|(name, config)| entry(name, config, "mesh.yaml", configured, folder))
        .collect();
    for agent in AGENTS {
        if !configured.adapters.contains_key(agent.name) {
            let config = AdapterConfig::default();
            listed.push(entry(agent.name, &config, "built in", configured, folder));
        }
    }
    for (name, usage) in WITHOUT_PROGRAM {
        if !configured.adapters.contains_key(name) {
            listed.push(without_program(name, usage));
        }
    }
    listed
}

fn without_program(name: &str, usage: &'static str) -> Listed {
    let capabilities = match name {
        "command" => crate::adapter::command_adapter::capabilities(&AdapterConfig::default(), None),
        _ => Capabilities::default(),
    };
    Listed {
        name: name.to_owned(),
        source: "built in",
        tried: None,
        program: None,
        missing: None,
        capabilities,
        usage: Some(usage),
    }
}

fn entry(
    name: &str,
    config: &AdapterConfig,
    source: &'static str,
    configured: &Configured,
    folder: &Path,
) -> Listed {
    let price = price::find(&configured.prices, config.model.as_deref());
    let (program, missing, capabilities) = match config.agent(name) {
        Some(agent) => {
            let found = find(agent, config, folder);
            let missing = match &found {
                Ok(Some(_)) => None,
                Ok(None) => Some(format!("{}; {}", not_found(agent, config), agent.install)),
                Err(error) => Some(machine_fault::line_of(error)),
            };
            let program = found.ok().flatten();
            (program, missing, agent_capabilities(agent, config, price))
        }
        None => {
            let found = Worker::find(name, &config.command, folder, Vec::new());
            let missing = found
                .as_ref()
                .err()
                .map(|error| machine_fault::line_of(error));
            let program = found.ok().map(|worker| worker.program);
            (
                program,
                missing,
                crate::adapter::command_adapter::capabilities(config, price),
            )
        }
    };
    Listed {
        name: name.to_owned(),
        source,
        tried: config.agent(name).map(|agent| agent.tried),
        program,
        missing,
        capabilities,
        usage: None,
    }
}
