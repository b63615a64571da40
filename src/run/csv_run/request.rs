//! A request to run a CSV as a new run, and the check of its output.

use crate::adapter;
use crate::job::{AgentProtocol, Settings, Worker};
use crate::model::{JobId, RunId};
use crate::platform::{Claim, Sandbox, look};
use crate::run::confinement;
use crate::run::confinement::protected_by_csv;
use crate::run::error::RunError;
use crate::run::preflight::InUse;
use crate::run::store::RunFolder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A request to run a CSV.
#[derive(Clone, Debug)]
pub struct SpawnRequest {
    /// The job, as in the run folder [`RunFolder::dry_run`]. Its input path is that of the file to read: the input as given, or
    /// a copy of it.
    pub job: Settings,
    /// Whether the input came through a pipe and can't be read again.
    pub is_streamed: bool,
    /// The folder of the output, unless a path is given.
    pub output_folder: PathBuf,
    /// The output, if given.
    pub output_csv_path: Option<PathBuf>,
    /// Whether an existing output is replaced.
    pub force: bool,
    /// The files that no output may replace.
    pub in_use: InUse,
    /// The folder where answers are recorded.
    pub record: Option<PathBuf>,
    /// The run whose results are reused.
    pub reuse: Option<RunId>,
}

impl SpawnRequest {
    /// The job in a run's folder; `folder` is only named, not touched.
    ///
    /// # Errors
    /// The agent protocol of the worker is not known.
    pub fn job(&self, folder: &RunFolder) -> Result<Settings, RunError> {
        let job_id = JobId::new(uuid::Uuid::new_v4().to_string());
        let output = self.output_csv_path.clone();
        let output = output.unwrap_or_else(|| {
            self.output_folder
                .join(default_output_name(&self.job.csv_path, &job_id))
        });
        let worker = &self.job.worker;
        let agent_protocol = adapter::agent_protocol(worker)?;
        Ok(Settings {
            run_id: folder.id().clone(),
            job_id,
            output_csv_path: output,
            sandbox: confine(worker, agent_protocol.as_ref(), folder)?,
            agent_protocol,
            scratch: folder.scratch(),
            logs: folder.logs(),
            ..self.job.clone()
        })
    }

    /// Checks the output paths, before anything starts.
    pub fn check_output(&self) -> Result<(), RunError> {
        if let Some(folder) = &self.record {
            let mut in_use = self.in_use.clone();
            if let Some(output) = &self.output_csv_path {
                in_use.reserve("is the output", output.clone());
            }
            in_use.check_folder(folder, "--record")?;
        }
        match &self.output_csv_path {
            Some(output) => check_output(output, &self.in_use, self.force, || self.ways_on()),
            None => Ok(()),
        }
    }

    /// Claims the output and [checks](Self::check_output) it again, so that the result holds until the run ends.
    ///
    /// # Errors
    /// Another run has claimed the output, or has written it since.
    pub fn claim_output(&self) -> Result<Option<Claim>, RunError> {
        let output = self.output_csv_path.as_deref();
        let claim = output.map(Claim::take).transpose()?;
        self.check_output()?;
        Ok(claim)
    }

    /// How to continue if the output exists. Options after `--` went to the worker.
    fn ways_on(&self) -> String {
        let is_own = |arg: &&String| ["--resume", "--force"].contains(&arg.as_str());
        match self.job.worker.args.iter().find(is_own) {
            Some(option) => format!(
                "`{option}` stands after `--` and is an argument of the worker command; options of `mesh spawn` stand before `--`"
            ),
            None => "resume the run that wrote it with --resume, replace it with --force, or pass another file with -o"
                .to_owned(),
        }
    }
}

/// The sandbox of a worker, if it is confined.
pub(super) fn confine(
    worker: &Worker,
    agent_protocol: Option<&Arc<dyn AgentProtocol>>,
    folder: &RunFolder,
) -> Result<Option<Arc<Sandbox>>, RunError> {
    let protected = protected_by_csv(&worker.folder)?;
    confinement::sandbox(worker, agent_protocol, protected, folder.runs())
}

/// Checks that `output` may be written. An existing file is refused with `hint`, unless it is to be replaced.
pub(crate) fn check_output(
    output: &Path,
    in_use: &InUse,
    force: bool,
    hint: impl FnOnce() -> String,
) -> Result<(), RunError> {
    in_use.check(output, "-o")?;
    // A dangling link would be replaced as well.
    if !force && look::is_taken(output).map_err(RunError::io(output))? {
        return Err(RunError::Output {
            path: output.to_owned(),
            why: "already exists".to_owned(),
            hint: Some(hint()),
        });
    }
    Ok(())
}

/// `<stem>.agent-job-<first 8 of the job's id>.csv`.
pub(crate) fn default_output_name(input: &Path, job_id: &JobId) -> String {
    let stem = input.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}.agent-job-{:.8}.csv", job_id.as_str())
}
