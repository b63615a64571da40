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
mod gemini;
mod opencode;
mod price;
pub mod replay;
mod strict;
#[cfg(test)]
mod tests;
mod version;

pub use agent::REPORT_TOOL;
pub use config::{AdapterConfig, Configured, PromptBy, ResultBy, UsagePointers};
pub use price::{Price, Prices};
pub use version::version;

use crate::job::{Bounds, Budget, Dialect, JobError, Worker};
use agent::{AGENTS, Agent, AgentSpec, Speaker};
use command::CommandSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
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

/// An adapter that there is, or could be.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it comes from: `built in` or `mesh.yaml`.
    pub source: &'static str,
    /// The version that was tried, where its program is one that is known here.
    pub tried: Option<&'static str>,
    /// Its program, where that was found.
    pub program: Option<PathBuf>,
    /// What is missing, and what helps.
    pub missing: Option<String>,
    /// What it can do.
    pub capabilities: Capabilities,
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

/// Why nothing can work the rows.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// Nothing was named and nothing was found.
    #[error(
        "no usable adapter: looked for `-- COMMAND` on the command line, `--adapter`, `adapters` in mesh.yaml, and the \
         programs {} on PATH",
        agent_names().join(", ")
    )]
    NoneFound,
    /// The name is not known.
    #[error("unknown adapter `{name}`; known: {}", known.join(", "))]
    Unknown {
        /// As given.
        name: String,
        /// Built in, or from `mesh.yaml`.
        known: Vec<String>,
    },
    /// Two ways at once.
    #[error("`--adapter {name}` and a command after `--` say two different things")]
    Both {
        /// As given.
        name: String,
    },
    /// An option that the adapter can't pass on.
    #[error("adapter `{adapter}` takes no `{option}`")]
    NoSuchOption {
        /// Its name.
        adapter: String,
        /// `--model` or `--effort`.
        option: &'static str,
    },
    /// `replay` without its folder.
    #[error("adapter `replay` needs the folder of recorded answers")]
    NoAnswers,
    /// The folder is not there.
    #[error("folder of recorded answers `{}` does not exist", path.display())]
    AnswersMissing {
        /// As given.
        path: PathBuf,
    },
    /// A spawned CSV that nobody would work.
    #[error(
        "adapter `external` starts nothing, and a spawned CSV has no later step that brings answers"
    )]
    ExternalSpawn,
    /// Several adapters in `mesh.yaml` want to be the preferred one.
    #[error("mesh.yaml marks several adapters as preferred: {}", names.join(", "))]
    SeveralPreferred {
        /// Their names.
        names: Vec<String>,
    },
    /// The command can't be started.
    #[error("adapter `{adapter}`")]
    Worker {
        /// Its name.
        adapter: String,
        /// Why.
        #[source]
        source: JobError,
    },
    /// The program of a built-in agent is not there.
    #[error("adapter `{adapter}`: {what}")]
    NotInstalled {
        /// Its name.
        adapter: String,
        /// What was looked for.
        what: String,
        /// What installs it.
        install: &'static str,
    },
    /// A budget that nobody could keep to.
    #[error("adapter `{adapter}` does not say {what}, so `{option}` can't be kept")]
    NoUsage {
        /// Its name.
        adapter: String,
        /// What it does not say.
        what: &'static str,
        /// The budget.
        option: &'static str,
        /// Whether a price table would help.
        wants_price: bool,
    },
    /// A run that goes on was begun with an adapter that this version does not know.
    #[error("how the worker of this run is spoken to is not understood: {0}")]
    Speaks(String),
    /// This program's own path is unknown, so `replay` can't be started.
    #[error("adapter `replay`: the path of this program is unknown")]
    NoOwnPath(#[source] std::io::Error),
}

