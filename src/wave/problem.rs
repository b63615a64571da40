//! A problem of a wave, with its position.

use std::fmt;

/// A problem of a wave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Whether it is in the call file.
    pub in_call: bool,
    /// The line in the file, counted from 1, if known.
    pub line: Option<u64>,
    /// The row, counted from 1 after the header; `None` for the header and the call file.
    pub row: Option<usize>,
    /// The id of the row; `None` for the header and the call file.
    pub item: Option<String>,
    /// The column, or the key of the call file.
    pub column: String,
    /// The description.
    pub message: String,
}

impl Problem {
    /// A problem of the header.
    pub(super) fn in_header(column: &str, message: impl Into<String>) -> Self {
        Self {
            line: Some(1),
            column: column.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// A problem of a row, counted from 1.
    pub(super) fn in_row(number: usize, column: &str, message: impl Into<String>) -> Self {
        Self {
            row: Some(number),
            column: column.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// The problem with the id of its row and the line on which that begins.
    pub(super) fn of_item(mut self, id: &str, line: u64) -> Self {
        self.item = Some(id.to_owned());
        self.line = Some(line);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.row {
            write!(f, "row {row}, ")?;
        }
        if let Some(item) = &self.item {
            write!(f, "item `{}`, ", crate::model::one_line(item))?;
        }
        if self.row.is_some() {
            f.write_str("column ")?;
        }
        match self.column.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "`{}`: {}", self.column, self.message),
        }
    }
}
