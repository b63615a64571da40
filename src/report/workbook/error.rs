//! Why a workbook can't be written.

use crate::report::view::ViewError;
use rust_xlsxwriter::XlsxError;
use std::io;

/// Why a workbook can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WorkbookError {
    /// The rows can't be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A sheet has fewer columns than there are.
    #[error("the rows have {columns} columns; a sheet has room for {max}")]
    TooManyColumns {
        /// The columns that are needed.
        columns: usize,
        /// The columns of a sheet.
        max: usize,
    },
    /// The file or a temporary file beside it can't be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The library refuses a part of the workbook.
    #[error("the workbook can't be made")]
    Xlsx(#[source] Box<XlsxError>),
}

impl From<XlsxError> for WorkbookError {
    fn from(error: XlsxError) -> Self {
        match error {
            XlsxError::IoError(error) | XlsxError::TempFileError(_, error) => Self::Io(error),
            error => Self::Xlsx(Box::new(error)),
        }
    }
}