impl AdapterError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            AdapterError::NoneFound => Some(
                "say what works a row after `--`, as in `… -- my-agent --json`; or try `mesh demo`, which needs no agent"
                    .to_owned(),
            ),
            AdapterError::NoSuchOption { option, .. } => Some(format!(
                "put it into the command itself, or leave `{option}` out"
            )),
            AdapterError::NoAnswers => Some("--adapter replay --answers DIR".to_owned()),
            AdapterError::AnswersMissing { .. } => {
                Some("record one during a real run with --record DIR".to_owned())
            }
            AdapterError::SeveralPreferred { .. } => {
                Some("leave `preferred: true` at one of them, or choose with --adapter NAME".to_owned())
            }
            AdapterError::Worker { source, .. } => source.hint(),
            AdapterError::NotInstalled { install, .. } => Some((*install).to_owned()),
            AdapterError::NoUsage { wants_price: true, .. } => Some(
                "say what the model costs in mesh.yaml, for a million tokens: prices: {MODEL: {input: 1.25, output: 10}}"
                    .to_owned(),
            ),
            AdapterError::NoUsage { .. } => Some(
                "in mesh.yaml, `usage` of the adapter says where its output has it; docs/adapters.md".to_owned(),
            ),
            AdapterError::ExternalSpawn => Some("name who works the rows, as in `… -- my-agent --json`".to_owned()),
            AdapterError::Unknown { .. }
            | AdapterError::Both { .. }
            | AdapterError::Speaks(_)
            | AdapterError::NoOwnPath(_) => None,
        }
    }
}

/// Finds who does the work: `-- COMMAND`, else `--adapter`, else the preferred one of `mesh.yaml`, else its only one, else
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
        return command::adapter("command", &config, None, choice, folder);
    }
    let name = match &choice.name {
        Some(name) => name.clone(),
        None => default_name(configured, folder)?,
    };
    let config = configured.adapters.get(&name).cloned();
    match (config, name.as_str()) {
        (None, EXTERNAL) => {
            refuse_agent_options(EXTERNAL, choice)?;
            Ok(external(folder))
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
                    let price = price::of(&configured.prices, config.model.as_deref());
                    command::adapter(&name, &config, price, choice, folder)
                }
            }
        }
    }
}

/// Starts nothing.
fn external(folder: &Path) -> Adapter {
    Adapter {
        name: EXTERNAL.to_owned(),
        worker: Worker {
            adapter: EXTERNAL.to_owned(),
            program: PathBuf::new(),
            fixed_args: Vec::new(),
            args: Vec::new(),
            folder: folder.to_owned(),
            env_names: Vec::new(),
            speaks: Value::Null,
        },
        capabilities: Capabilities::default(),
    }
}

fn agent_names() -> Vec<&'static str> {
    AGENTS.iter().map(|agent| agent.name).collect()
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

/// Who does the work when nobody says.
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
            let is_there = |agent: &&&Agent| {
                let config = adapters.get(agent.name).cloned().unwrap_or_default();
                let own = config.agent(agent.name).is_some();
                own && find(agent, &config, folder).is_some()
            };
            let first = AGENTS.iter().find(is_there);
            first
                .map(|agent| agent.name.to_owned())
                .ok_or(AdapterError::NoneFound)
        }
        (names, _) => Err(AdapterError::SeveralPreferred {
            names: names.iter().map(|name| (*name).clone()).collect(),
        }),
    }
}

/// The program of an agent.
fn find(agent: &Agent, config: &AdapterConfig, folder: &Path) -> Option<PathBuf> {
    let name = config.program.as_deref().unwrap_or(agent.name);
    let found = which::which_in(name, std::env::var_os("PATH"), folder).ok()?;
    Some(std::path::absolute(&found).unwrap_or(found))
}

fn agent_adapter(
    name: &str,
    agent: &Agent,
    config: &AdapterConfig,
    choice: &Choice,
    configured: &Configured,
    folder: &Path,
) -> Result<Adapter, AdapterError> {
    let Some(program) = find(agent, config, folder) else {
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
        price: price::of(&configured.prices, model.as_deref()),
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
            speaks: Speaks::Agent(spec).to_value(),
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

/// Every adapter that there is or could be here, in the order in which one is looked for.
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
    listed
}

fn entry(
    name: &str,
    config: &AdapterConfig,
    source: &'static str,
    configured: &Configured,
    folder: &Path,
) -> Listed {
    let price = price::of(&configured.prices, config.model.as_deref());
    let (program, missing, capabilities) = match config.agent(name) {
        Some(agent) => {
            let program = find(agent, config, folder);
            let missing = match program {
                Some(_) => None,
                None => Some(format!("{}; {}", not_found(agent, config), agent.install)),
            };
            (program, missing, agent_capabilities(agent, config, price))
        }
        None => {
            let found = Worker::find(name, &config.command, folder, Vec::new());
            let missing = found.as_ref().err().map(ToString::to_string);
            let program = found.ok().map(|worker| worker.program);
            (program, missing, command::capabilities(config, price))
        }
    };
    Listed {
        name: name.to_owned(),
        source,
        tried: config.agent(name).map(|agent| agent.tried),
        program,
        missing,
        capabilities,
    }
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
