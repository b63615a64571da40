//! `mesh spawn` as a run: one CSV, one job, one ledger. The input is first copied into the run's folder, so that later changes
//! of the user's file affect neither a resumed run nor the output CSV.

use super::request::{SpawnRequest, confine, default_output_name};
use crate::adapter::replay;
use crate::job::{
    JobError, JobStatus, Journal, Observer, Placed, Placement, Settings, State, Stop, Summary,
    Survey,
};
use crate::ledger::{Ledger, LedgerError, Lines, Record};
use crate::model::{
    Event, OutputWritten, RowId, RowsReopened, RunFinished, RunId, RunKind, RunStarted, WaveNo,
    json,
};
use crate::platform::{Claim, Hashed, Readers, Repo, durable, look};
use crate::run::confinement;
use crate::run::confinement::protected_by_csv;
use crate::run::error::RunError;
use crate::run::preflight::InUse;
use crate::run::store::RunFolder;
use crate::{adapter, job, ledger};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The copy of the input in the run's folder.
const INPUT_COPY: &str = "input.csv";

/// The settings in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedSettings {
    pub job: Settings,
    pub record: Option<PathBuf>,
    /// The commit that was checked out at the start, in a repository.
    pub base_sha: Option<String>,
    /// The run whose results this one reuses.
    pub reuse: Option<RunId>,
    /// The hash of the input when it was copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_sha256: Option<String>,
    /// Whether the input came through a pipe and can't be read again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_streamed: bool,
    /// The hash of the existing output that may be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The files that the first call read, so that no later call overwrites them.
    #[serde(default, skip_serializing_if = "InUse::is_empty")]
    pub in_use: InUse,
}

/// The state of a spawned CSV, folded from its ledger.
pub(crate) struct LedgerFold {
    started: Option<RunStarted>,
    state: State,
    output: OutputHistory,
}

/// The output, as the ledger has it.
#[derive(Default)]
pub(crate) struct OutputHistory {
    /// The path of the last write.
    pub path: Option<PathBuf>,
    /// The hashes of everything that was written.
    written: Vec<String>,
}

impl Default for LedgerFold {
    fn default() -> Self {
        Self {
            started: None,
            state: State::new(WaveNo(1)),
            output: OutputHistory::default(),
        }
    }
}

impl LedgerFold {
    pub(crate) fn apply(&mut self, record: Record, place: u64) {
        self.state.apply(&record.event, place);
        match record.event {
            Event::RunStarted(body) => self.started = Some(body),
            Event::RunResumed(body) => {
                if body.names_output() {
                    self.output.path = None;
                }
                if let Some(started) = &mut self.started {
                    started.change(&body);
                }
            }
            Event::OutputWritten(body) => {
                self.output.path = Some(body.path);
                self.output.written.push(body.sha256);
            }
            _ => {}
        }
    }

    /// Folds the ledger of a run that may still be running.
    pub(crate) fn read(folder: &RunFolder) -> Result<(RecordedSettings, State), RunError> {
        let mut fold = Self::default();
        ledger::scan(&folder.ledger(), |record, place| fold.apply(record, place))?;
        let (settings, state, _) = fold.finish(folder)?;
        Ok((settings, state))
    }

    fn finish(
        self,
        folder: &RunFolder,
    ) -> Result<(RecordedSettings, State, OutputHistory), RunError> {
        let started = self.started.ok_or_else(|| RunError::NotResumable {
            id: folder.id().clone(),
            why: "its ledger is empty".to_owned(),
        })?;
        let kept = read_settings(folder, started.settings)?;
        Ok((kept, self.state, self.output))
    }
}

fn read_settings(
    folder: &RunFolder,
    settings: serde_json::Value,
) -> Result<RecordedSettings, RunError> {
    serde_json::from_value(settings).map_err(|error| RunError::NotResumable {
        id: folder.id().clone(),
        why: format!("its settings are not understood: {error}"),
    })
}

/// The run of a spawned CSV.
pub struct SpawnRun {
    pub(crate) folder: RunFolder,
    pub(crate) settings: RecordedSettings,
    ledger: LedgerJournal,
    pub(crate) state: State,
    pub(crate) output: OutputHistory,
    /// Held until the run has ended.
    pub(crate) claim: Option<Claim>,
}

struct LedgerJournal(Ledger);

impl Journal for LedgerJournal {
    fn write(&mut self, events: &[Event]) -> Result<Vec<u64>, LedgerError> {
        self.0.write(events)
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.0.sync()
    }

    fn lines(&self) -> Result<Lines, LedgerError> {
        self.0.lines()
    }
}

/// The hash of the file at `output`, if there is one.
pub(crate) fn hash_existing(output: &Path) -> Result<Option<String>, RunError> {
    let exists = look::is_taken(output).map_err(RunError::io(output))?;
    let hash = exists.then(|| job::fingerprint(output)).transpose();
    hash.map_err(RunError::io(output))
}

