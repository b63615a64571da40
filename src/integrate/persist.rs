//! Persisting an outcome in the plan: status and `[mesh]` comment in one rewrite of the file.

use super::error::IntegrateError;
use crate::model::{BlockReason, IntegrationFinished, RunId, Tally, ValidationFinished};
use crate::plan::{Comment, ItemId, MutateOptions, Plan, Status, Store};
use crate::platform::{clock, fault};

/// What a task came to.
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
    /// The commands that were run, with outcomes.
    pub validations: &'p [ValidationFinished],
    /// The last integration.
    pub integration: Option<&'p IntegrationFinished>,
    /// The ids of learnings that were captured.
    pub learnings: &'p [String],
}

impl Persisted<'_> {
    /// The item's status from now on.
    pub fn status(&self) -> Status {
        match self.reason {
            None => Status::Completed,
            Some(_) => Status::Blocked,
        }
    }
}

/// The text of the `[mesh]` comment (seed, "Persistence requirements").
pub fn comment(outcome: &Persisted<'_>) -> String {
    let mut parts = vec![format!("{OUTCOME}{}", outcome.status().as_str())];
    if let Some(reason) = outcome.reason {
        parts.push(format!("reason: {reason} ({})", outcome.detail));
    }
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
    parts.extend(outcome.integration.into_iter().flat_map(integrated));
    if !outcome.learnings.is_empty() {
        parts.push(format!("learnings: {}", outcome.learnings.join(", ")));
    }
    parts.push(of_run(outcome.run_id));
    parts.join("; ")
}

/// How the comment of an outcome begins.
const OUTCOME: &str = "[mesh] outcome: ";

/// How it ends.
fn of_run(run_id: &RunId) -> String {
    format!("mesh_run_id={run_id}")
}

/// Whether a comment is that of an outcome which this run wrote.
pub fn is_outcome_of(text: &str, run_id: &RunId) -> bool {
    let rest = text.strip_prefix(OUTCOME);
    let last = rest.and_then(|rest| rest.rsplit("; ").next());
    last.is_some_and(|last| last == of_run(run_id))
}

/// What became of an outcome.
#[derive(Debug)]
pub enum Outcome {
    /// It stands in the plan, which is like this now.
    Persisted(Plan),
    /// Somebody else has decided about the item meanwhile; the plan says this of it, and is as it was.
    Overtaken(String),
}

/// What else is to be said of an integration.
fn integrated(integration: &IntegrationFinished) -> Vec<String> {
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

/// Writes status and comment, both or neither, when the status of the item is still one that `is_known` to the run: what
/// somebody else wrote is never overwritten. Done twice, it is done once: the comment names the run.
pub fn persist(
    store: &Store,
    id: &ItemId,
    status: Status,
    text: &str,
    is_known: impl Fn(Status) -> bool,
    run_id: &RunId,
    options: MutateOptions,
) -> Result<Outcome, IntegrateError> {
    fault::integrator_point();
    let mut overtaken = None;
    let plan = store.mutate(options, |plan| {
        let Some(item) = plan.get(id) else {
            overtaken = Some("removed".to_owned());
            return Ok(());
        };
        let mut comments = item.comments().iter();
        if comments.any(|one| is_outcome_of(&one.text, run_id)) {
            return Ok(());
        }
        if !is_known(item.status()) {
            overtaken = Some(item.status().as_str().to_owned());
            return Ok(());
        }
        plan.set_status(id, status)?;
        plan.add_comment(id, Comment::new(clock::now(), "mesh", text)?)
    })?;
    fault::integrator_point();
    Ok(match overtaken {
        Some(found) => Outcome::Overtaken(found),
        None => Outcome::Persisted(plan),
    })
}
