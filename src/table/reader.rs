//! Reads a CSV record by record, with the line of each.

use super::error::{TableError, io_error};
use super::source::{CHUNK_BYTES, Encoding, Source};
use super::{header, quotes};
use memchr::memchr3;
use serde::{Deserialize, Serialize};
use std::io;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};

/// Options for reading a file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The delimiter, one byte; by default the one of a first line `sep=`, or a comma.
    pub delimiter: Option<u8>,
    /// The encoding of a file without a byte-order mark; UTF-8 by default.
    pub encoding: Option<&'static Encoding>,
    /// `(old, new)`: header names to change, applied to the first column of that name.
    pub rename: Vec<(String, String)>,
    /// Whether header names may repeat, as in an output whose input has one of our columns.
    pub may_repeat: bool,
}

/// A cell that may contain rows: a stray quote opened it, and another one closed it some lines later. Lines and columns
/// are 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsInCell {
    /// The first line of the record.
    pub line: u64,
    /// The last line of the record.
    pub last_line: u64,
    /// Its first cell with a line break.
    pub column: usize,
}

/// Where a row begins in a file, and how it begins, to find it again without reading the rows before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The offset in bytes, without a byte-order mark and a `sep=` line.
    pub offset: u64,
    /// The line ends before it.
    pub lines: u64,
    /// The rows before it, also the blank ones.
    pub rows: u64,
    /// A hash of its first bytes.
    pub begin: u64,
}

/// A CSV file being read, row by row.
pub struct Reader {
    path: PathBuf,
    header: Vec<String>,
    delimiter: u8,
    rows: csv::Reader<Source>,
    /// The current record, or an empty one while it is in `text`.
    record: csv::ByteRecord,
    text: csv::StringRecord,
    /// The offsets of the current record in the source.
    span: (u64, u64),
    row: u64,
    rows_in_cells: (Option<RowsInCell>, u64),
}

impl Reader {
    /// Opens `path` and reads its header; `name` is its name in messages, for a copy the path of the original.
    pub fn open(path: &Path, name: &Path, options: &ReadOptions) -> Result<Self, TableError> {
        let (source, sep_delimiter) = Source::open(path, name, options.encoding)?;
        let delimiter = options.delimiter.or(sep_delimiter).unwrap_or(b',');
        let rows = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(CHUNK_BYTES)
            .from_reader(source);
        let mut reader = Self {
            path: name.to_owned(),
            header: Vec::new(),
            delimiter,
            rows,
            record: csv::ByteRecord::new(),
            text: csv::StringRecord::new(),
            span: (0, 0),
            row: 0,
            rows_in_cells: (None, 0),
        };
        if !reader.advance()? {
            return Err(TableError::NoHeader {
                path: name.to_owned(),
            });
        }
        reader.header = owned(reader.text()?);
        reader.rename(&options.rename)?;
        if !options.may_repeat {
            reader.check_header()?;
        }
        Ok(reader)
    }

    /// The column names, in order.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The delimiter.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The next row with any content; skips rows whose fields are all empty.
    pub fn next_row(&mut self) -> Result<Option<Vec<String>>, TableError> {
        Ok(self.advance_to_content()?.then(|| owned(&self.text)))
    }

    /// The cells of [`Reader::next_row`] without a copy of each, and the line on which they begin.
    pub fn next_record(&mut self) -> Result<Option<(impl Iterator<Item = &str>, u64)>, TableError> {
        let is_there = self.advance_to_content()?;
        Ok(is_there.then(|| (self.text.iter(), self.line())))
    }

