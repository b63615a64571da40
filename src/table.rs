//! The only reader and writer of CSV.
//!
//! Reading is strict and says where: file, line and column. Writing is byte-stable: LF line ends,
//! quotes only where a field needs them. Columns have names and order here, but no meaning.
//! Rules: CONTRACT, section 2, `csv_path`; recorded cases in the tests.

mod header;
mod quotes;
mod source;

pub use header::Repeated;
pub use source::{Encoding, encoding_named};

use crate::model::shell_word;
use source::{CHUNK_BYTES, Source};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a CSV file was refused. Lines and columns are 1-based.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It can't be opened or read.
    #[error("`{}` can't be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// No header row.
    #[error("`{}`, line 1: the file is empty; a CSV needs a header row", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// A workbook or an archive.
    #[error("`{}` is {what}, and no CSV", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
        /// What it is, by its first bytes.
        what: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// UTF-16 that does not say so.
    #[error("`{}` looks like {encoding} without a byte-order mark", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
        /// Its byte order.
        encoding: &'static str,
    },
    /// Bytes that stand for no character in the encoding.
    #[error("`{}`, line {line}: holds bytes that are no character in {encoding}", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// The line on which they stand.
        line: u64,
        /// The encoding.
        encoding: &'static str,
    },
    /// A quoted field that takes in what follows it.
    #[error("`{}`, line {line}, column {column}: the quote that is opened here {what}", path.display())]
    UnclosedQuote {
        /// The file.
        path: PathBuf,
        /// The line of the opening quote.
        line: u64,
        /// Its field.
        column: usize,
        /// What becomes of it.
        what: &'static str,
    },
    /// Columns with one name.
    #[error("`{}`, line {line}, {}", path.display(), repeated.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    DuplicateHeaders {
        /// The file.
        path: PathBuf,
        /// The header's line.
        line: u64,
        /// Every column whose name an earlier one has.
        repeated: Vec<Repeated>,
        /// Changes that make all names differ, in order.
        rename: Vec<(String, String)>,
    },
    /// A column to rename that is not there.
    #[error("`{}` has no column `{name}` to rename; its columns are: {}", path.display(), columns.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A record without an end, or a file that is no CSV.
    #[error("`{}`, line {line}: a record of more than {RECORD_BYTES_MAX} bytes begins here", path.display())]
    RecordTooLarge {
        /// The file.
        path: PathBuf,
        /// The line on which the record begins.
        line: u64,
    },
    /// Another number of fields than the header.
    #[error("`{}`, line {line}, column {column}: row {row} has {found} {} but the header has {expected}{}",
        path.display(), if *found == 1 { "field" } else { "fields" }, reaching(*quote_line))]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The line on which the row begins.
        line: u64,
        /// The first field that is missing or too many.
        column: usize,
        /// 1-based over all records after the header.
        row: u64,
        /// Fields found.
        found: usize,
        /// Fields of the header.
        expected: usize,
        /// The line of a quote that is opened in the row and reaches over several lines.
        quote_line: Option<u64>,
    },
    /// Bytes that are not UTF-8.
    #[error("`{}`, line {line}, column {column}: not valid UTF-8 (byte 0x{byte:02X})", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line on which they stand.
        line: u64,
        /// The field.
        column: usize,
        /// The first of them.
        byte: u8,
    },
    /// The same of a file that no option says how to read.
    #[error(transparent)]
    Fixed(Box<TableError>),
}

impl TableError {
    /// Of a file that is always UTF-8 with commas, such as a wave: the options of `mesh spawn` are no help with it.
    pub fn fixed(self) -> Self {
        TableError::Fixed(Box::new(self))
    }

    /// What to do about it, with the options of `mesh spawn`.
    pub fn hint(&self) -> Option<String> {
        match self {
            TableError::Fixed(error) => error.hint_without_options(),
            TableError::DuplicateHeaders { rename, .. } => {
                let options = rename.iter().map(|(old, new)| rename_option(old, new));
                let options: Vec<String> = options.collect();
                Some(format!(
                    "give the columns different names, or add: {}",
                    options.join(" ")
                ))
            }
            TableError::Ragged {
                quote_line: None, ..
            } => Some(
                "quote fields that hold the separator, or name another one with --delimiter"
                    .to_owned(),
            ),
            TableError::NotUtf8 { .. } => {
                Some("name its encoding, for example: --encoding windows-1252".to_owned())
            }
            TableError::Undecodable { .. } => Some(
                "name the encoding that it has, for example: --encoding windows-1252".to_owned(),
            ),
            TableError::Utf16 { encoding, .. } => {
                Some(format!("--encoding {}", encoding.to_ascii_lowercase()))
            }
            _ => self.hint_without_options(),
        }
    }

