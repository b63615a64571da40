//! The output CSV and the summary: folds over the state of a job, with the texts that the ledger has.

use super::cells::ResultColumns;
use crate::job::error::JobError;
use crate::job::input::{Row, Survey};
use crate::job::row_record::{RowRecord, details};
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

/// The columns that follow the input's own, in this order.
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

/// How many failed rows a summary names.
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

/// What a job came to: the answer of the tool, field by field.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The job.
    pub job_id: String,
    /// `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Where the rows are.
    pub output_csv_path: PathBuf,
    /// Rows of the input.
    pub total_items: u64,
    /// Rows with a result.
    pub completed_items: u64,
    /// Rows that failed.
    pub failed_items: u64,
    /// Why the job ended early.
    pub job_error: Option<String>,
    /// The first five failed rows, or nothing.
    pub failed_item_errors: Option<Vec<ItemError>>,
    /// What the rows used, where their workers said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Writes the output CSV: every picked row of the input in order, with what is known of it.
///
/// Survives a crash as the old file or the new one.
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

/// [`write_csv`] up to the point where the file gets its name; with the SHA-256 of its content.
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
    // What goes wrong in between is no fault of the output file.
    let mut failed = None;
    let mut sha256 = String::new();
    let staged = crate::platform::stage(path, settings.output_readers, |sink| {
        let header = columns.header(survey);
        let mut sink = Hashed::new(sink);
        let mut writer = Writer::new(&mut sink, header.iter().map(String::as_str))?;
        let rows = each_row(settings, survey, state, lines, |row, item, details| {
            Ok(columns.write(&mut writer, settings, &row, item, &details)?)
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
        (Some(Trouble::Job(error)), _) => Err(error),
        (Some(Trouble::Output(source)), _) | (None, Err(source)) => {
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
enum Trouble {
    Job(JobError),
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn each_row(
    settings: &Settings,
    survey: &Survey,
    state: &State,
    lines: &Lines,
    mut write: impl FnMut(Row, &Item, RowRecord) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut input = survey.rows(settings).map_err(Trouble::Job)?;
    while let Some(row) = input.next_row().map_err(Trouble::Job)? {
        let item = state.item(row.index).copied().unwrap_or_default();
        let details = details(&item, lines).map_err(|error| Trouble::Job(error.into()))?;
        write(row, &item, details)?;
    }
    Ok(())
}

/// The columns beside the input's own.
struct Columns {
    /// The result's properties, where they are wanted as columns.
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
        details: &RowRecord,
    ) -> io::Result<()> {
        let (index, attempts) = (row.index.to_string(), item.attempts.to_string());
        let error = details.last_error.as_deref().unwrap_or_default();
        let error = settings.formula_cells.guard(error);
        let ours = [
            settings.job_id.as_str(),
            row.id.as_str(),
            &index,
            &row.source_id,
            item.status.as_str(),
            &attempts,
            &error,
            details.result.as_deref().unwrap_or_default(),
            &details.reported_at,
            &details.completed_at,
        ];
        let flat = self.flat(settings, details);
        let own = row.fields.iter().map(String::as_str);
        writer.row(own.chain(ours).chain(flat.iter().map(String::as_str)))
    }

    fn flat(&self, settings: &Settings, details: &RowRecord) -> Vec<String> {
        let Some(columns) = &self.results else {
            return Vec::new();
        };
        let result = details.result.as_deref();
        // It was written from an object, so it reads back as one.
        let result = result.and_then(|text| extract::object(text.as_bytes()).ok());
        columns.cells(result.as_ref(), settings.formula_cells)
    }
}

/// The summary of a job that ended with `job_error`, or by itself.
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
                last_error: details(item, lines)?.last_error.unwrap_or_default(),
            });
        }
    }
    Ok(errors)
}
