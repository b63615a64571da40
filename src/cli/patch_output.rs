//! `--output patch`: the patch of the only task of a run as one fenced diff, or one line that says why there is none.

use super::error::CliError;
use super::terminal::{NotPrinted, Terminal};
use crate::model::{BlockReason, one_line, with_code};
use crate::run::{ACCEPTED, PlanRun, Unit};
use crate::schedule::TaskLimit;
use crate::template::fence_for;

/// Checks, before anything starts, that the run has one task and prints nothing else.
pub fn check(max_tasks: TaskLimit, terminal: &Terminal) -> Result<(), CliError> {
    if terminal.json {
        return Err(CliError::PatchAsJson);
    }
    match max_tasks {
        TaskLimit::Number(1) => Ok(()),
        several => Err(CliError::SeveralPatches(several.to_string())),
    }
}

/// Prints the patch that was integrated or kept, from ```` ```diff ```` to ```` ``` ````; else the reason.
pub fn print(plan_run: &PlanRun, terminal: &Terminal) -> Result<(), CliError> {
    let unit = plan_run.state().units.first();
    let Some(unit) = unit.filter(|unit| has_patch(unit)) else {
        print_reason(&reason(plan_run, unit), terminal)?;
        return Ok(());
    };
    let path = plan_run.folder().unit(&unit.id).join("patch.diff");
    let bytes = std::fs::read(&path).map_err(|source| CliError::Read { path, source })?;
    let patch = String::from_utf8_lossy(&bytes);
    let fence = fence_for(&patch);
    let end = if patch.ends_with('\n') { "" } else { "\n" };
    terminal.verbatim(&format!("{fence}diff\n{patch}{end}{fence}"))?;
    Ok(())
}

/// Prints why there is no patch.
pub fn print_reason(why: &str, terminal: &Terminal) -> Result<(), NotPrinted> {
    terminal.data(&format!("NO_DIFF: {}", one_line(why)))
}

fn has_patch(unit: &Unit) -> bool {
    let ended = unit.ended.as_ref();
    ended.is_some_and(|ended| {
        let is_good = ended.status == "completed" || ended.status == ACCEPTED;
        is_good && !ended.is_conflict
    })
}

fn reason(plan_run: &PlanRun, unit: Option<&Unit>) -> String {
    if let Some(ended) = unit.and_then(|unit| unit.ended.as_ref()) {
        let detail = ended.detail.as_deref().unwrap_or(&ended.status);
        let reason = ended.reason.map(BlockReason::as_str);
        return reason.map_or(detail.to_owned(), |reason| with_code(reason, detail));
    }
    let finished = plan_run.state().finished.as_ref();
    match finished.map(|end| (end.status.as_str(), end.detail.as_deref())) {
        Some((status, Some(detail))) => format!("the run is {status}: {detail}"),
        Some((status, None)) => format!("the run is {status}"),
        None => "the run has not ended".to_owned(),
    }
}
