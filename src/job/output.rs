//! The output CSV and the summary: folds over the state of a job.

use super::input::Input;
use super::state::{Item, State, Status};
use super::{JobError, Settings};
use crate::table::Writer;
use serde::Serialize;
use std::io;
use std::path::PathBuf;

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
}

/// Writes the output CSV: every input row in order, with what is known of it.
///
/// Survives a crash as the old file or the new one.
pub fn write_csv(settings: &Settings, state: &State) -> Result<(), JobError> {
    let mut input = Input::open(settings)?;
    let path = &settings.output_csv_path;
    let mut read_error = None;
    let written = crate::durable::write_with(path, |sink| {
        let header: Vec<String> = input.header().to_vec();
        let columns = header.iter().map(String::as_str).chain(COLUMNS);
        let mut writer = Writer::new(sink, columns)?;
        loop {
            match input.next_row() {
                Ok(Some(row)) => write_row(&mut writer, settings, &row, state.item(row.index))?,
                Ok(None) => return writer.finish(),
                Err(error) => {
                    read_error = Some(error);
                    return Err(io::Error::other("input"));
                }
            }
        }
    });
    match (read_error, written) {
        (Some(error), _) => Err(error),
        (None, Err(source)) => Err(JobError::Output {
            path: path.clone(),
            source,
        }),
        (None, Ok(())) => Ok(()),
    }
}

fn write_row<W: io::Write>(
    writer: &mut Writer<W>,
    settings: &Settings,
    row: &super::input::Row,
    item: Option<&Item>,
) -> io::Result<()> {
    let nothing = Item::default();
    let item = item.unwrap_or(&nothing);
    let (index, attempts) = (row.index.to_string(), item.attempts.to_string());
    let ours = [
        settings.job_id.as_str(),
        row.id.as_str(),
        &index,
        &row.source_id,
        item.status.as_str(),
        &attempts,
        item.last_error.as_deref().unwrap_or_default(),
        item.result.as_deref().unwrap_or_default(),
        item.reported_at.as_deref().unwrap_or_default(),
        item.completed_at.as_deref().unwrap_or_default(),
    ];
    writer.row(row.fields.iter().map(String::as_str).chain(ours))
}

/// The summary of a job that ended with `job_error`, or by itself.
pub fn summarize(
    settings: &Settings,
    state: &State,
    job_error: Option<String>,
) -> Result<Summary, JobError> {
    let counts = state.counts();
    let errors = match counts.failed {
        0 => None,
        _ => Some(first_errors(settings, state)?),
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
    })
}

fn first_errors(settings: &Settings, state: &State) -> Result<Vec<ItemError>, JobError> {
    let mut input = Input::open(settings)?;
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
                last_error: item.last_error.as_deref().unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(errors)
}
