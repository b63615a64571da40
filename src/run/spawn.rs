//! `mesh spawn` as a run: one CSV, one job, one ledger. The input is copied into the run's folder first, so that
//! resuming and the output CSV rest on the same bytes, whatever happens to the user's file.

use super::{Raised, RunError, RunFolder};
use crate::adapter::{self, replay};
use crate::durable::{self, Readers};
use crate::git::Repo;
use crate::job::{
    self, Bounds, Budget, Ending, FormulaCells, Halt, Journal, Logs, Observer, Selection, Settings,
    State, Stop, Summary, Survey, Worker,
};
use crate::ledger::{self, Ledger, LedgerError, Lines, Record};
use crate::model::{Event, JobId, RowsReopened, RunFinished, RunId, RunKind, RunStarted, WaveNo};
use crate::table;
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct SpawnSettings {
    /// The input, as given.
    pub csv_path: PathBuf,
    /// The file to read it from: the same, or what came through a pipe.
    pub input_path: PathBuf,
    /// Where the output goes by default.
    pub output_folder: PathBuf,
    /// The separator.
    pub delimiter: char,
    /// Header names to change.
    pub rename: Vec<(String, String)>,
    /// The instruction.
    pub instruction: String,
    /// The id column.
    pub id_column: Option<String>,
    /// The output; beside the input by default.
    pub output_csv_path: Option<PathBuf>,
    /// An existing output may be replaced.
    pub force: bool,
    /// The schema of a result.
    pub output_schema: Option<Value>,
    /// Which rows.
    pub selection: Selection,
    /// Slots, time and tries.
    pub bounds: Bounds,
    /// When to end early.
    pub halt: Halt,
    /// Wall-clock budget of one call.
    pub max_wall_seconds: Option<u64>,
    /// The other budgets.
    pub budget: Budget,
    /// The result's properties as columns.
    pub flatten: bool,
    /// What to do with a result that a spreadsheet would execute.
    pub formula_cells: FormulaCells,
    /// Whose output is kept.
    pub keep_logs: Logs,
    /// Bound on a result.
    pub result_bytes_max: usize,
    /// Bound on an attempt's output.
    pub output_bytes_max: usize,
    /// Who does the work.
    pub worker: Worker,
    /// Where answers are recorded.
    pub record: Option<PathBuf>,
    /// The run whose results are taken over.
    pub reuse: Option<RunId>,
}

/// The settings in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub job: Settings,
    record: Option<PathBuf>,
    /// The commit that was checked out at the start, in a repository.
    pub base_sha: Option<String>,
    /// The run whose results this one takes over.
    pub reuse: Option<RunId>,
}

/// A spawned CSV's ledger, being read.
pub(super) struct Fold {
    started: Option<RunStarted>,
    state: State,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            started: None,
            state: State::new(WaveNo(1)),
        }
    }
}

impl Fold {
    pub(super) fn take(&mut self, record: Record, place: u64) {
        self.state.apply(&record.event, place);
        if let Event::RunStarted(body) = record.event {
            self.started = Some(body);
        }
    }

    pub(super) fn end(self, folder: &RunFolder) -> Result<(Kept, State), RunError> {
        let refuse = |why: String| RunError::NotResumable {
            id: folder.id().clone(),
            why,
        };
        let started = self
            .started
            .ok_or_else(|| refuse("its ledger is empty".to_owned()))?;
        let kept = serde_json::from_value(started.settings)
            .map_err(|error| refuse(format!("its settings are not understood: {error}")))?;
        Ok((kept, self.state))
    }
}

