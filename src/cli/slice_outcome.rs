//! Which slice `mesh wave exec` runs, and what it prints of it.

use super::args::ExecArgs;
use super::context::Context;
use super::error::CliError;
use super::progress::{Display, rows};
use crate::job::{Counts, JobStatus, Stop};
use crate::run::{SliceRequest, SliceRun};
use crate::wave::index_of_task;
use serde_json::json;

/// Runs the rows of a slice and prints what became of them.
pub fn run_slice(mut slice: SliceRun, stop: &Stop, context: &Context) -> Result<u8, CliError> {
    if let Some(note) = &slice.note {
        context.terminal.warn(note);
    }
    let total = slice.rows();
    let job_id = slice.job().job_id.to_string();
    let title = format!("slice {}", slice.name());
    let mut display = Display::for_job(&context.terminal, &job_id, &title, total);
    let (status, counts) = slice.drive(&mut display, stop)?;
    display.finish(counts);
    report(&slice, &status, counts, context)?;
    let by_rows = u8::from(counts.failed > 0);
    Ok(status.exit_code().unwrap_or(by_rows))
}

fn report(
    slice: &SliceRun,
    status: &JobStatus,
    counts: Counts,
    context: &Context,
) -> Result<(), CliError> {
    let error = status.job_error();
    if context.terminal.json {
        let object = json!({
            "slice": slice.name().to_string(),
            "total_items": counts.total,
            "completed_items": counts.completed,
            "failed_items": counts.failed,
            "pending_items": counts.pending(),
            "job_error": error,
        });
        context.terminal.data(&object.to_string())?;
        return Ok(());
    }
    if let Some(error) = error {
        let left = rows(counts.pending());
        context
            .terminal
            .talk(&format!("slice {}: {left} left: {error}", slice.name()));
    }
    Ok(())
}

/// Which rows of a job.
pub fn slice_request(args: &ExecArgs) -> Result<SliceRequest, CliError> {
    if let Some(rows) = &args.slice {
        return Ok(SliceRequest::Rows(rows.clone()));
    }
    if let Some(index) = args.index {
        return Ok(SliceRequest::Index { index, first: 1 });
    }
    let found = index_of_task(|name| std::env::var(name).ok());
    match found.map_err(CliError::BadIndex)? {
        Some((index, first)) => Ok(SliceRequest::Index { index, first }),
        None => Err(CliError::NoSlice),
    }
}
