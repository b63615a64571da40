//! Checks a job's instruction against its input before any row starts: placeholders, delimiter, result columns.

use super::error::JobError;
use super::input::Survey;
use super::result::ResultColumns;
use super::settings::{STDERR_BYTES_MAX, Settings};
use crate::table;
use crate::table::ReadOptions;
use crate::template::{Braces, Template};
use std::time::Duration;

impl Settings {
    /// The options for reading the input.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions {
            delimiter: self.delimiter.and_then(|c| u8::try_from(c).ok()),
            encoding: self.encoding.as_deref().and_then(table::encoding_named),
            rename: self.rename.clone(),
            may_repeat: false,
        }
    }

    /// Placeholders of the instruction that are not columns; they are left unchanged.
    pub fn unknown_placeholders(&self, header: &[String]) -> Vec<String> {
        Template::parse(&self.instruction, Braces::Escaped)
            .names()
            .into_iter()
            .filter(|name| !header.iter().any(|column| column == name))
            .map(str::to_owned)
            .collect()
    }

    /// Checks that the input was read with the right delimiter. It was probably not if the instruction has
    /// placeholders, none of them is a column, and the header contains another delimiter. A sheet has none.
    ///
    /// # Errors
    /// [`JobError::Delimiter`] names that separator.
    pub fn check_delimiter(&self, survey: &Survey) -> Result<(), JobError> {
        let header = survey.header();
        let instruction = Template::parse(&self.instruction, Braces::Escaped);
        let names = instruction.names();
        let is_column = |name: &&str| header.iter().any(|column| column == name);
        if self.sheet.is_some() || names.is_empty() || names.iter().any(is_column) {
            return Ok(());
        }
        match crate::table::probable(header, survey.delimiter(), &names) {
            Some(found) => Err(JobError::Delimiter {
                path: self.csv_path.clone(),
                columns: header.to_vec(),
                other: found.separator,
            }),
            None => Ok(()),
        }
    }

    /// The columns of `--flatten`, if given.
    pub fn result_columns(&self) -> Result<Option<ResultColumns>, JobError> {
        match &self.output_schema {
            Some(schema) if self.flatten => Ok(Some(ResultColumns::of(schema)?)),
            _ => Ok(None),
        }
    }

    /// The limits of an attempt of a row.
    pub(crate) fn limits_of(&self, row_index: u64) -> crate::job::attempt_limits::Limits {
        crate::job::attempt_limits::Limits {
            max_runtime: Duration::from_secs(self.worker_of(row_index).max_runtime_seconds),
            max_idle: self.bounds.max_idle_seconds.map(Duration::from_secs),
            grace: Duration::from_secs(self.bounds.grace_seconds),
            stdout_bytes_max: self.output_bytes_max,
            stderr_bytes_max: self.output_bytes_max.min(STDERR_BYTES_MAX),
        }
    }
}
