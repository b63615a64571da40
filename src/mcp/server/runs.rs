//! The runs that a server shows: those that work in its root.

use super::settings::Settings;
use crate::ledger::{self, LedgerError};
use crate::mcp::toolbox::ToolError;
use crate::model::{Event, RunId, RunStarted};
use crate::platform::{look, machine_fault};
use crate::run::{RunError, RunFolder, SpawnRun};

/// The start of a run; `None` if it was killed before it began, or its ledger is damaged.
///
/// # Errors
/// A fault of the machine.
pub fn started(folder: &RunFolder) -> Result<Option<RunStarted>, LedgerError> {
    let first = look::reachable(ledger::first(&folder.ledger()))?.flatten();
    Ok(match first.map(|first| first.event) {
        Some(Event::RunStarted(started)) => Some(started),
        _ => None,
    })
}

/// Whether the run works in the root.
fn is_own(settings: &Settings, folder: &RunFolder) -> Result<bool, RunError> {
    match started(folder)? {
        Some(started) => settings
            .root
            .includes(&started.root)
            .map_err(RunError::io(&started.root)),
        None => Ok(false),
    }
}

/// The id of the job of a spawned CSV.
pub fn job_id(folder: &RunFolder, started: &RunStarted) -> Option<String> {
    let job = SpawnRun::recorded_job(folder, started).ok()?;
    Some(job.job_id.to_string())
}

/// The runs of the root, newest first.
pub fn list(settings: &Settings) -> Vec<RunFolder> {
    let folders = RunFolder::list(&settings.home).unwrap_or_default();
    let own = folders.into_iter().rev();
    own.filter(|folder| is_own(settings, folder).unwrap_or(false))
        .collect()
}

/// The run with this id, or with the job of this id.
///
/// # Errors
/// The root has no such run, or it can't be told.
pub fn find(settings: &Settings, id: &str) -> Result<RunFolder, ToolError> {
    look_for(settings, id)?.ok_or_else(|| {
        ToolError::new(
            format!("there is no job or run `{id}` in `{}`", settings.root.path().display()),
            "pass the job_id or mesh_run_id of an earlier answer; the resources list the runs of this folder",
        )
    })
}

/// The error of a run that can't be looked at.
pub fn unknown(id: &str, error: &RunError) -> ToolError {
    let why = machine_fault::line_of(error);
    ToolError::new(
        format!("the run `{id}` can't be read: {why}"),
        "mend this and call the tool again",
    )
}

/// The run with this id, or with the job of this id; `None` if the root has none.
///
/// # Errors
/// A fault of the machine: there may be one.
pub fn look_for(settings: &Settings, id: &str) -> Result<Option<RunFolder>, ToolError> {
    let unknown = |error: &RunError| unknown(id, error);
    let by_id = look::reachable(RunFolder::find(&settings.home, &RunId::new(id)));
    if let Some(folder) = by_id.map_err(|error| unknown(&error))?
        && is_own(settings, &folder).map_err(|error| unknown(&error))?
    {
        return Ok(Some(folder));
    }
    let is_of_job = |folder: &RunFolder| -> Result<bool, RunError> {
        let started = started(folder)?;
        let job = started.and_then(|started| job_id(folder, &started));
        Ok(job.as_deref() == Some(id) && is_own(settings, folder)?)
    };
    let folders = RunFolder::list(&settings.home).map_err(|error| unknown(&error))?;
    for folder in folders.into_iter().rev() {
        if is_of_job(&folder).map_err(|error| unknown(&error))? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}
