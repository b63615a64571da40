//! Tasks whose patch is kept instead of integrated (`integrate=false`): `task_admitted -> … -> task_decided`.
//!
//! They take the same way as all others up to the validation in a scratch tree. Neither the user's tree nor the status of the task
//! in the plan changes, so other runs may take the task meanwhile. `mesh integrate` integrates the patches that a person chooses
//! ([`take`](super::take)).
//!
//! ```text
//! units/<task>/patch.diff     the accepted patch, as it applies
//! units/<task>/decision.json  {id, objective, status, reason, detail, patch_path, decision_log, residual_risk,
//!                              votes: [tally], validation: [{command, outcome, passed, before?, log_path}], left_out}
//! results.csv                 one row a task
//! ```

use super::begin::PlanRun;
use super::compile::Task;
use super::context::Context;
use crate::integrate::{self, Persisted};
use crate::job::{FormulaCells, Journal};
use crate::model::{
    BlockReason, Event, RowKey, TaskAdmitted, TaskDecided, UnitId, ValidationFinished, one_line,
    with_code,
};
use crate::plan::{Item, ItemId, Plan, metadata};
use crate::platform::{digest, durable, look};
use crate::protocol;
use crate::protocol::{Action, Integration};
use crate::run::error::RunError;
use crate::run::store::{ACCEPTED, AnswerPlace, Unit};
use crate::run::watcher::Watcher;
use crate::table::Writer;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The table of the tasks in the run's folder.
pub const RESULTS: &str = "results.csv";

const COLUMNS: [&str; 8] = [
    "id",
    "objective",
    "status",
    "agree",
    "disagree",
    "patch_path",
    "validation",
    "residual_risk",
];

impl Task {
    /// What a unit needs next. If the integration of a patch that a person took fails, no worker starts again.
    pub(super) fn next_of(&self, unit: &Unit) -> Action {
        match &unit.state.integration {
            Integration::Failed(reason, detail) if unit.is_taken() => {
                Action::Block(*reason, detail.clone())
            }
            _ => self.next(&unit.state),
        }
    }
}

impl PlanRun {
    /// Admits tasks without a change of the plan.
    pub(super) fn admit_held(
        &mut self,
        plan: &Plan,
        ids: impl IntoIterator<Item = ItemId>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let items = ids.into_iter().filter_map(|id| plan.get(&id));
        let admitted: Vec<TaskAdmitted> = items
            .map(|item| TaskAdmitted {
                unit: UnitId::new(item.id().as_str()),
                objective: item.step().to_owned(),
                status: item.status().as_str().to_owned(),
                item_sha256: text_digest(item),
            })
            .collect();
        super::admission::say_each(&admitted, watcher, |one| {
            format!("{}: begun; the plan is left as it is", one.unit)
        });
        let events: Vec<Event> = admitted.into_iter().map(Event::from).collect();
        self.recorder.record(&events)?;
        Ok(())
    }

