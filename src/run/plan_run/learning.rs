//! The learnings of a run: at most one record for each task and one for the run, in the form "When …, do …".
//!
//! A learning is made from the ledger alone: dissenting votes, refused answers, failed commands, must-fix items of critics. A task
//! without any of these gives no learning. The same ledger gives the same record, so a kill between the file and the event leaves
//! one record, not two.

use super::begin::PlanRun;
use crate::job::Journal;
use crate::learnings::{
    Contents, Draft, Duplicates, LearningsError, NewRecord, Outcome, Place, Store,
};
use crate::model::{
    BlockReason, Event, IntegrationOutcome, LearningAppended, RoundName, Tally, UnitId,
    ValidationFinished, VerdictRecord, counted, one_line, with_code,
};
use crate::plan::{Item, metadata};
use crate::platform::{clock, fault, machine_fault};
use crate::protocol::{ABSENT, AGREE, Answer};
use crate::run::error::RunError;
use crate::run::store::{State, Unit};
use crate::run::watcher::Watcher;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most lines of evidence in a record.
const EVIDENCE_MAX: usize = 12;
const QUOTED_CHARS_MAX: usize = 160;

impl PlanRun {
    /// Appends the learning of a task that ends now, if there is one. Returns the ids of the task's learnings.
    pub(crate) fn learn_from_task(
        &mut self,
        unit: &Unit,
        reason: Option<BlockReason>,
        detail: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<Vec<String>, RunError> {
        if !self.has_learned(Some(&unit.id)) {
            let plan = self.store.current()?;
            let item = super::begin::find_item(&plan, &unit.id)?;
            if let Some(mut draft) = draft_for_task(item, unit, reason, detail) {
                draft.evidence.extend(self.list_must_fix(unit)?);
                draft.evidence.truncate(EVIDENCE_MAX);
                self.learn(Some(&unit.id), draft, watcher)?;
            }
        }
        let of_unit = self.state().learnings.iter();
        let of_unit = of_unit.filter(|one| one.unit.as_ref() == Some(&unit.id));
        Ok(of_unit.map(|one| one.id.clone()).collect())
    }

    /// Appends the learning of the run, if there is one.
    pub(crate) fn learn_from_run(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        if self.has_learned(None) {
            return Ok(());
        }
        match draft_for_run(self.state()) {
            Some(draft) => self.learn(None, draft, watcher),
            None => Ok(()),
        }
    }

    /// The must-fix items of the critics in the last cycle.
    fn list_must_fix(&self, unit: &Unit) -> Result<Vec<String>, RunError> {
        let critique = RoundName::new("critique");
        let mut last = unit.state.rounds.iter().rev();
        let Some(round) = last.find(|run| run.round == critique) else {
            return Ok(Vec::new());
        };
        let mut items = Vec::new();
        for (role, answer) in round.answers() {
            if let Answer::Accepted(place) = answer {
                let value = self.answer(Some(place))?;
                let texts = value["must_fix"].as_array().into_iter().flatten();
                let texts = texts.filter_map(Value::as_str);
                items.extend(texts.map(|text| format!("{role} must fix: {}", quote(text))));
            }
        }
        Ok(items)
    }

    fn has_learned(&self, unit: Option<&UnitId>) -> bool {
        let mut learnings = self.state().learnings.iter();
        learnings.any(|one| one.unit.as_ref() == unit)
    }

    /// Appends a learning and records it. A learnings file that can't be written is only a warning: the task is done anyway.
    fn learn(
        &mut self,
        unit: Option<&UnitId>,
        draft: Draft,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        if self.settings.options.no_learnings {
            return Ok(());
        }
        let draft = Draft {
            source: format!("mesh:{}", self.id()),
            ..draft
        };
        match self.append(&draft) {
            Err(error) => {
                let why = machine_fault::line_of(&error);
                watcher.warn(&format!("nothing was added to the learnings: {why}"));
            }
            Ok((id, known)) => {
                fault::integrator_point();
                self.recorder.record(&[Event::from(LearningAppended {
                    unit: unit.cloned(),
                    id: id.clone(),
                    learning: draft.learning.clone(),
                    known,
                })])?;
                watcher.say(&format!("learned {id}: {}", one_line(&draft.learning)));
            }
        }
        Ok(())
    }

    /// Appends a record. Returns its id, and whether it existed before the run.
    fn append(&self, draft: &Draft) -> Result<(String, bool), LearningsError> {
        let place = Place::find(self.repo.root())?;
        let store = Store::at(place.file());
        let context = place.context(store.file())?;
        let record = NewRecord::new(draft, context, clock::now())?;
        fault::integrator_point();
        let appended = store.append(&record, Duplicates::Skip)?;
        Ok(match appended.outcome {
            Outcome::Appended => (record.id().to_owned(), false),
            Outcome::Duplicate { existing_id } => {
                let known = !is_own_record(&store, &existing_id, &draft.source)?;
                (existing_id, known)
            }
        })
    }
}

/// Whether this run appended the record `id`, right before a kill.
fn is_own_record(store: &Store, id: &str, source: &str) -> Result<bool, LearningsError> {
    let bytes = store.read()?;
    let contents = Contents::parse(&bytes);
    let record = contents.records.iter().find(|record| record.id() == id);
    Ok(record.is_some_and(|record| {
        record
            .fields()
            .get("source")
            .is_some_and(|own| own == source)
    }))
}

/// The learning of a task, if there is one.
fn draft_for_task(
    item: &Item,
    unit: &Unit,
    reason: Option<BlockReason>,
    detail: &str,
) -> Option<Draft> {
    if reason == Some(BlockReason::NoResponse) && !has_answered(unit) {
        return None;
    }
    // A kill and the choice of a person say nothing about the task.
    if was_abandoned(unit) {
        return None;
    }
    let action = match reason {
        Some(reason) => advise_blocked(unit, reason, detail),
        None => advise_completed(unit)?,
    };
    let outcome = reason.map_or("completed".to_owned(), |reason| reason.to_string());
    Some(Draft {
        status: action.status.to_owned(),
        learning: format!("When {}, {}.", condition(item), action.text),
        evidence: list_task_evidence(unit, reason, detail),
        application: capitalize_action(&action.text),
        tags: vec!["mesh".to_owned(), outcome],
        ..Draft::default()
    })
}

/// Whether the restore of its last integration was abandoned.
fn was_abandoned(unit: &Unit) -> bool {
    let integration = unit.integration.as_ref();
    integration.is_some_and(|one| one.outcome == IntegrationOutcome::Abandoned)
}

/// Whether any worker of the task answered. If none did, the cause is not the task: the program is missing, misspelt or not logged
/// in.
fn has_answered(unit: &Unit) -> bool {
    let answers = unit.state.rounds.iter().flat_map(|run| run.answers());
    answers
        .into_iter()
        .any(|(_, answer)| matches!(answer, Answer::Accepted(_)))
        || unit
            .refusals
            .iter()
            .any(|refusal| is_refusal_code(refusal.code.as_deref()))
}

/// Whether the code is that of a refused answer, not of a missing one.
fn is_refusal_code(code: Option<&str>) -> bool {
    const ABOUT_ANSWERS: [&str; 6] = [
        "lane",
        "patch_invalid",
        "out_of_scope",
        "does_not_apply",
        "metadata_invalid",
        "invalid_output_schema",
    ];
    code.is_some_and(|code| ABOUT_ANSWERS.contains(&code))
}

/// The action as a sentence.
fn capitalize_action(action: &str) -> String {
    let action = action.strip_prefix("do ").unwrap_or(action);
    let mut letters = action.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

struct Action {
    status: &'static str,
    text: String,
}

fn do_more(text: String) -> Action {
    Action {
        status: "do_more",
        text,
    }
}

/// `a task may touch src/a.rs`, or the step of a task without a scope.
fn condition(item: &Item) -> String {
    const GLOBS_MAX: usize = 3;
    match metadata::read(item) {
        Ok(metadata) => {
            let mut globs: Vec<&str> = metadata.scope.iter().map(String::as_str).collect();
            if globs.len() > GLOBS_MAX {
                globs.truncate(GLOBS_MAX);
                globs.push("…");
            }
            format!("a task may touch {}", globs.join(", "))
        }
        Err(_) => format!("a task is \"{}\"", quote(item.step())),
    }
}

fn advise_blocked(unit: &Unit, reason: BlockReason, detail: &str) -> Action {
    let detail = quote(detail);
    match reason {
        BlockReason::ValidationFailed => advise_failed_validation(unit, &detail),
        BlockReason::NoConsensus => do_more(match last_objection(&unit.state.tallies) {
            Some(objection) => format!("do settle this before asking for a patch: {objection}"),
            None => format!("do find out why the voters did not agree: {detail}"),
        }),
        BlockReason::MissingValidation => do_more(
            "do give the task a validation command or set allow_no_validation: without either, no patch is integrated".to_owned(),
        ),
        BlockReason::NoResponse => {
            do_more(format!("do check first that the workers can answer: {detail}"))
        }
        BlockReason::AmbiguousIntegration => {
            do_more(format!("do make sure that its patch applies: {detail}"))
        }
    }
}

fn advise_failed_validation(unit: &Unit, detail: &str) -> Action {
    let failed = unit.state.validations.iter().find(|run| !run.passed());
    do_more(match failed {
        None => format!("do make a patch that can be delivered: {detail}"),
        Some(run) if unit.state.tallies.is_empty() => format!(
            "do run `{}` before answering with a patch: a patch failed it",
            quote(&run.command)
        ),
        Some(run) if unit.previews.is_empty() => format!(
            "do run `{}` before the vote: a patch that was accepted without it failed it",
            quote(&run.command)
        ),
        Some(run) => format!(
            "do not accept a patch that fails `{}`: it failed before the vote and again after it",
            quote(&run.command)
        ),
    })
}

/// `None` if no vote dissented and no answer was refused.
fn advise_completed(unit: &Unit) -> Option<Action> {
    let tallies = &unit.state.tallies;
    let failed = tallies.iter().filter(|tally| !tally.consensus);
    if let Some(objection) = failed.rev().find_map(objection) {
        let text = format!("do resolve this before the first vote: {objection}");
        return Some(do_more(text));
    }
    let of_patch = |refusal: &&VerdictRecord| {
        let code = refusal.code.as_deref().unwrap_or_default();
        ["out_of_scope", "patch_invalid", "does_not_apply"].contains(&code)
    };
    let refusals = &unit.refusals;
    if let Some(refusal) = refusals.iter().find(of_patch).or(refusals.first()) {
        let why = quote(refusal.detail.as_deref().unwrap_or_default());
        let code = refusal.code.as_deref().unwrap_or_default();
        let text = format!("do avoid what made an answer unusable ({code}): {why}");
        return Some(do_more(text));
    }
    let objection = last_objection(tallies)?;
    Some(Action {
        status: "review_later",
        text: format!("do reconsider a dissenting vote: {objection}"),
    })
}

fn last_objection(tallies: &[Tally]) -> Option<String> {
    tallies.iter().rev().find_map(objection)
}

/// The reason of the first dissenting vote, with its role.
fn objection(tally: &Tally) -> Option<String> {
    let is_against = |vote: &&str| ![AGREE, ABSENT].contains(vote);
    let line = tally
        .votes
        .iter()
        .find(|line| is_against(&line.vote.as_str()))?;
    Some(format!("{} ({})", quote(&line.reason), line.role))
}

fn list_task_evidence(unit: &Unit, reason: Option<BlockReason>, detail: &str) -> Vec<String> {
    let mut evidence = Vec::new();
    match reason {
        Some(reason) => evidence.push(format!(
            "{}: blocked, {}",
            unit.id,
            with_code(reason.as_str(), &quote(detail))
        )),
        None => evidence.push(format!("{}: completed", unit.id)),
    }
    evidence.extend(unit.state.validations.iter().map(describe_outcome));
    for tally in &unit.state.tallies {
        let (number, agree, disagree) = (tally.attempt, tally.agree, tally.disagree);
        let why = objection(tally).map_or(String::new(), |why| format!(": {why}"));
        evidence.push(format!(
            "vote {number}: {agree} agree, {disagree} disagree{why}"
        ));
    }
    evidence.extend(unit.refusals.iter().map(|refusal| {
        let code = refusal.code.as_deref().unwrap_or_default();
        let detail = quote(refusal.detail.as_deref().unwrap_or_default());
        format!("{} refused, {}", refusal.item_id, with_code(code, &detail))
    }));
    evidence
}

fn describe_outcome(run: &ValidationFinished) -> String {
    let command = quote(&run.command);
    let line = match run.key_line.as_str() {
        "" => String::new(),
        line => format!(": {}", quote(line)),
    };
    format!("`{command}`: {}{line}", run.outcome())
}

/// The learning of the run, if there is one.
fn draft_for_run(state: &State) -> Option<Draft> {
    let is_silent = |(unit, reason): (&UnitId, BlockReason)| {
        reason == BlockReason::NoResponse && !state.unit(unit).is_some_and(has_answered)
    };
    let silent = blocked_tasks(state).filter(|one| is_silent(*one)).count();
    if silent > 0 && silent == state.units.len() {
        return None;
    }
    let action = advise_run(state)?;
    let of_tasks = state.learnings.iter().filter(|one| one.unit.is_some());
    Some(Draft {
        status: "do_more".to_owned(),
        learning: format!("When tasks of this plan are run, {action}."),
        evidence: list_run_evidence(state),
        application: capitalize_action(&action),
        tags: vec!["mesh".to_owned(), "run".to_owned()],
        related_ids: of_tasks.map(|one| one.id.clone()).collect(),
        ..Draft::default()
    })
}

fn advise_run(state: &State) -> Option<String> {
    if let Some(violation) = state.violations.first() {
        return Some(format!(
            "do start workers where they can't write to the repository: {}",
            quote(&violation.message())
        ));
    }
    let blocked: Vec<String> = blocked_tasks(state)
        .filter(|(unit, reason)| {
            *reason != BlockReason::NoResponse || state.unit(unit).is_some_and(has_answered)
        })
        .map(|(unit, reason)| format!("{unit} ({reason})"))
        .collect();
    if !blocked.is_empty() {
        let blocked = quote(&blocked.join(", "));
        return Some(format!("do first fix what blocked {blocked}"));
    }
    let causes: Vec<&String> = state
        .backpressure
        .iter()
        .flat_map(|one| &one.causes)
        .collect();
    if let Some(cause) = causes.first() {
        return Some(format!("do expect answers that need a retry: {cause}"));
    }
    let repeated = state
        .units
        .iter()
        .filter(|unit| unit.state.tallies.len() > 1);
    let repeated: Vec<String> = repeated.map(|unit| unit.id.to_string()).collect();
    (!repeated.is_empty()).then(|| {
        let repeated = quote(&repeated.join(", "));
        format!("do allow for more than one vote, as {repeated} needed")
    })
}

fn blocked_tasks(state: &State) -> impl Iterator<Item = (&UnitId, BlockReason)> {
    let ended = state
        .units
        .iter()
        .filter_map(|unit| Some((&unit.id, unit.ended.as_ref()?.reason?)));
    ended.into_iter()
}

fn list_run_evidence(state: &State) -> Vec<String> {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, reason) in blocked_tasks(state) {
        *reasons.entry(reason.to_string()).or_default() += 1;
    }
    let tasks = state.units.len();
    let completed = tasks - blocked_tasks(state).count();
    let mut evidence = vec![format!(
        "{completed} of {} completed",
        counted(tasks as u64, "task")
    )];
    evidence.extend(
        reasons
            .iter()
            .map(|(reason, count)| format!("{count} blocked: {reason}")),
    );
    evidence.extend(
        state
            .backpressure
            .iter()
            .filter(|one| !one.causes.is_empty())
            .map(|one| format!("wave {} had failures: {}", one.wave, one.causes.join(", "))),
    );
    evidence.truncate(EVIDENCE_MAX);
    evidence
}

/// The first line of an output, shortened, without a full stop at its end.
fn quote(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = one_line(line.unwrap_or_default());
    match line.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end_matches('.').to_owned(),
    }
}
