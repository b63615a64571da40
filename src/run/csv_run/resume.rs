//! Resumes a spawned CSV: checks its input and applies the settings that this call changes.

use super::input::InputFile;
use super::spawn::{RecordedSettings, SpawnRun};
use super::{changes, request, spawn};
use crate::job::Settings;
use crate::model::{Event, RunResumed};
use crate::platform::{Claim, Readers, digest, durable, look, machine_fault};
use crate::run::error::RunError;
use crate::run::preflight::{InUse, normalize_path};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What to do if the input has changed since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputChanged {
    /// Refuse to resume.
    #[default]
    Refuse,
    /// Resume with the run's own copy.
    Ignore,
}

impl FromStr for InputChanged {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            _ => Err("must be refuse or ignore"),
        }
    }
}

impl SpawnRun {
    /// Checks that the input equals the run's copy; returns a warning if it does not and the run is resumed anyway. `given` is the
    /// input of this call. Of a workbook, the rows of the sheet are compared.
    ///
    /// # Errors
    /// [`RunError::InputChanged`], unless that is ignored.
    pub fn check_input(
        &self,
        given: Option<&Path>,
        changed: InputChanged,
    ) -> Result<Option<String>, RunError> {
        let path = match given {
            Some(given) => given,
            None if self.settings.is_streamed => return Ok(None),
            None => self.settings.job.csv_path.as_path(),
        };
        let Some(was) = &self.settings.input_sha256 else {
            return Ok(None);
        };
        let shown = path.display();
        let is = match self.hash_of_input(path) {
            Ok(is) if is == *was => return Ok(None),
            Ok(is) => format!("is {}…", digest::short(&is)),
            // A fault of the machine is no change.
            Err(error) if changed != InputChanged::Ignore && machine_fault::is_fault(&error) => {
                return Err(error);
            }
            Err(_) if matches!(path.try_exists(), Ok(false)) => {
                return Ok(Some(format!(
                    "`{shown}` no longer exists; resuming with the copy that the run keeps"
                )));
            }
            Err(error) => format!("can't be read: {}", cause(&error)),
        };
        if changed == InputChanged::Ignore {
            return Ok(Some(format!(
                "`{shown}` has changed: its sha256 was {}… and {is}; resuming with the copy that the run keeps",
                digest::short(was)
            )));
        }
        Err(RunError::InputChanged {
            id: self.folder.id().clone(),
            path: path.to_owned(),
            was: was.clone(),
            is,
        })
    }

    /// The hash of the rows at `path`, as the run would copy them.
    fn hash_of_input(&self, path: &Path) -> Result<String, RunError> {
        let input = InputFile::open(path, self.settings.job.sheet.as_deref())?;
        digest::sha256_of_file(input.source()).map_err(RunError::io(path))
    }

    /// Checks the run's copy of its input. Restores a damaged copy from the input if that has not changed, and returns a warning.
    ///
    /// # Errors
    /// [`RunError::NotResumable`]: other rows would run under the ids of those that are done.
    pub fn check_copy(&self) -> Result<Option<String>, RunError> {
        let (copy, input) = (&self.settings.job.input_path, &self.settings.job.csv_path);
        let Some(was) = &self.settings.input_sha256 else {
            return Ok(None);
        };
        let is = |path: &Path| -> Result<bool, RunError> {
            let sha256 = look::reachable(digest::sha256_of_file(path));
            Ok(sha256.map_err(RunError::io(path))?.as_ref() == Some(was))
        };
        if is(copy)? {
            return Ok(None);
        }
        let shown = copy.display();
        let sheet = self.settings.job.sheet.as_deref();
        let input = match self.settings.is_streamed {
            true => None,
            false => machine_fault::apart(InputFile::open(input, sheet))?.ok(),
        };
        if let Some(input) = input
            && is(input.source())?
        {
            let mut from = std::fs::File::open(input.source()).map_err(RunError::io(copy))?;
            durable::replace(copy, Readers::Owner, |out| {
                io::copy(&mut from, out).map(drop)
            })
            .map_err(RunError::io(copy))?;
            return Ok(Some(format!(
                "the run's own copy of its input was damaged and has been restored: `{shown}`"
            )));
        }
        Err(RunError::NotResumable {
            id: self.folder.id().clone(),
            why: format!("its own copy of its input is damaged or missing: `{shown}`"),
        })
    }

    /// The files that the first call read.
    pub fn in_use(&self) -> &InUse {
        &self.settings.in_use
    }

    /// Checks that the program of the worker exists, if there are rows to run.
    ///
    /// # Errors
    /// [`JobError::NoProgram`](job::JobError::NoProgram).
    pub fn check_worker(&self, job: &Settings, total: u64, reopens: bool) -> Result<(), RunError> {
        let counts = self.state.counts();
        let done = counts.completed + if reopens { 0 } else { counts.failed };
        match done < total {
            true => Ok(job.worker.check()?),
            false => Ok(()),
        }
    }

    /// Changes the settings for this and later calls, and claims the output.
    ///
    /// # Errors
    /// The prompts would change, or the output is in use or already exists. Nothing is changed then.
    pub fn change_settings(
        &mut self,
        mut job: Settings,
        record: Option<PathBuf>,
        in_use: &InUse,
        force: bool,
    ) -> Result<(), RunError> {
        if let Some(difference) = changes::find_difference(&self.settings.job, &job) {
            return Err(RunError::PromptChanged {
                id: self.folder.id().clone(),
                difference,
            });
        }
        let place = |job: &Settings| {
            let output = &job.output_csv_path;
            normalize_path(output).map_err(RunError::io(output))
        };
        let is_elsewhere = place(&job)? != place(&self.settings.job)?;
        if !is_elsewhere {
            job.output_csv_path
                .clone_from(&self.settings.job.output_csv_path);
        }
        let output = match &self.output.path {
            Some(path) if !is_elsewhere => path.clone(),
            _ => job.output_csv_path.clone(),
        };
        job.sandbox = request::confine(&job.worker, job.agent_protocol.as_ref(), &self.folder)?;
        in_use.check(&output, "-o")?;
        let claim = Claim::take(&output)?;
        claim.sign(self.folder.id());
        let mut kept = RecordedSettings {
            job,
            record,
            ..self.settings.clone()
        };
        if is_elsewhere {
            request::check_output(&output, in_use, force, || {
                "replace it with --force, or pass another file with -o".to_owned()
            })?;
            kept.replaces = spawn::hash_existing(&output)?;
            self.output.path = None;
        }
        let [before, now] =
            [&self.settings, &kept].map(|kept| serde_json::to_value(kept).unwrap_or_default());
        self.settings = kept;
        self.claim = Some(claim);
        if let Some(resumed) = RunResumed::between(&before, &now) {
            self.record(&[Event::from(resumed)])?;
        }
        Ok(())
    }

    /// Calls the service in spite of a limit that the run reached.
    pub fn ask_now(&mut self) {
        self.state.account_until = None;
    }

    /// The folder where answers are recorded.
    pub fn record_folder(&self) -> Option<&PathBuf> {
        self.settings.record.as_ref()
    }
}

/// The innermost cause of an error: the outer messages name the file again.
fn cause(error: &RunError) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
