//! The only reader and writer of CSV, and the only reader of workbooks.
//!
//! Reading is strict, and errors name file, line and column. Writing is byte-stable: LF line ends, quotes only where a
//! field needs them. Columns have names and order, but no meaning. Rules: CONTRACT, section 2, `csv_path`; recorded
//! cases in the tests.

pub mod delimiter;
mod error;
mod header;
mod quotes;
mod reader;
pub mod sheet;
mod source;
mod writer;

pub use delimiter::{option, probable, shown};
pub use error::{RECORD_BYTES_MAX, TableError};
pub use reader::{Mark, ReadOptions, Reader, RowsInCell};
pub use source::encoding_named;
pub use writer::Writer;

#[cfg(test)]
mod tests;
