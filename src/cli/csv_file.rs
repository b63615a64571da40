//! A CSV file that a command reads itself.

use super::error::CliError;
use crate::job::JobError;
use crate::run::RunError;
use crate::table::{ReadOptions, Reader, TableError};
use std::path::Path;

/// A CSV with a header, read at once; for small ones.
pub struct CsvFile {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl CsvFile {
    /// Reads the file at `path`; messages call it `name`.
    pub fn read(path: &Path, name: &Path) -> Result<Self, CliError> {
        let mut reader = open(path, name)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().map_err(unreadable)? {
            rows.push(row);
        }
        Ok(Self {
            header: reader.header().to_vec(),
            rows,
        })
    }
}

/// Opens the file at `path`, to be read row by row; messages call it `name`.
pub fn open(path: &Path, name: &Path) -> Result<Reader, CliError> {
    Reader::open(path, name, &ReadOptions::default()).map_err(unreadable)
}

/// The error of a command for one of its file.
pub fn unreadable(error: TableError) -> CliError {
    RunError::from(JobError::Table(error.fixed())).into()
}