    /// The item of a unit, with the metadata that a worker proposed for it and the plan does not have.
    pub(super) fn with_proposed_metadata<'i>(
        &self,
        item: &'i Item,
        unit: Option<&Unit>,
    ) -> Result<Cow<'i, Item>, RunError> {
        Ok(match self.proposed_notes(item, unit)? {
            None => Cow::Borrowed(item),
            Some(notes) => {
                let changed = Plan::from_items(vec![item.clone()]).and_then(|mut plan| {
                    plan.set_notes(item.id(), &notes)?;
                    Ok(plan)
                });
                let changed = changed.ok().and_then(|plan| plan.get(item.id()).cloned());
                changed.map_or(Cow::Borrowed(item), Cow::Owned)
            }
        })
    }

    /// The notes that hold the metadata which a worker proposed for a unit, if the plan lacks them.
    pub(super) fn proposed_notes(
        &self,
        item: &Item,
        unit: Option<&Unit>,
    ) -> Result<Option<String>, RunError> {
        let Some(place) = unit.and_then(|unit| self.proposed_metadata(item, unit)) else {
            return Ok(None);
        };
        let answer = self.answer(Some(place))?;
        let stored = self.settings.options.hydration(item, &answer);
        Ok(stored.ok().map(|stored| stored.notes))
    }

    /// The answer with the metadata that the plan lacks for a unit whose patch is kept.
    fn proposed_metadata<'u>(&self, item: &Item, unit: &'u Unit) -> Option<&'u AnswerPlace> {
        unit.proposal.as_ref()?;
        let is_missing = metadata::read(item).err()?.needs_hydration();
        let mut hydrations = self.state().hydrations.iter().rev();
        let hydrated = hydrations.find(|one| is_missing && one.unit == unit.id)?;
        let row = RowKey::parse(&hydrated.item_id)?;
        unit.state.accepted_answer(&row)
    }

    /// Records whether the patch of a task is accepted, and keeps it with its evidence.
    pub(super) fn decide(
        &mut self,
        task: &Task,
        id: &UnitId,
        refusal: Option<(BlockReason, String)>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let Some(unit) = self.state().unit(id).cloned() else {
            return Ok(());
        };
        let reason = refusal.as_ref().map(|(reason, _)| *reason);
        let detail = refusal.map(|(_, detail)| detail);
        let synthesis = protocol::latest_synthesis(&task.protocol, &unit.state);
        let synthesis = &self.answer(synthesis)?;
        self.store_answers_of(&unit)?;
        let mut decided = TaskDecided {
            unit: id.clone(),
            reason,
            detail,
            patch_path: self.keep_patch(id, reason)?,
            residual_risk: plain(&synthesis["residual_risk"]),
            comment: None,
        };
        self.write_decision(task, &unit, &decided, synthesis)?;
        if self.settings.options.comment {
            decided.comment = Some(self.comment_on_proposal(&unit, &decided, context)?);
        }
        let path = decided.patch_path.as_ref();
        let text = match (reason, path) {
            (None, Some(path)) => format!("accepted; the patch is kept in {}", path.display()),
            (None, None) => "accepted".to_owned(),
            (Some(reason), _) => {
                let detail = decided.detail.as_deref().unwrap_or_default();
                format!("rejected ({})", with_code(reason.as_str(), detail))
            }
        };
        context.watcher.say(&format!("{id}: {text}"));
        let detail = decided.detail.clone().unwrap_or_default();
        self.recorder.record(&[Event::from(decided)])?;
        if let Some(reason) = reason {
            self.tell_blocked(id, reason, &detail, context.watcher);
        }
        Ok(())
    }

    /// Keeps the patch as it was validated last. One that was not accepted for another reason has none.
    fn keep_patch(
        &self,
        id: &UnitId,
        reason: Option<BlockReason>,
    ) -> Result<Option<PathBuf>, RunError> {
        if !matches!(reason, None | Some(BlockReason::ValidationFailed)) {
            return Ok(None);
        }
        let folder = self.folder.unit(id);
        let (from, to) = (folder.join("candidate.diff"), folder.join("patch.diff"));
        if !look::is_file(&from).map_err(RunError::io(&from))? {
            return Ok(None);
        }
        let bytes = std::fs::read(&from).map_err(RunError::io(&from))?;
        durable::write_private(&to, &bytes).map_err(RunError::io(&to))?;
        Ok(Some(self.relative(&to)))
    }

    fn relative(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix(self.folder.path());
        inside.unwrap_or(path).to_owned()
    }

    fn write_decision(
        &self,
        task: &Task,
        unit: &Unit,
        decided: &TaskDecided,
        synthesis: &Value,
    ) -> Result<(), RunError> {
        let validation = |run: &ValidationFinished| {
            let before = self.state().before.get(&run.command);
            json!({
                "command": run.command, "outcome": run.outcome(), "passed": run.passed(),
                "before": before.map(ValidationFinished::outcome), "log_path": run.log_path,
            })
        };
        let validations = &unit.state.validations;
        let decision = json!({
            "id": unit.id,
            "objective": task.objective,
            "status": decided.reason.map_or(ACCEPTED, |reason| reason.as_str()),
            "reason": decided.reason,
            "detail": decided.detail,
            "patch_path": decided.patch_path,
            "decision_log": synthesis["decision_log"],
            "residual_risk": decided.residual_risk,
            "votes": unit.state.tallies,
            "validation": validations.iter().map(validation).collect::<Vec<_>>(),
            "left_out": self.settings.options.commands(task, &[synthesis]).left_out,
        });
        let folder = self.folder.unit(&unit.id);
        let path = folder.join("decision.json");
        let text = format!("{decision:#}\n");
        durable::write_private(&path, text.as_bytes()).map_err(RunError::io(&path))
    }

    fn comment_on_proposal(
        &mut self,
        unit: &Unit,
        decided: &TaskDecided,
        context: &mut Context<'_, '_>,
    ) -> Result<String, RunError> {
        let run_id = self.id().clone();
        let outcome = Persisted {
            run_id: &run_id,
            reason: decided.reason,
            detail: decided.detail.as_deref().unwrap_or_default(),
            tally: unit.state.tallies.last(),
            validations: &unit.state.validations,
            integration: None,
            learnings: &[],
        };
        let text = integrate::proposal_comment(&outcome, decided.patch_path.as_deref());
        self.with_expected_change(context, |run, context| {
            let id = ItemId::try_from(unit.id.to_string())?;
            let options = run.mutate_options();
            let plan = integrate::add_proposal_comment(&run.store, &id, &text, &run_id, options)?;
            context.watcher.mirror(&plan);
            Ok(())
        })?;
        Ok(text)
    }

    /// Writes the table of the tasks whose patches are kept.
    pub(super) fn write_results(&self) -> Result<(), RunError> {
        if self.settings.options.integrate {
            return Ok(());
        }
        let path = self.folder.path().join(RESULTS);
        let mut bytes = Vec::new();
        let write = |bytes: &mut Vec<u8>| {
            let mut table = Writer::new(bytes, COLUMNS)?;
            for unit in &self.state().units {
                let cells = cells(unit);
                let cells = cells.map(|cell| FormulaCells::Quote.guard(&cell));
                table.row(cells.iter().map(String::as_str))?;
            }
            table.finish()
        };
        write(&mut bytes).map_err(RunError::io(&path))?;
        durable::write_private(&path, &bytes).map_err(RunError::io(&path))
    }
}

