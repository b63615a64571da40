//! Judges the answers of a wave: a failed row is no answer, and a patch must stay in scope and apply.

use super::compile::Task;
use crate::integrate::{Evidence, PatchPolicy, examine};
use crate::job;
use crate::model::{Fault, Lane, RowId, RowKey, VerdictKind, VerdictRecord};
use crate::plan::Item;
use crate::platform::Repo;
use crate::protocol::{Answer, HYDRATION};
use crate::redact::marker;
use crate::run::error::RunError;
use crate::run::settings::Settings;
use crate::run::store::{State, Wave};
use crate::verdict::{Object, lane};
use serde_json::Value;
use std::path::Path;

/// The context of a verdict.
pub(crate) struct VerdictInput<'d> {
    /// The run's settings.
    pub settings: &'d Settings,
    /// The plan item of the row.
    pub item: &'d Item,
    /// Its task.
    pub task: &'d Task,
    /// The repository; it is only read.
    pub repo: &'d Repo,
    /// The plan file; no patch may touch it.
    pub plan_file: &'d Path,
    /// The folder of all runs; no patch may touch it.
    pub artifacts: &'d Path,
    /// The unit's folder, where the patch is written for git.
    pub folder: &'d Path,
}

/// Judges row `id` of `wave`.
pub(crate) fn judge(
    state: &State,
    wave: &Wave,
    id: &RowId,
    input: &VerdictInput<'_>,
) -> Result<VerdictRecord, RunError> {
    let index = wave.compiled.rows.iter().position(|row| row == id);
    let item = index.and_then(|index| wave.job.item(index as u64));
    let answer = index.and_then(|index| wave.answers.get(&(index as u64)));
    let result = answer.and_then(|answer| answer.result.as_ref());
    let error = answer.and_then(|answer| answer.last_error.as_deref());
    let mut record = VerdictRecord {
        wave: wave.compiled.wave,
        item_id: id.clone(),
        verdict: VerdictKind::Accepted,
        code: None,
        detail: None,
        fault: None,
        checks: None,
    };
    let mut refuse = |verdict, code: &str, detail: String| {
        record.verdict = verdict;
        record.code = Some(code.to_owned());
        record.detail = Some(detail);
    };
    let number = wave.compiled.wave;
    let violation = state.violations.iter().find(|found| found.wave == number);
    if let Some(violation) = violation {
        // The worker at fault is not known, so no answer of the wave is accepted.
        refuse(retry_or_reject(state, id), "violation", violation.message());
        return Ok(record);
    }
    match (item.map(|item| item.status), result, error) {
        (Some(job::Status::Completed), Some(Value::Object(result)), _) => {
            let again = retry_or_reject(state, id);
            let redacted = answer.map_or(&[][..], |answer| &answer.redacted);
            let checked = match find_redacted_secret(result, redacted) {
                Some(detail) => Err(("patch_invalid", detail)),
                None => check(wave, result, input)?,
            };
            match checked {
                Ok(checks) => record.checks = checks,
                Err((code, detail)) => refuse(again, code, detail),
            }
        }
        (Some(_), _, Some(error)) => {
            let (code, detail) = error.split_once(": ").unwrap_or((error, ""));
            if let Some(fault) = answer
                .and_then(|answer| answer.fault)
                .or(fault_for_code(code))
            {
                refuse(
                    verdict_after_fault(state, id),
                    code,
                    format!("{detail} ({fault})").trim().to_owned(),
                );
                record.fault = Some(fault);
                return Ok(record);
            }
            // The executor has retried what may be retried; a program that can't start won't start later.
            let attempts = item.map_or(0, |item| item.attempts);
            let is_final = attempts > 1 || code == "spawn_failed";
            let verdict = if is_final {
                VerdictKind::Rejected
            } else {
                retry_or_reject(state, id)
            };
            refuse(verdict, code, detail.to_owned());
        }
        _ => refuse(
            VerdictKind::Rejected,
            "no_response",
            "the row has no result".to_owned(),
        ),
    }
    Ok(record)
}

/// Refuses a patch with a redacted secret: it would write the placeholder into a file.
fn find_redacted_secret(result: &Object, redacted: &[String]) -> Option<String> {
    let patch = result.get("patch").and_then(Value::as_str)?;
    let name = redacted.iter().find(|name| patch.contains(&marker(name)))?;
    Some(format!(
        "the patch holds a secret, or what looks like one: {} stands for it in all that is kept. Leave it out of the \
         patch, also out of the context lines of its hunks; read a secret from the environment instead",
        marker(name)
    ))
}

type Checked = Result<Option<String>, (&'static str, String)>;

fn check(wave: &Wave, result: &Object, input: &VerdictInput<'_>) -> Result<Checked, RunError> {
    let kind = wave.compiled.lane;
    if let Err(detail) = lane::check(kind, result) {
        return Ok(Err(("lane", detail)));
    }
    if wave.compiled.round.as_str() == HYDRATION {
        let answer = Value::Object(result.clone());
        return Ok(
            match input.settings.options.hydration(input.item, &answer) {
                Ok(_) => Ok(None),
                Err(detail) => Err(("metadata_invalid", detail)),
            },
        );
    }
    let Some(patch) = result
        .get("patch")
        .and_then(Value::as_str)
        .filter(|_| kind == Lane::Patch)
    else {
        return Ok(Ok(None));
    };
    let policy = PatchPolicy {
        metadata: &input.task.metadata,
        scope: &input.task.scope,
        plan_file: input.plan_file,
        artifacts: input.artifacts,
        limits: input.settings.options.patch,
    };
    Ok(match examine(input.repo, &policy, patch, input.folder)? {
        Evidence::Applies { text, .. } => Ok(Some(text)),
        Evidence::Refused { code, detail } => Err((code, detail)),
    })
}

/// How many faults of a role in one round are followed by another try.
const FAULTS_MAX: usize = 2;

/// The fault that a failure code stands for, in rows of an external runner.
fn fault_for_code(code: &str) -> Option<Fault> {
    match code {
        "rate_limited" => Some(Fault::RateLimit),
        "spawn_failed" => Some(Fault::Program),
        _ => None,
    }
}

/// A fault is not the role's, so the role is asked again a few times in a round and keeps its retry.
fn verdict_after_fault(state: &State, id: &RowId) -> VerdictKind {
    match count_faults(state, id) {
        Some(..FAULTS_MAX) => VerdictKind::Retry,
        _ => VerdictKind::Rejected,
    }
}

/// How many faults the role of a row has had in the current round.
pub(crate) fn count_faults(state: &State, id: &RowId) -> Option<usize> {
    let key = RowKey::parse(id)?;
    let runs = state.unit(&key.unit)?.state.current_emissions();
    let is_fault = |answer: Option<&Answer>| matches!(answer, Some(Answer::Fault { .. }));
    let met = runs
        .iter()
        .filter(|run| is_fault(run.answers.get(&key.role)));
    Some(met.count())
}

/// A role may correct a refused answer once in each round, unless its unit fell back in that round.
fn retry_or_reject(state: &State, id: &RowId) -> VerdictKind {
    let had_one = || {
        let key = RowKey::parse(id)?;
        let unit = &state.unit(&key.unit)?.state;
        let is_retry = |answer: Option<&Answer>| matches!(answer, Some(Answer::Retry { .. }));
        let had_retry = unit
            .current_emissions()
            .iter()
            .any(|run| is_retry(run.answers.get(&key.role)));
        Some(had_retry || unit.fell_back_in.as_ref() == Some(&key.round))
    };
    match had_one() {
        Some(false) => VerdictKind::Retry,
        _ => VerdictKind::Rejected,
    }
}
