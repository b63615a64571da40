//! A CSV file as a whole, for the small ones that a command reads at once.

use super::error::CliError;
use crate::job::JobError;
use crate::run::RunError;
use crate::table::{ReadOptions, Reader, TableError};
use std::path::Path;

/// A CSV with a header.
pub struct CsvFile {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// The line on which each row begins.
    pub lines: Vec<u64>,
}

impl CsvFile {
    /// Reads the file at `path`; messages call it `name`.
    pub fn read(path: &Path, name: &Path) -> Result<Self, CliError> {
        let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
        let mut reader = Reader::open(path, name, &ReadOptions::default()).map_err(table)?;
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        while let Some(row) = reader.next_row().map_err(table)? {
            rows.push(row);
            lines.push(reader.line());
        }
        Ok(Self {
            header: reader.header().to_vec(),
            rows,
            lines,
        })
    }
}
