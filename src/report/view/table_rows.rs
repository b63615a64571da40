//! The rows of a wave CSV or an output CSV, without its run.

use super::error::ViewError;
use super::row::ViewRow;
use crate::job::OUTPUT_COLUMNS;
use crate::table::{ReadOptions, Reader};
use crate::wave::COLUMNS;
use std::path::{Path, PathBuf};

/// The input of an output may have columns with the names of ours.
const OPTIONS: ReadOptions = ReadOptions {
    delimiter: None,
    encoding: None,
    rename: Vec::new(),
    may_repeat: true,
};

/// What a CSV is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// The rows of a wave; they have no status.
    Wave,
    /// The output of a job. The columns of its input end before this index.
    Output(usize),
}

/// A wave CSV or an output CSV.
pub struct TableView {
    path: PathBuf,
    name: PathBuf,
    kind: TableKind,
    header: Vec<String>,
}

impl TableView {
    /// Reads the header of the CSV at `path`; messages call it `name`.
    pub fn open(path: &Path, name: &Path) -> Result<Self, ViewError> {
        let reader = Reader::open(path, name, &OPTIONS)?;
        let header = reader.header().to_vec();
        let kind = kind_of(&header).ok_or_else(|| ViewError::ForeignTable {
            path: name.to_owned(),
            missing: first_missing(&header),
        })?;
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            kind,
            header,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the CSV is.
    pub fn kind(&self) -> TableKind {
        self.kind
    }

    /// The columns of the input; all columns of a wave.
    pub fn header(&self) -> &[String] {
        match self.kind {
            TableKind::Wave => &self.header,
            TableKind::Output(inputs) => &self.header[..inputs],
        }
    }

    /// Visits every row in order.
    pub fn each_row<E: From<ViewError>>(
        &self,
        mut visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = Reader::open(&self.path, &self.name, &OPTIONS);
        let mut reader = reader.map_err(ViewError::from)?;
        let mut number = 0;
        while let Some(fields) = reader.next_row().map_err(ViewError::from)? {
            number += 1;
            visit(match self.kind {
                TableKind::Wave => self.wave_row(number, fields),
                TableKind::Output(inputs) => output_row(inputs, number, fields),
            })?;
        }
        Ok(())
    }

    fn wave_row(&self, number: u64, fields: Vec<String>) -> ViewRow {
        let cell = |name: &str| {
            let at = self.header.iter().position(|column| column == name);
            at.map(|at| fields[at].clone()).unwrap_or_default()
        };
        ViewRow {
            item: cell("id"),
            wave: cell("wave").parse().ok(),
            number,
            unit: cell("unit"),
            round: cell("round"),
            role: cell("role"),
            fields,
            ..ViewRow::default()
        }
    }
}

fn output_row(inputs: usize, number: u64, mut fields: Vec<String>) -> ViewRow {
    let own = fields.split_off(inputs);
    let cell = |name: &str| {
        let at = OUTPUT_COLUMNS.iter().position(|column| *column == name);
        at.map_or("", |at| own[at].as_str())
    };
    ViewRow {
        item: cell("item_id").to_owned(),
        number,
        status: cell("status").to_owned(),
        attempts: cell("attempt_count").parse().unwrap_or_default(),
        error: cell("last_error").to_owned(),
        result: serde_json::from_str(cell("result_json")).ok(),
        fields,
        ..ViewRow::default()
    }
}

/// An input may have columns with the names of ours: the last ten in a row count, followed only by those of `--flatten`.
fn kind_of(header: &[String]) -> Option<TableKind> {
    let mut windows = header.windows(OUTPUT_COLUMNS.len());
    if let Some(at) = windows.rposition(|window| window == OUTPUT_COLUMNS) {
        return Some(TableKind::Output(at));
    }
    let is_wave = COLUMNS
        .iter()
        .all(|name| header.iter().any(|column| column == name));
    is_wave.then_some(TableKind::Wave)
}

/// The first missing column of the kind that the header is closer to.
fn first_missing(header: &[String]) -> &'static str {
    let missing = |columns: &[&'static str]| -> Vec<&'static str> {
        let is_missing = |name: &&&str| !header.iter().any(|column| column == **name);
        columns.iter().filter(is_missing).copied().collect()
    };
    let (wave, output) = (missing(&COLUMNS), missing(&OUTPUT_COLUMNS));
    let has = |all: usize, missing: &[&str]| all - missing.len();
    let is_wave = has(COLUMNS.len(), &wave) > has(OUTPUT_COLUMNS.len(), &output);
    let closer = if is_wave { wave } else { output };
    closer.first().copied().unwrap_or(OUTPUT_COLUMNS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_columns() {
        let header = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        let ours = OUTPUT_COLUMNS.join(",");
        assert_eq!(kind_of(&header(&COLUMNS.join(","))), Some(TableKind::Wave));
        assert_eq!(
            kind_of(&header(&format!("a,{ours},result.x"))),
            Some(TableKind::Output(1))
        );
        // The output of an output.
        assert_eq!(
            kind_of(&header(&format!("a,{ours},{ours}"))),
            Some(TableKind::Output(11))
        );
        assert_eq!(kind_of(&header("a,b")), None);
        assert_eq!(first_missing(&header("job_id,item_id,x")), "row_index");
        assert_eq!(first_missing(&header("id,unit,objective")), "round");
    }
}
