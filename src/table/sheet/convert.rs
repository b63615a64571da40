//! Writes the cells of a sheet as a CSV: finds the header, leaves out empty rows, refuses cells without a value.

use super::book::{Book, Cell};
use super::error::{CellPlace, Fault, SheetError, cell_name};
use super::text;
use crate::table::Writer;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The name of the sheet.
    pub sheet: String,
    /// The names of the other sheets.
    pub others: Vec<String>,
    /// How many ranges of cells are merged, and the first, such as `A2:A5`. Only the first cell of a range has its value.
    pub merged: Option<(usize, String)>,
}

/// Writes a sheet of the workbook at `path` as a CSV: the one with the name `sheet`, or the first that is visible.
/// Messages call the workbook `name`.
///
/// # Errors
/// The workbook can't be read or has no such sheet; a cell has an error, a formula without a value, or no column.
pub fn write_as_csv(
    path: &Path,
    name: &Path,
    sheet: Option<&str>,
    out: impl Write,
) -> Result<Converted, SheetError> {
    let mut book = Book::open(path, name)?;
    let sheets = book.names();
    let chosen = match sheet {
        Some(sheet) => sheets.iter().find(|name| *name == sheet).cloned(),
        None => book.first_visible(),
    };
    let Some(sheet) = chosen else {
        return Err(SheetError::NoSheet {
            path: name.to_owned(),
            name: sheet.unwrap_or_default().to_owned(),
            sheets,
        });
    };
    let others = sheets.into_iter().filter(|other| *other != sheet);
    let others: Vec<String> = others.collect();
    let mut table = Table {
        path: name.to_owned(),
        sheet: sheet.clone(),
        others: others.clone(),
        out: Some(out),
        csv: None,
        row: 0,
        cells: Vec::new(),
        bad: None,
    };
    book.for_each_cell(&sheet, |cell| table.add(cell))?;
    table.finish()?;
    let merged = book.merged(&sheet);
    Ok(Converted {
        sheet,
        others,
        merged: merged.map(|(count, [first, last])| {
            let range = [first, last].map(|(row, column)| cell_name(row, column));
            (count, range.join(":"))
        }),
    })
}

/// The CSV, whose header is written.
struct Csv<W: Write> {
    rows: Writer<W>,
    /// 0-based.
    header_row: u32,
    /// The position in the CSV of each column of the sheet; `None`: it has no name.
    positions: Vec<Option<usize>>,
    width: usize,
}

struct Table<W: Write> {
    path: PathBuf,
    sheet: String,
    others: Vec<String>,
    /// Until the header is found.
    out: Option<W>,
    csv: Option<Csv<W>>,
    /// The row of `cells`.
    row: u32,
    /// Columns and texts of those that are not empty.
    cells: Vec<(u32, String)>,
    /// The first bad cell, and how many follow.
    bad: Option<(CellPlace, Fault, u64)>,
}

impl<W: Write> Table<W> {
    fn place(&self, row: u32, column: u32) -> CellPlace {
        CellPlace {
            path: self.path.clone(),
            sheet: self.sheet.clone(),
            row,
            column,
        }
    }

    fn add(&mut self, cell: Cell) -> Result<(), SheetError> {
        if self.row != cell.row {
            self.end_row()?;
            self.row = cell.row;
        }
        let text = match text::of(&cell.value) {
            Ok(_) if cell.is_uncalculated => Err(Fault::NotCalculated),
            Ok(text) => Ok(text),
            Err(error) => Err(Fault::ErrorValue(error)),
        };
        match text {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.cells.push((cell.column, text)),
            Err(fault) => match &mut self.bad {
                Some((.., more)) => *more += 1,
                None => self.bad = Some((self.place(cell.row, cell.column), fault, 0)),
            },
        }
        Ok(())
    }

    /// Writes the row, unless it is empty. The first one is the header.
    fn end_row(&mut self) -> Result<(), SheetError> {
        let mut cells = std::mem::take(&mut self.cells);
        if self.csv.is_none() {
            cells.retain(|(_, name)| !name.trim().is_empty());
        }
        if cells.is_empty() {
            return Ok(());
        }
        match self.out.take() {
            Some(out) => self.csv = Some(self.begin(out, cells)?),
            None => self.write(cells)?,
        }
        Ok(())
    }

    fn begin(&self, out: W, mut cells: Vec<(u32, String)>) -> Result<Csv<W>, SheetError> {
        cells.sort_by_key(|(column, _)| *column);
        let mut positions = Vec::new();
        for (position, (column, _)) in cells.iter().enumerate() {
            positions.resize(*column as usize, None);
            positions.push(Some(position));
        }
        let names = cells.iter().map(|(_, name)| name.as_str());
        let rows = Writer::new(out, names).map_err(unwritten(&self.path))?;
        Ok(Csv {
            rows,
            header_row: self.row,
            positions,
            width: cells.len(),
        })
    }

    fn write(&mut self, cells: Vec<(u32, String)>) -> Result<(), SheetError> {
        let Some(csv) = &mut self.csv else {
            return Ok(());
        };
        let mut fields = vec![String::new(); csv.width];
        for (column, text) in cells {
            let position = csv.positions.get(column as usize);
            let Some(position) = position.copied().flatten() else {
                let header_row = csv.header_row;
                return Err(SheetError::NoColumn {
                    place: self.place(self.row, column),
                    header_row,
                    others: self.others.clone(),
                });
            };
            fields[position] = text;
        }
        let written = csv.rows.row(fields.iter().map(String::as_str));
        written.map_err(unwritten(&self.path))
    }

    fn finish(mut self) -> Result<(), SheetError> {
        self.end_row()?;
        if let Some((place, fault, more)) = self.bad {
            return Err(SheetError::BadCell { place, fault, more });
        }
        match self.csv {
            Some(csv) => csv.rows.finish().map_err(unwritten(&self.path)),
            None => Err(SheetError::Empty {
                path: self.path,
                sheet: self.sheet,
                others: self.others,
            }),
        }
    }
}

fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> SheetError {
    let path = path.to_owned();
    move |source| SheetError::Unwritten { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::Data;

    #[test]
    fn a_formula_without_a_value_is_no_empty_cell() {
        let mut table = Table {
            path: PathBuf::from("rows.xlsx"),
            sheet: "Data".to_owned(),
            others: Vec::new(),
            out: Some(Vec::new()),
            csv: None,
            row: 0,
            cells: Vec::new(),
            bad: None,
        };
        for (row, value, is_uncalculated) in [
            (0, Data::String("a".to_owned()), false),
            (1, Data::Empty, false),
            (2, Data::Empty, true),
        ] {
            let cell = Cell {
                row,
                column: 0,
                value,
                is_uncalculated,
            };
            table.add(cell).expect("added");
        }
        let error = table.finish().expect_err("refused");
        assert_eq!(
            error.to_string(),
            "`rows.xlsx`, sheet `Data`, cell A3: the formula has no stored value"
        );
    }
}
