//! Why a CSV can't be read, with line, column and a hint.

use super::header::Repeated;
use super::sheet::SheetError;
use crate::model::shell_word;
use std::io;
use std::path::{Path, PathBuf};

/// Why a CSV file was refused. Lines and columns are 1-based.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It can't be opened or read.
    #[error("`{}` can't be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
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
        /// Its format, by its first bytes.
        what: &'static str,
        /// A hint that fixes it.
        hint: &'static str,
    },
    /// UTF-16 without a byte-order mark.
    #[error("`{}` looks like {encoding} without a byte-order mark", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
        /// Its byte order.
        encoding: &'static str,
    },
    /// Bytes that are not valid in the encoding.
    #[error("`{}`, line {line}: holds bytes that are no character in {encoding}", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// Their line.
        line: u64,
        /// The encoding.
        encoding: &'static str,
    },
    /// A quoted field that contains what follows it.
    #[error("`{}`, line {line}, column {column}: the quote that is opened here {what}", path.display())]
    UnclosedQuote {
        /// The file.
        path: PathBuf,
        /// The line of the opening quote.
        line: u64,
        /// Its field.
        column: usize,
        /// How it ends.
        what: &'static str,
    },
    /// Columns with the same name.
    #[error("`{}`, line {line}, {}", path.display(), repeated.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    DuplicateHeaders {
        /// The file.
        path: PathBuf,
        /// The header's line.
        line: u64,
        /// Every column with the name of an earlier one.
        repeated: Vec<Repeated>,
        /// Renames that make all names differ, in order.
        rename: Vec<(String, String)>,
    },
    /// A column to rename that does not exist.
    #[error("`{}` has no column `{name}` to rename; its columns are: {}", path.display(), columns.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The name as given.
        name: String,
        /// The columns of the file.
        columns: Vec<String>,
    },
    /// A record without an end, or a file that is not a CSV.
    #[error("`{}`, line {line}: a record of more than {RECORD_BYTES_MAX} bytes begins here", path.display())]
    RecordTooLarge {
        /// The file.
        path: PathBuf,
        /// The first line of the record.
        line: u64,
    },
    /// A row with more or fewer fields than the header.
    #[error("`{}`, line {line}, column {column}: row {row} has {found} {} but the header has {expected}{}",
        path.display(), if *found == 1 { "field" } else { "fields" }, reaching(*quote_line))]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The first line of the row.
        line: u64,
        /// The first missing or extra field.
        column: usize,
        /// 1-based over all records after the header.
        row: u64,
        /// Fields found.
        found: usize,
        /// Fields of the header.
        expected: usize,
        /// The line of a quote in the row whose field has a line break.
        quote_line: Option<u64>,
    },
    /// Bytes that are not UTF-8.
    #[error("`{}`, line {line}, column {column}: not valid UTF-8 (byte 0x{byte:02X})", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Their line.
        line: u64,
        /// The field.
        column: usize,
        /// The first of them.
        byte: u8,
    },
    /// A workbook whose sheet is not a usable table.
    #[error(transparent)]
    Sheet(Box<SheetError>),
    /// An error of a file that is always UTF-8 with commas.
    #[error(transparent)]
    Fixed(Box<TableError>),
}

impl TableError {
    /// Marks the error of a file that is always UTF-8 with commas, such as a wave: the options of `mesh spawn` don't
    /// apply.
    pub fn fixed(self) -> Self {
        TableError::Fixed(Box::new(self))
    }

    /// A hint with the options of `mesh spawn`.
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
            TableError::Undecodable { encoding, .. } if !encoding.starts_with("UTF-16") => Some(
                "it has another encoding: name that with --encoding, or save the file as UTF-8"
                    .to_owned(),
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
            TableError::Undecodable { .. } => Some(
                "it is cut off or damaged there: export it again, if possible as UTF-8".to_owned(),
            ),
            TableError::NotUtf8 { path, .. } => {
                Some(format!("convert it: iconv -f WINDOWS-1252 -t UTF-8 {} > utf8.csv", shown(path)))
            }
            TableError::Utf16 { path, encoding } => {
                Some(format!("convert it: iconv -f {encoding} -t UTF-8 {} > utf8.csv", shown(path)))
            }
            TableError::Sheet(error) => error.hint(),
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

/// The largest record, in bytes.
pub const RECORD_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn io_error(path: &Path, source: io::Error) -> TableError {
    TableError::Io {
        path: path.to_owned(),
        source,
    }
}
