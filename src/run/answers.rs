//! What an external runner brings back for a wave: an output CSV, or a folder with one file a row.
//!
//! Of a CSV the columns `item_id` (else `id`), `status`, `result_json`, `last_error`, `attempt_count` and `job_id` are read
//! (CONTRACT, section 2). In a folder, `<row id>.json` holds what the worker printed, `<row id>.error` why there is
//! nothing; the layout of recorded answers, `<unit>/<round>.<role>.<attempt>.json`, is read as well.

use super::RunError;
use crate::adapter::replay;
use crate::collect::extract::{self, Object};
use crate::job::{JobError, ReadText};
use crate::model::{RowId, one_line};
use crate::table::{ReadOptions, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The largest file of a folder that is read as an answer.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// What came back for one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Brought {
    /// Nothing yet.
    Nothing,
    /// An object, not measured yet.
    Result { result: Object, attempts: u32 },
    /// `code: text`.
    Failed { error: String, attempts: u32 },
}

impl Brought {
    pub fn failed(error: &str) -> Self {
        Brought::Failed {
            error: error.to_owned(),
            attempts: 1,
        }
    }
}

/// What came back for a wave.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    by_row: BTreeMap<RowId, Brought>,
    job_id: Option<String>,
}

impl Answers {
    /// Reads what stands at `path` for `rows`.
    pub fn read(
        path: &Path,
        rows: &[RowId],
        read_text: Option<ReadText>,
    ) -> Result<Self, RunError> {
        match path.is_dir() {
            true => of_folder(path, rows, read_text),
            false => of_csv(path, rows),
        }
    }

    /// The job that worked the rows, where the answers tell.
    pub fn job_id(&self) -> Option<&str> {
        self.job_id.as_deref()
    }

    /// Takes out what came back for a row.
    pub fn take(&mut self, id: &RowId) -> Brought {
        self.by_row.remove(id).unwrap_or(Brought::Nothing)
    }
}

fn of_csv(path: &Path, rows: &[RowId]) -> Result<Answers, RunError> {
    let table = |error| RunError::from(JobError::Table(error));
    let mut reader = Reader::open(path, path, &ReadOptions::default()).map_err(table)?;
    let header = reader.header().to_vec();
    let column = |name: &str| header.iter().position(|column| column == name);
    let bad = |why: String| RunError::BadAnswers {
        path: path.to_owned(),
        why,
    };
    let need = |name: &str| column(name).ok_or_else(|| bad(format!("it has no column `{name}`")));
    let id_at = column("item_id").map_or_else(|| need("id"), Ok)?;
    let (status_at, result_at) = (need("status")?, need("result_json")?);
    let known: BTreeSet<&RowId> = rows.iter().collect();
    let mut answers = Answers::default();
    while let Some(row) = reader.next_row().map_err(table)? {
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).map_or("", String::as_str);
        let id = RowId::new(cell(Some(id_at)));
        if !known.contains(&id) {
            return Err(bad(format!(
                "`{}` is no row of this wave",
                one_line(id.as_str())
            )));
        }
        let attempts = cell(column("attempt_count")).parse().unwrap_or(1);
        let brought = of_cells(
            cell(Some(status_at)),
            cell(Some(result_at)),
            cell(column("last_error")),
            attempts,
        );
        if answers.by_row.insert(id.clone(), brought).is_some() {
            return Err(bad(format!("row `{id}` is there twice")));
        }
        let job_id = cell(column("job_id"));
        if !job_id.is_empty() {
            answers.job_id.get_or_insert_with(|| one_line(job_id));
        }
    }
    Ok(answers)
}

fn of_cells(status: &str, result: &str, error: &str, attempts: u32) -> Brought {
    match status {
        "completed" => match extract::object(result.as_bytes()) {
            Ok(result) => Brought::Result { result, attempts },
            Err(error) => Brought::Failed {
                error: format!("no_response: {error}"),
                attempts,
            },
        },
        "failed" => Brought::Failed {
            error: coded(error),
            attempts,
        },
        _ => Brought::Nothing,
    }
}

/// `code: text`, as the ledger has errors.
fn coded(error: &str) -> String {
    let is_code = |code: &str| {
        !code.is_empty()
            && code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let error = one_line(error.trim());
    match error.split_once(": ") {
        Some((code, _)) if is_code(code) => error,
        _ if error.is_empty() => "no_response: it failed without a word".to_owned(),
        _ => format!("worker_exit: {error}"),
    }
}

fn of_folder(
    folder: &Path,
    rows: &[RowId],
    read_text: Option<ReadText>,
) -> Result<Answers, RunError> {
    let mut answers = Answers::default();
    for id in rows {
        let brought = of_files(folder, id, read_text)?;
        answers.by_row.insert(id.clone(), brought);
    }
    Ok(answers)
}

fn of_files(folder: &Path, id: &RowId, read_text: Option<ReadText>) -> Result<Brought, RunError> {
    for path in candidates(folder, id) {
        if let Some(bytes) = read(&path)? {
            let found = extract::from_stdout(&bytes).or_else(|| {
                let text = String::from_utf8_lossy(&bytes);
                read_text.and_then(|read_text| read_text(&text))
            });
            return Ok(match found {
                Some(result) => Brought::Result {
                    result,
                    attempts: 1,
                },
                None => Brought::failed("no_response: there is no JSON object in what came back"),
            });
        }
    }
    let error = read(&folder.join(format!("{}.error", id.file_name())))?;
    Ok(match error {
        Some(text) => Brought::failed(&coded(&String::from_utf8_lossy(&text))),
        None => Brought::Nothing,
    })
}

fn candidates(folder: &Path, id: &RowId) -> Vec<PathBuf> {
    let flat = PathBuf::from(format!("{}.json", id.file_name()));
    [flat, replay::answer_path(id)]
        .map(|name| folder.join(name))
        .into()
}

/// The content of a file; `None` when it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, RunError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > ANSWER_BYTES_MAX => Err(RunError::BadAnswers {
            path: path.to_owned(),
            why: format!("it has more than {ANSWER_BYTES_MAX} bytes"),
        }),
        Ok(_) => std::fs::read(path).map(Some).map_err(RunError::io(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RunError::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_an_output_csv_is_a_result_a_failure_or_nothing_yet() {
        let object = |text: &str| extract::object(text.as_bytes()).expect("an object");
        let result = |attempts| Brought::Result {
            result: object(r#"{"a":1}"#),
            attempts,
        };
        let failed = |error: &str| Brought::Failed {
            error: error.to_owned(),
            attempts: 1,
        };
        assert_eq!(of_cells("completed", r#"{"a":1}"#, "", 2), result(2));
        assert_eq!(
            of_cells("completed", "[1]", "", 1),
            failed("no_response: the result must be a JSON object, not an array")
        );
        assert_eq!(
            of_cells("failed", "", "timeout: too long", 1),
            failed("timeout: too long")
        );
        assert_eq!(
            of_cells("failed", "", "Oh: no", 1),
            failed("worker_exit: Oh: no")
        );
        assert_eq!(of_cells("pending", "", "", 0), Brought::Nothing);
    }
}
