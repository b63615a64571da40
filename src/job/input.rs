//! The input of a job: a first pass checks the CSV and finds repeated ids, later passes read the rows with their ids.
//!
//! Ids (CONTRACT, section 2, `id_column`): the cell; `row-N` (1-based over kept rows) if it is blank or there is no
//! column; a repeated id gets `-2`, `-3`, … until it is unique. Because the first pass finds the repeated ids, later passes
//! need not remember any: two passes over the same bytes give the same rows. Resuming and the output CSV depend on that.

use super::error::JobError;
use super::row_index::{Marks, RowIndex};
use super::selection::{Rows, Selection};
use super::settings::Settings;
use crate::model::RowId;
use crate::table::{Reader, RowsInCell};
use crate::template::{Braces, Template};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

/// One picked row of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// 0-based over kept rows.
    pub index: u64,
    /// Unique within the job.
    pub id: RowId,
    /// The id cell as written, or empty.
    pub source_id: String,
    /// The cells, as many as the header has.
    pub fields: Vec<String>,
}

/// The findings of the first pass over a job's input.
#[derive(Clone, Debug)]
pub struct Survey {
    header: Vec<String>,
    delimiter: u8,
    kept: u64,
    selection: Selection,
    rows_in_cells: Option<(RowsInCell, u64)>,
    /// The number appended to a repeated id, by row.
    suffixes: HashMap<u64, u32>,
    /// Places of rows; none in a file that is decoded from another encoding.
    marks: Marks,
}

impl Survey {
    /// [`Survey::take`], or the same from the index of the input, if it has one that fits: then only the picked rows are read. The
    /// input was surveyed when the index was made.
    pub fn recall(settings: &Settings) -> Result<Self, JobError> {
        match RowIndex::find(settings) {
            Some(index) => match Self::of_index(settings, index)? {
                Some(survey) => Ok(survey),
                None => Self::take(settings),
            },
            None => Self::take(settings),
        }
    }

    fn of_index(settings: &Settings, index: RowIndex) -> Result<Option<Self>, JobError> {
        let selection = &settings.selection;
        let survey = |reader: &Reader| Self {
            header: reader.header().to_vec(),
            delimiter: reader.delimiter(),
            kept: index.rows,
            selection: selection.clone(),
            rows_in_cells: None,
            suffixes: HashMap::new(),
            marks: index.marks.clone(),
        };
        let mut reader = open(settings)?;
        id_index(&reader, settings)?;
        let first = selection.first();
        let is_there = match index.marks.before(first) {
            Some((_, mark)) => reader.seek(mark)?,
            None => false,
        };
        let fits = is_there && selection.beyond(index.rows).is_none();
        Ok(fits.then(|| survey(&reader)))
    }

