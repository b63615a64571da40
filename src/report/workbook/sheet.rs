//! One table of the workbook: a header that stays in view, filters, widths that fit, and as many sheets as its rows need.

use super::error::WorkbookError;
use super::place::Place;
use super::style::{Styles, colour};
use super::text::fit;
use super::value::Value;
use rust_xlsxwriter::{Format, Url, Workbook, Worksheet};
use std::path::Path;
use std::rc::Rc;

/// The columns of a sheet.
pub const COLUMNS_MAX: usize = 16_384;
/// The rows of a sheet below its header.
pub const ROWS_MAX: u32 = 1_048_575;
/// A sheet can have 65,530 links; further ones stay text.
const LINKS_MAX: usize = 60_000;
/// The width of a column fits its first rows, in characters.
const SAMPLE_ROWS: u32 = 200;
const WIDTH_MIN: usize = 8;
const WIDTH_MAX: usize = 60;
/// A row is at most this high.
const LINES_MAX: usize = 10;
const LINE_POINTS: u32 = 15;

/// A table.
pub struct Sheet {
    name: String,
    columns: Vec<String>,
    widths: Vec<usize>,
    coloured: Vec<u16>,
    full: Vec<Worksheet>,
    current: Worksheet,
    next_row: u32,
    rows_max: u32,
    links: usize,
    styles: Rc<Styles>,
    /// Cells that were too long.
    pub cut: u64,
    /// Links that stayed text.
    pub unlinked: u64,
}

impl Sheet {
    /// A table called `name` with these columns. Those in `coloured` have a colour by their text.
    pub fn begin(
        workbook: &mut Workbook,
        styles: &Rc<Styles>,
        name: &str,
        columns: Vec<String>,
        coloured: &[&str],
    ) -> Result<Self, WorkbookError> {
        if columns.len() > COLUMNS_MAX {
            return Err(WorkbookError::TooManyColumns {
                columns: columns.len(),
                max: COLUMNS_MAX,
            });
        }
        let has_colour = |(_, title): &(u16, &String)| coloured.contains(&title.as_str());
        let numbered = (0..).zip(&columns).filter(has_colour);
        let mut sheet = Self {
            name: name.to_owned(),
            coloured: numbered.map(|(at, _)| at).collect(),
            widths: vec![WIDTH_MIN; columns.len()],
            full: Vec::new(),
            current: workbook.new_worksheet_with_constant_memory()?,
            next_row: 1,
            rows_max: ROWS_MAX,
            links: 0,
            styles: Rc::clone(styles),
            cut: 0,
            unlinked: 0,
            columns,
        };
        sheet.write_header()?;
        Ok(sheet)
    }

    /// The name of the sheet that the next row goes to: `Results`, then `Results 2`.
    pub fn current_name(&self) -> String {
        match self.full.len() {
            0 => self.name.clone(),
            full => format!("{} {}", self.name, full + 1),
        }
    }

    /// The first row, for a link.
    pub fn top(&self) -> Place {
        Place {
            sheet: self.name.clone(),
            row: 1,
        }
    }

    /// Adds a row. A cell that is too long points to `whole`, the file that has all of it.
    pub fn row(
        &mut self,
        workbook: &mut Workbook,
        values: &[Value],
        whole: &Path,
    ) -> Result<Place, WorkbookError> {
        if self.next_row > self.rows_max {
            self.begin_next(workbook)?;
        }
        let row = self.next_row;
        let mut lines = 1;
        for (column, value) in (0..).zip(values) {
            lines = lines.max(self.write(row, column, value, whole)?);
        }
        if lines > LINES_MAX {
            let height = LINES_MAX as u32 * LINE_POINTS;
            self.current.set_row_height(row, height)?;
        }
        self.next_row += 1;
        Ok(Place {
            sheet: self.current_name(),
            row: row + 1,
        })
    }

    /// Adds the sheets to the workbook.
    pub fn finish(mut self, workbook: &mut Workbook) -> Result<(), WorkbookError> {
        self.end_current()?;
        for sheet in self.full {
            workbook.push_worksheet(sheet);
        }
        workbook.push_worksheet(self.current);
        Ok(())
    }

    fn begin_next(&mut self, workbook: &mut Workbook) -> Result<(), WorkbookError> {
        self.end_current()?;
        let next = workbook.new_worksheet_with_constant_memory()?;
        self.full.push(std::mem::replace(&mut self.current, next));
        (self.next_row, self.links) = (1, 0);
        self.write_header()
    }

    fn write_header(&mut self) -> Result<(), WorkbookError> {
        let styles = Rc::clone(&self.styles);
        for (at, title) in (0..).zip(&self.columns) {
            let (title, _) = fit(title, Path::new(""));
            let width = &mut self.widths[usize::from(at)];
            *width = (*width).max(title.chars().count() + 3).min(WIDTH_MAX);
            self.current
                .write_string_with_format(0, at, title, &styles.head)?;
        }
        Ok(())
    }

    /// Everything about a sheet that is known when its rows are.
    fn end_current(&mut self) -> Result<(), WorkbookError> {
        let name = self.current_name();
        let (last_row, sheet) = (self.next_row - 1, &mut self.current);
        sheet.set_name(name)?;
        sheet.set_freeze_panes(1, 1)?;
        sheet.set_landscape().set_print_fit_to_pages(1, 0);
        sheet.set_repeat_rows(0, 0)?;
        for (at, width) in (0..).zip(&self.widths) {
            sheet.set_column_width(at, *width as f64)?;
        }
        if last_row == 0 || self.widths.is_empty() {
            return Ok(());
        }
        let last_column = u16::try_from(self.widths.len() - 1).unwrap_or(u16::MAX);
        sheet.autofilter(0, 0, last_row, last_column)?;
        for at in &self.coloured {
            colour(sheet, *at, last_row)?;
        }
        Ok(())
    }

