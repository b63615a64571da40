//! The rows of a run, from its folder alone.

use super::error::ViewError;
use super::measures::Measures;
use super::needs::Needs;
use super::role_workers::role_workers;
use super::row::ViewRow;
use super::run_status::run_status;
use crate::job;
use crate::job::{Settings, Status, Summary, Survey, Worker, read_record};
use crate::ledger;
use crate::ledger::{Lines, Record, Tail};
use crate::model::{RowId, RowKey, RunKind, RunStarted, WaveNo};
use crate::run::{RunFolder, SpawnRun, State};
use crate::table::{ReadOptions, Reader};
use crate::wave::COLUMNS;
use std::collections::BTreeMap;
use std::path::Path;

/// A run: its folder, its state, and the measures of its rows.
pub struct RunView {
    folder: RunFolder,
    started: RunStarted,
    state: State,
    measures: Measures,
    header: Vec<String>,
    spawned: Option<(Settings, Survey)>,
    is_driven: bool,
    /// How far the ledger has been read.
    tail: Tail,
}

impl RunView {
    /// Reads the run in the folder at `path`.
    pub fn at(path: &Path) -> Result<Self, ViewError> {
        let folder = RunFolder::at(path)?.ok_or_else(|| ViewError::NoLedger(path.to_owned()))?;
        Self::read(folder)
    }

    /// Reads a run.
    pub fn read(folder: RunFolder) -> Result<Self, ViewError> {
        Self::read_with(folder, |_, _| ())
    }

    /// Reads a run, and hands each record with its offset to `visit` too.
    pub fn read_with(
        folder: RunFolder,
        mut visit: impl FnMut(&Record, u64),
    ) -> Result<Self, ViewError> {
        let is_driven = ledger::is_in_use(&folder.ledger()).unwrap_or(false);
        let (mut state, mut measures) = (State::default(), Measures::default());
        let tail = ledger::scan(&folder.ledger(), |record, place| {
            measures.apply(&record);
            visit(&record, place);
            state.apply_record(&record, place);
        })?;
        let started = state.started.clone();
        let started = started.ok_or_else(|| ViewError::NotStarted(folder.id().to_string()))?;
        let spawned = match started.kind {
            RunKind::Plan => None,
            RunKind::Spawn => {
                let job = SpawnRun::recorded_job(&folder, &started)?;
                let survey = Survey::take(&job)?;
                Some((job, survey))
            }
        };
        let header = match &spawned {
            Some((_, survey)) => survey.header().to_vec(),
            None => COLUMNS.map(str::to_owned).to_vec(),
        };
        Ok(Self {
            folder,
            started,
            state,
            measures,
            header,
            spawned,
            is_driven,
            tail,
        })
    }

    /// Applies what was recorded since, and hands it to `visit` too. `true` if there was anything, or if the process that drives the
    /// run came or went.
    pub fn refresh(&mut self, mut visit: impl FnMut(&Record)) -> Result<bool, ViewError> {
        let ledger = self.folder.ledger();
        let is_driven = ledger::is_in_use(&ledger).unwrap_or(false);
        let (state, measures) = (&mut self.state, &mut self.measures);
        let tail = ledger::scan_from(&ledger, self.tail, |record, place| {
            measures.apply(&record);
            visit(&record);
            state.apply_record(&record, place);
        })?;
        let is_new = tail.records > self.tail.records || is_driven != self.is_driven;
        (self.tail, self.is_driven) = (tail, is_driven);
        Ok(is_new)
    }

    /// Its folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Its state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether a process drives it.
    pub fn is_driven(&self) -> bool {
        self.is_driven
    }

    /// Its start.
    pub fn started(&self) -> &RunStarted {
        &self.started
    }

    /// The settings of the job of a spawned CSV.
    pub fn job(&self) -> Option<&Settings> {
        self.spawned.as_ref().map(|(job, _)| job)
    }

    /// The summary of a spawned CSV as it is now; `None` for a run of a plan.
    ///
    /// # Errors
    /// The copy of its input or its ledger can't be read.
    pub fn summary(&self) -> Result<Option<Summary>, ViewError> {
        let (Some((job, survey)), Some(state)) = (&self.spawned, &self.state.spawned) else {
            return Ok(None);
        };
        let finished = self.state.finished.as_ref();
        let job_error = finished.and_then(|finished| finished.detail.clone());
        let mut summary = job::summarize(job, survey, state, &self.lines()?, job_error)?;
        self.status().clone_into(&mut summary.status);
        if let Some(output) = self.state.spawned_output() {
            summary.output_csv_path = output.to_owned();
        }
        Ok(Some(summary))
    }

    /// `running`, `waiting`, `not ended`, or how it ended.
    pub fn status(&self) -> &str {
        run_status(&self.state, self.is_driven)
    }

    /// The most rows that may run at once, at its start.
    pub fn concurrency(&self) -> Option<u64> {
        match self.job() {
            Some(job) => Some(job.bounds.max_concurrency as u64),
            None => self.started.settings["bounds"]["max_concurrency"].as_u64(),
        }
    }

    /// The times of the first and the last event, in milliseconds since 1970.
    pub fn span_ms(&self) -> (i64, i64) {
        let first = crate::platform::clock::read(&self.state.started_at);
        (
            first.map_or(0, |time| time.as_millisecond()),
            self.measures.last_ms,
        )
    }

