//! The waves that await answers, as they were compiled.

use crate::job::JobError;
use crate::model::{RowId, RunId, WaveNo, one_line};
use crate::platform::sha256_of_bytes;
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::run::store::{RunFolder, State, Wave};
use crate::table::{ReadOptions, Reader, TableError};
use crate::wave::{COLUMNS, Label, WaveHead};
use std::collections::{BTreeMap, BTreeSet};

/// Columns that an external runner may change, since they do not affect the prompt.
const RUNNER_COLUMNS: [&str; 2] = ["max_concurrency", "timeout_seconds"];

/// The waves to collect.
#[derive(Debug)]
pub(crate) struct AwaitedAnswers {
    run: RunId,
    base_sha: String,
    waves: Vec<AwaitedWave>,
    /// The rows of the run's other waves.
    other_rows: BTreeSet<RowId>,
    /// The other waves, with the hashes of their CSVs.
    other_waves: BTreeMap<WaveNo, String>,
}

/// A wave to collect.
#[derive(Debug)]
pub(crate) struct AwaitedWave {
    /// The number.
    pub number: WaveNo,
    /// The rows.
    pub rows: Vec<RowId>,
    csv_sha256: String,
    header: Vec<String>,
    cells: BTreeMap<RowId, Vec<String>>,
}

impl AwaitedAnswers {
    /// Reads the CSVs of the `selected` waves.
    pub fn read(
        folder: &RunFolder,
        state: &State,
        base_sha: &str,
        selected: &[Wave],
    ) -> Result<Self, RunError> {
        let is_selected = |number| selected.iter().any(|wave| wave.compiled.wave == number);
        let waves = selected.iter().map(|wave| AwaitedWave::read(folder, wave));
        let others = || {
            let all = state.waves.iter().map(|wave| &wave.compiled);
            all.filter(|wave| !is_selected(wave.wave))
        };
        Ok(Self {
            run: folder.id().clone(),
            base_sha: base_sha.to_owned(),
            waves: waves.collect::<Result<_, _>>()?,
            other_rows: others().flat_map(|wave| wave.rows.clone()).collect(),
            other_waves: others()
                .map(|wave| (wave.wave, wave.csv_sha256.clone()))
                .collect(),
        })
    }

    /// The waves, in order.
    pub fn waves(&self) -> impl Iterator<Item = &AwaitedWave> {
        self.waves.iter()
    }

    /// The wave of a row.
    pub fn wave_of(&self, id: &RowId) -> Option<&AwaitedWave> {
        self.waves().find(|wave| wave.cells.contains_key(id))
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
        let known = asked.map(|wave| &wave.csv_sha256);
        match known.or_else(|| self.other_waves.get(&number)) {
            None => Err(format!("the run has no wave {number}")),
            Some(own) if *own != label.csv_sha256 => Err(format!(
                "these are answers to other prompts than those of wave {number}"
            )),
            Some(_) => Ok(number),
        }
    }
}

impl AwaitedWave {
    fn read(folder: &RunFolder, wave: &Wave) -> Result<Self, RunError> {
        let path = folder.path().join(&wave.compiled.csv_path);
        let bytes = std::fs::read(&path).map_err(RunError::io(&path))?;
        if sha256_of_bytes(&bytes) != wave.compiled.csv_sha256 {
            return Err(RunError::BadAnswers(vec![Refusal {
                path,
                why: "the wave was changed after it was compiled, so its answers can't be matched to prompts".to_owned(),
            }]));
        }
        let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
        let mut reader = Reader::open(&path, &path, &ReadOptions::default()).map_err(table)?;
        let header = reader.header().to_vec();
        let id_at = header.iter().position(|name| name == "id");
        let mut cells = BTreeMap::new();
        while let Some(row) = reader.next_row().map_err(table)? {
            let id = id_at.and_then(|at| row.get(at)).cloned();
            cells.insert(RowId::new(id.unwrap_or_default()), row);
        }
        Ok(Self {
            number: wave.compiled.wave,
            rows: wave.compiled.rows.clone(),
            csv_sha256: wave.compiled.csv_sha256.clone(),
            header,
            cells,
        })
    }

    /// The columns and cells of a row that affect its prompt.
    pub fn cells(&self, id: &RowId) -> impl Iterator<Item = (&str, &str)> {
        let cells = self.cells.get(id).into_iter().flatten();
        let named = self.header.iter().zip(cells);
        let is_asked = |name: &str| COLUMNS.contains(&name) && !RUNNER_COLUMNS.contains(&name);
        named
            .filter(move |(name, _)| is_asked(name))
            .map(|(name, cell)| (name.as_str(), cell.as_str()))
    }
}
