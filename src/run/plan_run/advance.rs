//! The steps of a plan run that need no rows: count votes, integrate, persist, and roll back after a kill.

use super::begin::{COMPLETED, PlanRun, find_item};
use super::checkout::IntegratorFactory;
use super::compile::Task;
use super::context::Context;
use super::hydration::Hydration;
use super::phase::Phase;
use super::plan_conflict::is_known;
use crate::integrate::{Outcome, Persisted, Recovered, Restored};
use crate::job::{Journal, Stop};
use crate::model::{
    BlockReason, CommitRecord, Event, Hydrated, IntegrationOutcome, IntegrationStarted,
    PlanMutated, ProtocolChanged, RowId, RowKey, RunFinished, UnitId, one_line, with_code,
};
use crate::plan::Plan;
use crate::protocol::{Action, Answer, ProtocolChange, UnitState};
use crate::run::error::RunError;
use crate::run::store::{AnswerPlace, Unit};
use crate::run::watcher::Watcher;
use crate::{integrate, protocol};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

impl PlanRun {
    /// Rolls back an integration that a kill interrupted: ends the processes that it left, then restores the tree. Every call does
    /// this first.
    pub(crate) fn roll_back(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        for started in self.open_integrations(context.watcher)? {
            context.watcher.say(&format!(
                "{}: rolling back an interrupted integration, or completing it if it was committed",
                started.unit
            ));
            match self.recover(&started, context.stop)? {
                Recovered::Committed(commit) => {
                    let (id, branch) = (commit.id, commit.branch);
                    let text = format!("{}: commit {id} on {branch}", started.unit);
                    context.watcher.say(&text);
                }
                Recovered::Restored(restored) => {
                    self.report_restore(&started.unit, &restored, context.watcher)
                }
            }
        }
        // A kill between the mark and `integration_started` leaves the mark alone: nothing was changed.
        Ok(self.lock.clear_pending()?)
    }

    /// Completes the tasks whose patches are applied, in the plan and in the ledger, as a resume does.
    pub(super) fn complete_applied(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        self.release_changed_units(watcher)?;
        let plan = self.store.current()?;
        let units: Vec<Unit> = self.state().in_flight().cloned().collect();
        for unit in units {
            if self.task(&plan, &unit.id)?.next(&unit.state) == Action::Complete {
                self.persist(&unit, None, "", watcher)?;
            }
        }
        Ok(())
    }

    /// The integrations that a kill interrupted. Whatever they left running has ended when this returns, and the plan and
    /// the learnings are restored.
    fn open_integrations(
        &self,
        watcher: &mut dyn Watcher,
    ) -> Result<Vec<IntegrationStarted>, RunError> {
        let grace = Duration::from_secs(self.settings.options.bounds.grace_seconds);
        integrate::end_writers(&self.folder.writers(), grace)?;
        self.recover_stores(watcher)?;
        let open = |unit: &Unit| unit.open_integration.as_deref().cloned();
        Ok(self.state().units.iter().filter_map(open).collect())
    }

