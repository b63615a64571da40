//! CSV files: read as the `csv` crate reads them, and as RFC 4180 defines them; written, they are read back; a mark leads back to its
//! row; another encoding gives the same rows as the same text in UTF-8.
//!
//! The first byte of the input holds the options, the rest is the file.

use crate::scratch;
use encoding_rs::Encoding;
use mesh::table::{Mark, ReadOptions, Reader, TableError, Writer, encoding_named};
use std::collections::HashSet;
use std::path::Path;

type Row = Vec<String>;

/// A file that was read to its end.
struct Table {
    header: Row,
    rows: Vec<(Row, Option<Mark>, u64)>,
}

impl Table {
    fn contents(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().map(|(row, ..)| row)
    }
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let options = options(*choice);
    let path = scratch::file("table.csv", bytes);
    let table = read(&path, &options);
    if let Err(error) = &table {
        let _ = (error.to_string(), error.hint());
    }
    match options.encoding {
        Some(encoding) => same_as_decoded(bytes, encoding, &options, &table),
        None => same_as_references(bytes, &options, &table),
    }
    if let Ok(table) = &table {
        marks_lead_back(&path, &options, table);
        written_is_read_back(table);
    }
}

fn options(choice: u8) -> ReadOptions {
    let encoding = match (choice >> 3) & 7 {
        5 => Some("windows-1252"),
        6 => Some("shift_jis"),
        7 => Some("utf-16le"),
        _ => None,
    };
    ReadOptions {
        delimiter: [None, Some(b';'), Some(b'\t'), Some(b'|')][usize::from(choice & 3)],
        encoding: encoding.and_then(encoding_named),
        rename: Vec::new(),
        may_repeat: choice & 4 != 0,
    }
}

fn read(path: &Path, options: &ReadOptions) -> Result<Table, TableError> {
    let mut reader = Reader::open(path, path, options)?;
    let header = reader.header().to_vec();
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push((row, reader.mark(), reader.line()));
    }
    Ok(Table { header, rows })
}

/// The text that the reader sees, unless it may take the file for something else than a CSV in UTF-8.
fn plain(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_named = text.trim_start_matches('"').get(..4);
    let is_plain = !text.starts_with('\u{feff}')
        && !is_named.is_some_and(|begin| begin.eq_ignore_ascii_case("sep="))
        && !text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c));
    is_plain.then_some(text)
}

fn same_as_references(bytes: &[u8], options: &ReadOptions, table: &Result<Table, TableError>) {
    let Some(text) = plain(bytes) else {
        return;
    };
    let delimiter = options.delimiter.unwrap_or(b',');
    if let Ok(table) = table {
        let expected = by_csv_crate(text, delimiter);
        let (header, rows) = expected.split_first().expect("a header");
        assert_eq!(&table.header, header);
        let kept = rows
            .iter()
            .filter(|row| row.iter().any(|cell| !cell.is_empty()));
        assert!(table.contents().eq(kept), "other rows than the csv crate");
    }
    if let Some(records) = by_rfc(text, char::from(delimiter)) {
        as_the_rfc(&records, options, table);
    }
}

fn by_csv_crate(text: &str, delimiter: u8) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new();
    reader
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true);
    let records = reader.from_reader(text.as_bytes()).into_records();
    let row = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    records.map(|record| row(record.expect("UTF-8"))).collect()
}

/// The records of a text that follows RFC 4180 to the letter, but for its line ends; blank lines are no records.
fn by_rfc(text: &str, delimiter: char) -> Option<Vec<Row>> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.strip_prefix('\n'))
        {
            rest = after;
            continue;
        }
        let mut record = Row::new();
        loop {
            let (cell, after) = cell(rest, delimiter)?;
            record.push(cell);
            if let Some(after) = after.strip_prefix(delimiter) {
                rest = after;
                continue;
            }
            let ended = after
                .strip_prefix("\r\n")
                .or_else(|| after.strip_prefix('\n'));
            rest = ended.or_else(|| after.is_empty().then_some(""))?;
            break;
        }
        records.push(record);
    }
    Some(records)
}

