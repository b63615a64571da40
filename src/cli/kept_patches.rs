//! `mesh integrate` of a run that kept its patches (`integrate=false`).

use super::error::{CliError, or_kept};
use super::progress::Display;
use super::stop;
use super::terminal::{NotPrinted, Terminal};
use crate::job::JobStatus;
use crate::model::{RunId, one_line};
use crate::run::{Pick, PlanRun, TakenPatches};
use serde_json::json;

/// Integrates the patches of the tasks `ids`, or all accepted ones, and prints what became of each.
pub fn integrate(
    mut plan_run: PlanRun,
    ids: &[String],
    terminal: &Terminal,
) -> Result<u8, CliError> {
    let stop = stop::watch(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let taken = plan_run.take_patches(ids, &mut display, &stop)?;
    drop(display);
    let id = plan_run.id();
    or_kept(show(id, &taken, terminal), || {
        format!("integrated patches are kept; mesh runs show {id} prints the report")
    })?;
    if taken.is_stopped {
        terminal.advise_as("to go on:", &format!("mesh integrate {id}"));
        return Ok(JobStatus::of(&stop).exit_code().unwrap_or(4));
    }
    let is_good = |pick: &Pick| pick.status.as_deref() == Some("completed");
    Ok(u8::from(!taken.picks.iter().all(is_good)))
}

fn show(id: &RunId, taken: &TakenPatches, terminal: &Terminal) -> Result<(), NotPrinted> {
    if terminal.json {
        let pick = |pick: &Pick| {
            let status = pick.status.as_deref().unwrap_or("refused");
            json!({"id": pick.unit, "status": status, "detail": pick.why})
        };
        let picks: Vec<_> = taken.picks.iter().map(pick).collect();
        return terminal.data(&json!({"mesh_run_id": id, "tasks": picks}).to_string());
    }
    for Pick { unit, status, why } in &taken.picks {
        let status = status.as_deref().unwrap_or("refused");
        let why = why.as_deref().map(|why| format!(": {}", one_line(why)));
        let why = why.unwrap_or_default();
        terminal.data(&format!("{unit}: {status}{why}"))?;
    }
    match taken.picks.is_empty() && !taken.is_stopped {
        true => terminal.data("no patch left to integrate"),
        false => Ok(()),
    }
}
