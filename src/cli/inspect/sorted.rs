//! Rows in another order: written to a temporary file as they are visited, and read back one by one. In memory is, of each row, 40
//! bytes and the text that it is sorted by.

use crate::report::view::{Cell, Column, ViewRow};
use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;

/// Rows to sort.
pub struct Sorter {
    column: Column,
    is_descending: bool,
    rows: BufWriter<File>,
    bytes: u64,
    keys: Vec<Key>,
}

/// The value of a row, and where the row is in the file.
struct Key {
    value: Cell,
    at: u64,
    length: u32,
}

impl Sorter {
    /// Sorts by a column.
    pub fn new(column: Column, is_descending: bool) -> io::Result<Self> {
        Ok(Self {
            column,
            is_descending,
            rows: BufWriter::new(tempfile::tempfile()?),
            bytes: 0,
            keys: Vec::new(),
        })
    }

    /// Adds a row.
    pub fn add(&mut self, row: &ViewRow) -> io::Result<()> {
        let line = serde_json::to_vec(row)?;
        self.rows.write_all(&line)?;
        let value = self.column.cell(row);
        // A number needs less memory than its text, and is compared as one either way.
        let value = match value.as_number() {
            Some(number) => Cell::Number(number, 0),
            None => value,
        };
        let length = u32::try_from(line.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.keys.push(Key {
            value,
            at: self.bytes,
            length,
        });
        self.bytes += u64::from(length);
        Ok(())
    }

    /// Visits the rows in their order; those that compare equal in that in which they were added.
    pub fn for_each<E: From<io::Error>>(
        self,
        mut visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let rows = self.rows.into_inner().map_err(io::Error::from)?;
        let mut keys = self.keys;
        keys.sort_unstable_by(|one, two| {
            compare(&one.value, &two.value, self.is_descending).then(one.at.cmp(&two.at))
        });
        let mut line = Vec::new();
        for key in keys {
            line.resize(key.length as usize, 0);
            rows.read_exact_at(&mut line, key.at)?;
            visit(serde_json::from_slice(&line).map_err(io::Error::from)?)?;
        }
        Ok(())
    }
}

/// Rows without a value come last either way.
fn compare(one: &Cell, two: &Cell, is_descending: bool) -> Ordering {
    let is_empty = |cell: &Cell| *cell == Cell::Empty;
    let by_value = match is_descending {
        true => two.compare(one),
        false => one.compare(two),
    };
    is_empty(one).cmp(&is_empty(two)).then(by_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_come_back_whole_in_their_order() {
        let row = |number: u64, text: &str| ViewRow {
            number,
            error: text.to_owned(),
            seconds: Some(0.5),
            result: Some(json!({"z": 12_345_678_901_234_567_890_u64, "a": "\u{1b}ä\n"})),
            fields: vec![String::new(), "a,\"b\"".to_owned()],
            ..ViewRow::default()
        };
        let texts = ["b", "", "10", "a", "9", "b", ""];
        let order = |is_descending| {
            let mut sorter = Sorter::new(Column::Own("error"), is_descending).expect("a file");
            for (number, text) in (1..).zip(texts) {
                sorter.add(&row(number, text)).expect("added");
            }
            let mut numbers = Vec::new();
            let visited = sorter.for_each(|found| {
                let expected = row(found.number, texts[found.number as usize - 1]);
                assert_eq!(format!("{found:?}"), format!("{expected:?}"));
                numbers.push(found.number);
                Ok::<_, io::Error>(())
            });
            visited.expect("visited");
            numbers
        };
        assert_eq!(order(false), [5, 3, 4, 1, 6, 2, 7]);
        assert_eq!(order(true), [1, 6, 4, 3, 5, 2, 7]);
    }
}
