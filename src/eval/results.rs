//! The file of results: a line with the settings, then a line for each outcome, appended when it is known.
//!
//! A kill leaves at most one incomplete line at the end; it is cut off, and its run is repeated.

use super::error::EvalError;
use super::outcome::{Arm, Outcome};
use crate::platform::{Claim, durable, look};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What must be equal for outcomes to be compared. Tasks, protocols and adapters may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The format of the file: 1.
    pub v: u32,
    /// Rows of a run at once.
    pub max_concurrency: u64,
    /// Time limit of a hidden test, in seconds.
    pub hidden_timeout_seconds: u64,
    /// Further settings of `mesh run`, as `key=value`.
    pub set: Vec<String>,
    /// The worker's command; empty if adapters are used.
    pub command: Vec<String>,
}

/// The file and what is in it.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    outcomes: Vec<Outcome>,
    _claim: Claim,
}

impl Results {
    /// Opens the results in a folder, or creates both.
    ///
    /// # Errors
    /// Another evaluation writes them, they were made with other settings, or a line is damaged.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self, EvalError> {
        let path = folder.join("results.jsonl");
        let failed = || EvalError::io(&path);
        let claim = Claim::take(&path)?;
        let found = look::found(fs::read_to_string(&path));
        let text = found.map_err(failed())?.unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let mut lines = text[..whole].lines().enumerate();
        let damaged = |at: usize, error: serde_json::Error| EvalError::Damaged {
            path: path.clone(),
            line: at + 1,
            why: error.to_string(),
        };
        let Some((_, first)) = lines.next() else {
            let line = line_of(settings);
            durable::write(&path, line.as_bytes()).map_err(failed())?;
            return Ok(Self {
                path,
                outcomes: Vec::new(),
                _claim: claim,
            });
        };
        let theirs: Settings = serde_json::from_str(first).map_err(|error| damaged(0, error))?;
        if theirs != *settings {
            let differences = differences(&theirs, settings);
            return Err(EvalError::OtherSettings { path, differences });
        }
        let outcomes =
            lines.map(|(at, line)| serde_json::from_str(line).map_err(|error| damaged(at, error)));
        let outcomes = outcomes.collect::<Result<Vec<Outcome>, _>>()?;
        if whole < text.len() {
            durable::write(&path, &text.as_bytes()[..whole]).map_err(failed())?;
        }
        Ok(Self {
            path,
            outcomes,
            _claim: claim,
        })
    }

    /// The outcome of a task under an arm.
    ///
    /// # Errors
    /// It is that of other files.
    pub fn find(&self, task: &str, arm: &Arm, digest: &str) -> Result<Option<&Outcome>, EvalError> {
        let mut outcomes = self.outcomes.iter();
        let found = outcomes.find(|one| one.task == task && one.arm == *arm);
        match found {
            Some(outcome) if outcome.digest != digest => Err(EvalError::Changed {
                task: task.to_owned(),
                protocol: arm.protocol.clone(),
                path: self.path.clone(),
            }),
            found => Ok(found),
        }
    }

    /// Appends an outcome. It survives a crash after this returns.
    pub fn add(&mut self, outcome: Outcome) -> Result<(), EvalError> {
        let failed = || EvalError::io(&self.path);
        let mut file = OpenOptions::new();
        let mut file = file.append(true).open(&self.path).map_err(failed())?;
        file.write_all(line_of(&outcome).as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(failed())?;
        self.outcomes.push(outcome);
        Ok(())
    }
}

fn line_of(value: &impl Serialize) -> String {
    // Structs of strings and numbers: they have no key that JSON can't have.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// `max_concurrency 16, now 4`
fn differences(theirs: &Settings, ours: &Settings) -> String {
    let [theirs, ours] = [theirs, ours].map(|one| serde_json::to_value(one).unwrap_or_default());
    let Value::Object(theirs) = theirs else {
        return String::new();
    };
    let differ = theirs.iter().filter(|(key, value)| ours[*key] != **value);
    let texts = differ.map(|(key, value)| format!("{key} {value}, now {}", ours[key]));
    texts.collect::<Vec<_>>().join("; ")
}
