//! Reads the answers of an external runner: an output CSV, or a folder with one file per row.
//!
//! In a CSV, the columns `item_id` (else `id`), `status`, `result_json`, `last_error`, `attempt_count` and `job_id` are read
//! (CONTRACT, section 2). The folder of an exported wave has its answers in the files of its slices (`slice_answers`), and any folder
//! may have files of results of `mesh wave exec --bundle`. In a folder,
//! `<row id>.json` is the output of the worker, or `<row id>.error` the error; the layout of recorded answers,
//! `<unit>/<round>.<role>.<attempt>.json`, is read as well.
//!
//! Row ids are the same in every run of a task, so they do not identify the run. The columns of the wave, which every output CSV
//! repeats, the label of an exported wave, and the wave number in a file name do. If one of them differs from the compiled wave,
//! the whole file is refused, since other rows in it may be of another run. A CSV without any of them, such as one written by
//! hand, is matched by its row ids alone.

use super::awaited::{AwaitedAnswers, AwaitedCells, AwaitedRow, AwaitedWave};
use super::imported_answers::{AnswerFile, Answers, AnswersError, ImportedAnswer};
use super::slice_answers::read_slices;
use crate::executor::slices::JobFolder;
use crate::job::JobError;
use crate::model;
use crate::model::{RowId, one_line};
use crate::platform::look;
use crate::run::error::RunError;
use crate::run::refusal::{FAULTS_MAX, Refusal};
use crate::table::{Mark, ReadOptions, Reader, TableError};
use crate::verdict::extract;
use crate::wave::Label;
use serde_json::Value;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The maximum size of an answer in a folder, in bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

impl Answers {
    /// Reads the answers at `path`.
    pub fn read(path: &Path, awaited: &AwaitedAnswers<'_>) -> Result<Self, AnswersError> {
        let there = look::reach(path).map_err(RunError::io(path))?;
        if there.is_some_and(|there| there.is_dir()) {
            return read_folder(&answers_folder(path)?, awaited);
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            let mut answers = Self::default();
            read_slices(path, None, awaited, &mut answers)?;
            return Ok(answers);
        }
        read_csv(path, awaited)
    }
}

fn read_csv(path: &Path, awaited: &AwaitedAnswers<'_>) -> Result<Answers, AnswersError> {
    let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
    let mut reader = Reader::open(path, path, &ReadOptions::default()).map_err(table)?;
    let header = reader.header().to_vec();
    let column = |name: &str| header.iter().position(|column| column == name);
    let id_at = column("item_id").or_else(|| column("id"));
    let places = (id_at, column("status"), column("result_json"));
    let (Some(id_at), Some(status_at), Some(result_at)) = places else {
        return Err(AnswersError::refused(path, list_missing_columns(places)));
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(why) = awaited.check_name(&name) {
        return Err(AnswersError::refused(path, why));
    }
    let cells = awaited.read_cells(&header)?;
    let mut answers = Answers::in_table(path, result_at);
    let mut faults = Vec::new();
    while let Some(fields) = reader.next_row().map_err(table)? {
        let cell = |at: Option<usize>| at.and_then(|at| fields.get(at)).map_or("", String::as_str);
        let id = RowId::new(cell(Some(id_at)));
        let Some(row) = awaited.row(&id) else {
            match awaited.is_other_row(&id) {
                true => answers.other_rows += 1,
                false => faults.push(format!(
                    "{} is no row of {}",
                    quote_id(&id),
                    awaited.describe_waves()
                )),
            }
            continue;
        };
        let named = |name: &str| cell(column(name));
        if cells.differ(row, named) {
            faults.push(match faults.len() < FAULTS_MAX {
                true => describe_mismatch(&cells, row, &id, named)?,
                false => format!("row {} differs", quote_id(&id)),
            });
        }
        let attempts = cell(column("attempt_count")).parse().unwrap_or(1);
        let (status, result) = (cell(Some(status_at)), cell(Some(result_at)));
        faults.extend(check_status(&id, status, result));
        let mark = reader.mark();
        let imported = parse_cells(status, result, cell(column("last_error")), attempts, mark);
        if !answers.set(row, imported) {
            faults.push(format!("row {} appears twice", quote_id(&id)));
        }
        let job_id = cell(column("job_id"));
        if !job_id.is_empty() {
            let job_id = one_line(job_id);
            answers.jobs.entry(row.wave.number).or_insert(job_id);
        }
    }
    match faults.is_empty() {
        true => Ok(answers),
        false => Err(AnswersError::Refused(Refusal::of_faults(path, &faults))),
    }
}

/// Names the required columns that are missing: id, status, result.
fn list_missing_columns(places: (Option<usize>, Option<usize>, Option<usize>)) -> String {
    let named = [
        (places.0, "`item_id` or `id`"),
        (places.1, "`status`"),
        (places.2, "`result_json`"),
    ];
    let missing = named.iter().filter(|(place, _)| place.is_none());
    let missing: Vec<&str> = missing.map(|(_, name)| *name).collect();
    format!("it has no column {}", missing.join(", nor "))
}

/// The error if the status is unknown, or contradicts the result beside it.
fn check_status(id: &RowId, status: &str, result: &str) -> Option<String> {
    let is_known = ["pending", "running", "completed", "failed"].contains(&status);
    let is_contradicted = ["pending", "running"].contains(&status) && !result.trim().is_empty();
    let is_blank = status.is_empty() && result.trim().is_empty();
    if (is_known && !is_contradicted) || is_blank {
        return None;
    }
    Some(format!(
        "row {} has the status `{}`{}; it must be completed, failed, running or pending",
        quote_id(id),
        one_line(status),
        if result.trim().is_empty() {
            ""
        } else {
            " and a result"
        },
    ))
}

fn quote_id(id: &RowId) -> String {
    format!("`{}`", one_line(id.as_str()))
}

/// Describes how a row differs from the compiled wave.
fn describe_mismatch<'c>(
    cells: &AwaitedCells,
    row: AwaitedRow<'_>,
    id: &RowId,
    cell: impl Fn(&str) -> &'c str,
) -> Result<String, RunError> {
    let found = cells.find_difference(row, &cell)?;
    let id = quote_id(id);
    Ok(match found {
        Some(("prompt", _)) => {
            format!("row {id} answers another prompt than the one that was sent out")
        }
        Some((name, awaited)) => format!(
            "row {id} has {name} `{}`, and the wave has `{}`",
            one_line(cell(name)),
            one_line(&awaited)
        ),
        None => format!("row {id} differs"),
    })
}

