//! The input of a spawned CSV as a file that can be read several times: a pipe is copied, and a sheet of a workbook is
//! written as a CSV.

use crate::job::JobError;
use crate::platform::{look, private, retry_interrupted, temporary_file_in};
use crate::run::error::RunError;
use crate::table;
use crate::table::TableError;
use crate::table::sheet::{Converted, SheetError};
use std::fs::File;
use std::io;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The input of a spawned CSV.
pub struct InputFile {
    path: PathBuf,
    /// What is read instead of the file itself; removed when this is dropped.
    copy: Option<NamedTempFile>,
    is_streamed: bool,
    sheet: Option<Converted>,
}

impl InputFile {
    /// Opens the file at `path`. Of a workbook, the sheet with the name `sheet` is read, or the first that is visible. A file
    /// that can't be read is left to the reader of CSVs.
    ///
    /// # Errors
    /// The pipe can't be copied or the sheet not be read; a CSV has no sheets.
    pub fn open(path: &Path, sheet: Option<&str>) -> Result<Self, RunError> {
        let mut input = Self {
            path: path.to_owned(),
            copy: copy_pipe(path)?,
            is_streamed: false,
            sheet: None,
        };
        input.is_streamed = input.copy.is_some();
        if table::sheet::is_workbook(input.source()).map_err(RunError::io(path))? {
            input.convert(sheet)?;
        } else if sheet.is_some()
            && look::reach(path)
                .map_err(RunError::io(path))?
                .is_some_and(|there| there.is_file())
        {
            return Err(refused(SheetError::NotAWorkbook {
                path: path.to_owned(),
            }));
        }
        Ok(input)
    }

    fn convert(&mut self, sheet: Option<&str>) -> Result<(), RunError> {
        let mut csv = temporary_file(&self.path)?;
        let mut out = BufWriter::new(csv.as_file_mut());
        let converted = table::sheet::write_as_csv(self.source(), &self.path, sheet, &mut out);
        let converted = converted.map_err(refused)?;
        out.flush().map_err(RunError::temporary(&self.path))?;
        drop(out);
        self.copy = Some(csv);
        self.sheet = Some(converted);
        Ok(())
    }

    /// The file to read.
    pub fn source(&self) -> &Path {
        self.copy.as_ref().map_or(&self.path, NamedTempFile::path)
    }

    /// Whether the input came through a pipe and can't be read again.
    pub fn is_streamed(&self) -> bool {
        self.is_streamed
    }

    /// The sheet that was read, if the input is a workbook.
    pub fn sheet(&self) -> Option<&Converted> {
        self.sheet.as_ref()
    }
}

fn refused(error: SheetError) -> RunError {
    match error {
        SheetError::Io { path, source } => RunError::Io { path, source },
        SheetError::Unwritten { path, source } => RunError::Temporary { path, source },
        error => JobError::Table(TableError::Sheet(Box::new(error))).into(),
    }
}

/// A file for the copy of `input`.
fn temporary_file(input: &Path) -> Result<NamedTempFile, RunError> {
    let folder = std::env::temp_dir();
    temporary_file_in(&folder, "mesh-input-", "", private::FILE_MODE)
        .map_err(RunError::temporary(input))
}

/// Copies a pipe, which can be read only once, to a file; `None` for a file or a folder.
fn copy_pipe(path: &Path) -> Result<Option<NamedTempFile>, RunError> {
    let there = look::reach(path).map_err(RunError::io(path))?;
    if !there.is_some_and(|there| !there.is_file() && !there.is_dir()) {
        return Ok(None);
    }
    let from = File::open(path).map_err(RunError::io(path))?;
    let mut copy = temporary_file(path)?;
    copy_lines(path, from, copy.as_file_mut())?;
    Ok(Some(copy))
}

/// Copies up to the first line that is longer than a record may be. The reader of the copy reports that line, and an endless one
/// does not fill the disk.
fn copy_lines(
    path: &Path,
    mut from: impl io::Read,
    to: &mut impl io::Write,
) -> Result<(), RunError> {
    let mut chunk = vec![0; 64 * 1024];
    let mut line_bytes = 0;
    while line_bytes <= table::RECORD_BYTES_MAX {
        let length = retry_interrupted(|| from.read(&mut chunk)).map_err(RunError::io(path))?;
        if length == 0 {
            break;
        }
        let written = to.write_all(&chunk[..length]);
        written.map_err(RunError::temporary(path))?;
        match chunk[..length].iter().rposition(|byte| *byte == b'\n') {
            Some(end) => line_bytes = (length - end - 1) as u64,
            None => line_bytes += length as u64,
        }
    }
    Ok(())
}
