use super::*;
use crate::table::{ReadOptions, Reader};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use std::path::Path;

/// The CSV of a sheet, and the texts of its merged ranges.
fn csv_of(workbook: &mut Workbook, sheet: Option<&str>) -> Result<(String, Converted), SheetError> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    workbook.save(file.path()).expect("saved");
    let mut csv = Vec::new();
    let converted = write_as_csv(file.path(), Path::new("rows.xlsx"), sheet, &mut csv)?;
    Ok((String::from_utf8(csv).expect("text"), converted))
}

/// A workbook of one sheet, `Data`.
fn workbook(fill: impl FnOnce(&mut Worksheet)) -> Workbook {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("Data").expect("a name");
    fill(sheet);
    workbook
}

fn write(sheet: &mut Worksheet, rows: &[(u32, u16, &str)]) {
    for (row, column, text) in rows {
        sheet.write_string(*row, *column, *text).expect("written");
    }
}

/// Takes nothing.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_no_fault_of_the_workbook() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut book = workbook(|sheet| write(sheet, &[(0, 0, "a"), (1, 0, "b")]));
    book.save(file.path()).expect("saved");
    let error = write_as_csv(file.path(), Path::new("rows.xlsx"), None, Full).expect_err("full");
    assert_eq!(error.to_string(), "can't write the rows of `rows.xlsx`");
}

fn refused(workbook: &mut Workbook, sheet: Option<&str>) -> String {
    let error = csv_of(workbook, sheet).expect_err("refused");
    format!("{error}\n{}", error.hint().unwrap_or_default())
}

#[test]
fn the_table_of_a_sheet_begins_at_its_first_value_and_has_no_empty_rows() {
    let mut book = workbook(|sheet| {
        // Below two empty rows and beside an empty column, with another one in between.
        write(
            sheet,
            &[
                (2, 1, "path"),
                (2, 3, "note"),
                (3, 1, "a,b"),
                (3, 3, "say \"x\"\ny"),
            ],
        );
        let blank = Format::new().set_bold();
        sheet.write_blank(4, 1, &blank).expect("written");
        write(sheet, &[(6, 3, "last"), (5, 1, "hidden")]);
        sheet.set_row_hidden(5).expect("hidden");
    });
    let (csv, converted) = csv_of(&mut book, None).expect("read");
    assert_eq!(
        csv,
        "path,note\n\"a,b\",\"say \"\"x\"\"\ny\"\nhidden,\n,last\n"
    );
    assert_eq!((converted.sheet.as_str(), converted.merged), ("Data", None));
}

#[test]
fn values_are_read_and_formats_are_not() {
    let mut book = workbook(|sheet| {
        write(
            sheet,
            &[
                (0, 0, "a"),
                (0, 1, "b"),
                (0, 2, "c"),
                (0, 3, "d"),
                (1, 0, "007"),
            ],
        );
        let percent = Format::new().set_num_format("0%");
        sheet
            .write_number_with_format(1, 1, 0.15, &percent)
            .expect("written");
        let day = ExcelDateTime::from_ymd(2026, 2, 13).expect("a day");
        let format = Format::new().set_num_format("dd.mm.yy");
        sheet
            .write_datetime_with_format(1, 2, &day, &format)
            .expect("written");
        sheet.write_boolean(1, 3, true).expect("written");
        let formula = |text: &str, value: &str| Formula::new(text).set_result(value);
        // Else an empty value is written as 0.
        sheet.set_formula_result_default("");
        sheet
            .write_formula(2, 0, formula("1+1", "2"))
            .expect("written");
        sheet
            .write_formula(2, 1, formula("A1", "text"))
            .expect("written");
        sheet
            .write_formula(2, 2, formula("\"\"", ""))
            .expect("written");
        sheet
            .write_formula(2, 3, formula("1=2", "FALSE"))
            .expect("written");
    });
    let (csv, _) = csv_of(&mut book, None).expect("read");
    assert_eq!(csv, "a,b,c,d\n007,0.15,2026-02-13,true\n2,text,,false\n");
}

