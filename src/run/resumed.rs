//! Going on with a spawned CSV: whether its input is still the same, and what this call says otherwise than the first.

use super::changes;
use super::spawn::{self, Kept, SpawnRun};
use super::{InUse, RunError};
use crate::claim::Claim;
use crate::digest;
use crate::job::{self, Settings};
use crate::model::{Event, RunResumed};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What to do when the input is not as it was when the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputChanged {
    /// Refuse to go on.
    #[default]
    Refuse,
    /// Go on with the run's own copy.
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
    /// Whether the input is still what the run has a copy of; what is to be said about it when it goes on all the same. `given` is
    /// the input that the call names, to be read from the second path.
    ///
    /// # Errors
    /// [`RunError::InputChanged`], unless that is to be ignored.
    pub fn check_input(
        &self,
        given: Option<(&Path, &Path)>,
        changed: InputChanged,
    ) -> Result<Option<String>, RunError> {
        let own = self.kept.job.csv_path.as_path();
        let (path, source) = match given {
            Some(given) => given,
            None if self.kept.is_streamed => return Ok(None),
            None => (own, own),
        };
        let Some(was) = &self.kept.input_sha256 else {
            return Ok(None);
        };
        let shown = path.display();
        let is = match digest::sha256_of_file(source) {
            Ok(is) => is,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(format!(
                    "`{shown}` is gone; the run goes on with its own copy"
                )));
            }
            Err(error) => return Err(RunError::io(path)(error)),
        };
        if is == *was {
            return Ok(None);
        }
        if changed == InputChanged::Ignore {
            let is = digest::short(&is);
            return Ok(Some(format!(
                "`{shown}` has changed (sha256 {is}…); the run goes on with its own copy ({}…)",
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

    /// Goes on with other settings, which hold from now on, and claims the output.
    ///
    /// # Errors
    /// The rows would be asked something else, or the output is in use, or stands there already; nothing is changed then.
    pub fn change(
        &mut self,
        job: Settings,
        record: Option<PathBuf>,
        in_use: &InUse,
        force: bool,
    ) -> Result<(), RunError> {
        if let Some(difference) = changes::difference(&self.kept.job, &job) {
            return Err(RunError::AskedElse {
                id: self.folder.id().clone(),
                difference,
            });
        }
        let is_elsewhere = job.output_csv_path != self.kept.job.output_csv_path;
        let output = match &self.output.path {
            Some(path) if !is_elsewhere => path.clone(),
            _ => job.output_csv_path.clone(),
        };
        let claim = Claim::take(&output)?;
        claim.sign(self.folder.id());
        let mut kept = Kept {
            job,
            record,
            ..self.kept.clone()
        };
        if is_elsewhere {
            spawn::check_output(&output, in_use, force)?;
            let stands = std::fs::symlink_metadata(&output).is_ok();
            let replaces = stands.then(|| job::fingerprint(&output)).transpose();
            kept.replaces = replaces.map_err(RunError::io(&output))?;
            self.output.path = None;
        }
        let [before, now] =
            [&self.kept, &kept].map(|kept| serde_json::to_value(kept).unwrap_or_default());
        self.kept = kept;
        self.claim = Some(claim);
        if let Some(resumed) = RunResumed::between(&before, &now) {
            self.record(&[Event::from(resumed)])?;
        }
        Ok(())
    }

    /// Asks the service in spite of a limit that the run met.
    pub fn ask_now(&mut self) {
        self.state.account_until = None;
    }

    /// Where answers are recorded.
    pub fn recorded(&self) -> Option<&PathBuf> {
        self.kept.record.as_ref()
    }
}
