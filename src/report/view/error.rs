//! Why something can't be looked at.

use crate::job::JobError;
use crate::ledger::LedgerError;
use crate::run::RunError;
use crate::table::TableError;
use std::path::PathBuf;

/// Why a wave, an output or a run can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The ledger or a file of a run can't be read, or there is no such run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A CSV that is not a wave and not an output.
    #[error("`{}` is neither a wave CSV nor an output CSV of mesh: it has no column `{missing}`", path.display())]
    ForeignTable {
        /// The file.
        path: PathBuf,
        /// The first column that both kinds need.
        missing: &'static str,
    },
    /// A folder that is not the folder of a run.
    #[error("`{}` is not the folder of a run: it has no ledger.jsonl", .0.display())]
    NoLedger(PathBuf),
    /// A run that was killed before its first event, or whose settings are of another version.
    #[error("run `{0}` has no start in its ledger; there is nothing to show")]
    NotStarted(String),
    /// A column that the rows do not have.
    #[error("`{name}` is not a column; columns: {}", known.join(", "))]
    UnknownColumn {
        /// As given.
        name: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// A condition that can't be read.
    #[error("condition `{text}`: {why}")]
    BadCondition {
        /// As given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl From<TableError> for ViewError {
    fn from(error: TableError) -> Self {
        Self::from(JobError::Table(error.fixed()))
    }
}

impl From<JobError> for ViewError {
    fn from(error: JobError) -> Self {
        Self::Run(error.into())
    }
}

impl From<LedgerError> for ViewError {
    fn from(error: LedgerError) -> Self {
        Self::Run(error.into())
    }
}
