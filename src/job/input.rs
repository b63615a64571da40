//! The rows of a job: one pass over the input CSV, with an id for each row.
//!
//! Ids (CONTRACT, section 2, `id_column`): the cell; `row-N` (1-based) where it is blank or there is no
//! column; a repeated id gets `-2`, `-3`, … until it is free. Two passes over the same bytes give the
//! same rows and ids, which is what resuming and the output CSV rest on.

use super::{JobError, Settings};
use crate::model::RowId;
use crate::table::Reader;
use std::collections::HashSet;

/// One kept row of the input.
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

/// The input, being read.
pub struct Input {
    reader: Reader,
    id_index: Option<usize>,
    used: HashSet<String>,
    next_index: u64,
}

impl Input {
    /// Opens the job's input and finds its id column.
    pub fn open(settings: &Settings) -> Result<Self, JobError> {
        let reader = Reader::open(&settings.input_path, &settings.read_options())?;
        let id_index = match &settings.id_column {
            None => None,
            Some(name) => Some(position_of(&reader, name, settings)?),
        };
        Ok(Self {
            reader,
            id_index,
            used: HashSet::new(),
            next_index: 0,
        })
    }

    /// The column names.
    pub fn header(&self) -> &[String] {
        self.reader.header()
    }

    /// The next kept row.
    pub fn next_row(&mut self) -> Result<Option<Row>, JobError> {
        let Some(fields) = self.reader.next_row()? else {
            return Ok(None);
        };
        let index = self.next_index;
        self.next_index += 1;
        let cell = self.id_index.map_or("", |at| fields[at].as_str());
        let (wanted, source_id) = if cell.trim().is_empty() {
            (format!("row-{}", index + 1), String::new())
        } else {
            (cell.to_owned(), cell.to_owned())
        };
        Ok(Some(Row {
            index,
            id: self.free_id(wanted),
            source_id,
            fields,
        }))
    }

    /// Reads to the end, so that a bad row is found before anything starts; gives the number of rows.
    pub fn check_all(mut self) -> Result<u64, JobError> {
        while self.next_row()?.is_some() {}
        Ok(self.next_index)
    }

    fn free_id(&mut self, wanted: String) -> RowId {
        let mut id = wanted.clone();
        let mut suffix = 2;
        while !self.used.insert(id.clone()) {
            id = format!("{wanted}-{suffix}");
            suffix += 1;
        }
        RowId::new(id)
    }
}

fn position_of(reader: &Reader, name: &str, settings: &Settings) -> Result<usize, JobError> {
    reader
        .header()
        .iter()
        .position(|column| column == name)
        .ok_or_else(|| JobError::NoIdColumn {
            path: settings.csv_path.clone(),
            name: name.to_owned(),
            columns: reader.header().to_vec(),
        })
}
