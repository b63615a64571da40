//! Reports as files: checked before anything starts, written at the end.

use super::args::ReportFiles;
use super::context::Context;
use super::error::CliError;
use crate::report::Report;
use crate::run::InUse;
use std::path::Path;

/// Whether the report can be written where it is wanted.
pub fn check_files(
    files: &ReportFiles,
    mut in_use: InUse,
    context: &Context,
) -> Result<(), CliError> {
    let at = |path: &Path| context.folder.join(path);
    if let Some(path) = &files.junit {
        in_use.check(&at(path), "--junit")?;
        in_use.reserve("is the file of --junit", at(path));
    }
    if let Some(path) = &files.markdown {
        in_use.check(&at(path), "--markdown")?;
    }
    Ok(())
}

/// Writes the report in the forms that were asked for.
pub fn write_files(
    report: &Report,
    run_folder: &Path,
    files: &ReportFiles,
    context: &Context,
) -> Result<(), CliError> {
    let write = |path: &Path, text: &str| {
        let path = context.folder.join(path);
        crate::platform::write(&path, text.as_bytes())
            .map_err(|source| CliError::Write { path, source })
    };
    if let Some(path) = &files.junit {
        let log = |path: &Path| {
            let bytes = std::fs::read(run_folder.join(path)).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        write(path, &report.junit(&log)?)?;
    }
    if let Some(path) = &files.markdown {
        write(path, &report.markdown())?;
    }
    Ok(())
}
