//! Why a job can't start or continue, with a hint.

use crate::ledger::LedgerError;
use crate::model::RowId;
use crate::table::TableError;
use crate::verdict::SchemaError;
use std::io;
use std::path::PathBuf;

/// Why a job can't start or continue.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The input is not a usable table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The schema is not valid.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// No columns to flatten a result into.
    #[error(transparent)]
    NoProperties(#[from] crate::job::result::NoProperties),
    /// The ledger can't be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A requested row is out of range.
    #[error("row {row} is out of range; the input has {rows} {}", if *rows == 1 { "row" } else { "rows" })]
    NoSuchRow {
        /// 1-based, as given.
        row: u64,
        /// How many rows are kept.
        rows: u64,
    },
    /// The id column is not in the header.
    #[error("`{}` has no column `{name}`; its columns are: {}", path.display(), columns.join(", "))]
    NoIdColumn {
        /// The input.
        path: PathBuf,
        /// The column as given.
        name: String,
        /// The columns of the input.
        columns: Vec<String>,
    },
    /// The header was read with the wrong delimiter.
    #[error("`{}`: no placeholder is a column, and the header holds `{}`: it is read as {}", path.display(), crate::table::shown(*other), columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    Delimiter {
        /// The input.
        path: PathBuf,
        /// The columns as read.
        columns: Vec<String>,
        /// The probable delimiter.
        other: char,
    },
    /// A cell that can't be passed to a worker process.
    #[error("`{}`, line {line}, column {column} (`{name}`): row {row} has a NUL byte there, which can't be part of {what}", path.display())]
    NulCell {
        /// The input.
        path: PathBuf,
        /// The line on which the row begins.
        line: u64,
        /// The field, 1-based.
        column: usize,
        /// Its name.
        name: String,
        /// The row, 1-based over kept rows.
        row: u64,
        /// What the cell would become.
        what: &'static str,
    },
    /// No worker command.
    #[error("no worker command")]
    NoCommand,
    /// The worker program was not found.
    #[error("worker program `{name}` {}", if *exists { "is not executable" } else { "does not exist" })]
    NoProgram {
        /// As given.
        name: String,
        /// A file of that name exists, but is not executable.
        exists: bool,
    },
    /// The file system can't say whether the worker program is there.
    #[error("worker program `{}` can't be looked for", name.display())]
    ProgramUnknown {
        /// As given.
        name: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The output CSV can't be written.
    #[error("output `{}` can't be written", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Slurm can't be used.
    #[error("{why}")]
    Slurm {
        /// What is wrong.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Not enough file descriptors for the workers.
    #[error("{slots} workers at once need {needed} open files; this process may have {allowed}")]
    Descriptors {
        /// Workers at once.
        slots: usize,
        /// Descriptors needed.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// A bug in `mesh` while it ran a row; the run can be resumed.
    #[error("internal error of mesh while running item `{item}`")]
    Defect {
        /// The row.
        item: RowId,
    },
    /// A thread can't be started.
    #[error("{0}")]
    Thread(#[source] io::Error),
    /// The run's folder can't be used.
    #[error("the run's folder can't be used")]
    Scratch(#[source] io::Error),
}

impl JobError {
    /// A hint that fixes it.
    pub fn hint(&self) -> Option<String> {
        match self {
            JobError::Table(error) => error.hint(),
            JobError::Delimiter { other, .. } => Some(crate::table::option(*other)),
            JobError::NulCell { .. } => Some(
                "remove the NUL byte from the cell, or use the column in the instruction, which is passed on standard input"
                    .to_owned(),
            ),
            JobError::NoIdColumn { name, columns, .. }
                if let Some(found) = crate::table::probable(columns, 0, &[name])
                    && found.gives_column =>
            {
                Some(crate::table::option(found.separator))
            }
            JobError::NoIdColumn { .. } => {
                Some("names are case-sensitive; leave --id-column out to number the rows".to_owned())
            }
            JobError::Descriptors { .. } => Some("lower -j, or raise the limit: ulimit -n".to_owned()),
            JobError::Slurm { hint, .. } => hint.clone(),
            JobError::NoCommand => Some(
                "pass the agent's command after `--`, for example: mesh spawn rows.csv --instruction 'Read {path}' -- my-agent"
                    .to_owned(),
            ),
            JobError::NoProgram { name, exists: true } => Some(format!("chmod +x '{name}'")),
            JobError::NoProgram { name, exists: false } if name.contains('/') => {
                Some("relative paths start at the current folder, or at that of -C".to_owned())
            }
            JobError::NoProgram { .. } => {
                Some("install it, add its folder to PATH, or pass its path".to_owned())
            }
            _ => None,
        }
    }
}