    /// Writes a cell and estimates how many lines it takes.
    fn write(
        &mut self,
        row: u32,
        column: u16,
        value: &Value,
        whole: &Path,
    ) -> Result<usize, WorkbookError> {
        let styles = Rc::clone(&self.styles);
        let mut number = |number: f64, format: &Format, chars: usize| {
            self.widths[usize::from(column)] = self.widths[usize::from(column)].max(chars);
            self.current
                .write_number_with_format(row, column, number, format)
                .map(|_| 1)
        };
        Ok(match value {
            Value::Empty => 1,
            Value::Number(value) => number(*value, &styles.plain, WIDTH_MIN)?,
            Value::Dollars(value) => number(*value, &styles.dollars, WIDTH_MIN)?,
            Value::Moment(value) => number(*value, &styles.moment, 26)?,
            Value::Day(value) => number(*value, &styles.day, 12)?,
            Value::Bool(value) => {
                let cell = &mut self.current;
                cell.write_boolean_with_format(row, column, *value, &styles.plain)?;
                1
            }
            Value::Text(text) => self.write_text((row, column), text, whole, None)?,
            Value::Row(text, place) => {
                let link = format!("internal:'{}'!A{}", place.sheet, place.row);
                self.write_text((row, column), text, whole, Some(link))?
            }
            Value::File(path) => {
                let text = path.display().to_string();
                self.write_text((row, column), &text, whole, file_link(path))?
            }
        })
    }

    fn write_text(
        &mut self,
        (row, column): (u32, u16),
        text: &str,
        whole: &Path,
        link: Option<String>,
    ) -> Result<usize, WorkbookError> {
        let (text, is_cut) = fit(text, whole);
        self.cut += u64::from(is_cut);
        let (longest, lines) = measure(&text);
        if row <= SAMPLE_ROWS {
            let width = &mut self.widths[usize::from(column)];
            *width = (*width).max(longest + 2).min(WIDTH_MAX);
        }
        let link = match self.links < LINKS_MAX {
            true => link,
            false => {
                self.unlinked += u64::from(link.is_some());
                None
            }
        };
        let styles = Rc::clone(&self.styles);
        let cell = &mut self.current;
        match link {
            None => cell.write_string_with_format(row, column, text, &styles.plain)?,
            Some(link) => {
                self.links += 1;
                let link = Url::new(link).set_text(text);
                cell.write_url_with_format(row, column, link, &styles.link)?
            }
        };
        Ok(lines)
    }
}

/// The link to a file. A third slash is what the library takes away, and the fourth keeps the path absolute. A path that would
/// read as something else has none.
fn file_link(path: &Path) -> Option<String> {
    const CHARS_MAX: usize = 2_000;
    let path = path.to_str().filter(|path| path.len() <= CHARS_MAX)?;
    let is_plain = !path.contains(['#', '%', ':', '\\', '?']);
    (is_plain && path.starts_with('/')).then(|| format!("file:///{path}"))
}

/// The characters of the longest line, and the lines that the text takes in the widest column.
fn measure(text: &str) -> (usize, usize) {
    let chars = text.split('\n').map(|line| line.chars().count());
    chars.fold((0, 0), |(longest, lines), chars| {
        (longest.max(chars), lines + chars / WIDTH_MAX + 1)
    })
}

/// A name of at most 24 characters for a sheet: a spreadsheet allows 31 and few punctuation marks.
pub fn sheet_name(text: &str) -> String {
    const CHARS_MAX: usize = 24;
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || "-_ ".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.chars().take(CHARS_MAX).map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_xlsxwriter::XlsxError;

    #[test]
    fn rows_that_do_not_fit_go_to_further_sheets() -> Result<(), XlsxError> {
        let mut workbook = Workbook::new();
        let styles = Rc::new(Styles::new());
        let columns = vec!["n".to_owned()];
        let mut sheet =
            Sheet::begin(&mut workbook, &styles, "Results", columns, &[]).expect("a sheet");
        sheet.rows_max = 2;
        let places: Vec<Place> = (0..5)
            .map(|n| {
                let row = sheet.row(&mut workbook, &[Value::count(n)], Path::new("f"));
                row.expect("written")
            })
            .collect();
        let names: Vec<_> = places.iter().map(|p| (p.sheet.as_str(), p.row)).collect();
        assert_eq!(
            names,
            [
                ("Results", 2),
                ("Results", 3),
                ("Results 2", 2),
                ("Results 2", 3),
                ("Results 3", 2)
            ]
        );
        sheet.finish(&mut workbook).expect("finished");
        let names: Vec<String> = workbook.worksheets().iter().map(Worksheet::name).collect();
        assert_eq!(names, ["Results", "Results 2", "Results 3"]);
        workbook.save_to_buffer().map(drop)
    }

    #[test]
    fn too_many_columns_are_refused_by_name() {
        let mut workbook = Workbook::new();
        let columns = vec![String::new(); COLUMNS_MAX + 1];
        let refused = Sheet::begin(&mut workbook, &Rc::new(Styles::new()), "S", columns, &[]);
        let error = refused.err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("the rows have 16385 columns; a sheet has room for 16384")
        );
    }

    #[test]
    fn links_lead_to_absolute_paths_only() {
        let link = |path: &str| file_link(Path::new(path));
        assert_eq!(link("/a b/c.err").as_deref(), Some("file:////a b/c.err"));
        assert_eq!(link("c.err"), None);
        assert_eq!(link("/a#b"), None);
    }
}
