//! Writes an outcome to the plan: status and `[mesh]` comment in one rewrite of the file.

use super::error::IntegrateError;
use crate::model::{BlockReason, IntegrationFinished, RunId, Tally, ValidationFinished, one_line};
use crate::plan::{Comment, Item, ItemId, MutateOptions, Plan, Status, Store};
use crate::platform::{clock, fault};
use std::path::{Path, PathBuf};

/// The outcome of a task.
#[derive(Clone, Copy, Debug)]
pub struct Persisted<'p> {
    /// The run.
    pub run_id: &'p RunId,
    /// The block reason; `None` is completed.
    pub reason: Option<BlockReason>,
    /// The reason in words.
    pub detail: &'p str,
    /// The last vote.
    pub tally: Option<&'p Tally>,
    /// The validation commands with their results.
    pub validations: &'p [ValidationFinished],
    /// The last integration.
    pub integration: Option<&'p IntegrationFinished>,
    /// The ids of learnings that were captured.
    pub learnings: &'p [String],
}

impl Persisted<'_> {
    /// The new status of the item.
    pub fn status(&self) -> Status {
        match self.reason {
            None => Status::Completed,
            Some(_) => Status::Blocked,
        }
    }
}

/// The text of the `[mesh]` comment.
pub fn comment(outcome: &Persisted<'_>) -> String {
    let mut parts = vec![format!("{PREFIX}{}", outcome.status().as_str())];
    if let Some(reason) = outcome.reason {
        parts.push(format!("reason: {reason} ({})", outcome.detail));
    }
    parts.extend(evidence_parts(outcome));
    parts.extend(outcome.integration.into_iter().flat_map(integration_parts));
    if !outcome.learnings.is_empty() {
        parts.push(format!("learnings: {}", outcome.learnings.join(", ")));
    }
    parts.push(run_marker(outcome.run_id));
    parts.join("; ")
}

/// The text of the `[mesh]` comment of a task whose patch is kept in `patch_path` of the run's folder, or was not accepted.
pub fn proposal_comment(outcome: &Persisted<'_>, patch_path: Option<&Path>) -> String {
    let mut parts = vec![match outcome.reason {
        None => format!("{PROPOSAL}accepted"),
        Some(reason) => format!("{PROPOSAL}rejected; reason: {reason} ({})", outcome.detail),
    }];
    parts.extend(evidence_parts(outcome));
    if let Some(path) = patch_path {
        parts.push(format!("patch: {} in the run's folder", path.display()));
    }
    parts.push(run_marker(outcome.run_id));
    parts.join("; ")
}

/// Adds the comment of a proposal to the item, unless this run has done so. An item that was removed is left.
pub fn add_proposal_comment(
    store: &Store,
    id: &ItemId,
    text: &str,
    run_id: &RunId,
    options: MutateOptions,
) -> Result<Plan, IntegrateError> {
    fault::integrator_point();
    let is_own = |text: &str| is_of_run(text, PROPOSAL, run_id);
    let plan = store.mutate(options, |plan| {
        let item = plan.get(id);
        let is_new = |item: &Item| !item.comments().iter().any(|one| is_own(&one.text));
        match item.is_some_and(is_new) {
            true => plan.add_comment(id, Comment::new(clock::now(), "mesh", text)?),
            false => Ok(()),
        }
    })?;
    fault::integrator_point();
    Ok(plan)
}

/// The parts of a comment about the vote and the validation.
fn evidence_parts(outcome: &Persisted<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(tally) = outcome.tally {
        let absent = match tally.absent {
            0 => String::new(),
            absent => format!(", {absent} absent"),
        };
        parts.push(format!(
            "vote {}: {} agree, {} disagree{absent}",
            tally.attempt, tally.agree, tally.disagree
        ));
    }
    let commands: Vec<String> = outcome
        .validations
        .iter()
        .map(|run| format!("`{}` {}", run.command, run.outcome()))
        .collect();
    parts.push(match commands.as_slice() {
        [] => "validation: none run".to_owned(),
        commands => format!("validation: {}", commands.join(", ")),
    });
    parts
}

/// The prefix of the comment of an outcome.
const PREFIX: &str = "[mesh] outcome: ";