    fn advance_to_content(&mut self) -> Result<bool, TableError> {
        while self.advance()? {
            self.row += 1;
            self.check_width()?;
            if self.record.iter().any(|field| !field.is_empty()) {
                self.text()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The place of the row that was read last; `None` in a file that is decoded from another encoding.
    pub fn mark(&self) -> Option<Mark> {
        let source = self.rows.get_ref();
        source.is_plain().then(|| Mark {
            offset: self.span.0,
            lines: source.line_at(self.span.0) - 1,
            rows: self.row.saturating_sub(1),
            begin: hash_of_begin(self.raw()),
        })
    }

    /// Continues before the row at `mark`; `false` if the file has no such row there, or one that begins with a byte-order mark,
    /// which the parser drops wherever it begins to read. Then it must be opened again.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn seek(&mut self, mark: Mark) -> Result<bool, TableError> {
        if !self.rows.get_ref().is_plain() {
            return Ok(false);
        }
        self.jump(mark)?;
        let is_there = matches!(self.advance(), Ok(true));
        let is_there = is_there
            && self.record.len() == self.header.len()
            && hash_of_begin(self.raw()) == mark.begin
            && !self.raw().starts_with(b"\xEF\xBB\xBF");
        if is_there {
            self.jump(mark)?;
        }
        Ok(is_there)
    }

    fn jump(&mut self, mark: Mark) -> Result<(), TableError> {
        let mut position = csv::Position::new();
        position.set_byte(mark.offset);
        let sought = self.rows.seek_raw(SeekFrom::Start(mark.offset), position);
        sought.map_err(|error| io_error(&self.path, error.into()))?;
        self.rows.get_mut().jump(mark.offset, mark.lines);
        self.span = (mark.offset, mark.offset);
        self.row = mark.rows;
        Ok(())
    }

    /// The first cell so far that may contain rows, and how many more there are.
    pub fn rows_in_cells(&self) -> Option<(RowsInCell, u64)> {
        let (first, count) = &self.rows_in_cells;
        first.clone().map(|first| (first, count - 1))
    }

    fn advance(&mut self) -> Result<bool, TableError> {
        let begin = self.rows.position().byte();
        self.rows.get_mut().begin_record(begin);
        if !self.text.is_empty() {
            // Its memory serves for the next one.
            self.record = std::mem::take(&mut self.text).into_byte_record();
        }
        let advanced = self.rows.read_byte_record(&mut self.record);
        match advanced {
            Ok(false) => Ok(false),
            Ok(true) => {
                self.span = (begin, self.rows.position().byte());
                self.check_quotes()?;
                Ok(true)
            }
            Err(error) => Err(self.broken(begin, error.into())),
        }
    }

    fn broken(&self, begin: u64, error: io::Error) -> TableError {
        let source = self.rows.get_ref();
        let path = self.path.clone();
        if let Some(undecodable) = source.undecodable() {
            return TableError::Undecodable {
                path,
                line: undecodable.line,
                encoding: undecodable.encoding,
            };
        }
        if !source.is_full() {
            return io_error(&self.path, error);
        }
        let raw = source.raw(begin, u64::MAX);
        let line = self.line_of(begin);
        match quotes::find_quotes(raw, self.delimiter).unclosed {
            Some(quote) => TableError::UnclosedQuote {
                path,
                line: source.line_at(begin) + quote.lines_before,
                column: quote.column,
                what: "is not closed within 16 MiB",
            },
            None => TableError::RecordTooLarge { path, line },
        }
    }

    /// An unclosed quote makes the rest of the file one field, or everything up to the next quote; a quote after a
    /// backslash closes its field early. The parser accepts both silently, so the bytes of records that may contain one
    /// are checked again.
    fn check_quotes(&mut self) -> Result<(), TableError> {
        let raw = self.raw();
        let ends_line = matches!(raw.last(), Some(b'\n' | b'\r'));
        if ends_line && memchr3(b'\n', b'\r', b'\\', self.record.as_slice()).is_none() {
            return Ok(());
        }
        let found = quotes::find_quotes(raw, self.delimiter);
        let (quote, what) = match (found.escaped, found.unclosed, found.stray) {
            (Some(quote), ..) => (
                quote,
                "is closed after a backslash, in the middle of a field; CSV has no backslash escapes",
            ),
            (None, Some(quote), _) => (quote, "is never closed"),
            (None, None, Some(quote)) => {
                (quote, "is closed on a later line, in the middle of a field")
            }
            (None, None, None) => {
                if let Some(quote) = found.spanning {
                    self.note_rows_in_cell(quote.column);
                }
                return Ok(());
            }
        };
        Err(TableError::UnclosedQuote {
            path: self.path.clone(),
            line: self.rows.get_ref().line_at(self.span.0) + quote.lines_before,
            column: quote.column,
            what,
        })
    }

    /// Such a cell is valid CSV, so it is noted and not refused.
    fn note_rows_in_cell(&mut self, column: usize) {
        if !quotes::looks_like_rows(self.raw(), self.delimiter, self.header.len()) {
            return;
        }
        let line = self.line();
        let within = self.raw().trim_ascii().iter();
        let rows_in_cell = RowsInCell {
            line,
            last_line: line + within.filter(|byte| **byte == b'\n').count() as u64,
            column,
        };
        self.rows_in_cells.0.get_or_insert(rows_in_cell);
        self.rows_in_cells.1 += 1;
    }

    /// The bytes of the current record.
    fn raw(&self) -> &[u8] {
        self.rows.get_ref().raw(self.span.0, self.span.1)
    }

    /// The first line of the current record. The parser's own count skips blank lines and ends a record with CRLF one
    /// byte early, so the line ends in the bytes are counted.
    pub fn line(&self) -> u64 {
        self.line_of(self.span.0)
    }

    fn line_of(&self, begin: u64) -> u64 {
        let source = self.rows.get_ref();
        let raw = source.raw(begin, u64::MAX);
        let blank = raw.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
        source.line_at(begin) + blank.filter(|byte| **byte == b'\n').count() as u64
    }

    /// Moves the current record into `text`.
    fn text(&mut self) -> Result<&csv::StringRecord, TableError> {
        let record = std::mem::take(&mut self.record);
        match csv::StringRecord::from_byte_record(record) {
            Ok(text) => self.text = text,
            Err(error) => return Err(self.not_utf8(error.utf8_error().field() + 1)),
        }
        Ok(&self.text)
    }

    fn not_utf8(&self, column: usize) -> TableError {
        let raw = self.raw();
        let valid = std::str::from_utf8(raw).map_or_else(|error| error.valid_up_to(), str::len);
        let before = raw[..valid].iter().filter(|byte| **byte == b'\n');
        TableError::NotUtf8 {
            path: self.path.clone(),
            line: self.rows.get_ref().line_at(self.span.0) + before.count() as u64,
            column,
            byte: raw.get(valid).copied().unwrap_or_default(),
        }
    }

    fn check_width(&self) -> Result<(), TableError> {
        let (found, expected) = (self.record.len(), self.header.len());
        if found == expected {
            return Ok(());
        }
        let spanning = quotes::find_quotes(self.raw(), self.delimiter).spanning;
        let begin = self.rows.get_ref().line_at(self.span.0);
        Err(TableError::Ragged {
            path: self.path.clone(),
            line: self.line(),
            column: found.min(expected) + 1,
            row: self.row,
            found,
            expected,
            quote_line: spanning.map(|quote| begin + quote.lines_before),
        })
    }

    fn rename(&mut self, pairs: &[(String, String)]) -> Result<(), TableError> {
        for (old, new) in pairs {
            match header::renamed(&self.header, old, new) {
                Some((index, new)) => self.header[index] = new,
                None => {
                    return Err(TableError::NoColumn {
                        path: self.path.clone(),
                        name: old.clone(),
                        columns: self.header.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn check_header(&self) -> Result<(), TableError> {
        let repeated = header::repeated(&self.header);
        if repeated.is_empty() {
            return Ok(());
        }
        Err(TableError::DuplicateHeaders {
            path: self.path.clone(),
            line: self.line(),
            repeated,
            rename: header::renames(&self.header),
        })
    }
}

fn owned(record: &csv::StringRecord) -> Vec<String> {
    record.iter().map(str::to_owned).collect()
}

/// A hash of the first bytes of a record. FNV-1a: it must be the same on every machine.
fn hash_of_begin(raw: &[u8]) -> u64 {
    const BYTES: usize = 64;
    let begin = raw.iter().take(BYTES);
    begin.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
