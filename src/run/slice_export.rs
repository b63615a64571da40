//! Makes the folder of a sliced job from a wave CSV, for `mesh wave export` and `mesh wave exec`.
//!
//! The folder is filled beside its place and renamed into it, so that it is whole or not there; of several processes that
//! make the same one, the first wins.

use super::confinement::{SandboxRequest, protected_by_csv};
use super::error::RunError;
use crate::executor::slices::{JobFolder, SlicedJob, Slicing};
use crate::job::{
    Bounds, ExecutorChoice, FormulaCells, Halt, JobError, Logs, Settings, Survey, Worker,
};
use crate::model::{JobId, RunId, WaveNo};
use crate::platform::sandbox::Choice;
use crate::platform::{Readers, Repo, TemporaryFolder, look, private, sha256_of_file};
use crate::table::{ReadOptions, Reader};
use crate::wave::{Call, Label};
use crate::{job, workspace};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The names in the folder.
const INPUT: &str = "wave.csv";
const WORKSPACE: &str = "workspace";
const LOGS: &str = "logs";

/// A request for the folder of a job.
pub struct ExportRequest<'e> {
    /// The wave CSV.
    pub wave: &'e Path,
    /// The arguments of its call.
    pub call: &'e Call,
    /// Who works the rows.
    pub worker: Worker,
    /// Limits of its attempts.
    pub bounds: Bounds,
    /// Where workers start; by default in a copy of the repository of the current folder if the wave is of a plan, else in
    /// the current folder.
    pub workspace: Option<PathBuf>,
    /// The current folder.
    pub folder: &'e Path,
    /// How workers are confined: by default as well as the kernel can if the wave is of a plan, else not at all.
    pub sandbox: SandboxRequest,
    /// How many rows a slice has.
    pub rows_per_slice: Option<u64>,
    /// How many slices there may be.
    pub slices_max: u64,
    /// How many rows of a slice run at once.
    pub rows_at_once: usize,
}

/// A job whose folder is not in its place yet.
pub struct StagedJob {
    staging: TemporaryFolder,
    /// The job.
    pub sliced: SlicedJob,
    /// The work tree that the workspace is a copy of, or the workspace itself.
    pub(super) tree: PathBuf,
    /// Which wave it is, if it is one of a run.
    pub label: Option<Label>,
    /// What to tell about workers that are not confined.
    pub note: Option<String>,
}

