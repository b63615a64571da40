//! Judges the answers of a wave: a failed row is no answer, and a patch must stay in scope and apply.

use super::begin::find_item;
use super::compile::{PatchPart, Task};
use super::reproduction::is_test;
use crate::integrate::{Evidence, examine};
use crate::job;
use crate::ledger::Lines;
use crate::model::{Fault, Lane, RowId, RowKey, UnitId, VerdictKind, VerdictRecord};
use crate::plan::Plan;
use crate::platform::Repo;
use crate::protocol::{HYDRATION, UnitState};
use crate::redact::marker;
use crate::run::error::RunError;
use crate::run::settings::PlanOptions;
use crate::run::store::{AnswerPlace, Reported, RunFolder, State, Wave};
use crate::verdict::{Object, lane};
use serde_json::Value;
use std::path::Path;

/// The context of a verdict.
pub(crate) struct VerdictInput<'d> {
    /// The options of the run.
    pub options: &'d PlanOptions,
    /// The plan.
    pub plan: &'d Plan,
    /// The repository; it is only read.
    pub repo: &'d Repo,
    /// Reads the task of a unit, which only a patch needs: a wave may have very many rows.
    pub task: &'d dyn Fn(&UnitId) -> Result<Task, RunError>,
    /// The plan file, as a path in `repo`.
    pub plan_file: &'d Path,
    /// The run's folder, where patches are written for git.
    pub folder: &'d RunFolder,
    /// The run's ledger.
    pub lines: &'d Lines,
}

/// Judges row `id` of `wave`, which reported `report` last.
pub(crate) fn judge(
    state: &State,
    wave: &Wave,
    id: &RowId,
    report: Option<&Reported>,
    input: &VerdictInput<'_>,
) -> Result<VerdictRecord, RunError> {
    let accepted = VerdictRecord {
        wave: wave.compiled.wave,
        item_id: id.clone(),
        verdict: VerdictKind::Accepted,
        code: None,
        detail: None,
        fault: None,
        checks: None,
        evidence: None,
    };
    let refused = |verdict, code: &str, detail: String| VerdictRecord {
        verdict,
        code: Some(code.to_owned()),
        detail: Some(detail),
        ..accepted.clone()
    };
    let number = wave.compiled.wave;
    let violation = state.violations.iter().find(|found| found.wave == number);
    if let Some(violation) = violation {
        // The worker at fault is not known, so no answer of the wave is accepted.
        let again = retry_or_reject(state, id);
        return Ok(refused(again, "violation", violation.message()));
    }
    let no_result = || {
        let detail = "the row has no result".to_owned();
        refused(VerdictKind::Rejected, "no_response", detail)
    };
    let item = wave.index(id).and_then(|index| wave.job.item(index));
    let Some(item) = item else {
        return Ok(no_result());
    };
    if let (job::Status::Completed, Some(report)) = (item.status, report)
        && let Value::Object(result) = &report.result
    {
        let checked = match find_redacted_secret(result, &report.redacted) {
            Some(detail) => Err(("patch_invalid", detail)),
            None => check(wave, id, result, input)?,
        };
        return Ok(match checked {
            Ok(checks) => VerdictRecord { checks, ..accepted },
            Err((code, detail)) => refused(retry_or_reject(state, id), code, detail),
        });
    }
    let Some((error, fault)) = job::read_failure(item, input.lines)? else {
        return Ok(no_result());
    };
    let (code, detail) = error.split_once(": ").unwrap_or((&error, ""));
    if let Some(fault) = fault.or(fault_for_code(code)) {
        let detail = format!("{detail} ({fault})").trim().to_owned();
        return Ok(VerdictRecord {
            fault: Some(fault),
            ..refused(verdict_after_fault(state, id), code, detail)
        });
    }
    let verdict = match find_unit(state, id) {
        // A program that can't start won't start later.
        Some((unit, key)) if code != "spawn_failed" => {
            unit.verdict_on_failed_row(&key.round, &key.role, item.failures)
        }
        _ => VerdictKind::Rejected,
    };
    Ok(refused(verdict, code, detail.to_owned()))
}

/// Refuses a patch with a redacted secret: it would write the placeholder into a file.
fn find_redacted_secret(result: &Object, redacted: &[String]) -> Option<String> {
    let patch = result.get("patch").and_then(Value::as_str)?;
    let name = redacted.iter().find(|name| patch.contains(&marker(name)))?;
    Some(format!(
        "the patch contains a secret, or what looks like one, which is recorded as {}. Leave it out of the patch, including \
         the context lines of its hunks; read secrets from the environment instead",
        marker(name)
    ))
}