    /// Writes the index of `input` to `path`, for [`Survey::recall`]. `false`: there is none for an input whose ids repeat, since they
    /// depend on each other, nor for one in another encoding than UTF-8.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_index(&self, input: &Path, path: &Path) -> io::Result<bool> {
        let is_possible = self.suffixes.is_empty() && self.marks.before(0).is_some();
        if is_possible {
            RowIndex::new(input, self.kept, self.marks.clone())?.write(path)?;
        }
        Ok(is_possible)
    }

    /// Reads the input to its end, so that an invalid row is found before anything starts.
    pub fn take(settings: &Settings) -> Result<Self, JobError> {
        let mut reader = open(settings)?;
        let id_index = id_index(&reader, settings)?;
        let mut ids = Ids::default();
        let guarded = Guarded::of(settings, reader.header(), id_index);
        let mut has_nul = false;
        let mut kept = 0;
        let mut marks = Marks::default();
        while let Some(fields) = reader.next_row()? {
            if marks.wants(kept)
                && let Some(mark) = reader.mark()
            {
                marks.add(mark);
            }
            has_nul |= guarded.nul_in(&fields).is_some();
            if id_index.is_some() {
                ids.claim(kept, &base_id(kept, id_index, &fields));
            }
            kept += 1;
        }
        if let Some(row) = settings.selection.beyond(kept) {
            return Err(JobError::NoSuchRow { row, rows: kept });
        }
        if has_nul {
            guarded.check_picked_rows(settings, kept)?;
        }
        Ok(Self {
            header: reader.header().to_vec(),
            delimiter: reader.delimiter(),
            kept,
            selection: settings.selection.clone(),
            rows_in_cells: reader.rows_in_cells(),
            suffixes: ids.suffixes,
            marks,
        })
    }

    /// The column names.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The delimiter that the input was read with.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The first cell that may contain rows because of a stray quote, and how many more there are.
    pub fn rows_in_cells(&self) -> Option<&(RowsInCell, u64)> {
        self.rows_in_cells.as_ref()
    }

    /// The number of picked rows.
    pub fn total(&self) -> u64 {
        self.selection.count(self.kept)
    }

    /// The picked rows, by number.
    pub fn picked(&self) -> Rows {
        self.selection.resolve(self.kept)
    }

    /// A pass over the picked rows.
    pub fn rows(&self, settings: &Settings) -> Result<Input<'_>, JobError> {
        let mut reader = open(settings)?;
        let id_index = id_index(&reader, settings)?;
        let mut next_index = 0;
        let before = self.marks.before(self.selection.first());
        if let Some((index, mark)) = before.filter(|(index, _)| *index > 0) {
            match reader.seek(mark)? {
                true => next_index = index,
                false => reader = open(settings)?,
            }
        }
        Ok(Input {
            survey: self,
            reader,
            id_index,
            next_index,
            end: self.selection.end(self.kept),
        })
    }
}

/// The input, being read.
pub struct Input<'s> {
    survey: &'s Survey,
    reader: Reader,
    id_index: Option<usize>,
    next_index: u64,
    /// No row from this index on is picked.
    end: u64,
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
        while self.next_index < self.end
            && let Some(fields) = self.reader.next_row()?
        {
            let index = self.next_index;
            self.next_index += 1;
            if !selection.picks(index, *kept) {
                continue;
            }
            let id = base_id(index, self.id_index, &fields);
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

/// The columns whose cells become arguments or variables of a worker's process, which the system cuts at a NUL byte.
struct Guarded(Vec<(usize, &'static str)>);

impl Guarded {
    fn of(settings: &Settings, header: &[String], id_index: Option<usize>) -> Self {
        let args = settings.row_workers().flat_map(|it| &it.worker.args);
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

    /// Refuses the first picked row with a NUL byte in a guarded cell. A pass of its own: which rows are picked is known
    /// only once all are counted, and remembering every such cell until then would take unbounded memory.
    fn check_picked_rows(&self, settings: &Settings, kept: u64) -> Result<(), JobError> {
        let mut reader = open(settings)?;
        let mut index = 0;
        while let Some(fields) = reader.next_row()? {
            if settings.selection.picks(index, kept)
                && let Some((column, what)) = self.nul_in(&fields)
            {
                return Err(JobError::NulCell {
                    path: settings.csv_path.clone(),
                    line: reader.line(),
                    column: column + 1,
                    name: reader.header()[column].clone(),
                    row: index + 1,
                    what,
                });
            }
            index += 1;
        }
        Ok(())
    }
}

/// The ids of all rows so far, as hashes: a million ids must not stay in memory. A collision of 128 bits is practically
/// impossible, and would only append a number that is not needed.
#[derive(Default)]
struct Ids {
    used: HashSet<u128>,
    /// The next number to try for a repeated id.
    next: HashMap<u128, u32>,
    suffixes: HashMap<u64, u32>,
}

impl Ids {
    fn claim(&mut self, index: u64, base: &str) {
        let hash = hash(base);
        if self.used.insert(hash) {
            return;
        }
        let mut suffix = self.next.get(&hash).copied().unwrap_or(2);
        while !self.used.insert(self::hash(&format!("{base}-{suffix}"))) {
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

/// The id of a row if it is not repeated.
fn base_id(index: u64, id_index: Option<usize>, fields: &[String]) -> String {
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