/// The answer in a row; a result stays in the table if that is read again at `mark`.
fn parse_cells(
    status: &str,
    result: &str,
    error: &str,
    attempts: u32,
    mark: Option<Mark>,
) -> ImportedAnswer {
    match (status, mark) {
        ("completed", Some(mark)) => ImportedAnswer::InTable { mark, attempts },
        ("completed", None) => match extract::object(result.as_bytes()) {
            Ok(result) => ImportedAnswer::Result {
                json: Value::Object(result).to_string().into(),
                attempts,
            },
            Err(error) => ImportedAnswer::failed_after(&format!("no_response: {error}"), attempts),
        },
        ("failed", _) => ImportedAnswer::failed_after(&normalize_error(error), attempts),
        _ => ImportedAnswer::Nothing,
    }
}

/// The error as the ledger has it: `code: text`.
fn normalize_error(error: &str) -> String {
    let is_code = |code: &str| {
        !code.is_empty()
            && code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let error = one_line(error.trim());
    match error.split_once(": ") {
        Some((code, text)) if is_code(code) => model::with_code(code, text),
        None if error.contains('_') && is_code(&error) => error,
        None if error == "timeout" || error == "cancelled" => error,
        _ if error.is_empty() => "no_response: it failed without a message".to_owned(),
        _ => format!("worker_exit: {error}"),
    }
}

/// The folder with the answers: that of the slices, for the folder of an exported wave.
pub(crate) fn answers_folder(path: &Path) -> Result<PathBuf, RunError> {
    Ok(match look::reachable(JobFolder::open(path))? {
        Some(job) => job.slices(),
        None => path.to_owned(),
    })
}

fn read_folder(folder: &Path, awaited: &AwaitedAnswers<'_>) -> Result<Answers, AnswersError> {
    let labelled = match read_label(folder)? {
        Some(label) => {
            let found = awaited.find_labelled(&label);
            let path = folder.join(Label::FILE_NAME);
            Some(found.map_err(|why| AnswersError::refused(&path, why))?)
        }
        None => None,
    };
    let names = list_names(folder)?;
    let mut answers = Answers::in_folder(folder);
    let is_meant = |wave: &&AwaitedWave<'_>| labelled.is_none_or(|number| number == wave.number);
    for wave in awaited.waves().filter(is_meant) {
        // Most folders have files of slices only.
        let rows = (0..).zip(wave.rows).filter(|_| !names.is_empty());
        for (index, id) in rows {
            let imported = find_row_file(folder, &names, id)?;
            if imported != ImportedAnswer::Nothing {
                answers.set(AwaitedRow { wave, index }, imported);
            }
        }
    }
    let job_file = crate::platform::parent(folder);
    let job = look::reachable(JobFolder::open(job_file)).map_err(RunError::from)?;
    let job = job.filter(|job| job.slices() == folder);
    let job = job
        .map(|job| job.read())
        .transpose()
        .map_err(RunError::from)?;
    read_slices(
        folder,
        job.as_ref().map(|job| &job.job.job_id),
        awaited,
        &mut answers,
    )?;
    Ok(answers)
}

/// The label that `mesh wave export` writes to the folder of answers.
fn read_label(folder: &Path) -> Result<Option<Result<Label, String>>, RunError> {
    match read(&folder.join(Label::FILE_NAME)) {
        Ok(bytes) => Ok(bytes.map(|bytes| Label::parse(&bytes))),
        Err(AnswersError::Refused(refusal)) => Ok(Some(Err(refusal.why))),
        Err(AnswersError::Run(error)) => Err(error),
    }
}

/// The names in a folder that may be of single rows: most folders have files of few of the rows, or of none.
fn list_names(folder: &Path) -> Result<HashSet<OsString>, RunError> {
    let entries = std::fs::read_dir(folder).map_err(RunError::io(folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let is_of_row = |name: &OsString| {
        let name = name.as_encoded_bytes();
        !name.ends_with(b".jsonl") && name != Label::FILE_NAME.as_bytes()
    };
    let names = names.filter(|name| name.as_ref().map_or(true, is_of_row));
    let names: std::io::Result<_> = names.collect();
    names.map_err(RunError::io(folder))
}

/// The file of a row in a folder that has `names`.
fn find_row_file(
    folder: &Path,
    names: &HashSet<OsString>,
    id: &RowId,
) -> Result<ImportedAnswer, AnswersError> {
    let is_there = |name: &Path| {
        let first = name.iter().next();
        first.is_some_and(|first| names.contains(first))
    };
    for file in [AnswerFile::OfRow, AnswerFile::Recorded] {
        let name = file.path(id);
        if is_there(&name) && check_file(&folder.join(&name))? {
            return Ok(ImportedAnswer::Written(file));
        }
    }
    let name = PathBuf::from(format!("{}.error", id.file_name()));
    let error = match is_there(&name) {
        true => read(&folder.join(name))?,
        false => None,
    };
    Ok(match error {
        Some(text) => ImportedAnswer::failed(&normalize_error(&String::from_utf8_lossy(&text))),
        None => ImportedAnswer::Nothing,
    })
}

/// The content of a file; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<Vec<u8>>, AnswersError> {
    match check_file(path)? {
        true => Ok(Some(std::fs::read(path).map_err(RunError::io(path))?)),
        false => Ok(None),
    }
}

/// Whether a file exists. A pipe or a device is refused, since it may never end, and so is a file that is too large.
fn check_file(path: &Path) -> Result<bool, AnswersError> {
    let refuse = |why: String| Err(AnswersError::refused(path, why));
    match look::find(path).map_err(RunError::io(path))? {
        Some(metadata) if !metadata.is_file() => refuse("it is not a regular file".to_owned()),
        Some(metadata) if metadata.len() > ANSWER_BYTES_MAX => {
            refuse(format!("it has more than {ANSWER_BYTES_MAX} bytes"))
        }
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_an_output_csv_is_a_result_a_failure_or_nothing_yet() {
        let result = |attempts| ImportedAnswer::Result {
            json: r#"{"a":1}"#.into(),
            attempts,
        };
        let failed = ImportedAnswer::failed;
        assert_eq!(
            parse_cells("completed", r#"{"a":1}"#, "", 2, None),
            result(2)
        );
        assert_eq!(
            parse_cells("completed", "[1]", "", 1, None),
            failed("no_response: the result must be a JSON object, not an array")
        );
        for (error, expected) in [
            ("timeout: too long", "timeout: too long"),
            ("timeout: timeout: too long", "timeout: too long"),
            ("worker_exit", "worker_exit"),
            ("Oh: no", "worker_exit: Oh: no"),
        ] {
            assert_eq!(parse_cells("failed", "", error, 1, None), failed(expected));
        }
        assert_eq!(
            parse_cells("pending", "", "", 0, None),
            ImportedAnswer::Nothing
        );
    }
}
