//! Reuses results of an earlier spawned CSV for identical rows: same instruction, schema, worker, commit, columns and cells. A
//! result is found by the hash of its row, and recorded in the new run like any other.

use super::spawn;
use super::spawn::{LedgerFold, RecordedSettings, SpawnRun};
use crate::adapter;
use crate::job::{ResultCheck, Row, Settings, State, Survey, read_record};
use crate::ledger::Lines;
use crate::model::{AttemptEnd, AttemptKey, Event, ReportVia, RunId, RunKind, WaveNo, json};
use crate::platform::clock;
use crate::run::error::RunError;
use crate::run::store::RunFolder;
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// How many events are recorded with one sync.
const BATCH: usize = 500;

/// An earlier run whose results can be reused.
pub struct EarlierRun {
    id: RunId,
    settings: RecordedSettings,
    state: State,
    lines: Lines,
}

impl EarlierRun {
    /// Reads the ledger of a run, which may still be running.
    ///
    /// # Errors
    /// It is not a spawned CSV, or its ledger can't be read.
    pub fn read(folder: &RunFolder) -> Result<Self, RunError> {
        folder.check_kind(RunKind::Spawn)?;
        let (settings, state) = LedgerFold::read(folder)?;
        Ok(Self {
            id: folder.id().clone(),
            settings,
            state,
            lines: Lines::open(&folder.ledger())?,
        })
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Checks that a new job in `root` has the same prompts.
    ///
    /// # Errors
    /// [`RunError::NotReusable`] names the first setting that differs.
    pub fn check(&self, job: &Settings, root: &Path) -> Result<(), RunError> {
        let commit = spawn::base_sha(root)?;
        match find_difference(&self.settings, job, commit.as_deref()) {
            None => Ok(()),
            Some(what) => Err(RunError::NotReusable {
                id: self.id.clone(),
                what,
            }),
        }
    }

    /// The indexes of the rows with a result, by the hash of the row.
    fn results(&self) -> Result<HashMap<u128, u64>, RunError> {
        let survey = Survey::take(&self.settings.job)?;
        let mut input = survey.rows(&self.settings.job)?;
        let mut found = HashMap::new();
        while let Some(row) = input.next_row()? {
            let item = self.state.item(row.index);
            if item.is_some_and(|item| item.reported.is_some()) {
                found.insert(row_hash(survey.header(), &row), row.index);
            }
        }
        Ok(found)
    }

    fn result(&self, index: u64) -> Result<Value, RunError> {
        let item = self.state.item(index).copied().unwrap_or_default();
        let text = read_record(&item, &self.lines)?.result.unwrap_or_default();
        // The ledger wrote it from a value.
        Ok(json::parse(&text).unwrap_or_default())
    }
}

/// A hash of the columns and cells of a row, 128 bits long, so that collisions are negligible.
fn row_hash(header: &[String], row: &Row) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, header, &row.fields).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// The first setting of all rows that differs between two runs.
fn find_difference(
    earlier: &RecordedSettings,
    now: &Settings,
    commit: Option<&str>,
) -> Option<&'static str> {
    let (a, b) = (&earlier.job, now);
    let worker = |job: &Settings| {
        let worker = &job.worker;
        (
            worker.adapter.clone(),
            worker.program.clone(),
            worker.fixed_args.clone(),
            worker.args.clone(),
            adapter::answer_settings(worker),
        )
    };
    let differences = [
        ("instruction", a.instruction != b.instruction),
        ("output schema", a.output_schema != b.output_schema),
        ("worker command", worker(a) != worker(b)),
        ("base commit", earlier.base_sha.as_deref() != commit),
    ];
    let first = differences.into_iter().find(|(_, differs)| *differs);
    first.map(|(what, _)| what)
}

impl SpawnRun {
    /// The run whose results this one reuses.
    pub fn reuse_source(&self) -> Option<&RunId> {
        self.settings.reuse.as_ref()
    }

    /// Reuses the results of an earlier run, which was [checked](EarlierRun::check), and returns their number. Only rows without
    /// an attempt get one, and each result is checked like that of a worker.
    pub fn reuse(&mut self, earlier: &EarlierRun) -> Result<u64, RunError> {
        let found = earlier.results()?;
        let job = self.settings.job.clone();
        let check = ResultCheck::of(&job)?;
        let redactor = crate::job::redactor([&job.worker]);
        let survey = Survey::take(&job)?;
        let mut input = survey.rows(&job)?;
        let mut events = Vec::new();
        let mut reused = 0;
        while let Some(row) = input.next_row()? {
            // A resumed run may have an attempt of the row.
            let item = self.state.item(row.index).copied().unwrap_or_default();
            if let Some(index) = found.get(&row_hash(survey.header(), &row))
                && (item.attempts, item.reported, item.finished) == (0, None, None)
            {
                let mut result = earlier.result(*index)?;
                // The earlier run may have redacted less.
                redactor.redact_json(&mut result);
                if check.fits(&result) {
                    events.extend(reused_events(job.wave, &row, result));
                    reused += 1;
                }
            }
            if events.len() >= BATCH {
                self.record(&std::mem::take(&mut events))?;
            }
        }
        self.record(&events)?;
        Ok(reused)
    }
}

fn reused_events(wave: WaveNo, row: &Row, result: Value) -> [Event; 2] {
    let now = clock::csv_time(clock::now());
    let key = AttemptKey {
        wave,
        item_id: row.id.clone(),
        row_index: row.index,
        attempt: 0,
    };
    let reported = key.clone().reported(ReportVia::Reuse, result, now.clone());
    [
        Event::from(reported),
        Event::from(key.finished(AttemptEnd::Completed, now)),
    ]
}
