//! `mesh cancel`: asks a running run, from another process, to stop.
//!
//! The request is a file in the run's folder, which the run polls. No signal is sent, so a process that has reused the id of a
//! dead run's process is never hit.

use super::args::CancelArgs;
use super::context::Context;
use super::error::CliError;
use crate::run::{CancelRequest, RunFolder};
use crate::{ledger, run};

/// Ends a run that no process drives, and releases its tasks.
fn release(folder: &RunFolder, context: &Context) -> Result<u8, CliError> {
    let (id, terminal) = (folder.id(), &context.terminal);
    if !run::release_tasks(folder)? {
        return Err(CliError::NotRunning(id.clone()));
    }
    if terminal.json {
        let object = serde_json::json!({"mesh_run_id": id, "asked": "released"});
        return Ok(terminal.data(&object.to_string()).map(|()| 0)?);
    }
    terminal.advise(&format!(
        "run {id} is cancelled; its tasks stay in_progress in the plan, and other runs can select them; until then, resume it with: mesh resume {id}"
    ));
    Ok(0)
}

/// Requests the stop and prints its effect.
pub fn execute(args: &CancelArgs, context: &Context) -> Result<u8, CliError> {
    let folder = args.run.find(context)?;
    if !ledger::is_in_use(&folder.ledger())? {
        return release(&folder, context);
    }
    let (request, how, effect) = match args.now {
        true => (CancelRequest::Now, "now", "running rows are terminated"),
        false => (CancelRequest::Soon, "soon", "running rows finish"),
    };
    folder.request_cancel(request)?;
    let (id, terminal) = (folder.id(), &context.terminal);
    if terminal.json {
        let object = serde_json::json!({"mesh_run_id": id, "asked": how});
        return Ok(terminal.data(&object.to_string()).map(|()| 0)?);
    }
    terminal.talk(&format!(
        "asked run {id} to stop: no further rows start, {effect}"
    ));
    Ok(0)
}
