//! The workbook of `--xlsx`: checked before anything starts, written at the end.

use super::context::Context;
use super::error::CliError;
use crate::platform::look;
use crate::report::view::{RunView, Source};
use crate::report::workbook::{self, WorkbookError, Written};
use crate::run::{InUse, RunError};
use std::path::Path;

/// Checks that the workbook can be written to `path`. An existing file is refused, unless it is to be replaced.
pub fn check_file(
    path: &Path,
    force: bool,
    in_use: &InUse,
    context: &Context,
) -> Result<(), CliError> {
    let path = context.folder.join(path);
    in_use.check_in_folder(&path, "--xlsx")?;
    // A dangling link would be replaced as well.
    if !force && look::is_taken(&path).map_err(CliError::unreadable(&path))? {
        return Err(CliError::Run(RunError::Output {
            path,
            why: "already exists".to_owned(),
            hint: Some("pass --force to replace it, or name another file with --xlsx".to_owned()),
        }));
    }
    Ok(())
}

/// Writes the workbook of `source`.
pub fn write_file(source: &Source, path: &Path, context: &Context) -> Result<Written, CliError> {
    let path = context.folder.join(path);
    workbook::write(source, &path).map_err(|error| match error {
        WorkbookError::View(error) => error.into(),
        error => CliError::Workbook {
            path,
            source: Box::new(error),
        },
    })
}

/// Writes the workbook of the run in `folder`, if one was requested.
pub fn write_run(path: Option<&Path>, folder: &Path, context: &Context) -> Result<(), CliError> {
    let Some(path) = path else { return Ok(()) };
    let source = Source::Run(Box::new(RunView::at(folder)?));
    write_file(&source, path, context).map(drop)
}
