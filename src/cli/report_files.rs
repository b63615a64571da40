//! Report files: checked before a run starts, written when it has ended.

use super::args::ReportFiles;
use super::context::Context;
use super::error::CliError;
use super::workbook;
use crate::report::Report;
use crate::run::InUse;
use std::path::Path;

/// Checks that the report files can be written. Their folders must exist.
pub fn check_files(
    files: &ReportFiles,
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
        Some(path) => workbook::check_file(path, files.force, &in_use, context),
        None => Ok(()),
    }
}

/// Writes the report files that were requested.
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
    workbook::write_run(files.xlsx.as_deref(), run_folder, context)
}