    /// The columns of the input: of the CSV, or of the waves.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// How many rows it has.
    pub fn rows_total(&self) -> u64 {
        match &self.spawned {
            Some((_, survey)) => survey.total(),
            None => {
                let waves = self.state.waves.iter();
                waves.map(|wave| wave.compiled.rows.len() as u64).sum()
            }
        }
    }

    /// Visits every row in order.
    pub fn each_row<E: From<ViewError>>(
        &self,
        needs: Needs,
        visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_row_of(needs, |_, _| true, visit)
    }

    /// Visits the rows that `picks` picks by wave and id, in order; the records of all others are not read. 1 is the wave of a
    /// spawned CSV.
    pub fn each_row_of<E: From<ViewError>>(
        &self,
        needs: Needs,
        picks: impl Fn(WaveNo, &RowId) -> bool,
        visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.spawned {
            Some((job, survey)) => self.spawned_rows((job, survey), needs, picks, visit),
            None => self.wave_rows(needs, picks, visit),
        }
    }

    fn spawned_rows<E: From<ViewError>>(
        &self,
        (job, survey): (&Settings, &Survey),
        needs: Needs,
        picks: impl Fn(WaveNo, &RowId) -> bool,
        mut visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let lines = self.lines()?;
        let adapter = &job.worker.adapter;
        let mut rows = survey.rows(job).map_err(ViewError::from)?;
        while let Some(input) = rows.next_row().map_err(ViewError::from)? {
            if !picks(job.wave, &input.id) {
                continue;
            }
            let mut row = ViewRow {
                item: input.id.to_string(),
                number: input.index + 1,
                adapter: adapter.clone(),
                fields: input.fields,
                ..ViewRow::default()
            };
            self.fill(&mut row, job.wave, input.index, needs, &lines)?;
            visit(row)?;
        }
        Ok(())
    }

    fn wave_rows<E: From<ViewError>>(
        &self,
        needs: Needs,
        picks: impl Fn(WaveNo, &RowId) -> bool,
        mut visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let lines = self.lines()?;
        let settings = &self.started().settings;
        let adapters = Adapters {
            usual: settings["adapter"].as_str().unwrap_or_default(),
            roles: role_workers(settings),
        };
        for wave in &self.state.waves {
            let number = wave.compiled.wave;
            if !wave.compiled.rows.iter().any(|id| picks(number, id)) {
                continue;
            }
            let mut csv = match needs.input {
                true => Some(self.open_wave(&wave.compiled.csv_path)?),
                false => None,
            };
            for (index, id) in wave.compiled.rows.iter().enumerate() {
                let mut row = wave_row(id, number, index as u64, &adapters);
                if let Some(csv) = &mut csv {
                    row.fields = csv.next_row().map_err(ViewError::from)?.unwrap_or_default();
                }
                if !picks(number, id) {
                    continue;
                }
                row.verdict = self.measures.verdict(number, id).cloned();
                self.fill(&mut row, number, index as u64, needs, &lines)?;
                visit(row)?;
            }
        }
        Ok(())
    }

    fn lines(&self) -> Result<Lines, ViewError> {
        Ok(Lines::open(&self.folder.ledger())?)
    }

    fn open_wave(&self, path: &Path) -> Result<Reader, ViewError> {
        let path = self.folder.path().join(path);
        Ok(Reader::open(&path, &path, &ReadOptions::default())?)
    }

    /// Adds what the ledger has of a row.
    fn fill(
        &self,
        row: &mut ViewRow,
        wave: WaveNo,
        index: u64,
        needs: Needs,
        lines: &Lines,
    ) -> Result<(), ViewError> {
        let job = match &self.state.spawned {
            Some(job) => Some(job),
            None => self.state.wave(wave).map(|wave| &wave.job),
        };
        let item = job
            .and_then(|job| job.item(index))
            .copied()
            .unwrap_or_default();
        let measure = self.measures.of(wave, index);
        row.wave = Some(wave.0);
        // The running rows of a killed run are pending.
        row.status = match item.status {
            Status::Running if !self.is_driven => Status::Pending.as_str(),
            status => status.as_str(),
        }
        .to_owned();
        row.attempts = item.attempts.into();
        row.seconds = measure.seconds();
        row.tokens = (measure.tokens > 0).then_some(measure.tokens);
        row.cost_usd = measure.cost_usd;
        row.span_ms = (measure.started_ms, measure.ended_ms);
        if needs.record {
            let record = read_record(&item, lines)?;
            row.error = record.last_error.unwrap_or_default();
            row.result = record
                .result
                .and_then(|result| serde_json::from_str(&result).ok());
        }
        Ok(())
    }
}

/// Who works the rows of waves.
struct Adapters<'s> {
    /// Where no role is bound to another.
    usual: &'s str,
    roles: BTreeMap<String, Worker>,
}

fn wave_row(id: &RowId, wave: WaveNo, index: u64, adapters: &Adapters<'_>) -> ViewRow {
    let mut row = ViewRow {
        item: id.to_string(),
        wave: Some(wave.0),
        number: index + 1,
        adapter: adapters.usual.to_owned(),
        ..ViewRow::default()
    };
    if let Some(key) = RowKey::parse(id) {
        row.unit = key.unit.to_string();
        row.round = key.round.to_string();
        row.role = key.role.to_string();
        if let Some(worker) = adapters.roles.get(&row.role) {
            row.adapter.clone_from(&worker.adapter);
        }
    }
    row
}