type Checked = Result<Option<String>, (&'static str, String)>;

fn check(
    wave: &Wave,
    id: &RowId,
    result: &Object,
    input: &VerdictInput<'_>,
) -> Result<Checked, RunError> {
    let kind = wave.compiled.lane;
    if let Err(detail) = lane::check(kind, result) {
        return Ok(Err(("lane", detail)));
    }
    let Some(RowKey { unit, .. }) = RowKey::parse(id) else {
        return Ok(Ok(None));
    };
    if wave.compiled.round.as_str() == HYDRATION {
        let answer = Value::Object(result.clone());
        let item = find_item(input.plan, &unit)?;
        return Ok(match input.options.hydration(item, &answer) {
            Ok(_) => Ok(None),
            Err(detail) => Err(("metadata_invalid", detail)),
        });
    }
    let Some(patch) = result
        .get("patch")
        .and_then(Value::as_str)
        .filter(|_| kind == Lane::Patch)
    else {
        return Ok(Ok(None));
    };
    let task = (input.task)(&unit)?;
    let part = match is_test(&task, &wave.compiled.round) {
        true => PatchPart::Test,
        false => PatchPart::Change,
    };
    let (runs, limits) = (input.folder.runs(), input.options.patch);
    let policy = task.patch_policy(part, input.plan_file, runs, limits);
    let folder = input.folder.unit(&unit);
    Ok(match examine(input.repo, &policy, patch, &folder)? {
        Evidence::Applies { text, patch } => {
            let paths = patch.paths();
            let of_test = paths.iter().find(|path| task.is_path_of_test(path));
            match (part, of_test) {
                (PatchPart::Test, _) if !patch.only_adds() => {
                    Err(("out_of_scope", REMOVES_FROM_TESTS.to_owned()))
                }
                (PatchPart::Change, Some(path)) => Err(("out_of_scope", changes_test(path))),
                _ => Ok(Some(text)),
            }
        }
        Evidence::Refused { code, detail } => Err((code, detail)),
    })
}

/// A test that weakens another one would open the way for what that one guards.
const REMOVES_FROM_TESTS: &str =
    "a test may add files and lines, and must not remove, rename or change what is there";

fn changes_test(path: &str) -> String {
    format!(
        "`{path}` is within `test_scope`, where the test is that the patch must make pass; leave it as it is"
    )
}

/// Refuses a patch for what was seen of it in a copy of the tree.
pub(crate) fn refuse_tried(
    state: &State,
    verdict: VerdictRecord,
    code: &str,
    detail: String,
) -> VerdictRecord {
    VerdictRecord {
        verdict: retry_or_reject(state, &verdict.item_id),
        code: Some(code.to_owned()),
        detail: Some(detail),
        evidence: None,
        ..verdict
    }
}

/// Why a test shows nothing.
pub(crate) const EMPTY_TEST: &str = "no validation command fails with the test that passes without it, or fails there in another \
    way, so it shows nothing; a command that can't be run or takes too long does not count";

/// The fault of a failure code, for rows of an external runner.
fn fault_for_code(code: &str) -> Option<Fault> {
    match code {
        "rate_limited" => Some(Fault::RateLimit),
        "spawn_failed" => Some(Fault::Program),
        _ => None,
    }
}

/// A row without a unit of the run is not asked again.
fn verdict_after_fault(state: &State, id: &RowId) -> VerdictKind {
    find_unit(state, id).map_or(VerdictKind::Rejected, |(unit, key)| {
        unit.verdict_on_fault(&key.role)
    })
}

/// How many faults the role of a row has had in the current round.
pub(crate) fn count_faults(state: &State, id: &RowId) -> Option<usize> {
    find_unit(state, id).map(|(unit, key)| unit.count_faults(&key.role))
}

fn retry_or_reject(state: &State, id: &RowId) -> VerdictKind {
    find_unit(state, id).map_or(VerdictKind::Rejected, |(unit, key)| {
        unit.verdict_on_refused(&key.round, &key.role)
    })
}

fn find_unit<'s>(state: &'s State, id: &RowId) -> Option<(&'s UnitState<AnswerPlace>, RowKey)> {
    let key = RowKey::parse(id)?;
    Some((&state.unit(&key.unit)?.state, key))
}
