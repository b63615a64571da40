//! Why a ledger can't be read or written.

use super::record::VERSION;
use crate::model::EventError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a ledger can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// An error of the file system.
    #[error("ledger `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process is writing this ledger.
    #[error("ledger `{}` is in use by another `mesh`{}", path.display(), holder.map_or(String::new(), |pid| format!(", process {pid}")))]
    Locked {
        /// The file.
        path: PathBuf,
        /// Its process id, if known.
        holder: Option<u32>,
    },
    /// Another process has taken over what this one was working.
    #[error("another process has taken over the slice: `{}`", .0.display())]
    TakenOver(
        /// Its file.
        PathBuf,
    ),
    /// A line before the last one is not a record.
    #[error("ledger `{}`, line {line}: {message}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A later version of `mesh` wrote it.
    #[error("ledger `{}`, line {line}: version {found} is newer than {VERSION}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// The version found.
        found: u64,
    },
    /// A known event has invalid fields.
    #[error("ledger `{}`, line {line}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// The field.
        #[source]
        source: EventError,
    },
}

pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> LedgerError {
    |source| LedgerError::Io {
        path: path.to_owned(),
        source,
    }
}
