//! Why no adapter can be used, with hints.

use super::registry::agent_names;
use crate::job::JobError;
use std::path::{Path, PathBuf};

/// Why no adapter can be used.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// No adapter was given and none was found.
    #[error(
        "no usable adapter: looked for `-- COMMAND` on the command line, `--adapter`, `adapters` in mesh.yaml, and the \
         programs {} on PATH",
        agent_names().join(", ")
    )]
    NoneFound,
    /// No adapter has this name.
    #[error("unknown adapter `{name}`; known: {}", known.join(", "))]
    Unknown {
        /// As given.
        name: String,
        /// Built in, or from `mesh.yaml`.
        known: Vec<String>,
    },
    /// Both an adapter and a command were given.
    #[error("`--adapter {name}` conflicts with the command after `--`")]
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
    /// `replay` was given without its folder.
    #[error("adapter `replay` needs the folder of recorded answers")]
    NoAnswers,
    /// The folder does not exist.
    #[error("folder of recorded answers `{}` does not exist", path.display())]
    AnswersMissing {
        /// As given.
        path: PathBuf,
    },
    /// The file system can't say what is there.
    #[error("`{}` can't be read", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A spawned CSV with the `external` adapter.
    #[error(
        "adapter `external` starts nothing, and a spawned CSV has no later step that brings answers"
    )]
    ExternalSpawn,
    /// Several adapters in `mesh.yaml` are marked as preferred.
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
        /// The cause.
        #[source]
        source: JobError,
    },
    /// The program of a built-in agent was not found.
    #[error("adapter `{adapter}`: {what}")]
    NotInstalled {
        /// Its name.
        adapter: String,
        /// What was searched for.
        what: String,
        /// How to install it.
        install: &'static str,
    },
    /// A budget that can't be enforced.
    #[error("adapter `{adapter}` does not report {what}, so `{option}` can't be enforced")]
    NoUsage {
        /// Its name.
        adapter: String,
        /// What it does not report.
        what: &'static str,
        /// The budget.
        option: &'static str,
        /// Whether a price table would help.
        wants_price: bool,
    },
    /// The resumed run uses an adapter that this version does not know.
    #[error("unknown agent protocol of this run: {0}")]
    UnknownProtocol(String),
    /// This program's own path is unknown, so `replay` can't be started.
    #[error("adapter `replay`: the path of this program is unknown")]
    NoOwnPath(#[source] std::io::Error),
}

impl AdapterError {
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }

    /// A hint that fixes it.
    pub fn hint(&self) -> Option<String> {
        match self {
            AdapterError::NoneFound => Some(
                "pass the agent's command after `--`, as in `… -- my-agent --json`; or try `mesh demo`, which needs no agent"
                    .to_owned(),
            ),
            AdapterError::NoSuchOption { option, .. } => Some(format!(
                "add it to the command itself, or leave `{option}` out"
            )),
            AdapterError::NoAnswers => Some("pass --adapter replay --answers DIR".to_owned()),
            AdapterError::AnswersMissing { .. } => {
                Some("record one during a real run with --record DIR".to_owned())
            }
            AdapterError::SeveralPreferred { .. } => {
                Some("keep `preferred: true` on one of them, or choose with --adapter NAME".to_owned())
            }
            AdapterError::Worker { source, .. } => source.hint(),
            AdapterError::NotInstalled { install, .. } => Some((*install).to_owned()),
            AdapterError::NoUsage { wants_price: true, .. } => Some(
                "set the price of the model in mesh.yaml, per million tokens: prices: {MODEL: {input: 1.25, output: 10}}"
                    .to_owned(),
            ),
            AdapterError::NoUsage { .. } => Some(
                "in mesh.yaml, set `usage` of the adapter to where its output reports it; see docs/adapters.md".to_owned(),
            ),
            AdapterError::ExternalSpawn => Some("pass the agent's command, as in `… -- my-agent --json`".to_owned()),
            AdapterError::Unknown { .. }
            | AdapterError::Both { .. }
            | AdapterError::UnknownProtocol(_)
            | AdapterError::NoOwnPath(_)
            | AdapterError::Unreadable { .. } => None,
        }
    }
}
