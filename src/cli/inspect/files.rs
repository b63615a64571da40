//! A run as a file.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::report::page;
use crate::report::view::Source;
use std::path::Path;

/// A browser keeps up with this many rows.
const PAGE_ROWS_MAX: u64 = 50_000;

/// Writes the run as a web page.
pub fn write_page(
    source: Source,
    given: &str,
    path: &Path,
    force: bool,
    context: &Context,
) -> Result<(), CliError> {
    let path = context.folder.join(path);
    if !force && std::fs::symlink_metadata(&path).is_ok() {
        return Err(CliError::FileExists(path));
    }
    let Source::Run(run) = source else {
        return Err(CliError::PageOfTable(given.into()));
    };
    if run.rows_total() > PAGE_ROWS_MAX {
        return Err(CliError::PageTooLong {
            rows: run.rows_total(),
            rows_max: PAGE_ROWS_MAX,
        });
    }
    let html = page::html(&page::read(run.folder().clone())?);
    let written = crate::platform::write(&path, html.as_bytes());
    written.map_err(|source| CliError::Write {
        path: path.clone(),
        source,
    })?;
    context.terminal.data(&path.to_string_lossy())?;
    Ok(())
}
