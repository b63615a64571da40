//! Reads a sheet of a workbook as a CSV, so that everything behind it knows one kind of table.
//!
//! The first row with a value is the header. A column has a name there, and a value outside of the columns is an error.
//! Rows are written one by one: only the texts that the workbook shares between cells are in memory (`.xlsx`, `.xlsb`),
//! or the sheets (`.xls`, `.ods`).

mod book;
mod convert;
mod error;
mod text;

pub use book::is_workbook;
pub use convert::{Converted, write_as_csv};
pub use error::{CellPlace, SheetError};

#[cfg(test)]
mod tests;