fn cell(text: &str, delimiter: char) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text
            .find([delimiter, '\r', '\n', '"'])
            .unwrap_or(text.len());
        let (cell, rest) = text.split_at(end);
        return (!rest.starts_with('"')).then(|| (cell.to_owned(), rest));
    };
    let mut cell = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        cell.push_str(part);
        let Some(doubled) = after.strip_prefix('"') else {
            return Some((cell, after));
        };
        cell.push('"');
        rest = doubled;
    }
}

/// What such a text must give: its rows, or the one refusal that it deserves.
fn as_the_rfc(records: &[Row], options: &ReadOptions, table: &Result<Table, TableError>) {
    let Some((header, rows)) = records.split_first() else {
        assert!(matches!(table, Err(TableError::NoHeader { .. })));
        return;
    };
    let names: HashSet<&String> = header.iter().collect();
    if names.len() < header.len() && !options.may_repeat {
        assert!(matches!(table, Err(TableError::DuplicateHeaders { .. })));
        return;
    }
    let ragged = rows.iter().position(|row| row.len() != header.len());
    match (table, ragged) {
        (Err(TableError::Ragged { row, found, .. }), Some(at)) => {
            assert_eq!((*row, *found), (at as u64 + 1, rows[at].len()));
        }
        (Ok(table), None) => {
            let kept = rows
                .iter()
                .filter(|row| row.iter().any(|cell| !cell.is_empty()));
            assert_eq!(&table.header, header);
            assert!(table.contents().eq(kept), "other rows than RFC 4180");
        }
        (table, _) => panic!(
            "{:?} for {records:?}",
            table.as_ref().map(|table| &table.header)
        ),
    }
}

/// A file in another encoding gives the rows of the same text in UTF-8.
fn same_as_decoded(
    bytes: &[u8],
    encoding: &'static Encoding,
    options: &ReadOptions,
    table: &Result<Table, TableError>,
) {
    let (text, _, is_broken) = encoding.decode(bytes);
    let Ok(table) = table else {
        return;
    };
    // What looks like UTF-16 of the other byte order is read as that.
    let is_unclear = text.starts_with('\u{feff}') || text.contains('\0') || bytes.contains(&0);
    if is_unclear {
        return;
    }
    assert!(!is_broken, "bytes that are no characters were accepted");
    let path = scratch::file("decoded.csv", text.as_bytes());
    let options = ReadOptions {
        encoding: None,
        ..options.clone()
    };
    let decoded = read(&path, &options).expect("the same text in UTF-8 is accepted");
    assert_eq!(decoded.header, table.header);
    assert!(decoded.contents().eq(table.contents()));
}

/// The most rows whose marks are followed.
const MARKS_MAX: usize = 24;

fn marks_lead_back(path: &Path, options: &ReadOptions, table: &Table) {
    let open = || Reader::open(path, path, options).expect("it was read before");
    let mut reader = open();
    for (row, mark, line) in table.rows.iter().rev().take(MARKS_MAX) {
        let Some(mark) = mark else {
            return;
        };
        if !reader.seek(*mark).expect("readable") {
            assert!(row[0].starts_with('\u{feff}'), "no row at its mark");
            reader = open();
            continue;
        }
        assert_eq!(reader.next_row().expect("valid").as_ref(), Some(row));
        assert_eq!(reader.line(), *line);
        assert_eq!(reader.mark().as_ref(), Some(mark));
    }
}

fn written_is_read_back(table: &Table) {
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| {
        let mut writer = Writer::new(bytes, table.header.iter().map(String::as_str))?;
        for row in table.contents() {
            writer.row(row.iter().map(String::as_str))?;
        }
        writer.finish()
    };
    write(&mut bytes).expect("memory");
    // Of such a file the first bytes mean something else.
    if plain(&bytes).is_none() {
        return;
    }
    let options = ReadOptions {
        may_repeat: true,
        ..ReadOptions::default()
    };
    let again = read(&scratch::file("written.csv", &bytes), &options).expect("what was written");
    assert_eq!(again.header, table.header);
    assert!(
        again.contents().eq(table.contents()),
        "written, it is not read back"
    );
}
