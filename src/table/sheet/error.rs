//! Why a sheet can't be read as a table, with the cell and a hint.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A cell of a workbook, as messages name it: `rows.xlsx`, sheet `Data`, cell C5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellPlace {
    /// The workbook.
    pub path: PathBuf,
    /// The sheet.
    pub sheet: String,
    /// 0-based.
    pub row: u32,
    /// 0-based.
    pub column: u32,
}

impl fmt::Display for CellPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            sheet,
            row,
            column,
        } = self;
        let cell = cell_name(*row, *column);
        write!(f, "`{}`, sheet `{sheet}`, cell {cell}", path.display())
    }
}

/// `A1` for row 0, column 0.
pub(super) fn cell_name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column;
    loop {
        letters.push(b'A' + u8::try_from(rest % 26).unwrap_or_default());
        match rest / 26 {
            0 => break,
            more => rest = more - 1,
        }
    }
    letters.reverse();
    format!("{}{}", String::from_utf8_lossy(&letters), row + 1)
}

/// Why a sheet was refused.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The workbook can't be read.
    #[error("`{}` can't be read as a table", path.display())]
    Io {
        /// The workbook.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The CSV of the sheet can't be written.
    #[error("can't write the rows of `{}`", path.display())]
    Unwritten {
        /// The workbook.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is encrypted.
    #[error("`{}` is protected by a password", path.display())]
    Password {
        /// The workbook.
        path: PathBuf,
    },
    /// A zip file of another kind.
    #[error("`{}` is an archive without a workbook", path.display())]
    NoWorkbook {
        /// The file.
        path: PathBuf,
    },
    /// A part of it is missing or malformed.
    #[error("workbook `{}` is damaged", path.display())]
    Damaged {
        /// The workbook.
        path: PathBuf,
        /// The last cell before the damage, if cells were read.
        after: Option<CellPlace>,
        /// The cause.
        #[source]
        source: Box<calamine::Error>,
    },
    /// `--sheet` names none of its sheets.
    #[error("`{}` has no sheet `{name}`; its sheets are: {}", path.display(), sheets.join(", "))]
    NoSheet {
        /// The workbook.
        path: PathBuf,
        /// As given.
        name: String,
        /// The names of all sheets with cells.
        sheets: Vec<String>,
    },
    /// No cell has a value.
    #[error("`{}`, sheet `{sheet}`: the sheet is empty; it needs a header row", path.display())]
    Empty {
        /// The workbook.
        path: PathBuf,
        /// The sheet.
        sheet: String,
        /// The other sheets.
        others: Vec<String>,
    },
    /// A value to the right of the header, or below a cell of the header that is empty.
    #[error("{place}: the column has no name in the header, row {}", header_row + 1)]
    NoColumn {
        /// The cell.
        place: CellPlace,
        /// 0-based.
        header_row: u32,
        /// The other sheets.
        others: Vec<String>,
    },
    /// An error value, or a formula that was never calculated.
    #[error("{place}: {fault}{}", and_more(*more))]
    BadCell {
        /// The first such cell.
        place: CellPlace,
        /// What is wrong with it.
        fault: Fault,
        /// How many more cells are like it.
        more: u64,
    },
    /// A CSV, where a sheet was named.
    #[error("`{}` is not a workbook, and only a workbook has sheets", path.display())]
    NotAWorkbook {
        /// The file.
        path: PathBuf,
    },
}

/// Why a cell has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its formula failed; the error as a spreadsheet shows it.
    ErrorValue(String),
    /// The program that wrote the workbook did not calculate its formula.
    NotCalculated,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::ErrorValue(value) => write!(f, "the cell has the error {value}"),
            Fault::NotCalculated => f.write_str("the formula has no stored value"),
        }
    }
}

fn and_more(more: u64) -> String {
    match more {
        0 => String::new(),
        1 => " (and 1 more cell like it)".to_owned(),
        more => format!(" (and {more} more cells like it)"),
    }
}

impl SheetError {
    /// A hint that fixes it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SheetError::Io { .. } | SheetError::Unwritten { .. } => None,
            SheetError::Password { .. } => {
                Some("save a copy without a password in a spreadsheet program".to_owned())
            }
            SheetError::NoWorkbook { .. } => {
                Some("pass a CSV, or a workbook (.xlsx, .xlsb, .xls or .ods)".to_owned())
            }
            SheetError::Damaged { after, .. } => {
                let place = after.as_ref().map(|place| {
                    let cell = cell_name(place.row, place.column);
                    format!("look after cell {cell} of sheet `{}`, or ", place.sheet)
                });
                let place = place.unwrap_or_default();
                Some(format!(
                    "{place}open it in a spreadsheet program and save it again"
                ))
            }
            SheetError::NoSheet { .. } => {
                Some("leave --sheet out to read the first one; names are case-sensitive".to_owned())
            }
            SheetError::Empty { others, .. } => name_others(others),
            SheetError::NoColumn { others, .. } => {
                let mend = "the header is the first row with a value: name the column there, or remove what is above or beside the table";
                Some(match name_others(others) {
                    Some(other) => format!("{mend}; {other}"),
                    None => mend.to_owned(),
                })
            }
            SheetError::BadCell {
                fault: Fault::ErrorValue(_),
                ..
            } => Some("correct the formula, or clear the cell".to_owned()),
            SheetError::BadCell {
                fault: Fault::NotCalculated,
                ..
            } => Some(
                "open the workbook in a spreadsheet program, which calculates it, and save it"
                    .to_owned(),
            ),
            SheetError::NotAWorkbook { .. } => Some("leave --sheet out".to_owned()),
        }
    }
}

fn name_others(others: &[String]) -> Option<String> {
    (!others.is_empty()).then(|| format!("pass another sheet with --sheet: {}", others.join(", ")))
}
