//! Writes a CSV.

use std::io;
use std::io::Write;

/// Writes rows with LF line ends and minimal quoting to any sink.
pub struct Writer<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> Writer<W> {
    /// Writes the header row.
    pub fn new<'f>(sink: W, header: impl IntoIterator<Item = &'f str>) -> io::Result<Self> {
        let rows = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .quote_style(csv::QuoteStyle::Necessary)
            .from_writer(sink);
        let mut writer = Self { rows };
        writer.row(header)?;
        Ok(writer)
    }

    /// Writes one row.
    pub fn row<'f>(&mut self, fields: impl IntoIterator<Item = &'f str>) -> io::Result<()> {
        self.rows.write_record(fields).map_err(io::Error::from)
    }

    /// Flushes the table.
    pub fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}