#[test]
fn a_value_outside_of_the_columns_and_an_error_are_named_by_their_cell() {
    let title = |sheet: &mut Worksheet| {
        write(
            sheet,
            &[(0, 0, "Report 2026"), (2, 0, "path"), (2, 1, "topic")],
        );
    };
    let mut book = workbook(title);
    book.add_worksheet().set_name("Other").expect("a name");
    assert_eq!(
        refused(&mut book, None),
        "`rows.xlsx`, sheet `Data`, cell B3: the column has no name in the header, row 1\n\
         the header is the first row with a value: name the column there, or remove what is above or beside the table; \
         pass another sheet with --sheet: Other"
    );
    assert_eq!(
        refused(&mut book, Some("Other")),
        "`rows.xlsx`, sheet `Other`: the sheet is empty; it needs a header row\n\
         pass another sheet with --sheet: Data"
    );
    assert_eq!(
        refused(&mut book, Some("data")),
        "`rows.xlsx` has no sheet `data`; its sheets are: Data, Other\n\
         leave --sheet out to read the first one; names are case-sensitive"
    );
    let mut book = workbook(|sheet| {
        write(sheet, &[(0, 0, "path"), (0, 27, "topic"), (1, 0, "x")]);
        for row in [4, 5, 9] {
            let formula = Formula::new("B1").set_result("#REF!");
            sheet.write_formula(row, 27, formula).expect("written");
        }
    });
    assert_eq!(
        refused(&mut book, None),
        "`rows.xlsx`, sheet `Data`, cell AB5: the cell has the error #REF! (and 2 more cells like it)\n\
         correct the formula, or clear the cell"
    );
}

#[test]
fn the_first_visible_sheet_is_read_and_merged_ranges_are_counted() {
    let mut book = workbook(|sheet| {
        write(sheet, &[(0, 0, "hidden")]);
        sheet.set_hidden(true);
    });
    let second = book.add_worksheet().set_name("Second").expect("a name");
    write(
        second,
        &[(0, 0, "group"), (0, 1, "path"), (1, 1, "x"), (2, 1, "y")],
    );
    second
        .merge_range(1, 0, 2, 0, "g", &Format::new())
        .expect("merged");
    second.set_active(true);
    let (csv, converted) = csv_of(&mut book, None).expect("read");
    assert_eq!(csv, "group,path\ng,x\n,y\n");
    assert_eq!(
        (converted.sheet.as_str(), converted.merged, converted.others),
        (
            "Second",
            Some((1, "A2:A3".to_owned())),
            vec!["Data".to_owned()]
        )
    );
    assert_eq!(csv_of(&mut book, Some("Data")).expect("read").0, "hidden\n");
}

#[test]
fn cells_have_letters_and_numbers() {
    for (column, name) in [
        (0, "A1"),
        (25, "Z1"),
        (26, "AA1"),
        (701, "ZZ1"),
        (702, "AAA1"),
        (16_383, "XFD1"),
    ] {
        assert_eq!(error::cell_name(0, column), name);
    }
}

#[test]
fn what_the_machine_can_not_read_is_no_other_kind_of_file() {
    assert!(is_workbook(Path::new("/proc/self/mem")).is_err());
    assert!(!is_workbook(Path::new("/none")).expect("a look"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any texts of cells are the fields that the reader of CSVs finds.
    #[test]
    fn texts_reach_the_reader_unchanged(rows in prop::collection::vec(prop::collection::vec("[a\"\\\\,;\n ä=]{0,6}", 3), 1..6)) {
        let mut book = workbook(|sheet| {
            write(sheet, &[(0, 0, "a"), (0, 1, "b"), (0, 2, "c")]);
            for (row, cells) in (1..).zip(&rows) {
                for (column, text) in (0..).zip(cells) {
                    write(sheet, &[(row, column, text)]);
                }
            }
        });
        let (csv, _) = csv_of(&mut book, None).expect("read");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), csv).expect("written");
        let mut reader = Reader::open(file.path(), file.path(), &ReadOptions::default()).expect("a CSV");
        let mut read = Vec::new();
        while let Some(row) = reader.next_row().expect("a row") {
            read.push(row);
        }
        let kept: Vec<Vec<String>> = rows.into_iter().filter(|row| row.iter().any(|text| !text.is_empty())).collect();
        prop_assert_eq!(read, kept);
    }
}