    fn hint_without_options(&self) -> Option<String> {
        match self {
            TableError::RecordTooLarge { .. } => {
                Some("look there for a quote that is never closed".to_owned())
            }
            TableError::UnclosedQuote { .. } => Some(
                "close it at the end of its field; a quote that belongs to the text is doubled, and the field quoted: \"5\"\" pipe\""
                    .to_owned(),
            ),
            TableError::Ragged { quote_line: Some(line), .. } => {
                Some(format!("look at the quote that is opened on line {line}"))
            }
            TableError::Ragged { .. } => Some("quote fields that hold the separator".to_owned()),
            TableError::DuplicateHeaders { .. } => {
                Some("give the columns different names".to_owned())
            }
            TableError::NotUtf8 { path, .. } | TableError::Undecodable { path, .. } => {
                Some(format!("convert it: iconv -f WINDOWS-1252 -t UTF-8 {} > utf8.csv", shown(path)))
            }
            TableError::Utf16 { path, encoding } => {
                Some(format!("convert it: iconv -f {encoding} -t UTF-8 {} > utf8.csv", shown(path)))
            }
            TableError::NoText { hint, .. } => Some((*hint).to_owned()),
            TableError::NoColumn { .. } => Some("names are case-sensitive".to_owned()),
            TableError::Fixed(error) => error.hint_without_options(),
            TableError::NoHeader { .. } | TableError::Io { .. } => None,
        }
    }
}

fn reaching(quote_line: Option<u64>) -> String {
    quote_line.map_or(String::new(), |line| {
        format!("; the quote that is opened on line {line} reaches over several lines")
    })
}

fn shown(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

fn rename_option(old: &str, new: &str) -> String {
    let pair = format!("{old}={new}");
    match old.starts_with('-') {
        true => shell_word(&format!("--rename={pair}")),
        false => format!("--rename {}", shell_word(&pair)),
    }
}

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The separator, one byte; else what a first line `sep=` says, else a comma.
    pub delimiter: Option<u8>,
    /// The encoding of a file without a byte-order mark; UTF-8 by default.
    pub encoding: Option<&'static Encoding>,
    /// `(old, new)`: header names to change, applied to the first column of that name.
    pub rename: Vec<(String, String)>,
}

/// The largest record, in bytes.
pub const RECORD_BYTES_MAX: u64 = 16 << 20;

/// A cell that perhaps holds rows: a quote opened it by mistake, and another one closed it some lines later. Lines and columns are
/// 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsInCell {
    /// Where the record begins.
    pub line: u64,
    /// Where it ends.
    pub last_line: u64,
    /// Its first cell over several lines.
    pub column: usize,
}

/// A CSV file being read, row by row.
pub struct Reader {
    path: PathBuf,
    header: Vec<String>,
    delimiter: u8,
    rows: csv::Reader<Source>,
    record: csv::ByteRecord,
    /// Where the record begins and ends, in what the source gave.
    span: (u64, u64),
    row: u64,
    rows_in_cells: (Option<RowsInCell>, u64),
}

