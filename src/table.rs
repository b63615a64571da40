//! The only reader and writer of CSV.
//!
//! Reading is strict and says where: file, line and column. Writing is byte-stable: LF line ends,
//! quotes only where a field needs them. Columns have names and order here, but no meaning.
//! Rules: CONTRACT, section 2, `csv_path`; recorded cases in the tests.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
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
    /// Two columns with one name.
    #[error("`{}`, line {line}, column {column}: header `{name}` is there twice (first as column {first})", path.display())]
    DuplicateHeader {
        /// The file.
        path: PathBuf,
        /// The header's line.
        line: u64,
        /// The second column of that name.
        column: usize,
        /// The first column of that name.
        first: usize,
        /// The name.
        name: String,
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
    #[error("`{}`, line {line}, column {column}: row {row} has {found} fields but the header has {expected}", path.display())]
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
    },
    /// Bytes that are not UTF-8.
    #[error("`{}`, line {line}, column {column}: not valid UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line on which the row begins.
        line: u64,
        /// The field.
        column: usize,
    },
}

impl TableError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            TableError::RecordTooLarge { .. } => {
                Some("look there for a quote that is never closed".to_owned())
            }
            TableError::DuplicateHeader { name, .. } => Some(format!(
                "give the columns different names, or rename the first one while reading: --rename '{name}={name}_1'"
            )),
            TableError::Ragged { .. } => Some(
                "quote fields that hold the separator, or name another one with --delimiter"
                    .to_owned(),
            ),
            TableError::NotUtf8 { path, .. } => Some(format!(
                "convert it: iconv -f LATIN1 -t UTF-8 '{}' > utf8.csv",
                path.display()
            )),
            TableError::NoColumn { .. } => Some("names are case-sensitive".to_owned()),
            TableError::NoHeader { .. } | TableError::Io { .. } => None,
        }
    }
}

/// How a file is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The separator, one byte.
    pub delimiter: u8,
    /// `(old, new)`: header names to change, applied to the first column of that name.
    pub rename: Vec<(String, String)>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            rename: Vec::new(),
        }
    }
}

/// The largest record, in bytes of the file.
pub const RECORD_BYTES_MAX: u64 = 16 << 20;

/// A file that gives no more than what one record may have: a quote that is never closed, or a file without line ends,
/// would else end up in memory as a whole.
struct Bounded {
    file: File,
    read: u64,
    until: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.until {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let length = self.file.read(buffer)?;
        self.read += length as u64;
        Ok(length)
    }
}

/// A CSV file being read, row by row.
pub struct Reader {
    path: PathBuf,
    header: Vec<String>,
    rows: csv::Reader<Bounded>,
    record: csv::ByteRecord,
    row: u64,
}

impl Reader {
    /// Opens `path` and reads its header; `name` is what messages call it, for a copy the path of the original.
    pub fn open(path: &Path, name: &Path, options: &ReadOptions) -> Result<Self, TableError> {
        let file = File::open(path).map_err(|source| io_error(name, source))?;
        let rows = csv::ReaderBuilder::new()
            .delimiter(options.delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Bounded {
                file,
                read: 0,
                until: 0,
            });
        let mut reader = Self {
            path: name.to_owned(),
            header: Vec::new(),
            rows,
            record: csv::ByteRecord::new(),
            row: 0,
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

    fn advance(&mut self) -> Result<bool, TableError> {
        let begin = self.rows.position().byte();
        let until = begin.saturating_add(RECORD_BYTES_MAX);
        self.rows.get_mut().until = until;
        let advanced = self.rows.read_byte_record(&mut self.record);
        advanced.map_err(|error| match self.rows.get_ref().read >= until {
            true => TableError::RecordTooLarge {
                path: self.path.clone(),
                line: line_at(&self.path, begin).unwrap_or(1),
            },
            false => io_error(&self.path, error.into()),
        })
    }

    /// The line on which the record begins. The parser's own count leaves out blank lines and takes CRLF for a record's
    /// end one byte early, so for a message the file is counted.
    pub fn line(&self) -> u64 {
        let Some(position) = self.record.position() else {
            return 1;
        };
        line_at(&self.path, position.byte()).unwrap_or(position.line())
    }

    fn fields(&self) -> Result<Vec<String>, TableError> {
        self.record
            .iter()
            .enumerate()
            .map(|(index, field)| {
                String::from_utf8(field.to_vec()).map_err(|_| TableError::NotUtf8 {
                    path: self.path.clone(),
                    line: self.line(),
                    column: index + 1,
                })
            })
            .collect()
    }

    fn check_width(&self) -> Result<(), TableError> {
        let (found, expected) = (self.record.len(), self.header.len());
        if found == expected {
            return Ok(());
        }
        Err(TableError::Ragged {
            path: self.path.clone(),
            line: self.line(),
            column: found.min(expected) + 1,
            row: self.row,
            found,
            expected,
        })
    }

    fn rename(&mut self, pairs: &[(String, String)]) -> Result<(), TableError> {
        for (old, new) in pairs {
            match self.header.iter_mut().find(|name| *name == old) {
                Some(name) => name.clone_from(new),
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
        let mut seen = HashSet::new();
        for (index, name) in self.header.iter().enumerate() {
            if !seen.insert(name) {
                let first = self.header.iter().position(|other| other == name);
                return Err(TableError::DuplicateHeader {
                    path: self.path.clone(),
                    line: self.line(),
                    column: index + 1,
                    first: first.map_or(1, |index| index + 1),
                    name: name.clone(),
                });
            }
        }
        Ok(())
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

/// The line of the first byte from `offset` on that ends no line.
fn line_at(path: &Path, offset: u64) -> Option<u64> {
    let mut bytes = BufReader::new(File::open(path).ok()?).bytes();
    let mut line = 1;
    for _ in 0..offset {
        line += u64::from(bytes.next()?.ok()? == b'\n');
    }
    for byte in bytes {
        match byte.ok()? {
            b'\n' => line += 1,
            b'\r' => {}
            _ => break,
        }
    }
    Some(line)
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

    fn read(content: &[u8]) -> Result<(Vec<String>, Vec<Vec<String>>), TableError> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("t.csv");
        std::fs::write(&path, content).expect("written");
        let mut reader = Reader::open(&path, &path, &ReadOptions::default())?;
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
            ", line 3, column 2: row 2 has 1 fields but the header has 2"
        );
        assert_eq!(
            refusal(b"id,m\r\n1,a\r\n\r\n\r\n2\r\n"),
            ", line 5, column 2: row 2 has 1 fields but the header has 2"
        );
        assert_eq!(
            refusal(b"id,id,mock\n"),
            ", line 1, column 2: header `id` is there twice (first as column 1)"
        );
        assert_eq!(
            refusal(b"id,t\n1,caf\xE9\n"),
            ", line 2, column 2: not valid UTF-8"
        );
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