/// One spawned CSV.
pub struct SpawnRun {
    folder: RunFolder,
    pub(super) kept: Kept,
    ledger: LedgerJournal,
    pub(super) state: State,
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

impl SpawnSettings {
    /// The job in a run's folder; `folder` is only named, not touched.
    ///
    /// # Errors
    /// The worker is not understood.
    pub fn job(&self, folder: &RunFolder) -> Result<Settings, RunError> {
        let job_id = uuid::Uuid::new_v4().to_string();
        let output = self.output_csv_path.clone().unwrap_or_else(|| {
            let stem = self
                .csv_path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let name = format!("{stem}.agent-job-{}.csv", &job_id[..8]);
            self.output_folder.join(name)
        });
        Ok(Settings {
            run_id: folder.id().clone(),
            job_id: JobId::new(job_id),
            wave: WaveNo(1),
            csv_path: self.csv_path.clone(),
            input_path: self.input_path.clone(),
            delimiter: self.delimiter,
            rename: self.rename.clone(),
            instruction: self.instruction.clone(),
            id_column: self.id_column.clone(),
            output_csv_path: output,
            output_readers: Readers::Umask,
            output_schema: self.output_schema.clone(),
            selection: self.selection.clone(),
            bounds: self.bounds,
            halt: self.halt,
            max_wall_seconds: self.max_wall_seconds,
            dialect: adapter::dialect(&self.worker)?,
            flatten: self.flatten,
            formula_cells: self.formula_cells,
            keep_logs: self.keep_logs,
            result_bytes_max: self.result_bytes_max,
            output_bytes_max: self.output_bytes_max,
            read_text: None,
            budget: self.budget,
            ration: None,
            worker: self.worker.clone(),
            scratch: folder.scratch(),
            logs: folder.logs(),
        })
    }

    /// Everything about the output that can be refused before anything starts.
    pub fn check_output(&self) -> Result<(), RunError> {
        let Some(output) = &self.output_csv_path else {
            return Ok(());
        };
        let refuse = |why: &'static str, hint: Option<&'static str>| {
            Err(RunError::Output {
                path: output.clone(),
                why,
                hint,
            })
        };
        if is_same_file(output, &self.csv_path) {
            return refuse("is the input", Some("name another file with -o"));
        }
        if output.is_dir() || output.as_os_str().as_bytes().ends_with(b"/") {
            return refuse("is a folder", Some("name a file in it with -o"));
        }
        let above = output.ancestors().skip(1).find(|folder| folder.exists());
        if above.is_some_and(|folder| !folder.is_dir()) {
            return refuse("lies below a file", Some("name another file with -o"));
        }
        if above.is_some_and(|folder| access(folder, Access::WRITE_OK).is_err()) {
            return refuse(
                "lies in a folder that is not writable",
                Some("name another file with -o"),
            );
        }
        if output.exists() && !self.force {
            return refuse(
                "exists already",
                Some("replace it with --force, or name another file with -o"),
            );
        }
        Ok(())
    }
}

impl SpawnRun {
    /// Begins a run: the input is copied, checked, and in the ledger.
    pub fn begin(
        settings: &SpawnSettings,
        folder: RunFolder,
        root: &Path,
    ) -> Result<Self, RunError> {
        let mut job = settings.job(&folder)?;
        let copy = folder.path().join("input.csv");
        let mut input =
            File::open(&settings.input_path).map_err(RunError::io(&settings.csv_path))?;
        durable::replace(&copy, Readers::Owner, |out| {
            io::copy(&mut input, out).map(drop)
        })
        .map_err(RunError::io(&copy))?;
        job.input_path = copy;
        let kept = Kept {
            job,
            record: settings.record.clone(),
            base_sha: base_sha(root),
            reuse: settings.reuse.clone(),
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
            kept,
            ledger,
        })
    }

    /// Takes up an earlier run from its ledger alone.
    pub fn resume(folder: RunFolder, raised: Raised) -> Result<Self, RunError> {
        folder.must_be(RunKind::Spawn)?;
        let mut fold = Fold::default();
        let (ledger, _) = Ledger::open_with(&folder.ledger(), |record, place| {
            if place == 0 {
                folder.take_over();
            }
            fold.take(record, place);
        })?;
        let (mut kept, mut state) = fold.end(&folder)?;
        if raised.ask_now {
            state.account_until = None;
        }
        let job = &mut kept.job;
        job.dialect = adapter::dialect(&job.worker)?;
        raised.apply(&mut job.budget, &mut job.max_wall_seconds);
        raised.bound(&mut job.bounds);
        Ok(Self {
            folder,
            kept,
            ledger: LedgerJournal(ledger),
            state,
        })
    }

    /// The input of a spawned CSV's run, as it was named; `None` for another kind of run.
    pub fn input_of(folder: &RunFolder) -> Option<PathBuf> {
        let first = ledger::first(&folder.ledger()).ok()??;
        let Event::RunStarted(started) = first.event else {
            return None;
        };
        let kept: Kept = serde_json::from_value(started.settings).ok()?;
        let path = started.root.join(kept.job.csv_path);
        Some(std::fs::canonicalize(&path).unwrap_or(path))
    }

