//! The waves that await answers, as they were compiled.

use crate::job::JobError;
use crate::model::{RowId, RunId, WaveNo, one_line};
use crate::platform::sha256_of_file;
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::run::store::{RunFolder, State, Wave};
use crate::table::{ReadOptions, Reader, TableError};
use crate::wave::{COLUMNS, Label, WaveHead};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// Columns that an external runner may change, since they do not affect the prompt.
const RUNNER_COLUMNS: [&str; 2] = ["max_concurrency", "timeout_seconds"];

/// The waves to collect.
#[derive(Debug)]
pub(crate) struct AwaitedAnswers<'s> {
    run: RunId,
    base_sha: String,
    state: &'s State,
    waves: Vec<AwaitedWave<'s>>,
}

/// A wave to collect.
#[derive(Debug)]
pub(crate) struct AwaitedWave<'s> {
    /// The number.
    pub number: WaveNo,
    /// The rows.
    pub rows: &'s [RowId],
    csv_path: PathBuf,
}

/// A row of a wave to collect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwaitedRow<'a> {
    /// The wave.
    pub wave: &'a AwaitedWave<'a>,
    /// The index of the row.
    pub index: u64,
}

/// What awaited rows asked, as hashes: with their prompts, the rows may not fit into memory.
#[derive(Debug)]
pub(crate) struct AwaitedCells {
    /// The columns that are compared.
    columns: Vec<&'static str>,
    /// Of each wave, by the index of the row.
    hashes: BTreeMap<WaveNo, Vec<u64>>,
}

impl<'s> AwaitedAnswers<'s> {
    /// The `selected` waves, whose CSVs must be those that were compiled.
    pub fn read(
        folder: &RunFolder,
        state: &'s State,
        base_sha: &str,
        selected: &[&'s Wave],
    ) -> Result<Self, RunError> {
        let waves = selected.iter().map(|wave| AwaitedWave::read(folder, wave));
        Ok(Self {
            run: folder.id().clone(),
            base_sha: base_sha.to_owned(),
            state,
            waves: waves.collect::<Result<_, _>>()?,
        })
    }

    /// The waves, in order.
    pub fn waves(&self) -> impl Iterator<Item = &AwaitedWave<'s>> {
        self.waves.iter()
    }

    /// The row with an id, if it is one of these waves.
    pub fn row(&self, id: &RowId) -> Option<AwaitedRow<'_>> {
        let (number, index) = self.state.locate(id)?;
        let wave = self.waves.iter().find(|wave| wave.number == number)?;
        Some(AwaitedRow { wave, index })
    }

    /// Reads the cells of the waves that affect a prompt, in those columns that `header` has as well.
    pub fn read_cells(&self, header: &[String]) -> Result<AwaitedCells, RunError> {
        let is_compared =
            |name: &&str| !RUNNER_COLUMNS.contains(name) && header.iter().any(|own| own == name);
        let columns: Vec<&str> = COLUMNS.into_iter().filter(is_compared).collect();
        let mut hashes = BTreeMap::new();
        for wave in self.waves() {
            let mut of_wave = Vec::with_capacity(wave.rows.len());
            wave.each_row(&columns, |_, cells| {
                of_wave.push(hash(cells.iter().copied()));
                true
            })?;
            hashes.insert(wave.number, of_wave);
        }
        Ok(AwaitedCells { columns, hashes })
    }

    /// Whether it is a row of another wave of the run.
    pub fn is_other_row(&self, id: &RowId) -> bool {
        self.row(id).is_none() && self.state.locate(id).is_some()
    }

    /// The error if `name` is the name of a wave's output (`002-critique.out.csv`) and the run has no such wave.
    pub fn check_name(&self, name: &str) -> Option<String> {
        let number = WaveHead::number_in(name)?;
        let is_own = self.state.wave(number).is_some();
        (!is_own).then(|| {
            format!("by its name these are answers to wave {number}, and the run has no such wave")
        })
    }

    /// The waves, for a message.
    pub fn describe_waves(&self) -> &'static str {
        match self.waves.len() {
            1 => "this wave",
            _ => "the waves that await answers",
        }
    }

    /// The wave that `label` belongs to, or why it does not belong to this run.
    pub fn find_labelled(&self, label: &Result<Label, String>) -> Result<WaveNo, String> {
        let label = label.as_ref().map_err(Clone::clone)?;
        let differs = |what: &str, found: &str, own: &str| {
            Err(format!(
                "these are answers for {what} `{}`, and this is `{own}`",
                one_line(found)
            ))
        };
        if label.run_id != self.run.as_str() {
            return differs("run", &label.run_id, self.run.as_str());
        }
        if label.base_sha != self.base_sha {
            return differs("commit", &label.base_sha, &self.base_sha);
        }
        let number = WaveNo(label.wave);
        let wave = self.state.wave(number);
        match wave.map(|wave| wave.compiled.csv_sha256.as_str()) {
            None => Err(format!("the run has no wave {number}")),
            Some(own) if own != label.csv_sha256 => Err(format!(
                "these are answers to other prompts than those of wave {number}"
            )),
            Some(_) => Ok(number),
        }
    }
}