impl SpawnRun {
    /// Begins a run: copies the input and records the settings. `claim` is that of a given output.
    pub fn begin(
        request: &SpawnRequest,
        claim: Option<Claim>,
        folder: RunFolder,
        root: &Path,
    ) -> Result<Self, RunError> {
        let mut job = request.job(&folder)?;
        let claim = match claim {
            Some(claim) => claim,
            None => Claim::take(&job.output_csv_path)?,
        };
        claim.sign(folder.id());
        let copy = folder.path().join(INPUT_COPY);
        let input = File::open(&job.input_path).map_err(RunError::io(&job.csv_path))?;
        let mut input = Hashed::new(input);
        durable::replace(&copy, Readers::Owner, |out| {
            io::copy(&mut input, out).map(drop)
        })
        .map_err(RunError::io(&copy))?;
        job.input_path = copy;
        let kept = RecordedSettings {
            replaces: hash_existing(&job.output_csv_path)?,
            job,
            record: request.record.clone(),
            base_sha: base_sha(root)?,
            reuse: request.reuse.clone(),
            input_sha256: Some(input.sha256()),
            is_streamed: request.is_streamed,
            in_use: request.in_use.clone(),
        };
        let mut ledger = LedgerJournal(Ledger::create(&folder.ledger())?);
        ledger.record(&[Event::from(RunStarted {
            run_id: folder.id().clone(),
            kind: RunKind::Spawn,
            mesh_version: env!("CARGO_PKG_VERSION").to_owned(),
            root: root.to_owned(),
            settings: serde_json::to_value(&kept).unwrap_or_default(),
        })])?;
        Ok(Self {
            folder,
            state: State::new(kept.job.wave),
            settings: kept,
            ledger,
            output: OutputHistory::default(),
            claim: Some(claim),
        })
    }

    /// Resumes an earlier run from its ledger alone.
    pub fn resume(folder: RunFolder) -> Result<Self, RunError> {
        folder.check_kind(RunKind::Spawn)?;
        let mut fold = LedgerFold::default();
        let (ledger, _) = Ledger::open_with(&folder.ledger(), |record, place| {
            if place == 0 {
                folder.claim();
            }
            fold.apply(record, place);
        })?;
        let (mut kept, state, output) = fold.finish(&folder)?;
        kept.job.agent_protocol = adapter::agent_protocol(&kept.job.worker)?;
        let protected = protected_by_csv(&kept.job.worker.folder)?;
        confinement::renew(&mut kept.job.worker, None, &protected)?;
        kept.job.sandbox = confine(&kept.job.worker, kept.job.agent_protocol.as_ref(), &folder)?;
        Ok(Self {
            folder,
            settings: kept,
            ledger: LedgerJournal(ledger),
            state,
            output,
            claim: None,
        })
    }

    /// The input of a spawned CSV, resolved if it can be reached; `None` for another kind of run.
    ///
    /// # Errors
    /// A fault of the machine: it may be one.
    pub fn input_path(folder: &RunFolder) -> Result<Option<PathBuf>, RunError> {
        let first = look::reachable(ledger::first(&folder.ledger()))?.flatten();
        let Some(Event::RunStarted(started)) = first.map(|first| first.event) else {
            return Ok(None);
        };
        let Ok(kept) = serde_json::from_value::<RecordedSettings>(started.settings) else {
            return Ok(None);
        };
        let path = started.root.join(kept.job.csv_path);
        // One that can't be reached, behind a server that is gone, is no file that can be.
        let real = look::of_others(path.canonicalize()).map_err(RunError::io(&path))?;
        Ok(Some(real.unwrap_or(path)))
    }

    /// The job of a spawned CSV, as its ledger has it, over the copy of the input in its folder.
    pub fn recorded_job(folder: &RunFolder, started: &RunStarted) -> Result<Settings, RunError> {
        let kept = read_settings(folder, started.settings.clone())?;
        let mut job = kept.job;
        job.input_path = folder.path().join(INPUT_COPY);
        Ok(job)
    }

    /// The prompt of the first attempt of row `id`; `None` if there is no such row.
    pub fn first_prompt(folder: &RunFolder, id: &str) -> Result<Option<String>, RunError> {
        let (mut kept, _) = LedgerFold::read(folder)?;
        kept.job.agent_protocol = adapter::agent_protocol(&kept.job.worker)?;
        let survey = Survey::take(&kept.job)?;
        Ok(kept.job.prompt_of(&survey, |row| row.id.as_str() == id)?)
    }

    /// The rows that fit: the number of each from 1 on, and its id.
    pub fn find_rows(
        folder: &RunFolder,
        fits: impl Fn(u64, &str) -> bool,
    ) -> Result<Vec<(u64, RowId)>, RunError> {
        let (kept, _) = LedgerFold::read(folder)?;
        let survey = Survey::take(&kept.job)?;
        let mut rows = survey.rows(&kept.job)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next_row()? {
            let number = row.index + 1;
            if fits(number, row.id.as_str()) {
                found.push((number, row.id));
            }
        }
        Ok(found)
    }

