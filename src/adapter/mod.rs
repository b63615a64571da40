//! How an agent is called: from a name or a command line to the worker command of the substrate.
//!
//! The verbs of the seed's adapter contract, and what carries each one here:
//!
//! | verb | carried by |
//! | --- | --- |
//! | `fanout` | [`crate::job::run`] over [`Adapter::worker`], one process per row |
//! | `collect` | [`crate::collect`] over what the process handed back |
//! | `retry` | the job's `--retries`: a new process with the reason in its prompt |
//! | `follow_up` | the same, where an agent keeps no session of its own |
//! | `close` | the end of the attempt: the process group is gone before the row counts |
//! | `capabilities` | [`Adapter::capabilities`] |
//!
//! An adapter never retries by itself and knows nothing of waves or plans.

mod command;
pub mod replay;

pub use command::CommandConfig;

use crate::job::{JobError, Worker};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The adapter of rows that somebody else works: waves are written, and `mesh collect` brings the answers.
pub const EXTERNAL: &str = "external";

/// What an adapter can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The most workers at once; `None` is no limit of its own.
    pub fanout: Option<usize>,
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
}

/// Why nothing can work the rows.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// Nothing was named and nothing was found.
    #[error(
        "no usable adapter: looked for `-- COMMAND` on the command line, `--adapter`, and `adapters` in mesh.yaml"
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
            AdapterError::NoAnswers => Some("--adapter replay --answers DIR".to_owned()),
            AdapterError::AnswersMissing { .. } => {
                Some("record one during a real run with --record DIR".to_owned())
            }
            AdapterError::SeveralPreferred { .. } => {
                Some("leave `preferred: true` at one of them, or choose with --adapter NAME".to_owned())
            }
            AdapterError::Worker { source, .. } => source.hint(),
            AdapterError::ExternalSpawn => Some("name who works the rows, as in `… -- my-agent --json`".to_owned()),
            AdapterError::Unknown { .. } | AdapterError::Both { .. } | AdapterError::NoOwnPath(_) => None,
        }
    }
}

/// Finds who does the work: `-- COMMAND`, else `--adapter`, else the preferred one of `mesh.yaml`, else its only one.
pub fn select(
    choice: &Choice,
    configured: &BTreeMap<String, CommandConfig>,
    folder: &Path,
) -> Result<Adapter, AdapterError> {
    if !choice.command.is_empty() {
        return match &choice.name {
            Some(name) if name != "command" => Err(AdapterError::Both { name: name.clone() }),
            _ => command::adapter(
                "command",
                &CommandConfig::of(&choice.command),
                choice,
                folder,
            ),
        };
    }
    let name = match &choice.name {
        Some(name) => name.clone(),
        None => preferred(configured)?,
    };
    match configured.get(&name) {
        Some(config) => command::adapter(&name, config, choice, folder),
        None if name == "replay" => replay::adapter(choice, folder),
        None if name == EXTERNAL => Ok(external(folder)),
        None => Err(AdapterError::Unknown {
            name,
            known: configured
                .keys()
                .cloned()
                .chain(["replay", EXTERNAL].map(str::to_owned))
                .collect(),
        }),
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
        },
        capabilities: Capabilities::default(),
    }
}

fn preferred(configured: &BTreeMap<String, CommandConfig>) -> Result<String, AdapterError> {
    let marked: Vec<&String> = configured
        .iter()
        .filter(|(_, config)| config.preferred)
        .map(|(name, _)| name)
        .collect();
    match (marked.as_slice(), configured.len()) {
        ([name], _) => Ok((*name).clone()),
        ([], 1) => Ok(configured.keys().cloned().collect()),
        ([], _) => Err(AdapterError::NoneFound),
        (names, _) => Err(AdapterError::SeveralPreferred {
            names: names.iter().map(|name| (*name).clone()).collect(),
        }),
    }
}
