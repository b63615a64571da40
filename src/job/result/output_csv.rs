//! The output CSV and the summary: folds over the state of a job, with texts from the ledger.

use super::cells::ResultColumns;
use crate::job::error::JobError;
use crate::job::input::{Row, Survey};
use crate::job::row_record::{RowRecord, read_record};
use crate::job::settings::Settings;
use crate::job::state::{Item, State, Status};
use crate::ledger::Lines;
use crate::model::Usage;
use crate::platform::Hashed;
use crate::table::Writer;
use crate::verdict::extract;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The columns after those of the input, in this order.
pub const COLUMNS: [&str; 10] = [
    "job_id",
    "item_id",
    "row_index",
    "source_id",
    "status",
    "attempt_count",
    "last_error",
    "result_json",
    "reported_at",
    "completed_at",
];

/// The most failed rows that a summary names.
const ERRORS_MAX: usize = 5;

/// One failed row of a summary.
#[derive(Clone, Debug, Serialize)]
pub struct ItemError {
    /// The row.
    pub item_id: String,
    /// Its id cell, or empty.
    pub source_id: String,
    /// `code: text`.
    pub last_error: String,
}

/// The summary of a job: the fields of the tool's answer.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The job.
    pub job_id: String,
    /// `completed`, `failed` or `cancelled`.
    pub status: String,
    /// The output CSV.
    pub output_csv_path: PathBuf,
    /// Rows of the input.
    pub total_items: u64,
    /// Rows with a result.
    pub completed_items: u64,
    /// Rows that failed.
    pub failed_items: u64,
    /// Why the job ended early, if it did.
    pub job_error: Option<String>,
    /// The first five failed rows, if any.
    pub failed_item_errors: Option<Vec<ItemError>>,
    /// The usage of the rows, if their workers reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Writes the output CSV: every picked row of the input in order, with its state and result.
///
/// After a crash the file is either the old or the new one.
pub fn write_csv(
    settings: &Settings,
    survey: &Survey,
    state: &State,
    lines: &Lines,
) -> Result<(), JobError> {
    let path = &settings.output_csv_path;
    let (staged, _) = stage_csv(settings, survey, state, lines)?;
    let placed = staged.persist(path).map_err(|error| error.error);
    placed
        .and_then(|_| crate::platform::sync_folder(crate::platform::parent(path)))
        .map_err(output_failed(path))
}

/// Like [`write_csv`] without the final rename. Returns the file and the SHA-256 of its content.
pub fn stage_csv(
    settings: &Settings,
    survey: &Survey,
    state: &State,
    lines: &Lines,
) -> Result<(NamedTempFile, String), JobError> {
    let path = &settings.output_csv_path;
    let columns = Columns {
        results: settings.result_columns()?,
    };
    // An error of the input or the ledger is not an error of the output file.
    let mut failed = None;
    let mut sha256 = String::new();
    let staged = crate::platform::stage(path, settings.output_readers, |sink| {
        let header = columns.header(survey);
        let mut sink = Hashed::new(sink);
        let mut writer = Writer::new(&mut sink, header.iter().map(String::as_str))?;
        let rows = each_row(settings, survey, state, lines, |row, item, record| {
            Ok(columns.write(&mut writer, settings, &row, item, &record)?)
        });
        rows.map_err(|error| {
            failed = Some(error);
            io::Error::other("rows")
        })?;
        writer.finish()?;
        sha256 = sink.sha256();
        Ok(())
    });
    match (failed, staged) {
        (Some(RowError::Job(error)), _) => Err(error),
        (Some(RowError::Output(source)), _) | (None, Err(source)) => {
            Err(output_failed(path)(source))
        }
        (None, Ok(staged)) => Ok((staged, sha256)),
    }
}

pub(crate) fn output_failed(path: &Path) -> impl FnOnce(io::Error) -> JobError {
    let path = path.to_owned();
    move |source| JobError::Output { path, source }
}