    /// The job.
    pub fn job(&self) -> &Settings {
        &self.settings.job
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Makes the failed rows pending again and returns their number.
    pub fn reopen_failed(&mut self) -> Result<u64, RunError> {
        let rows = self.state.counts().failed;
        if rows > 0 {
            let wave = self.settings.job.wave;
            self.record(&[Event::from(RowsReopened { wave, rows })])?;
        }
        Ok(rows)
    }

    pub(crate) fn record(&mut self, events: &[Event]) -> Result<(), RunError> {
        let places = self.ledger.record(events)?;
        for (event, place) in events.iter().zip(places) {
            self.state.apply(event, place);
        }
        Ok(())
    }

    /// Runs the pending rows and writes the output.
    pub fn drive(
        &mut self,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<(JobStatus, Summary), RunError> {
        let job = &self.settings.job;
        let (ending, survey) =
            crate::executor::run(job, &mut self.state, &mut self.ledger, observer, stop, None)?;
        let lines = self.ledger.lines()?;
        let placed = self.write_output(&survey, &lines)?;
        warn_of_other_path(&placed, &self.settings.job, observer);
        let job = &self.settings.job;
        let mut summary = job::summarize(job, &survey, &self.state, &lines, ending.job_error())?;
        summary.output_csv_path = placed.path;
        self.record_answers(&survey, &lines)?;
        let by_rows = u8::from(summary.failed_items > 0);
        self.ledger.record(&[Event::from(RunFinished {
            status: summary.status.clone(),
            exit_code: ending.exit_code().unwrap_or(by_rows),
            detail: summary.job_error.clone(),
        })])?;
        self.folder.remove_temporary_files();
        let left = self.claim.take().map(Claim::release);
        for path in left.unwrap_or_default() {
            let path = path.display();
            observer.warn(&format!(
                "the lock file `{path}` can't be removed; it locks nothing"
            ));
        }
        Ok((ending, summary))
    }

    /// Writes the output. Replaces only files that this run wrote or may replace.
    fn write_output(&mut self, survey: &Survey, lines: &Lines) -> Result<Placed, RunError> {
        let job = &self.settings.job;
        // The output is claimed, so no other process writes it.
        durable::remove_strays(&job.output_csv_path).map_err(RunError::io(&job.output_csv_path))?;
        let (staged, sha256) = job::stage_csv(job, survey, &self.state, lines)?;
        let path = self.output.path.as_ref().unwrap_or(&job.output_csv_path);
        let mut known = self.output.written.clone();
        known.extend(self.settings.replaces.clone());
        let placement = Placement {
            path,
            other: &path.with_file_name(default_output_name(path, &job.job_id)),
            known: &known,
        };
        let ledger = &mut self.ledger;
        let placed = job::place(staged, placement, |path| {
            let written = Event::from(OutputWritten {
                path: path.to_owned(),
                sha256: sha256.clone(),
            });
            // Before the rename: otherwise a kill could leave an output that looks edited.
            ledger
                .record(&[written])
                .map(drop)
                .map_err(PlaceError::Ledger)
        });
        placed.map_err(|error| match error {
            PlaceError::Ledger(error) => error.into(),
            PlaceError::Io(source) => RunError::from(JobError::Output {
                path: path.clone(),
                source,
            }),
        })
    }

    fn record_answers(&self, survey: &Survey, lines: &Lines) -> Result<(), RunError> {
        let Some(folder) = &self.settings.record else {
            return Ok(());
        };
        let mut input = survey.rows(&self.settings.job)?;
        while let Some(row) = input.next_row()? {
            let item = self.state.item(row.index).copied().unwrap_or_default();
            if let Some(text) = job::read_record(&item, lines)?.result {
                let value = json::parse(&text).unwrap_or_default();
                replay::record(folder, Readers::Umask, &row.id, &value)
                    .map_err(RunError::io(folder))?;
            }
        }
        Ok(())
    }
}

enum PlaceError {
    Ledger(LedgerError),
    Io(io::Error),
}

impl From<io::Error> for PlaceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn warn_of_other_path(placed: &Placed, job: &Settings, observer: &mut dyn Observer) {
    let output = job.output_csv_path.display();
    if let Some(edited) = &placed.edited {
        let edited = edited.display();
        observer.warn(&format!(
            "`{output}` was edited since this run wrote it; the edited file is kept as `{edited}`"
        ));
    }
    if placed.path != job.output_csv_path {
        let path = placed.path.display();
        observer.warn(&format!(
            "`{output}` was created by another program after the run started; the rows are in `{path}`"
        ));
    }
}

/// The commit that is checked out; none outside a repository.
pub(crate) fn base_sha(root: &Path) -> Result<Option<String>, RunError> {
    let head = Repo::find(root).and_then(|repo| repo.head());
    Ok(look::reachable(head)?)
}
