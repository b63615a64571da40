//! One row of a run in full: its prompt and its history.

use super::rows::{RowHistory, read_row_history};
use crate::job::JobError;
use crate::model::{RowId, RunId, one_line, visible, visible_lines};
use crate::run::{RunError, RunFolder, SpawnRun, State};
use crate::table::{ReadOptions, Reader, TableError};
use serde::Serialize;

/// One row of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RowDetail {
    /// The run.
    pub mesh_run_id: RunId,
    /// The row.
    pub item_id: String,
    /// The prompt of its first attempt.
    pub prompt: Option<String>,
    /// What happened to it, if it was started.
    pub row: Option<RowHistory>,
}

/// Why a row can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The run does not have it.
    #[error("run `{run}` has no row `{row}`")]
    NoRow {
        /// The run.
        run: RunId,
        /// As given.
        row: String,
    },
    /// Several rows are shown alike.
    #[error("run `{run}` shows several rows as `{row}`: {}", numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))]
    AmbiguousRow {
        /// The run.
        run: RunId,
        /// As given.
        row: String,
        /// The numbers of the rows.
        numbers: Vec<u64>,
    },
    /// A file of the run can't be read.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl RowDetail {
    /// Reads a row by its id, by the id as it is shown, or for a spawned CSV by its number.
    ///
    /// # Errors
    /// There is no such row, or several; a file of the run can't be read.
    pub fn read(folder: &RunFolder, state: &State, given: &str) -> Result<Self, RowError> {
        let id = find_id(folder, state, given)?;
        let prompt = match state.spawned {
            Some(_) => SpawnRun::first_prompt(folder, &id)?,
            None => prompt_in_waves(folder, state, &id)?,
        };
        let mut row = read_row_history(&folder.ledger(), &id).map_err(RunError::from)?;
        if prompt.is_none() && row.is_none() {
            return Err(RowError::NoRow {
                run: folder.id().clone(),
                row: id,
            });
        }
        if let Some(history) = &mut row {
            let (wave, item) = (history.wave, RowId::new(id.as_str()));
            for attempt in &mut history.attempts {
                attempt.log_paths = folder.kept_logs(wave, &item, attempt.attempt);
            }
        }
        Ok(Self {
            mesh_run_id: folder.id().clone(),
            item_id: id,
            prompt,
            row,
        })
    }
}

/// The id of the row that is meant by `given`. An id with hidden characters can't be typed as it is shown, so that form
/// counts as well; where it is that of several rows, only the number tells them apart.
fn find_id(folder: &RunFolder, state: &State, given: &str) -> Result<String, RowError> {
    let is_shown = |id: &str| {
        let shown = [id.to_owned(), visible(id), visible_lines(id), one_line(id)];
        shown.iter().any(|form| form == given)
    };
    let number: Option<u64> = given.parse().ok();
    let rows = match state.spawned {
        Some(_) => SpawnRun::find_rows(folder, |row, id| is_shown(id) || number == Some(row))?,
        None => {
            let rows = state.waves.iter().flat_map(|wave| &wave.compiled.rows);
            rows.map(|id| (0, id.clone()))
                .filter(|(_, id)| is_shown(id.as_str()))
                .collect()
        }
    };
    if rows.iter().any(|(_, id)| id.as_str() == given) {
        return Ok(given.to_owned());
    }
    let shown: Vec<_> = rows
        .iter()
        .filter(|(_, id)| is_shown(id.as_str()))
        .collect();
    match (shown.as_slice(), rows.first()) {
        ([], None) => Ok(given.to_owned()),
        ([(_, id)], _) | ([], Some((_, id))) => Ok(id.to_string()),
        (several, _) => Err(RowError::AmbiguousRow {
            run: folder.id().clone(),
            row: given.to_owned(),
            numbers: several.iter().map(|(number, _)| *number).collect(),
        }),
    }
}

/// The prompt of a row of a plan run, from the wave CSV that contains it.
fn prompt_in_waves(
    folder: &RunFolder,
    state: &State,
    id: &str,
) -> Result<Option<String>, RunError> {
    let mut waves = state.waves.iter();
    let Some(wave) = waves.find(|wave| wave.compiled.rows.iter().any(|row| row.as_str() == id))
    else {
        return Ok(None);
    };
    let path = folder.path().join(&wave.compiled.csv_path);
    let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
    let mut reader = Reader::open(&path, &path, &ReadOptions::default()).map_err(table)?;
    let column = |name: &str| reader.header().iter().position(|column| column == name);
    let (Some(id_at), Some(prompt_at)) = (column("id"), column("prompt")) else {
        return Ok(None);
    };
    while let Some(row) = reader.next_row().map_err(table)? {
        if row.get(id_at).is_some_and(|cell| cell == id) {
            return Ok(row.get(prompt_at).cloned());
        }
    }
    Ok(None)
}