/// Why the rows could not all be written.
enum RowError {
    Job(JobError),
    Output(io::Error),
}

impl From<io::Error> for RowError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn each_row(
    settings: &Settings,
    survey: &Survey,
    state: &State,
    lines: &Lines,
    mut write: impl FnMut(Row, &Item, RowRecord) -> Result<(), RowError>,
) -> Result<(), RowError> {
    let mut input = survey.rows(settings).map_err(RowError::Job)?;
    while let Some(row) = input.next_row().map_err(RowError::Job)? {
        let item = state.item(row.index).copied().unwrap_or_default();
        let record = read_record(&item, lines).map_err(|error| RowError::Job(error.into()))?;
        write(row, &item, record)?;
    }
    Ok(())
}

/// The columns added to those of the input.
struct Columns {
    /// The properties of the result as columns, if requested.
    results: Option<ResultColumns>,
}

impl Columns {
    fn header(&self, survey: &Survey) -> Vec<String> {
        let own = survey.header().iter().cloned();
        let ours = COLUMNS.into_iter().map(str::to_owned);
        let results = self.results.iter().flat_map(ResultColumns::headers);
        own.chain(ours).chain(results).collect()
    }

    fn write<W: io::Write>(
        &self,
        writer: &mut Writer<W>,
        settings: &Settings,
        row: &Row,
        item: &Item,
        record: &RowRecord,
    ) -> io::Result<()> {
        let (index, attempts) = (row.index.to_string(), item.attempts.to_string());
        let error = record.last_error.as_deref().unwrap_or_default();
        let error = settings.formula_cells.guard(error);
        let ours = [
            settings.job_id.as_str(),
            row.id.as_str(),
            &index,
            &row.source_id,
            item.status.as_str(),
            &attempts,
            &error,
            record.result.as_deref().unwrap_or_default(),
            &record.reported_at,
            &record.completed_at,
        ];
        let flat = self.flat(settings, record);
        let own = row.fields.iter().map(String::as_str);
        writer.row(own.chain(ours).chain(flat.iter().map(String::as_str)))
    }

    fn flat(&self, settings: &Settings, record: &RowRecord) -> Vec<String> {
        let Some(columns) = &self.results else {
            return Vec::new();
        };
        let result = record.result.as_deref();
        // It was written from an object, so it parses as one.
        let result = result.and_then(|text| extract::object(text.as_bytes()).ok());
        columns.cells(result.as_ref(), settings.formula_cells)
    }
}

/// The summary of a job; `job_error` says why it ended early.
pub fn summarize(
    settings: &Settings,
    survey: &Survey,
    state: &State,
    lines: &Lines,
    job_error: Option<String>,
) -> Result<Summary, JobError> {
    let counts = state.counts();
    let errors = match counts.failed {
        0 => None,
        _ => Some(first_errors(settings, survey, state, lines)?),
    };
    let status = match &job_error {
        None => "completed",
        Some(_) => "cancelled",
    };
    Ok(Summary {
        job_id: settings.job_id.to_string(),
        status: status.to_owned(),
        output_csv_path: settings.output_csv_path.clone(),
        total_items: counts.total,
        completed_items: counts.completed,
        failed_items: counts.failed,
        job_error,
        failed_item_errors: errors,
        usage: Some(state.spent.usage).filter(|usage| !usage.is_none()),
    })
}

fn first_errors(
    settings: &Settings,
    survey: &Survey,
    state: &State,
    lines: &Lines,
) -> Result<Vec<ItemError>, JobError> {
    let mut input = survey.rows(settings)?;
    let mut errors = Vec::new();
    while errors.len() < ERRORS_MAX
        && let Some(row) = input.next_row()?
    {
        if let Some(item) = state.item(row.index)
            && item.status == Status::Failed
        {
            errors.push(ItemError {
                item_id: row.id.to_string(),
                source_id: row.source_id,
                last_error: read_record(item, lines)?.last_error.unwrap_or_default(),
            });
        }
    }
    Ok(errors)
}
