//! What can stop an integration. Errors of the machine and of the repository, never of the patch: a patch that is refused is an outcome.

use super::lock::Holder;
use crate::ledger::LedgerError;
use crate::plan::PlanError;
use crate::platform::GitError;
use crate::workspace::SnapshotError;
use std::io;
use std::path::{Path, PathBuf};

/// Why the integrator could not do its work. The tree is as before, or is restored at the next resume.
#[derive(Debug, thiserror::Error)]
pub enum IntegrateError {
    /// Git could not be asked.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The ledger can't be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The plan can't be changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The scratch tree can't be made.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file of the tree or of the run's folder can't be used.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// A validation command could not be started, which says nothing about the patch.
    #[error("the validation `{command}` could not be started")]
    Start {
        /// The command.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What a killed `mesh` left running can't be ended.
    #[error("still running from an interrupted integration, and not to be ended from here: {}", processes.join(", "))]
    StillRunning {
        /// `process 7 (`name`)`.
        processes: Vec<String>,
    },
    /// Some paths could not be brought back; a resume tries again.
    #[error("the tree could not be restored completely: {}", failures.join("; "))]
    Restore {
        /// The folder of the run.
        run_folder: PathBuf,
        /// `path: reason`.
        failures: Vec<String>,
    },
    /// Another git command is at work, or one was killed.
    #[error("`{}` is there: another git command is at work in this repository, or one was killed", path.display())]
    IndexLocked {
        /// The lock.
        path: PathBuf,
    },
    /// An earlier run was ended in the middle of an integration.
    #[error("the run in `{}` was ended in the middle of an integration, and the tree is not settled", run_folder.display())]
    Pending {
        /// That run's folder.
        run_folder: PathBuf,
    },
    /// Another `mesh` works in this repository.
    #[error("another `mesh` is working in this repository{} (lock `{}`)", named(holder), path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who it is, as far as the file says so.
        holder: Option<Holder>,
    },
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
