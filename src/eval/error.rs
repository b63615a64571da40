//! What can be wrong with an evaluation.

use crate::integrate::IntegrateError;
use crate::platform::{ClaimError, GitError};
use crate::report::view::ViewError;
use std::path::{Path, PathBuf};

/// Why an evaluation can't start or go on. Outcomes that were recorded before are kept.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The folder has no tasks.
    #[error("`{}` has no tasks: no folder in it has an eval.yaml", .0.display())]
    NoTasks(PathBuf),
    /// A name that was given twice, or is no task.
    #[error("{0}")]
    BadOption(String),
    /// A task is not usable.
    #[error("task `{}`: {why}", path.display())]
    BadTask {
        /// Its folder.
        path: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// The results were made with other settings.
    #[error("`{}` was made with other settings: {differences}", path.display())]
    OtherSettings {
        /// The file of results.
        path: PathBuf,
        /// `max_concurrency 16, now 4`
        differences: String,
    },
    /// A task or the file of a protocol has changed since its result.
    #[error("task `{task}` or the file of protocol `{protocol}` has changed since its result in `{}`", path.display())]
    Changed {
        /// The task.
        task: String,
        /// The protocol.
        protocol: String,
        /// The file of results.
        path: PathBuf,
    },
    /// A line of the results can't be read.
    #[error("`{}` line {line}: {why}", path.display())]
    Damaged {
        /// The file of results.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Another evaluation writes the results.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// `mesh run` refused to start.
    #[error("task `{task}`, {arm}: `mesh run` did not start; see `{}`\n{said}", log.display())]
    NotStarted {
        /// The task.
        task: String,
        /// Protocol and adapter.
        arm: String,
        /// Its exit code.
        code: u8,
        /// The end of what it printed.
        said: String,
        /// All that it printed.
        log: PathBuf,
    },
    /// `mesh run` ended before its work was done.
    #[error("task `{task}`, {arm}: `mesh run` ended early (exit code {code}); see `{}`", log.display())]
    EndedEarly {
        /// The task.
        task: String,
        /// Protocol and adapter.
        arm: String,
        /// Its exit code.
        code: u8,
        /// All that it printed.
        log: PathBuf,
    },
    /// A copy can't be made a repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A hidden test can't be started.
    #[error(transparent)]
    HiddenTest(#[from] IntegrateError),
    /// The ledger of a run can't be read.
    #[error(transparent)]
    Ledger(#[from] ViewError),
    /// A file can't be read or written.
    #[error("`{}` can't be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
}

impl EvalError {
    /// For `map_err`: `path` can't be read or written.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::NotStarted { code, .. } => *code,
            Self::EndedEarly { .. } => 4,
            Self::Claim(_) | Self::Git(_) | Self::HiddenTest(_) | Self::Io { .. } => 3,
            _ => 2,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoTasks(_) => {
                "a task is a folder with eval.yaml, repo/ and hidden/: see docs/eval.md"
            }
            Self::OtherSettings { .. } | Self::Changed { .. } => {
                "pass another folder with --dir to begin anew"
            }
            Self::Damaged { .. } => "remove the line; its run is repeated",
            Self::EndedEarly { .. } => {
                "the same command continues with this run, from its beginning"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