impl ExportRequest<'_> {
    /// Fills a folder beside `into`.
    ///
    /// # Errors
    /// The wave is not usable, or the repository can't be copied.
    pub fn stage(self, into: &Path) -> Result<StagedJob, RunError> {
        let parent = crate::platform::parent(into);
        private::make_folders(parent).map_err(RunError::io(parent))?;
        let staging = TemporaryFolder::new_in(parent, ".mesh-export-");
        let staging = staging.map_err(RunError::io(parent))?;
        let at = |name: &str| staging.path().join(name);
        let input = at(INPUT);
        private::copy(self.wave, &input).map_err(RunError::io(self.wave))?;
        for folder in [at(LOGS), JobFolder::at(staging.path()).slices()] {
            private::make_folders(&folder).map_err(RunError::io(&folder))?;
        }
        let label = label(&input)?;
        let (workspace, tree) = match (&self.workspace, &label) {
            (Some(folder), _) => (folder.clone(), folder.clone()),
            (None, None) => (self.folder.to_owned(), self.folder.to_owned()),
            (None, Some(label)) => {
                let repo = Repo::find(self.folder)?;
                let entries = repo.entries_at(&label.base_sha, &[Path::new(WORKSPACE)]);
                if look::reachable(entries)?.is_none() {
                    return Err(RunError::OtherRepository {
                        root: repo.root().to_owned(),
                        commit: label.base_sha.clone(),
                    });
                }
                workspace::create_copy(&repo, &at(WORKSPACE))?;
                (PathBuf::from(WORKSPACE), repo.root().to_owned())
            }
        };
        let default = match &label {
            Some(_) => Choice::Auto,
            None => Choice::None,
        };
        let protected = protected_by_csv(&staging.path().join(&workspace))?;
        let mut job = self.settings(label.as_ref(), workspace);
        let note = self.sandbox.apply(default, &mut job.worker, &protected)?;
        job.input_path = input;
        let survey = Survey::take(&job)?;
        let rows = survey.picked();
        let index = at(JobFolder::ROW_INDEX);
        let is_indexed = survey
            .write_index(&job.input_path, &index)
            .map_err(RunError::io(&index))?;
        job.row_index = is_indexed.then(|| PathBuf::from(JobFolder::ROW_INDEX));
        job.input_path = PathBuf::from(INPUT);
        let slicing = Slicing::new(
            rows,
            self.rows_per_slice,
            self.slices_max,
            self.rows_at_once,
        );
        Ok(StagedJob {
            staging,
            sliced: SlicedJob::new(job, slicing),
            tree,
            label,
            note,
        })
    }

    fn settings(&self, label: Option<&Label>, workspace: PathBuf) -> Settings {
        let call = self.call;
        let mut worker = self.worker.clone();
        worker.folder = workspace;
        Settings {
            run_id: RunId::new(label.map_or("", |label| &label.run_id)),
            job_id: JobId::new(uuid::Uuid::new_v4().to_string()),
            wave: WaveNo(label.map_or(1, |label| label.wave)),
            csv_path: self.wave.to_owned(),
            input_path: PathBuf::from(INPUT),
            row_index: None,
            delimiter: None,
            encoding: None,
            sheet: None,
            rename: Vec::new(),
            instruction: call.instruction.clone(),
            id_column: call.id_column.clone(),
            output_csv_path: PathBuf::new(),
            output_readers: Readers::Owner,
            output_schema: call.output_schema.clone(),
            selection: job::Selection::default(),
            bounds: self.bounds,
            halt: Halt::default(),
            max_wall_seconds: None,
            wall_hard: false,
            budget: job::Budget::default(),
            flatten: false,
            formula_cells: FormulaCells::default(),
            keep_logs: Logs::default(),
            result_bytes_max: job::RESULT_BYTES_MAX,
            output_bytes_max: job::OUTPUT_BYTES_MAX,
            read_text: None,
            agent_protocol: None,
            others: job::OtherWorkers::default(),
            limits: None,
            executor: ExecutorChoice::default(),
            worker,
            sandbox: None,
            scratch: PathBuf::new(),
            logs: PathBuf::from(LOGS),
        }
    }
}

impl StagedJob {
    /// Where its files are until it is published.
    pub(super) fn path(&self) -> &Path {
        self.staging.path()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// It can't be written.
    pub fn add(&self, name: &str, text: &str, is_program: bool) -> Result<(), RunError> {
        let path = self.staging.path().join(name);
        let mut written = private::write(&path, text.as_bytes());
        if is_program {
            written = written.and_then(|()| private::keep_owners_mode(&path, 0o700));
        }
        written.map_err(RunError::io(&path))
    }

    /// Renames the folder to `into`, which must be missing or empty. `false`: another process made it before.
    ///
    /// # Errors
    /// The folder can't be written or renamed.
    pub fn publish(self, into: &Path) -> Result<bool, RunError> {
        let folder = JobFolder::at(self.staging.path());
        folder.write(&self.sliced)?;
        if let Some(label) = &self.label {
            let path = folder.slices().join(Label::FILE_NAME);
            private::write(&path, label.text().as_bytes()).map_err(RunError::io(&path))?;
        }
        match fs::rename(self.staging.path(), into) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                return Ok(false);
            }
            renamed => renamed.map_err(RunError::io(into))?,
        }
        // It has its place now, and nothing is left to remove.
        let _ = self.staging.keep();
        crate::platform::sync_folder(crate::platform::parent(into)).map_err(RunError::io(into))?;
        Ok(true)
    }
}

/// Which wave a CSV is, if it is one of a run.
fn label(csv: &Path) -> Result<Option<Label>, RunError> {
    let table = |error| RunError::from(JobError::Table(error));
    let mut reader = Reader::open(csv, csv, &ReadOptions::default()).map_err(table)?;
    let header = reader.header().to_vec();
    let first = reader.next_row().map_err(table)?;
    let hash = sha256_of_file(csv).map_err(RunError::io(csv))?;
    let rows: Vec<Vec<String>> = first.into_iter().collect();
    Ok(Label::of(&header, &rows, hash))
}
