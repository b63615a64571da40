//! Report files: checked before a run starts, written when it has ended.

use super::args::JobReportFiles;
use super::context::Context;
use super::error::CliError;
use super::workbook;
use crate::job::Summary;
use crate::report::view::RunView;
use crate::report::{Report, job_markdown, junit_of_plan, write_junit};
use crate::run::{InUse, RunFolder};
use std::path::Path;

/// Checks that the report files can be written. Their folders must exist; `force` replaces an existing workbook.
pub fn check_files(
    files: &JobReportFiles,
    force: bool,
    mut in_use: InUse,
    context: &Context,
) -> Result<(), CliError> {
    let at = |path: &Path| context.folder.join(path);
    if let Some(path) = &files.junit {
        in_use.check_in_folder(&at(path), "--junit")?;
        in_use.reserve("is the file of --junit", at(path));
    }
    if let Some(path) = &files.markdown {
        in_use.check_in_folder(&at(path), "--markdown")?;
        in_use.reserve("is the file of --markdown", at(path));
    }
    match &files.xlsx {
        Some(path) => workbook::check_file(path, force, &in_use, context),
        None => Ok(()),
    }
}

/// Writes the report files of a plan run.
pub fn write_files(
    report: &Report,
    run_folder: &Path,
    files: &JobReportFiles,
    context: &Context,
) -> Result<(), CliError> {
    if let Some(path) = &files.junit {
        write(path, &junit_of_plan(report, run_folder)?, context)?;
    }
    if let Some(path) = &files.markdown {
        write(path, &report.markdown(), context)?;
    }
    workbook::write_run(files.xlsx.as_deref(), run_folder, context)
}

/// Writes the report files of a spawned CSV.
pub fn write_job_files(
    summary: &Summary,
    run: &RunFolder,
    files: &JobReportFiles,
    context: &Context,
) -> Result<(), CliError> {
    if files.junit.is_some() {
        write_row_junit(files, &RunView::at(run.path())?, context)?;
    }
    if let Some(path) = &files.markdown {
        write(path, &job_markdown(summary, run.id()), context)?;
    }
    workbook::write_run(files.xlsx.as_deref(), run.path(), context)
}

/// Writes the JUnit file of a spawned CSV, if one was requested.
pub fn write_row_junit(
    files: &JobReportFiles,
    run: &RunView,
    context: &Context,
) -> Result<(), CliError> {
    let Some(path) = &files.junit else {
        return Ok(());
    };
    let path = context.folder.join(path);
    let written = crate::platform::durable::write_with(&path, |out| write_junit(run, out));
    written.map_err(CliError::unexported(&path))
}

fn write(path: &Path, text: &str, context: &Context) -> Result<(), CliError> {
    let path = context.folder.join(path);
    let written = crate::platform::write(&path, text.as_bytes());
    written.map_err(|source| CliError::Write { path, source })
}
