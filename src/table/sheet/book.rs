//! Opens a workbook of any format, lists its sheets and reads the cells of one, row by row.

use super::error::{CellPlace, SheetError};
use crate::platform::{look, machine_fault};
use calamine::{
    Data, Error, Ods, OdsError, Reader, SheetType, SheetVisible, Sheets, Xls, XlsError, Xlsb,
    XlsbError, Xlsx, XlsxError, open_workbook,
};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// The first bytes of a zip file, and of a container of Microsoft's that is older.
const ZIP: &[u8] = b"PK\x03\x04";
const CONTAINER: &[u8] = b"\xD0\xCF\x11\xE0";

/// Whether a file begins like a workbook. One that can't be read does not, unless the machine is at fault.
pub fn is_workbook(path: &Path) -> io::Result<bool> {
    let begin = first_bytes(path)?;
    Ok(begin == ZIP || begin == CONTAINER)
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    let read = |file: File| file.take(ZIP.len() as u64).read_to_end(&mut begin);
    let read = File::open(path).and_then(read);
    Ok(look::reachable(read)?.map_or(Vec::new(), |_| begin))
}

/// A cell with its place, both 0-based.
pub struct Cell {
    pub row: u32,
    pub column: u32,
    pub value: Data,
    /// Whether it has a formula, but no value.
    pub is_uncalculated: bool,
}

/// A workbook.
pub struct Book {
    name: PathBuf,
    sheets: Sheets<BufReader<File>>,
}

impl Book {
    /// Opens the file at `path`; messages call it `name`.
    pub fn open(path: &Path, name: &Path) -> Result<Self, SheetError> {
        let name = name.to_owned();
        let begin = first_bytes(path).map_err(|source| SheetError::Io {
            path: name.clone(),
            source,
        })?;
        let sheets = match begin == CONTAINER {
            true => open_container(path),
            false => open_zip(path),
        };
        match sheets {
            Ok(Some(sheets)) => Ok(Self { name, sheets }),
            Ok(None) => Err(SheetError::NoWorkbook { path: name }),
            Err(error) => Err(failure(error, name, None)),
        }
    }

    /// The names of all sheets with cells: no charts, no macros.
    pub fn names(&self) -> Vec<String> {
        let sheets = self.sheets.sheets_metadata().iter();
        let with_cells = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet);
        with_cells.map(|sheet| sheet.name.clone()).collect()
    }

    /// The first sheet that a person sees.
    pub fn first_visible(&self) -> Option<String> {
        let sheets = self.sheets.sheets_metadata().iter();
        let with_cells = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet);
        let first = with_cells
            .clone()
            .find(|sheet| sheet.visible == SheetVisible::Visible);
        first
            .or(with_cells.clone().next())
            .map(|sheet| sheet.name.clone())
    }

    /// The number of merged ranges in a sheet, and the first of them: first cell, last cell. None are known of an `.xlsb`,
    /// `.xls` or `.ods`.
    pub fn merged(&mut self, sheet: &str) -> Option<(usize, [(u32, u32); 2])> {
        let Sheets::Xlsx(book) = &mut self.sheets else {
            return None;
        };
        let ranges = book.merge_cells_by_sheet_name(sheet).ok()?;
        let first = ranges.first()?;
        Some((ranges.len(), [first.start, first.end]))
    }

    /// Reads the cells of a sheet in the order of its rows.
    pub fn for_each_cell(
        &mut self,
        sheet: &str,
        mut each: impl FnMut(Cell) -> Result<(), SheetError>,
    ) -> Result<(), SheetError> {
        let mut last = None;
        let name = self.name.clone();
        let mut each = |cell: Cell| {
            last = Some((cell.row, cell.column));
            each(cell)
        };
        let read = match &mut self.sheets {
            Sheets::Xlsx(book) => read_xlsx(book, sheet, &mut each),
            Sheets::Xlsb(book) => read_xlsb(book, sheet, &mut each),
            sheets => read_at_once(sheets, sheet, &mut each),
        };
        read.map_err(|error| match error {
            ReadError::Refused(error) => error,
            ReadError::Book(error) => {
                let after = last.map(|(row, column)| CellPlace {
                    path: name.clone(),
                    sheet: sheet.to_owned(),
                    row,
                    column,
                });
                failure(error, name, after)
            }
        })
    }
}

enum ReadError {
    Refused(SheetError),
    Book(Error),
}

