//! Errors of the machine and the repository that stop an integration. A patch that is refused is an outcome, not an error.

use super::lock::Holder;
use crate::ledger::LedgerError;
use crate::model::RunProcess;
use crate::plan::PlanError;
use crate::platform::GitError;
use crate::workspace::SnapshotError;
use std::io;
use std::path::{Path, PathBuf};

/// Why an integration stopped. The tree is unchanged, or the next resume restores it.
#[derive(Debug, thiserror::Error)]
pub enum IntegrateError {
    /// A git command failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The ledger could not be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The plan could not be changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The scratch tree could not be created.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file of the tree or of the run's folder could not be read or written.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// A validation command could not be started, which says nothing about the patch.
    #[error("the validation `{command}` could not be started")]
    Start {
        /// The command.
        command: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Processes that a killed `mesh` left running could not be ended.
    #[error("still running from an interrupted integration, and could not be ended: {}", processes.join(", "))]
    StillRunning {
        /// `process 7 (`name`)`.
        processes: Vec<String>,
    },
    /// Some paths could not be restored; a resume tries again.
    #[error("the tree could not be restored completely: {}", failures.join("; "))]
    Restore {
        /// The folder of the run.
        run_folder: PathBuf,
        /// `path: reason`.
        failures: Vec<String>,
    },
    /// A git command is running, or was killed.
    #[error("`{}` exists: another git command is running in this repository, or one was killed", path.display())]
    IndexLocked {
        /// The lock.
        path: PathBuf,
    },
    /// An earlier run was interrupted during an integration.
    #[error("the run in `{}` was interrupted during an integration, and the tree has not been restored", run_folder.display())]
    Pending {
        /// That run's folder.
        run_folder: PathBuf,
    },
    /// Another `mesh` is running in this repository.
    #[error("another `mesh` is running in this repository{} (lock `{}`)", named(holder), path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The holder, if the lock file names it.
        holder: Option<Holder>,
    },
    /// Runs that share the repository are at work in it.
    #[error("runs that have joined are at work in this repository: {}", list(runs))]
    Joined {
        /// Their processes.
        runs: Vec<RunProcess>,
    },
}

fn list(runs: &[RunProcess]) -> String {
    let name = |owner: &RunProcess| {
        let RunProcess { run, host, pid, .. } = owner;
        format!("`{run}` (process {pid} on {host})")
    };
    runs.iter().map(name).collect::<Vec<_>>().join(", ")
}

pub(crate) fn named(holder: &Option<Holder>) -> String {
    let named = |holder: &Holder| format!(": {holder}");
    holder.as_ref().map_or(String::new(), named)
}

impl IntegrateError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
