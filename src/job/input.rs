//! The rows of a job: what one pass over the input CSV finds out, and further passes that give the rows with their ids.
//!
//! Ids (CONTRACT, section 2, `id_column`): the cell; `row-N` (1-based over kept rows) where it is blank or there is no
//! column; a repeated id gets `-2`, `-3`, … until it is free. The first pass finds the repeated ones, so that no later
//! pass has to remember ids: two passes over the same bytes give the same rows, which is what resuming and the output
//! CSV rest on.

use super::error::JobError;
use super::selection::Selection;
use super::settings::Settings;
use crate::model::RowId;
use crate::table::{Reader, RowsInCell};
use crate::template::{Braces, Template};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One picked row of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// 0-based over kept rows.
    pub index: u64,
    /// Unique within the job.
    pub id: RowId,
    /// The id cell as it stands, or empty.
    pub source_id: String,
    /// The cells, as many as the header has.
    pub fields: Vec<String>,
}

/// What the first pass over a job's input found.
#[derive(Clone, Debug)]
pub struct Survey {
    header: Vec<String>,
    delimiter: u8,
    kept: u64,
    selection: Selection,
    rows_in_cells: Option<(RowsInCell, u64)>,
    /// The numbers behind repeated ids, by row.
    suffixes: HashMap<u64, u32>,
}

impl Survey {
    /// Reads the input to its end, so that a bad row is found before anything starts.
    pub fn take(settings: &Settings) -> Result<Self, JobError> {
        let mut reader = open(settings)?;
        let id_index = id_index(&reader, settings)?;
        let mut ids = Ids::default();
        let guarded = Guarded::of(settings, reader.header(), id_index);
        let mut nul_cells = Vec::new();
        let mut kept = 0;
        while let Some(fields) = reader.next_row()? {
            if let Some((column, what)) = guarded.nul_in(&fields) {
                nul_cells.push(NulCell {
                    index: kept,
                    line: reader.line(),
                    column,
                    what,
                });
            }
            if id_index.is_some() {
                ids.claim(kept, &wanted(kept, id_index, &fields));
            }
            kept += 1;
        }
        if let Some(row) = settings.selection.beyond(kept) {
            return Err(JobError::NoSuchRow { row, rows: kept });
        }
        let is_picked = |cell: &&NulCell| settings.selection.picks(cell.index, kept);
        if let Some(cell) = nul_cells.iter().find(is_picked) {
            return Err(JobError::NulCell {
                path: settings.csv_path.clone(),
                line: cell.line,
                column: cell.column + 1,
                name: reader.header()[cell.column].clone(),
                row: cell.index + 1,
                what: cell.what,
            });
        }
        Ok(Self {
            header: reader.header().to_vec(),
            delimiter: reader.delimiter(),
            kept,
            selection: settings.selection.clone(),
            rows_in_cells: reader.rows_in_cells(),
            suffixes: ids.suffixes,
        })
    }

    /// The column names.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The separator that the input was read with.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The first cell that perhaps holds rows which a stray quote took in, and how many more there are.
    pub fn rows_in_cells(&self) -> Option<&(RowsInCell, u64)> {
        self.rows_in_cells.as_ref()
    }

    /// How many rows are picked.
    pub fn total(&self) -> u64 {
        self.selection.count(self.kept)
    }

    /// A pass over the picked rows.
    pub fn rows(&self, settings: &Settings) -> Result<Input<'_>, JobError> {
        let reader = open(settings)?;
        let id_index = id_index(&reader, settings)?;
        Ok(Input {
            survey: self,
            reader,
            id_index,
            next_index: 0,
        })
    }
}

/// The input, being read.
pub struct Input<'s> {
    survey: &'s Survey,
    reader: Reader,
    id_index: Option<usize>,
    next_index: u64,
}

impl Input<'_> {
    /// The next picked row.
    pub fn next_row(&mut self) -> Result<Option<Row>, JobError> {
        let Survey {
            kept,
            selection,
            suffixes,
            ..
        } = self.survey;
        while let Some(fields) = self.reader.next_row()? {
            let index = self.next_index;
            self.next_index += 1;
            if !selection.picks(index, *kept) {
                continue;
            }
            let id = wanted(index, self.id_index, &fields);
            let id = match suffixes.get(&index) {
                Some(suffix) => format!("{id}-{suffix}"),
                None => id,
            };
            let cell = self.id_index.map_or("", |at| fields[at].as_str());
            return Ok(Some(Row {
                index,
                id: RowId::new(id),
                source_id: if is_blank(cell) { "" } else { cell }.to_owned(),
                fields,
            }));
        }
        Ok(None)
    }
}

/// A cell with a NUL byte, where none may be.
struct NulCell {
    index: u64,
    line: u64,
    column: usize,
    what: &'static str,
}

/// The columns whose cells become arguments or variables of a worker's process: the system ends those at a NUL byte.
struct Guarded(Vec<(usize, &'static str)>);

impl Guarded {
    fn of(settings: &Settings, header: &[String], id_index: Option<usize>) -> Self {
        let args = settings.worker.args.iter();
        let args: Vec<Template> = args
            .map(|arg| Template::parse(arg, Braces::Plain))
            .collect();
        let names = args.iter().flat_map(Template::names);
        let columns = names.filter_map(|name| header.iter().position(|column| column == name));
        let arguments = columns.map(|column| (column, "an argument of the command"));
        let id = id_index.map(|column| (column, "an item id"));
        Self(arguments.chain(id).collect())
    }

    fn nul_in(&self, fields: &[String]) -> Option<(usize, &'static str)> {
        let mut guarded = self.0.iter().copied();
        guarded.find(|(column, _)| fields[*column].contains('\0'))
    }
}

/// The ids of all rows so far, as hashes: a million ids must not stay in memory. Two different ids meet in one hash of
/// 128 bits practically never, and then the second gets a number it would not have needed.
#[derive(Default)]
struct Ids {
    used: HashSet<u128>,
    /// Of an id that was repeated, the number to try next.
    next: HashMap<u128, u32>,
    suffixes: HashMap<u64, u32>,
}

impl Ids {
    fn claim(&mut self, index: u64, wanted: &str) {
        let hash = hash(wanted);
        if self.used.insert(hash) {
            return;
        }
        let mut suffix = self.next.get(&hash).copied().unwrap_or(2);
        while !self.used.insert(self::hash(&format!("{wanted}-{suffix}"))) {
            suffix += 1;
        }
        self.next.insert(hash, suffix + 1);
        self.suffixes.insert(index, suffix);
    }
}

fn hash(text: &str) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// The id that a row would have were it the only one.
fn wanted(index: u64, id_index: Option<usize>, fields: &[String]) -> String {
    let cell = id_index.map_or("", |at| fields[at].as_str());
    if is_blank(cell) {
        format!("row-{}", index + 1)
    } else {
        cell.to_owned()
    }
}

fn is_blank(cell: &str) -> bool {
    cell.trim().is_empty()
}

fn open(settings: &Settings) -> Result<Reader, JobError> {
    Ok(Reader::open(
        &settings.input_path,
        &settings.csv_path,
        &settings.read_options(),
    )?)
}

fn id_index(reader: &Reader, settings: &Settings) -> Result<Option<usize>, JobError> {
    let Some(name) = &settings.id_column else {
        return Ok(None);
    };
    let columns = reader.header();
    let index = columns.iter().position(|column| column == name);
    index.map(Some).ok_or_else(|| JobError::NoIdColumn {
        path: settings.csv_path.clone(),
        name: name.clone(),
        columns: columns.to_vec(),
    })
}
