//! Where something is: a row of the workbook, or a file.

use std::path::{Path, PathBuf};

/// A row of the workbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of its sheet.
    pub sheet: String,
    /// Its number there, from 1 for the header.
    pub row: u32,
}

/// The path of a file from the root, for links and pointers that outlive this folder.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