impl<'s> AwaitedWave<'s> {
    fn read(folder: &RunFolder, wave: &'s Wave) -> Result<Self, RunError> {
        let path = folder.path().join(&wave.compiled.csv_path);
        let sha256 = sha256_of_file(&path).map_err(RunError::io(&path))?;
        if sha256 != wave.compiled.csv_sha256 {
            return Err(RunError::BadAnswers(vec![Refusal {
                path,
                why: "the wave was changed after it was compiled, so its answers can't be matched to prompts".to_owned(),
            }]));
        }
        Ok(Self {
            number: wave.compiled.wave,
            rows: &wave.compiled.rows,
            csv_path: path,
        })
    }
}

impl AwaitedWave<'_> {
    /// Passes the cells of each row in `columns`, with the index of the row, until `visit` returns `false`.
    fn each_row(
        &self,
        columns: &[&str],
        mut visit: impl FnMut(u64, &[&str]) -> bool,
    ) -> Result<(), RunError> {
        let path = &self.csv_path;
        let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
        let mut reader = Reader::open(path, path, &ReadOptions::default()).map_err(table)?;
        let places = columns.iter().map(|name| {
            let mut header = reader.header().iter();
            header.position(|column| column == name)
        });
        let places: Vec<Option<usize>> = places.collect();
        for index in 0.. {
            let Some(fields) = reader.next_row().map_err(table)? else {
                break;
            };
            let cell = |place: &Option<usize>| place.map_or("", |at| fields[at].as_str());
            let cells: Vec<&str> = places.iter().map(cell).collect();
            if !visit(index, &cells) {
                break;
            }
        }
        Ok(())
    }
}

impl AwaitedCells {
    /// Whether a row of an answer, whose cells `cell` returns by column, asked something else than the wave.
    pub fn differ<'c>(&self, row: AwaitedRow<'_>, cell: impl Fn(&str) -> &'c str) -> bool {
        let awaited = self.hashes.get(&row.wave.number);
        let awaited = awaited.and_then(|rows| rows.get(row.index as usize));
        awaited != Some(&hash(self.columns.iter().map(|name| cell(name))))
    }

    /// The first column in which they differ, with the cell of the wave.
    pub fn find_difference<'c>(
        &self,
        row: AwaitedRow<'_>,
        cell: impl Fn(&str) -> &'c str,
    ) -> Result<Option<(&'static str, String)>, RunError> {
        let mut found = None;
        row.wave.each_row(&self.columns, |index, cells| {
            if index == row.index {
                let mut pairs = self.columns.iter().zip(cells);
                let differs = |(name, own): &(&&str, &&str)| {
                    normalize_line_ends(cell(name)) != normalize_line_ends(own)
                };
                found = pairs
                    .find(differs)
                    .map(|(name, own)| (*name, (*own).to_owned()));
            }
            index < row.index
        })?;
        Ok(found)
    }
}

fn hash<'c>(cells: impl Iterator<Item = &'c str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for cell in cells {
        normalize_line_ends(cell).hash(&mut hasher);
    }
    hasher.finish()
}

/// Normalizes line ends, which spreadsheets change.
fn normalize_line_ends(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n")),
        false => Cow::Borrowed(text),
    }
}
