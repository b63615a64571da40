//! The waves that await answers, as they were compiled.

use crate::job::JobError;
use crate::model::{RowId, RunId, WaveNo, one_line};
use crate::platform::sha256_of_file;
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::run::store::{RunFolder, State, Wave};
use crate::table::{ReadOptions, Reader, TableError};
use crate::wave::{COLUMNS, Label, WaveHead};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// Columns that an external runner may change, since they do not affect the prompt.
const RUNNER_COLUMNS: [&str; 2] = ["max_concurrency", "timeout_seconds"];

/// The waves to collect.
#[derive(Debug)]
pub(crate) struct AwaitedAnswers<'s> {
    run: RunId,
    base_sha: String,
    waves: Vec<AwaitedWave<'s>>,
    /// The place of each row's wave.
    wave_of_row: HashMap<&'s RowId, usize>,
    /// The rows of the run's other waves.
    other_rows: BTreeSet<&'s RowId>,
    /// The other waves, with the hashes of their CSVs.
    other_waves: BTreeMap<WaveNo, String>,
}

/// A wave to collect.
#[derive(Debug)]
pub(crate) struct AwaitedWave<'s> {
    /// The number.
    pub number: WaveNo,
    /// The rows.
    pub rows: &'s [RowId],
    csv_sha256: &'s str,
    csv_path: PathBuf,
}

/// The cells of awaited waves.
#[derive(Debug)]
pub(crate) struct AwaitedCells(BTreeMap<WaveNo, WaveCells>);

#[derive(Debug)]
struct WaveCells {
    header: Vec<String>,
    rows: BTreeMap<RowId, Vec<String>>,
}

impl<'s> AwaitedAnswers<'s> {
    /// The `selected` waves, whose CSVs must be those that were compiled.
    pub fn read(
        folder: &RunFolder,
        state: &'s State,
        base_sha: &str,
        selected: &'s [Wave],
    ) -> Result<Self, RunError> {
        let is_selected = |number| selected.iter().any(|wave| wave.compiled.wave == number);
        let waves = selected.iter().map(|wave| AwaitedWave::read(folder, wave));
        let waves: Vec<AwaitedWave<'s>> = waves.collect::<Result<_, _>>()?;
        let rows = waves.iter().enumerate();
        let rows = rows.flat_map(|(at, wave)| wave.rows.iter().map(move |row| (row, at)));
        let others = || {
            let all = state.waves.iter().map(|wave| &wave.compiled);
            all.filter(|wave| !is_selected(wave.wave))
        };
        Ok(Self {
            run: folder.id().clone(),
            base_sha: base_sha.to_owned(),
            wave_of_row: rows.collect(),
            waves,
            other_rows: others().flat_map(|wave| &wave.rows).collect(),
            other_waves: others()
                .map(|wave| (wave.wave, wave.csv_sha256.clone()))
                .collect(),
        })
    }

    /// The waves, in order.
    pub fn waves(&self) -> impl Iterator<Item = &AwaitedWave<'s>> {
        self.waves.iter()
    }

    /// The wave of a row.
    pub fn wave_of(&self, id: &RowId) -> Option<&AwaitedWave<'s>> {
        self.waves.get(*self.wave_of_row.get(id)?)
    }

    /// Reads the cells of the waves, which are large: they contain the prompts.
    pub fn read_cells(&self) -> Result<AwaitedCells, RunError> {
        let cells = self
            .waves()
            .map(|wave| Ok((wave.number, WaveCells::read(wave)?)));
        cells.collect::<Result<_, _>>().map(AwaitedCells)
    }

    /// Whether it is a row of another wave of the run.
    pub fn is_other_row(&self, id: &RowId) -> bool {
        self.other_rows.contains(id)
    }

    /// The error if `name` is the name of a wave's output (`002-critique.out.csv`) and the run has no such wave.
    pub fn check_name(&self, name: &str) -> Option<String> {
        let number = WaveHead::number_in(name)?;
        let is_asked = self.waves().any(|wave| wave.number == number);
        let is_own = is_asked || self.other_waves.contains_key(&number);
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
        let asked = self.waves().find(|wave| wave.number == number);
        let other = || self.other_waves.get(&number).map(String::as_str);
        match asked.map(|wave| wave.csv_sha256).or_else(other) {
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
            csv_sha256: &wave.compiled.csv_sha256,
            csv_path: path,
        })
    }
}

impl AwaitedCells {
    /// The columns and cells of a row that affect its prompt.
    pub fn of_row(&self, wave: WaveNo, id: &RowId) -> impl Iterator<Item = (&str, &str)> {
        let wave = self.0.get(&wave).into_iter();
        let named = wave.flat_map(|wave| {
            let cells = wave.rows.get(id).into_iter().flatten();
            wave.header.iter().zip(cells)
        });
        let is_asked = |name: &str| COLUMNS.contains(&name) && !RUNNER_COLUMNS.contains(&name);
        named
            .filter(move |(name, _)| is_asked(name))
            .map(|(name, cell)| (name.as_str(), cell.as_str()))
    }
}

impl WaveCells {
    fn read(wave: &AwaitedWave<'_>) -> Result<Self, RunError> {
        let path = &wave.csv_path;
        let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
        let mut reader = Reader::open(path, path, &ReadOptions::default()).map_err(table)?;
        let header = reader.header().to_vec();
        let id_at = header.iter().position(|name| name == "id");
        let mut rows = BTreeMap::new();
        while let Some(row) = reader.next_row().map_err(table)? {
            let id = id_at.and_then(|at| row.get(at)).cloned();
            rows.insert(RowId::new(id.unwrap_or_default()), row);
        }
        Ok(Self { header, rows })
    }
}