    /// What the first attempt of row `id` read, from the folder of a spawned CSV's run alone; `None` when there is no such
    /// row.
    pub fn prompt_of(folder: &RunFolder, id: &str) -> Result<Option<String>, RunError> {
        let mut fold = Fold::default();
        ledger::scan(&folder.ledger(), |record, place| fold.take(record, place))?;
        let (mut kept, _) = fold.end(folder)?;
        kept.job.dialect = adapter::dialect(&kept.job.worker)?;
        let survey = Survey::take(&kept.job)?;
        Ok(kept.job.prompt_of(&survey, |row| row.id.as_str() == id)?)
    }

    /// The job.
    pub fn job(&self) -> &Settings {
        &self.kept.job
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Makes the failed rows pending again; gives their number.
    pub fn reopen_failed(&mut self) -> Result<u64, RunError> {
        let rows = self.state.counts().failed;
        if rows > 0 {
            let wave = self.kept.job.wave;
            self.record(&[Event::from(RowsReopened { wave, rows })])?;
        }
        Ok(rows)
    }

    pub(super) fn record(&mut self, events: &[Event]) -> Result<(), RunError> {
        let places = self.ledger.record(events)?;
        for (event, place) in events.iter().zip(places) {
            self.state.apply(event, place);
        }
        Ok(())
    }

    /// Works the rows that still need it.
    pub fn drive(
        &mut self,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<(Ending, Summary), RunError> {
        let job = &self.kept.job;
        let (ending, survey) =
            job::run(job, &mut self.state, &mut self.ledger, observer, stop, None)?;
        let lines = self.ledger.lines()?;
        let summary = job::summarize(job, &survey, &self.state, &lines, ending.job_error())?;
        self.record_answers(&survey, &lines)?;
        let by_rows = u8::from(summary.failed_items > 0);
        self.ledger.record(&[Event::from(RunFinished {
            status: summary.status.clone(),
            exit_code: ending.exit_code().unwrap_or(by_rows),
            detail: summary.job_error.clone(),
        })])?;
        self.folder.tidy();
        Ok((ending, summary))
    }

    fn record_answers(&self, survey: &Survey, lines: &Lines) -> Result<(), RunError> {
        let Some(folder) = &self.kept.record else {
            return Ok(());
        };
        let mut input = survey.rows(&self.kept.job)?;
        while let Some(row) = input.next_row()? {
            let item = self.state.item(row.index).copied().unwrap_or_default();
            if let Some(text) = job::details(&item, lines)?.result {
                let value = serde_json::from_str(&text).unwrap_or_default();
                replay::record(folder, Readers::Umask, &row.id, &value)
                    .map_err(RunError::io(folder))?;
            }
        }
        Ok(())
    }
}

/// The commit that is checked out; none outside a repository.
pub(super) fn base_sha(root: &Path) -> Option<String> {
    Repo::find(root).and_then(|repo| repo.head()).ok()
}

/// What comes through a pipe can be read only once, so it is kept in a file; `None` for a file or a folder.
pub fn spool(path: &Path) -> Result<Option<tempfile::NamedTempFile>, RunError> {
    let is_stream = std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    if !is_stream {
        return Ok(None);
    }
    let copied = || {
        let mut spooled = tempfile::NamedTempFile::new()?;
        copy_lines(File::open(path)?, spooled.as_file_mut())?;
        Ok(spooled)
    };
    copied().map(Some).map_err(RunError::io(path))
}

/// Copies up to a line that no record may hold: who reads the copy finds out, and an endless line has not filled the disk.
fn copy_lines(mut from: impl io::Read, to: &mut impl io::Write) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    let mut line_bytes = 0;
    while line_bytes <= table::RECORD_BYTES_MAX {
        let length = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        if length == 0 {
            break;
        }
        to.write_all(&chunk[..length])?;
        match chunk[..length].iter().rposition(|byte| *byte == b'\n') {
            Some(end) => line_bytes = (length - end - 1) as u64,
            None => line_bytes += length as u64,
        }
    }
    Ok(())
}

/// The same file, also through a link.
fn is_same_file(a: &Path, b: &Path) -> bool {
    match (std::fs::canonicalize(a), std::fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b || same_inode(&a, &b),
        _ => false,
    }
}

fn same_inode(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| {
        std::fs::metadata(path)
            .map(|meta| (meta.dev(), meta.ino()))
            .ok()
    };
    id(a).is_some() && id(a) == id(b)
}
