//! Tables, for spreadsheets.

use calamine::{Data, Reader, Xlsx};
use std::io::Cursor;

/// Whether a spreadsheet may execute a cell: after what importers pass over, it begins like a formula, also in full width.
fn is_formula(cell: &str) -> bool {
    let is_passed_over = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let begins = cell.trim_start_matches(is_passed_over).chars().next();
    begins.is_some_and(|c| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(c))
}

/// Rows of one length, and no formula in a column that `is_guarded`.
fn check(bytes: &[u8], is_guarded: fn(&str) -> bool) -> Result<Vec<String>, String> {
    let mut table = csv::Reader::from_reader(bytes);
    let header = table.headers().map_err(|error| error.to_string())?.clone();
    let mut texts: Vec<String> = header.iter().map(str::to_owned).collect();
    for row in table.records() {
        let row = row.map_err(|error| error.to_string())?;
        for (name, cell) in header.iter().zip(&row) {
            if is_guarded(name) && is_formula(cell) {
                return Err(format!("a formula in {name}: {cell:?}"));
            }
            texts.push(cell.to_owned());
        }
    }
    Ok(texts)
}

/// The output of a job: columns of the input are the user's.
pub fn output_csv_is_inert(bytes: &[u8]) -> Result<Vec<String>, String> {
    check(bytes, |name| {
        name == "last_error" || name == "result_json" || name.starts_with("result.")
    })
}

/// A table that is ours alone.
pub fn table_of_results_is_inert(bytes: &[u8]) -> Result<Vec<String>, String> {
    check(bytes, |_| true)
}

/// A table for programs, in which every cell is as it was.
pub fn rows_are_whole(bytes: &[u8]) -> Result<Vec<String>, String> {
    check(bytes, |_| false)
}

/// No formula, and no link that leaves the workbook but to a file of the run.
pub fn workbook_is_inert(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut texts = book.sheet_names();
    for name in book.sheet_names() {
        let formulas = book
            .worksheet_formula(&name)
            .map_err(|error| error.to_string())?;
        if let Some(cell) = formulas.used_cells().next() {
            return Err(format!("a formula in {name}: {cell:?}"));
        }
        let cells = book
            .worksheet_range(&name)
            .map_err(|error| error.to_string())?;
        for (_, _, cell) in cells.used_cells() {
            if let Data::String(text) = cell {
                texts.push(text.clone());
            }
        }
    }
    Ok(texts)
}
