//! Persisting an outcome in the plan: status and `[mesh]` comment in one rewrite of the file.

use super::IntegrateError;
use crate::clock;
use crate::fault;
use crate::model::{BlockReason, IntegrationFinished, RunId, Tally, ValidationFinished};
use crate::plan::{Comment, ItemId, MutateOptions, Plan, PlanError, Status, Store};

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
    let mut parts = vec![format!("[mesh] outcome: {}", outcome.status().as_str())];
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
    parts.push(format!("mesh_run_id={}", outcome.run_id));
    parts.join("; ")
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

/// Writes status and comment, both or neither. Done twice, it is done once: the comment names the run, and one that is
/// there already is not added again. Gives the plan as it is then.
pub fn persist(
    store: &Store,
    id: &ItemId,
    status: Status,
    text: &str,
    options: MutateOptions,
) -> Result<Plan, IntegrateError> {
    fault::integrator_point();
    let plan = store.mutate(options, |plan| {
        let item = plan
            .get(id)
            .ok_or_else(|| PlanError::UnknownId { id: id.clone() })?;
        let has_comment = item.comments().iter().any(|one| one.text == text);
        plan.set_status(id, status)?;
        if !has_comment {
            plan.add_comment(id, Comment::new(clock::now(), "mesh", text)?)?;
        }
        Ok(())
    })?;
    fault::integrator_point();
    Ok(plan)
}