impl From<SheetError> for ReadError {
    fn from(error: SheetError) -> Self {
        Self::Refused(error)
    }
}

type Each<'e> = &'e mut dyn FnMut(Cell) -> Result<(), SheetError>;

fn read_xlsx(
    book: &mut Xlsx<BufReader<File>>,
    sheet: &str,
    each: Each<'_>,
) -> Result<(), ReadError> {
    let failed = |error| ReadError::Book(Error::Xlsx(error));
    let mut cells = book.worksheet_cells_reader(sheet).map_err(failed)?;
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(failed)? {
        let value = Data::from(cell.value);
        each(Cell {
            row: cell.pos.0,
            column: cell.pos.1,
            // An empty text is a value, too.
            is_uncalculated: cell.formula.is_some() && value == Data::Empty,
            value,
        })?;
    }
    Ok(())
}

fn read_xlsb(
    book: &mut Xlsb<BufReader<File>>,
    sheet: &str,
    each: Each<'_>,
) -> Result<(), ReadError> {
    let failed = |error| ReadError::Book(Error::Xlsb(error));
    let mut cells = book.worksheet_cells_reader(sheet).map_err(failed)?;
    while let Some(cell) = cells.next_cell().map_err(failed)? {
        let (row, column) = cell.get_position();
        each(Cell {
            row,
            column,
            value: Data::from(cell.get_value().clone()),
            is_uncalculated: false,
        })?;
    }
    Ok(())
}

/// Reads a sheet of a format that has no other way.
fn read_at_once(
    sheets: &mut Sheets<BufReader<File>>,
    sheet: &str,
    each: Each<'_>,
) -> Result<(), ReadError> {
    let range = sheets.worksheet_range(sheet).map_err(ReadError::Book)?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        let place = |first: u32, at: usize| first + u32::try_from(at).unwrap_or(u32::MAX - first);
        each(Cell {
            row: place(first_row, row),
            column: place(first_column, column),
            value: value.clone(),
            is_uncalculated: false,
        })?;
    }
    Ok(())
}

/// An `.xls`, or any encrypted workbook.
fn open_container(path: &Path) -> Result<Option<Sheets<BufReader<File>>>, Error> {
    if let Err(error @ XlsxError::Password) = open_workbook::<Xlsx<_>, _>(path) {
        return Err(error.into());
    }
    Ok(Some(Sheets::Xls(open_workbook::<Xls<_>, _>(path)?)))
}

/// An `.xlsx`, `.xlsb` or `.ods`, by what is in it; `None`: an archive of another kind.
fn open_zip(path: &Path) -> Result<Option<Sheets<BufReader<File>>>, Error> {
    let xlsx = match open_workbook::<Xlsx<_>, _>(path) {
        Ok(book) if !book.sheet_names().is_empty() => return Ok(Some(Sheets::Xlsx(book))),
        Ok(_) | Err(XlsxError::FileNotFound(_) | XlsxError::RelationshipNotFound) => None,
        Err(error) if machine_fault::is_fault(&error) => return Err(error.into()),
        Err(error) => Some(error),
    };
    match machine_fault::apart(open_workbook::<Xlsb<_>, _>(path))? {
        Ok(book) if !book.sheet_names().is_empty() => return Ok(Some(Sheets::Xlsb(book))),
        Ok(_) | Err(_) => {}
    }
    match (
        machine_fault::apart(open_workbook::<Ods<_>, _>(path))?,
        xlsx,
    ) {
        (Ok(book), _) => Ok(Some(Sheets::Ods(book))),
        (Err(error @ OdsError::Password), _) => Err(error.into()),
        (Err(_), Some(error)) => Err(error.into()),
        // Another kind of document has another type, or none.
        (Err(OdsError::FileNotFound(_) | OdsError::InvalidMime(_) | OdsError::Io(_)), None) => {
            Ok(None)
        }
        (Err(error), None) => Err(error.into()),
    }
}

fn failure(error: Error, path: PathBuf, after: Option<CellPlace>) -> SheetError {
    match error {
        Error::Xlsx(XlsxError::Password)
        | Error::Xlsb(XlsbError::Password)
        | Error::Xls(XlsError::Password)
        | Error::Ods(OdsError::Password) => SheetError::Password { path },
        source => SheetError::Damaged {
            path,
            after,
            source: Box::new(source),
        },
    }
}