/// The prefix of the comment of a patch that was taken back.
const UNDO_PREFIX: &str = "[mesh] undone: pending again; taken back from the work tree: ";

/// The prefix of the comment of a proposal.
const PROPOSAL: &str = "[mesh] proposal: ";

/// The suffix of a comment.
fn run_marker(run_id: &RunId) -> String {
    format!("mesh_run_id={run_id}")
}

/// Whether this run wrote a comment, as that of an outcome.
pub fn is_outcome_of(text: &str, run_id: &RunId) -> bool {
    is_of_run(text, PREFIX, run_id)
}

fn is_of_run(text: &str, prefix: &str, run_id: &RunId) -> bool {
    let rest = text.strip_prefix(prefix);
    let last = rest.and_then(|rest| rest.rsplit("; ").next());
    last.is_some_and(|last| last == run_marker(run_id))
}

/// The result of writing an outcome.
#[derive(Debug)]
pub enum Outcome {
    /// The outcome is in the plan; with the new plan.
    Persisted(Plan),
    /// Someone else changed the status of the item meanwhile; with that status. The plan is unchanged.
    Superseded(String),
}

/// The parts of the comment about the integration.
fn integration_parts(integration: &IntegrationFinished) -> Vec<String> {
    let mut parts = Vec::new();
    if !integration.passed_before.is_empty() {
        let commands: Vec<String> = integration
            .passed_before
            .iter()
            .map(|command| format!("`{command}`"))
            .collect();
        let commands = commands.join(", ");
        parts.push(format!(
            "weak evidence: passed before the patch as well: {commands}"
        ));
    }
    if let Some(commit) = &integration.commit {
        parts.push(format!("commit {} on {}", commit.id, commit.branch));
    }
    parts
}

/// Writes status and comment atomically, if the current status `is_known` to the run: a change by someone else is never
/// overwritten. Idempotent, because the comment names the run.
pub fn persist(
    store: &Store,
    id: &ItemId,
    status: Status,
    text: &str,
    is_known: impl Fn(Status) -> bool,
    run_id: &RunId,
    options: MutateOptions,
) -> Result<Outcome, IntegrateError> {
    let is_written = |text: &str| is_outcome_of(text, run_id);
    write(store, id, status, text, is_known, is_written, options)
}

/// The text of the `[mesh]` comment of a task whose patch was taken back.
pub fn undo_comment(paths: &[PathBuf], run_id: &RunId) -> String {
    let names = paths.iter().map(|path| one_line(&path.to_string_lossy()));
    let names = names.collect::<Vec<_>>().join(", ");
    format!("{UNDO_PREFIX}{names}; {}", run_marker(run_id))
}

/// Puts the item of a patch that was taken back to `pending`, if it is still `completed`. Idempotent, like [`persist`].
pub fn reopen(
    store: &Store,
    id: &ItemId,
    text: &str,
    run_id: &RunId,
    options: MutateOptions,
) -> Result<Outcome, IntegrateError> {
    let marker = run_marker(run_id);
    let is_written = |text: &str| text.starts_with(UNDO_PREFIX) && text.ends_with(&marker);
    let is_known = |status| status == Status::Completed;
    write(
        store,
        id,
        Status::Pending,
        text,
        is_known,
        is_written,
        options,
    )
}

fn write(
    store: &Store,
    id: &ItemId,
    status: Status,
    text: &str,
    is_known: impl Fn(Status) -> bool,
    is_written: impl Fn(&str) -> bool,
    options: MutateOptions,
) -> Result<Outcome, IntegrateError> {
    fault::integrator_point();
    let mut superseded = None;
    let plan = store.mutate(options, |plan| {
        let Some(item) = plan.get(id) else {
            superseded = Some("removed".to_owned());
            return Ok(());
        };
        let mut comments = item.comments().iter();
        if comments.any(|one| is_written(&one.text)) {
            return Ok(());
        }
        if !is_known(item.status()) {
            superseded = Some(item.status().as_str().to_owned());
            return Ok(());
        }
        plan.set_status(id, status)?;
        plan.add_comment(id, Comment::new(clock::now(), "mesh", text)?)
    })?;
    fault::integrator_point();
    Ok(match superseded {
        Some(found) => Outcome::Superseded(found),
        None => Outcome::Persisted(plan),
    })
}