    /// Leaves the tree as an interrupted integration left it, and blocks its task, also where a resume has restored what it
    /// could. Returns how many there were. Where the repository is gone, the run ends.
    pub fn abandon(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<usize, RunError> {
        let open = self.open_integrations(watcher)?;
        for started in &open {
            let detail = self.abandon_integration(started, watcher, stop)?;
            self.block_abandoned(&started.unit, &detail, watcher)?;
        }
        let is_rolled_back = |unit: &&Unit| {
            let last = unit.integration.as_ref();
            last.is_some_and(|one| one.outcome == IntegrationOutcome::RolledBack)
        };
        let rolled_back = self.state().in_flight().filter(is_rolled_back);
        let rolled_back: Vec<UnitId> = rolled_back.map(|unit| unit.id.clone()).collect();
        for unit in &rolled_back {
            let detail = format!(
                "its integration was interrupted, and the run was abandoned; files that were moved aside are in {}",
                self.folder.unit(unit).join("aside").display()
            );
            watcher.warn(&format!("{unit}: {detail}"));
            self.block_abandoned(unit, &detail, watcher)?;
        }
        self.lock.clear_pending()?;
        if self.repo.is_gone()? {
            self.end_without_repository(watcher)?;
        }
        Ok(open.len() + rolled_back.len())
    }

    fn abandon_integration(
        &mut self,
        started: &IntegrationStarted,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<String, RunError> {
        let (repo, trees) = (&self.repo, self.trees());
        let checkout = match repo.is_gone()? {
            true => repo.clone(),
            false => self.checkout()?,
        };
        let factory = IntegratorFactory::new(checkout, &trees);
        let integrator = factory.restorer(stop);
        let abandoned = integrator.abandon(started, &mut self.recorder)?;
        watcher.warn(&format!("{}: {}", started.unit, abandoned.detail));
        for path in &abandoned.paths {
            watcher.say(&format!("not restored: {}", path.display()));
        }
        Ok(abandoned.detail)
    }

    fn block_abandoned(
        &mut self,
        unit: &UnitId,
        detail: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        match self.state().unit(unit).cloned() {
            Some(unit) => {
                let reason = BlockReason::AmbiguousIntegration;
                self.persist(&unit, Some(reason), detail, watcher)
            }
            None => Ok(()),
        }
    }

    /// Ends a run that can't go on, because its repository is gone.
    fn end_without_repository(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        let detail = format!(
            "git finds no repository in {} any more; the files saved before the integration are in {}",
            self.repo.root().display(),
            self.folder.path().join("kept").display()
        );
        watcher.warn(&detail);
        self.recorder.record(&[Event::from(RunFinished {
            status: COMPLETED.to_owned(),
            exit_code: 1,
            detail: Some(detail),
        })])?;
        Ok(())
    }

    /// Restores the plan and the learnings if a command in another tree damaged them before a kill.
    fn recover_stores(&self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        let put_back = integrate::recover_stores(&self.repo, self.folder.path())?;
        if let Some((paths, aside)) = put_back {
            watcher.warn(&format!(
                "restored after damage: {paths:?}; the damaged files are in {}",
                aside.display()
            ));
        }
        Ok(())
    }

    /// Warns of changes in the work tree, other than the `known` ones, while commands ran in another tree.
    pub(crate) fn warn_of_concurrent_changes(
        &self,
        id: &UnitId,
        known: &BTreeSet<PathBuf>,
        watcher: &mut dyn Watcher,
    ) {
        let Some(unit) = self.state().unit(id) else {
            return;
        };
        let changed: Vec<_> = unit.concurrent_changes.difference(known).collect();
        if !changed.is_empty() {
            watcher.warn(&format!(
                "{id}: the work tree changed while commands ran in another tree: {changed:?}"
            ));
        }
    }

    /// The changes that [`warn_of_concurrent_changes`](Self::warn_of_concurrent_changes) has warned of.
    pub(crate) fn concurrent_changes(&self, id: &UnitId) -> BTreeSet<PathBuf> {
        let unit = self.state().unit(id);
        unit.map_or_else(BTreeSet::new, |unit| unit.concurrent_changes.clone())
    }

    /// Warns of files that a restore moved aside, with their folder.
    fn warn_of_moved_files(&self, id: &UnitId, watcher: &mut dyn Watcher) {
        let unit = self.state().unit(id);
        let integration = unit.and_then(|unit| unit.integration.as_ref());
        let moved = integration.map_or(&[][..], |one| &one.moved_aside);
        if !moved.is_empty() {
            watcher.warn(&format!(
                "{id}: moved aside when the tree was restored, because the patch did not create it: {moved:?}; it is in {}",
                self.folder.unit(id).join("aside").display()
            ));
        }
    }

    fn recover(
        &mut self,
        started: &IntegrationStarted,
        stop: &Stop,
    ) -> Result<Recovered, RunError> {
        let unit = self.state().unit(&started.unit);
        let passed = unit.map_or(Vec::new(), |unit| unit.state.validations.clone());
        let trees = self.trees();
        let factory = IntegratorFactory::new(self.checkout()?, &trees);
        let mut integrator = factory.restorer(stop);
        integrator.before.clone_from(&self.state().before);
        Ok(integrator.recover(started, &passed, &mut self.recorder)?)
    }

    fn report_restore(&self, unit: &UnitId, restored: &Restored, watcher: &mut dyn Watcher) {
        let aside = self.folder.unit(unit).join("aside");
        let given_way = [&restored.moved_aside[..], &restored.overwritten[..]].concat();
        if !given_way.is_empty() {
            watcher.say(&format!(
                "the previous content of {given_way:?} is in {}",
                aside.display()
            ));
        }
        if !restored.kept.is_empty() {
            watcher.warn(&format!(
                "changed since the integration started, so not restored: {:?}",
                restored.kept
            ));
        }
    }

    /// Takes the steps of `phase` that need no rows, unit by unit.
    pub(crate) fn advance_units(
        &mut self,
        phase: Phase,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let mut has_moved = true;
        // A unit may wait for what another one completes.
        while std::mem::take(&mut has_moved) {
            self.release_changed_units(context.watcher)?;
            for id in self.units_with_a_step()? {
                // Each step is whole by itself, so a stop takes effect between steps.
                while !context.is_stopping() && self.step(phase, &id, context)? {
                    has_moved = true;
                }
            }
        }
        Ok(())
    }

    /// The units that need something other than rows.
    fn units_with_a_step(&self) -> Result<Vec<UnitId>, RunError> {
        let plan = self.store.current()?;
        let units: Vec<&Unit> = self.state().in_flight().collect();
        let steps = units.par_iter().map(|unit| {
            let has_step = self.task(&plan, &unit.id)?.next_of(unit).is_step();
            Ok(has_step.then(|| unit.id.clone()))
        });
        let steps: Vec<Option<UnitId>> = steps.collect::<Result<_, RunError>>()?;
        Ok(steps.into_iter().flatten().collect())
    }

    /// Takes one step of one unit; `false` when the unit needs rows, or nothing more.
    fn step(
        &mut self,
        phase: Phase,
        id: &UnitId,
        context: &mut Context<'_, '_>,
    ) -> Result<bool, RunError> {
        self.release_changed_units(context.watcher)?;
        let found = self.state().unit(id).filter(|unit| unit.ended.is_none());
        let Some(unit) = found.cloned() else {
            return Ok(false);
        };
        let plan = self.store.current()?;
        let task = self.task(&plan, id)?;
        let action = task.next_of(&unit);
        // What is kept changes neither the tree nor the plan, so it is decided with the votes.
        let is_included = match unit.is_held() {
            true => phase != Phase::Commit,
            false => phase.include(&action),
        };
        if !is_included {
            return Ok(false);
        }
        if action == Action::Integrate
            && (self.has_to_wait(&plan, &unit)? || self.has_to_wait_for_previews(&unit, context))
        {
            return Ok(false);
        }
        match &action {
            Action::Await | Action::Emit(_) | Action::Halt(_) => return Ok(false),
            Action::Change(change) => self.change(&task, change, context.watcher)?,
            Action::Tally => self.tally(&task, &unit.state, context.watcher)?,
            Action::Block(reason, detail) if unit.is_held() => {
                let detail = self.explain_block(&task, &unit, *reason, detail)?;
                self.decide(&task, id, Some((*reason, detail)), context)?;
            }
            Action::Integrate if unit.is_held() => {
                return self.step_integration(&plan, &task, &unit, context);
            }
            Action::Hydrate(round) => {
                let answers = unit.state.accepted_answers(round);
                let answer = self.answer(answers.into_values().next())?;
                self.with_expected_change(context, |run, context| {
                    run.hydrate(&task, &unit, &answer, context.watcher)
                })?
            }
            Action::Block(reason, detail) => {
                self.with_expected_change(context, |run, context| {
                    let detail = run.explain_block(&task, &unit, *reason, detail)?;
                    run.persist(&unit, Some(*reason), &detail, context.watcher)
                })?
            }
            Action::Complete => self.with_expected_change(context, |run, context| {
                run.persist(&unit, None, "", context.watcher)
            })?,
            Action::Integrate if self.settings.options.validates_beside_workers() => {
                return self.step_integration(&plan, &task, &unit, context);
            }
            Action::Integrate => self.with_expected_change(context, |run, context| {
                if unit.is_early {
                    // If a person or another run changed the task first, the next step releases it.
                    return run.set_early_in_progress(&plan, &unit, context);
                }
                run.warn_of_left_out(&task, &unit, context.watcher)?;
                run.integrate(&task, &unit, context)
            })?,
        }
        Ok(true)
    }

    /// Stores the metadata that a worker proposed, without the commands that are not allowed.
    fn hydrate(
        &mut self,
        task: &Task,
        unit: &Unit,
        answer: &Value,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let plan = self.store.current()?;
        let item = find_item(&plan, &task.unit)?;
        let stored = self.settings.options.hydration(item, answer);
        // The metadata fitted when it was judged; it fails here only if the item was edited since.
        let Hydration {
            metadata,
            notes,
            left_out,
        } = stored.map_err(|why| RunError::Swarm {
            item: item.id().clone(),
            why,
        })?;
        match unit.is_held() {
            // The run reads it from the answer.
            true => watcher.say(&format!("{}: metadata proposed", task.unit)),
            false => {
                let changed = self.store.mutate(self.mutate_options(), |plan| {
                    plan.set_notes(item.id(), &notes)
                })?;
                watcher.mirror(&changed);
                self.narrow_lease(&task.unit, &metadata.reach())?;
                watcher.say(&format!("{}: metadata stored", task.unit));
            }
        }
        if !left_out.is_empty() {
            watcher.warn(&format!(
                "{}: ignored proposed validation commands that validation_allow does not cover: {}",
                task.unit,
                one_line(&left_out.join("; "))
            ));
        }
        let run = unit.state.rounds.last();
        let row = run.and_then(|run| {
            let role = run.answers().next()?.0.clone();
            let (unit, round, attempt) = (task.unit.clone(), run.round.clone(), run.attempt);
            Some(
                RowKey {
                    unit,
                    round,
                    role,
                    attempt,
                }
                .id(),
            )
        });
        self.recorder.record(&[Event::from(Hydrated {
            unit: task.unit.clone(),
            item_id: row.unwrap_or_else(|| RowId::new(task.unit.as_str())),
            mesh: metadata.to_yaml(),
            left_out,
        })])?;
        Ok(())
    }

    fn change(
        &mut self,
        task: &Task,
        change: &ProtocolChange,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        watcher.say(&format!(
            "{}: switching to protocol `{}` ({})",
            task.unit,
            change.to,
            with_code(&change.code, &change.detail)
        ));
        self.recorder.record(&[Event::from(ProtocolChanged {
            unit: task.unit.clone(),
            from: task.protocol.name.clone(),
            to: change.to.clone(),
            keeps: change.keeps_answers,
            code: change.code.clone(),
            detail: change.detail.clone(),
        })])?;
        Ok(())
    }

    fn tally(
        &mut self,
        task: &Task,
        state: &UnitState<AnswerPlace>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let gate = task.protocol.consensus.as_ref();
        let threshold = gate.map_or(0, |gate| gate.threshold);
        let without_answer = match gate.is_some_and(|gate| gate.early_vote) {
            true => protocol::NOT_ASKED,
            false => "no verdict",
        };
        let answers = state.current_answers();
        let voters = task.protocol.voters();
        let votes = voters.iter().map(|role| {
            Ok(match answers.get(role) {
                Some(Answer::Accepted(place)) => Ok(self.answer(Some(place))?),
                Some(Answer::Rejected { code, .. } | Answer::Retry { code, .. }) => {
                    Err(code.as_str())
                }
                Some(Answer::Open | Answer::Fault { .. }) => Err("no verdict"),
                None => Err(without_answer),
            })
        });
        let votes: Vec<Result<Value, &str>> = votes.collect::<Result<_, RunError>>()?;
        let votes = voters.iter().zip(votes.iter());
        let votes = votes.map(|(role, vote)| (role, vote.as_ref().map_err(|why| *why)));
        let number = state.tallies.len() as u32 + 1;
        let candidates = protocol::remaining(&task.protocol, state);
        let candidates: Vec<_> = candidates.iter().map(|one| one.role).collect();
        let tally = protocol::tally(&task.unit, number, threshold, &candidates, votes);
        watcher.say(&format!(
            "{}: vote {number}: {} agree, {} disagree{} ({} needed)",
            task.unit,
            tally.agree,
            tally.disagree,
            if tally.absent > 0 {
                format!(", {} absent", tally.absent)
            } else {
                String::new()
            },
            tally.threshold,
        ));
        self.recorder.record(&[Event::from(tally)])?;
        Ok(())
    }

    /// Integrates a patch while no row is sent out or judged: its commands run in a tree that workers see.
    fn integrate(
        &mut self,
        task: &Task,
        unit: &Unit,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let patch = self.accepted_patch(task, unit)?;
        let known = self.concurrent_changes(&task.unit);
        self.with_integrator(&patch, 1, context, |integrator, request, journal| {
            integrator.integrate(request, journal)
        })?;
        self.report_integration(unit, &known, context.watcher);
        Ok(())
    }

    /// Tells how the integration of a unit went. Changes of the tree that are `known` are not repeated.
    pub(crate) fn report_integration(
        &self,
        unit: &Unit,
        known: &BTreeSet<PathBuf>,
        watcher: &mut dyn Watcher,
    ) {
        self.warn_of_concurrent_changes(&unit.id, known, watcher);
        self.warn_of_moved_files(&unit.id, watcher);
        let Some(unit) = self.state().unit(&unit.id) else {
            return;
        };
        for run in &unit.state.validations {
            let (command, outcome) = (&run.command, run.outcome());
            watcher.say(&format!("{}: `{command}`: {outcome}", unit.id));
        }
        let integration = unit.integration.as_ref();
        if let Some(CommitRecord { id, branch }) = integration.and_then(|one| one.commit.as_ref()) {
            watcher.say(&format!("{}: commit {id} on {branch}", unit.id));
        }
    }

    /// Warns of proposed validation commands that are left out.
    pub(crate) fn warn_of_left_out(
        &self,
        task: &Task,
        unit: &Unit,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let left_out = self.accepted_patch(task, unit)?.commands.left_out;
        if !left_out.is_empty() {
            watcher.warn(&format!(
                "{}: did not run validation commands that the synthesis proposed and validation_allow does not cover: {}",
                task.unit,
                one_line(&left_out.join("; "))
            ));
        }
        Ok(())
    }

    /// Sets a task that was begun early to `in_progress`, before its patch is integrated.
    pub(crate) fn set_early_in_progress(
        &mut self,
        plan: &Plan,
        unit: &Unit,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let item = find_item(plan, &unit.id)?;
        let id = item.id().clone();
        if let Some(notes) = self.proposed_notes(item, Some(unit))? {
            self.store
                .mutate(self.mutate_options(), |plan| plan.set_notes(&id, &notes))?;
        }
        self.set_in_progress(&[id], context.watcher)
    }

    fn persist(
        &mut self,
        unit: &Unit,
        reason: Option<BlockReason>,
        detail: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let run_id = self.id().clone();
        self.store_answers_of(unit)?;
        let learnings = self.learn_from_task(unit, reason, detail, watcher)?;
        let outcome = Persisted {
            run_id: &run_id,
            reason,
            detail,
            tally: unit.state.tallies.last(),
            validations: &unit.state.validations,
            integration: unit.integration.as_deref(),
            learnings: &learnings,
        };
        let text = integrate::comment(&outcome);
        let status = outcome.status();
        let plan = self.store.current()?;
        let item = find_item(&plan, &unit.id)?;
        let options = self.mutate_options();
        let known = |status| is_known(status, unit.is_early);
        let outcome = integrate::persist(
            &self.store,
            item.id(),
            status,
            &text,
            known,
            &run_id,
            options,
        )?;
        let plan = match outcome {
            Outcome::Persisted(plan) => plan,
            Outcome::Superseded(found) => return self.release_unit(&unit.id, &found, watcher),
        };
        watcher.mirror(&plan);
        let why = reason.map_or(String::new(), |reason| {
            format!(" ({})", with_code(reason.as_str(), detail))
        });
        watcher.say(&format!("{}: {}{why}", unit.id, status.as_str()));
        self.recorder.record(&[Event::from(PlanMutated {
            unit: unit.id.clone(),
            status: status.as_str().to_owned(),
            comment: Some(text),
            reason,
            detail: reason.map(|_| detail.to_owned()),
        })])?;
        if let Some(reason) = reason {
            self.tell_blocked(&unit.id, reason, detail, watcher);
        }
        Ok(())
    }
}
