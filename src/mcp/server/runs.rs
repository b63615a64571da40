//! The runs that a server shows: those that work in its root.

use super::settings::Settings;
use crate::ledger;
use crate::mcp::toolbox::ToolError;
use crate::model::{Event, RunId, RunStarted};
use crate::run::{RunFolder, SpawnRun};

/// The start of a run; `None` if it was killed before it began.
pub fn started(folder: &RunFolder) -> Option<RunStarted> {
    match ledger::first(&folder.ledger()).ok()??.event {
        Event::RunStarted(started) => Some(started),
        _ => None,
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
    let own = folders.into_iter().rev().filter(|folder| {
        started(folder).is_some_and(|started| settings.root.includes(&started.root))
    });
    own.collect()
}

/// The run with this id, or with the job of this id.
///
/// # Errors
/// The root has no such run.
pub fn find(settings: &Settings, id: &str) -> Result<RunFolder, ToolError> {
    let is_own = |folder: &RunFolder| {
        started(folder).is_some_and(|started| settings.root.includes(&started.root))
    };
    let by_id = RunFolder::find(&settings.home, &RunId::new(id)).ok();
    if let Some(folder) = by_id.filter(is_own) {
        return Ok(folder);
    }
    let of_job = |folder: &RunFolder| {
        started(folder)
            .and_then(|started| job_id(folder, &started))
            .as_deref()
            == Some(id)
    };
    let mut runs = list(settings).into_iter();
    runs.find(of_job).ok_or_else(|| {
        ToolError::new(
            format!("there is no job or run `{id}` in `{}`", settings.root.path().display()),
            "pass the job_id or mesh_run_id of an earlier answer; the resources list the runs of this folder",
        )
    })
}