impl Reader {
    /// Opens `path` and reads its header; `name` is what messages call it, for a copy the path of the original.
    pub fn open(path: &Path, name: &Path, options: &ReadOptions) -> Result<Self, TableError> {
        let (source, said) = Source::open(path, name, options.encoding)?;
        let delimiter = options.delimiter.or(said).unwrap_or(b',');
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
            span: (0, 0),
            row: 0,
            rows_in_cells: (None, 0),
        };
        if !reader.advance()? {
            return Err(TableError::NoHeader {
                path: name.to_owned(),
            });
        }
        reader.header = reader.fields()?;
        reader.rename(&options.rename)?;
        reader.check_header()?;
        Ok(reader)
    }

    /// The column names, in order.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The separator.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The next row that has any content; rows whose fields are all empty are passed over.
    pub fn next_row(&mut self) -> Result<Option<Vec<String>>, TableError> {
        while self.advance()? {
            self.row += 1;
            self.check_width()?;
            if self.record.iter().any(|field| !field.is_empty()) {
                return self.fields().map(Some);
            }
        }
        Ok(None)
    }

    /// The first of the cells so far that perhaps hold rows, and how many more there are.
    pub fn rows_in_cells(&self) -> Option<(RowsInCell, u64)> {
        let (first, count) = &self.rows_in_cells;
        first.clone().map(|first| (first, count - 1))
    }

    fn advance(&mut self) -> Result<bool, TableError> {
        let begin = self.rows.position().byte();
        self.rows.get_mut().begin_record(begin);
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
        match quotes::look(raw, self.delimiter).unclosed {
            Some(quote) => TableError::UnclosedQuote {
                path,
                line: source.line_at(begin) + quote.lines_before,
                column: quote.column,
                what: "is not closed within 16 MiB",
            },
            None => TableError::RecordTooLarge { path, line },
        }
    }

    /// A quote that is never closed makes the rest of the file one field, or all up to the next quote; one behind a
    /// backslash closes a field that was to go on. The parser takes all of them without a word, so the bytes of records that
    /// could hold one are looked at once more.
    fn check_quotes(&mut self) -> Result<(), TableError> {
        let raw = self.raw();
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let ends_line = raw.last().is_some_and(is_break);
        let is_suspect = |byte: &u8| is_break(byte) || *byte == b'\\';
        if ends_line && !self.record.as_slice().iter().any(is_suspect) {
            return Ok(());
        }
        let found = quotes::look(raw, self.delimiter);
        let (quote, what) = match (found.escaped, found.unclosed, found.stray) {
            (Some(quote), ..) => (
                quote,
                "is closed behind a backslash, in the middle of a field; CSV has no backslash escapes",
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

    /// Nothing is wrong with such a cell as far as CSV goes, so it is remembered and not refused.
    fn note_rows_in_cell(&mut self, column: usize) {
        if !quotes::reads_like_rows(self.raw(), self.delimiter, self.header.len()) {
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

    /// The bytes of the record.
    fn raw(&self) -> &[u8] {
        self.rows.get_ref().raw(self.span.0, self.span.1)
    }

    /// The line on which the record begins. The parser's own count leaves out blank lines and takes CRLF for a record's
    /// end one byte early, so for a message the bytes are counted.
    pub fn line(&self) -> u64 {
        self.line_of(self.span.0)
    }

    fn line_of(&self, begin: u64) -> u64 {
        let source = self.rows.get_ref();
        let raw = source.raw(begin, u64::MAX);
        let blank = raw.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
        source.line_at(begin) + blank.filter(|byte| **byte == b'\n').count() as u64
    }

    fn fields(&self) -> Result<Vec<String>, TableError> {
        self.record
            .iter()
            .enumerate()
            .map(|(index, field)| {
                String::from_utf8(field.to_vec()).map_err(|_| self.not_utf8(index + 1))
            })
            .collect()
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
        let spanning = quotes::look(self.raw(), self.delimiter).spanning;
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

/// Writes rows with LF line ends and minimal quoting to any sink.
pub struct Writer<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> Writer<W> {
    /// Begins with the header row.
    pub fn new<'f>(sink: W, header: impl IntoIterator<Item = &'f str>) -> io::Result<Self> {
        let rows = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .quote_style(csv::QuoteStyle::Necessary)
            .from_writer(sink);
        let mut writer = Self { rows };
        writer.row(header)?;
        Ok(writer)
    }

    /// Adds one row.
    pub fn row<'f>(&mut self, fields: impl IntoIterator<Item = &'f str>) -> io::Result<()> {
        self.rows.write_record(fields).map_err(io::Error::from)
    }

    /// Ends the table.
    pub fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}

fn io_error(path: &Path, source: io::Error) -> TableError {
    TableError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Table = (Vec<String>, Vec<Vec<String>>);

    fn read(content: &[u8]) -> Result<Table, TableError> {
        read_with(content, &ReadOptions::default())
    }

    fn read_as(encoding: &str, content: &[u8]) -> Result<Table, TableError> {
        let options = ReadOptions {
            encoding: Some(encoding_named(encoding).expect("an encoding")),
            ..ReadOptions::default()
        };
        read_with(content, &options)
    }

    fn read_with(content: &[u8], options: &ReadOptions) -> Result<Table, TableError> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("t.csv");
        std::fs::write(&path, content).expect("written");
        let mut reader = Reader::open(&path, &path, options)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
        Ok((reader.header().to_vec(), rows))
    }

    fn refusal(content: &[u8]) -> String {
        let message = read(content).expect_err("refused").to_string();
        message[message.rfind("t.csv`").map_or(0, |at| at + 6)..].to_owned()
    }

    #[test]
    fn byte_order_mark_crlf_empty_lines_and_quoted_breaks() {
        let (header, rows) =
            read(b"\xEF\xBB\xBFid,t\r\n1,\"a\nb\"\r\n\r\n,\r\n2,c\r\n").expect("read");
        assert_eq!(header, ["id", "t"]);
        assert_eq!(rows, [["1", "a\nb"], ["2", "c"]]);
    }

    #[test]
    fn refusals_name_line_and_column() {
        assert_eq!(
            refusal(b""),
            ", line 1: the file is empty; a CSV needs a header row"
        );
        assert_eq!(
            refusal(b"id,mock\n1,ok\n2,ok,extra\n"),
            ", line 3, column 3: row 2 has 3 fields but the header has 2"
        );
        assert_eq!(
            refusal(b"id,mock\n1,ok\n2\n"),
            ", line 3, column 2: row 2 has 1 field but the header has 2"
        );
        assert_eq!(
            refusal(b"id,m\r\n1,a\r\n\r\n\r\n2\r\n"),
            ", line 5, column 2: row 2 has 1 field but the header has 2"
        );
        assert_eq!(
            refusal(b"id,id,mock\n"),
            ", line 1, column 2: header `id` is there twice (first as column 1)"
        );
        assert_eq!(
            refusal(b"id,t\n1,caf\xE9\n"),
            ", line 2, column 2: not valid UTF-8 (byte 0xE9)"
        );
    }

    #[test]
    fn a_quote_behind_a_backslash_that_closes_its_field_early_is_refused() {
        for cell in [
            r#""say \"so\"""#,
            r#""{\"a\":1, \"b\":2}""#,
            r#""\"so\", she said""#,
        ] {
            assert_eq!(
                refusal(format!("id,text\n1,x\n2,{cell}\n").as_bytes()),
                ", line 3, column 2: the quote that is opened here is closed behind a backslash, in the middle of a field; CSV has no backslash escapes",
                "{cell}"
            );
        }
        let (_, rows) = read(
            br#"id,text
1,"C:\dir\"
"C:\",\"x\"
"#,
        )
        .expect("no escapes");
        assert_eq!(rows, [["1", r"C:\dir\"], [r"C:\", r#"\"x\""#]]);
    }

    #[test]
    fn a_quote_that_takes_in_other_rows_is_refused_where_it_is_opened() {
        for content in [
            "path,topic\na.rs,\"x\nb.rs,y\nc.rs,z\n",
            "path,topic\na.rs,\"x\nb.rs,y",
            "path,topic\na.rs,\"x",
            "path,topic\r\na.rs,\"x\r\nb.rs,y\r\n",
        ] {
            assert_eq!(
                refusal(content.as_bytes()),
                ", line 2, column 2: the quote that is opened here is never closed",
                "{content}"
            );
        }
        assert_eq!(
            refusal(b"path,\"topic\na.rs,x\n"),
            ", line 1, column 2: the quote that is opened here is never closed"
        );
        assert_eq!(
            refusal(b"path,topic\n\nz,z\na.rs,\"x\nb.rs,\"y\"\nc.rs,z\n"),
            ", line 4, column 2: the quote that is opened here is closed on a later line, in the middle of a field"
        );
        assert_eq!(
            refusal(b"path,topic\na.rs,\"x\nb.rs,y\",z\n"),
            ", line 2, column 3: row 1 has 3 fields but the header has 2; the quote that is opened on line 2 reaches over several lines"
        );
    }

    #[test]
    fn quotes_that_are_closed_or_are_text_stay() {
        let content = b"a,b\n5\" pipe, \"x\n\"a\"b,\"c \"\"d\"\"\n\n, e\"\n\"\",\"z\"";
        let (_, rows) = read(content).expect("read");
        assert_eq!(
            rows,
            [["5\" pipe", " \"x"], ["ab", "c \"d\"\n\n, e"], ["", "z"]]
        );
    }

    #[test]
    fn the_encoding_is_known_by_its_mark_or_by_name() {
        let utf16 = |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        let text = "a,b\r\n1,\u{e4}\u{1f600}\r\n";
        let rows = [["1".to_owned(), "\u{e4}\u{1f600}".to_owned()]];
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let marked = utf16(order, &format!("\u{feff}{text}"));
            assert_eq!(read(&marked).expect("read").1, rows);
            let bare = utf16(order, text);
            let message = refusal(&bare);
            assert!(message.contains("without a byte-order mark"), "{message}");
            assert_eq!(read_as("utf-16", &bare).expect("read").1, rows);
        }
        let cp1252 = b"a,b\n1,caf\xE9 \x80\n";
        assert_eq!(
            read_as("cp1252", cp1252).expect("read").1,
            [["1", "caf\u{e9} \u{20ac}"]]
        );
        for (name, bytes) in [
            ("windows-1252", b"a,b\n1,x\n2,\x81\n".as_slice()),
            ("shift_jis", b"a,b\n1,x\n2,\x81\x00\n"),
            ("utf-16le", b"a\0,\0b\0\n\0x\0,\0y\0\n\0\x00\xd8x\0"),
        ] {
            let message = read_as(name, bytes).expect_err(name).to_string();
            assert!(
                message.contains(", line 3: holds bytes that are no character in "),
                "{message}"
            );
        }
    }

    #[test]
    fn many_chunks_in_another_encoding_keep_their_lines() {
        let mut bytes = b"a,b\n".to_vec();
        for _ in 0..40_000 {
            bytes.extend_from_slice(b"\xE9,\"x\n\xE9\"\n");
        }
        let (_, rows) = read_as("latin-1", &bytes).expect("read");
        assert_eq!(rows.len(), 40_000);
        assert!(rows.iter().all(|row| *row == ["\u{e9}", "x\n\u{e9}"]));
        bytes.extend_from_slice(b"1\n");
        let message = read_as("latin1", &bytes).expect_err("ragged").to_string();
        assert!(
            message.contains("line 80002, column 2: row 40001"),
            "{message}"
        );
    }

    #[test]
    fn a_first_line_may_name_the_separator() {
        for content in [
            "sep=;\r\na;b\r\n1,5;2\r\n",
            "\u{feff}sep=;\na;b\n1,5;2\n",
            "\"sep=;\"\na;b\n1,5;2\n",
            "SEP=;\na;b\n1,5;2\n",
            "sep=;;;\na;b\n1,5;2\n",
            "\"sep=;\";\t \r\na;b\n1,5;2\n",
            &format!("sep=;{}\na;b\n1,5;2\n", ";".repeat(900)),
        ] {
            let (header, rows) = read(content.as_bytes()).expect(content);
            assert_eq!(
                (header, rows),
                (
                    vec!["a".to_owned(), "b".to_owned()],
                    vec![vec!["1,5".to_owned(), "2".to_owned()]]
                ),
                "{content}"
            );
        }
        assert_eq!(
            refusal(b"sep=;\na;b\n1\n"),
            ", line 3, column 2: row 1 has 1 field but the header has 2"
        );
        assert!(refusal(b"sep=;\n").contains("the file is empty"));
        assert_eq!(read(b"sep=,x\n1,2\n").expect("a header").0, ["sep=", "x"]);
        // Cut in two, it would be a header of its own.
        let long = format!("sep=,{}\n", ",".repeat(5000));
        assert!(refusal(long.as_bytes()).contains("is there twice"));
    }

    #[test]
    fn quotes_only_where_needed() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, ["a", "b"]).expect("header");
        writer.row(["x y", "1,2"]).expect("row");
        writer.row(["say \"hi\"", "a\r\nb"]).expect("row");
        writer.finish().expect("flushed");
        assert_eq!(
            String::from_utf8(bytes).expect("text"),
            "a,b\nx y,\"1,2\"\n\"say \"\"hi\"\"\",\"a\r\nb\"\n"
        );
    }
}