/// The row of a task in [`RESULTS`].
fn cells(unit: &Unit) -> [String; 8] {
    let proposal = unit.proposal.as_ref();
    let decided = proposal.and_then(|it| it.decided.as_ref());
    let tally = unit.state.tallies.last();
    let count = |count: Option<u32>| count.map_or(String::new(), |count| count.to_string());
    let runs = unit.state.validations.iter();
    let runs: Vec<String> = runs
        .map(|run| format!("`{}` {}", run.command, run.outcome()))
        .collect();
    let path = decided.and_then(|it| it.patch_path.as_ref());
    [
        unit.id.to_string(),
        proposal.map_or(String::new(), |it| one_line(&it.admitted.objective)),
        status(unit).to_owned(),
        count(tally.map(|tally| tally.agree)),
        count(tally.map(|tally| tally.disagree)),
        path.map_or(String::new(), |path| path.display().to_string()),
        runs.join("; "),
        decided.map_or(String::new(), |it| it.residual_risk.clone()),
    ]
}

/// `accepted`, why it is not, or the outcome of a patch that a person took.
fn status(unit: &Unit) -> &str {
    match &unit.ended {
        None => "undecided",
        Some(ended) if ended.is_conflict => "plan_conflict",
        Some(ended) => match ended.reason {
            Some(reason) if unit.is_held() => reason.as_str(),
            _ => &ended.status,
        },
    }
}

/// The SHA-256 of what the plan says that a task is to do: step and notes.
pub(crate) fn text_digest(item: &Item) -> String {
    let text = json!([item.step(), item.notes()]).to_string();
    digest::sha256_of_bytes(text.as_bytes())
}

/// A string as it is, nothing for null, and JSON for anything else.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
