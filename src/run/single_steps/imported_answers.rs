//! The answers of an external runner, as they were read and before they are judged.

use super::awaited::AwaitedRow;
use crate::adapter::replay;
use crate::executor::slices::ResultPlace;
use crate::model::{RowId, WaveNo};
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::table::Mark;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The answer to one row. Small, since a wave may have very many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ImportedAnswer {
    /// None yet.
    Nothing,
    /// A file with the output of a worker, not read yet.
    Written(AnswerFile),
    /// An object as JSON, not checked yet.
    Result { json: Box<str>, attempts: u32 },
    /// An object in a row of the table of [`Answers`], not read yet.
    InTable { mark: Mark, attempts: u32 },
    /// An object in the file of a slice, a place among those of [`Answers`], not read yet.
    InSlice {
        file: u32,
        place: ResultPlace,
        attempts: u32,
    },
    /// `code: text`.
    Failed { error: Box<str>, attempts: u32 },
}

/// How the file of an answer is named, in a folder of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFile {
    /// `<row id>.json`
    OfRow,
    /// As the answers that are recorded for the adapter `replay`.
    Recorded,
}

impl AnswerFile {
    /// The path for a row, relative to the folder.
    pub fn path(self, id: &RowId) -> PathBuf {
        match self {
            Self::OfRow => PathBuf::from(format!("{}.json", id.file_name())),
            Self::Recorded => replay::answer_path(id),
        }
    }
}

impl ImportedAnswer {
    pub fn failed(error: &str) -> Self {
        Self::failed_after(error, 1)
    }

    pub fn failed_after(error: &str, attempts: u32) -> Self {
        ImportedAnswer::Failed {
            error: error.into(),
            attempts,
        }
    }
}

/// Why answers can't be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswersError {
    /// The file is refused.
    #[error("{}", .0.why)]
    Refused(Refusal),
    /// The file or folder can't be read.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl AnswersError {
    pub fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(path, why))
    }
}

/// The answers to waves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Of each wave, by the index of the row.
    by_wave: BTreeMap<WaveNo, Vec<Option<ImportedAnswer>>>,
    /// The folder of the files of single rows.
    folder: PathBuf,
    /// The table, and its column of results.
    table: Option<(PathBuf, usize)>,
    pub(super) jobs: BTreeMap<WaveNo, String>,
    /// The files of slices that have results.
    pub(super) slice_files: Vec<PathBuf>,
    /// The number of rows of waves that no longer await answers.
    pub other_rows: usize,
    /// Files of slices that are refused, while the others are read.
    pub refused_files: Vec<Refusal>,
    /// Further copies of a slice, which are ignored.
    pub copies: Vec<IgnoredCopy>,
}

/// A file with the same slice as another one, which has more of it, or comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredCopy {
    /// The file.
    pub path: PathBuf,
    /// The other one.
    pub taken: PathBuf,
}

impl Answers {
    /// No answers yet; files of single rows are in `folder`.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..Self::default()
        }
    }

    /// No answers yet; they are in the table at `path`, with results in column `result_at`.
    pub(super) fn in_table(path: &Path, result_at: usize) -> Self {
        Self {
            table: Some((path.to_owned(), result_at)),
            ..Self::default()
        }
    }

    /// The table with the answers, and its column of results.
    pub(super) fn table(&self) -> Option<(&Path, usize)> {
        let table = self.table.as_ref();
        table.map(|(path, result_at)| (path.as_path(), *result_at))
    }

    /// The job of a wave, if the answers name it.
    pub fn job_id(&self, wave: WaveNo) -> Option<&str> {
        self.jobs.get(&wave).map(String::as_str)
    }

    /// The path of the file of a row's answer.
    pub fn path(&self, id: &RowId, file: AnswerFile) -> PathBuf {
        self.folder.join(file.path(id))
    }

    /// The answer to the row at `index` of a wave.
    pub fn answer(&self, wave: WaveNo, index: u64) -> &ImportedAnswer {
        let rows = self.by_wave.get(&wave);
        let answer = rows.and_then(|rows| rows.get(index as usize)?.as_ref());
        answer.unwrap_or(&ImportedAnswer::Nothing)
    }

    /// Sets the answer to the row at `index` of a wave; `false` if there was one.
    pub(super) fn set(&mut self, row: AwaitedRow<'_>, answer: ImportedAnswer) -> bool {
        self.place(row).replace(answer).is_none()
    }

    /// Sets the answer to a row, unless a result is known that was in the file of a slice.
    pub(super) fn add(&mut self, row: AwaitedRow<'_>, answer: ImportedAnswer) {
        let place = self.place(row);
        if !matches!(place, Some(ImportedAnswer::InSlice { .. })) {
            *place = Some(answer);
        }
    }

    fn place(&mut self, row: AwaitedRow<'_>) -> &mut Option<ImportedAnswer> {
        let wave = row.wave;
        let rows = self.by_wave.entry(wave.number);
        let rows = rows.or_insert_with(|| vec![None; wave.rows.len()]);
        &mut rows[row.index as usize]
    }
}
