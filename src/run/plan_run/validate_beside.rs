//! Integrations in flight: accepted patches that are validated in scratch trees while rows are sent out and judged, and then
//! applied one at a time.
//!
//! ```text
//! accepted -> IntegrationQueue -> thread: Integrator::try_patch -> loop: Integrator::apply_tried -> persisted
//!                     ^ a path in its scope has changed since ─────────┘
//! ```
//!
//! A thread only reads the user's tree, and writes the ledger through the loop. The loop alone applies. Nothing is recorded of a
//! validation that has not ended, so a resume validates that patch again.

use super::begin::{PlanRun, find_item};
use super::checkout::IntegratorFactory;
use super::compile::{PatchPart, Task};
use super::context::Context;
use super::in_flight::{Validated, Validation};
use super::integrations::{AcceptedPatch, InFlight};
use super::phase::Phase;
use crate::integrate::{Isolation, Tried};
use crate::job::{Journal, Stop, Urgency};
use crate::model::{Tally, UnitId};
use crate::patch::Patch;
use crate::plan::Plan;
use crate::protocol;
use crate::run::error::RunError;
use crate::run::preflight::empty_claims;
use crate::run::store::Unit;
use crate::schedule::{item_reach, must_validate_again};
use serde_json::Value;
use std::path::PathBuf;

/// How often a patch is validated because what it may touch changed each time.
const TRIES: usize = 3;

impl PlanRun {
    /// The accepted patch of a unit.
    pub(crate) fn accepted_patch(
        &self,
        task: &Task,
        unit: &Unit,
    ) -> Result<AcceptedPatch, RunError> {
        let synthesis = protocol::latest_synthesis(&task.protocol, &unit.state);
        let synthesis = self.answer(synthesis)?;
        let test = self.test_of(task)?;
        Ok(self.patch_of(task, test.as_ref(), &synthesis, unit.state.tallies.last()))
    }

    /// The patch of a synthesis and that of its test, with their commands.
    pub(crate) fn patch_of(
        &self,
        task: &Task,
        test: Option<&Value>,
        synthesis: &Value,
        tally: Option<&Tally>,
    ) -> AcceptedPatch {
        let answers: Vec<&Value> = test.into_iter().chain([synthesis]).collect();
        let patches = answers.iter().filter_map(|answer| answer["patch"].as_str());
        let limits = &self.settings.options.patch;
        // Two texts are read by themselves, as they were judged, and not as one.
        let canonical = |text: &str| match (test, Patch::parse(text, limits)) {
            (Some(_), Ok(patch)) => patch.text(),
            _ => text.to_owned(),
        };
        AcceptedPatch {
            commands: self.settings.options.commands(task, &answers),
            text: patches.map(canonical).collect(),
            part: PatchPart::Whole,
            task: task.clone(),
            tally: tally.cloned(),
            candidate: None,
            before: self.state().before.clone(),
            applied: self.state().applied,
        }
    }

    /// One step of an accepted patch: its validation starts, or it is applied when its turn has come. `false` if it has to wait.
    pub(crate) fn step_integration(
        &mut self,
        plan: &Plan,
        task: &Task,
        unit: &Unit,
        context: &mut Context<'_, '_>,
    ) -> Result<bool, RunError> {
        if context.integrations.queue.next_to_apply() == Some(&unit.id) {
            return self.apply_first(plan, task, unit, context);
        }
        if context.integrations.queue.has(&unit.id) {
            return Ok(false);
        }
        if unit.is_early {
            self.with_expected_change(context, |run, context| {
                run.set_early_in_progress(plan, unit, context)
            })?;
            return Ok(true);
        }
        self.warn_of_left_out(task, unit, context.watcher)?;
        let patch = InFlight {
            known: self.concurrent_changes(&unit.id),
            ..InFlight::default()
        };
        context.integrations.queue.add(&unit.id);
        context.integrations.patches.insert(unit.id.clone(), patch);
        self.start_validations(context)?;
        Ok(false)
    }

    /// Starts the next validations, as many as may run at once.
    fn start_validations(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let parallel = self.settings.options.validation_parallel;
        let parallel = parallel.saturating_sub(context.integrations.running_previews());
        while !context.is_stopping()
            && let Some(id) = context
                .integrations
                .queue
                .next_to_validate(parallel)
                .cloned()
        {
            let unit = self.state().unit(&id).filter(|unit| unit.ended.is_none());
            let Some(unit) = unit.cloned() else {
                context.integrations.remove(&id);
                continue;
            };
            let task = self.task(&*self.store.current()?, &id)?;
            let patch = self.accepted_patch(&task, &unit)?;
            let place = context.integrations.free_place();
            let checkout = self.checkout()?.separate();
            let (trees, scratch) = (self.trees(), self.folder.trial(place));
            context.integrations.queue.start(&id);
            if let Some(known) = context.integrations.patches.get_mut(&id) {
                known.place = Some(place);
                known.tries += 1;
            }
            context
                .in_flight
                .start_validation(Validation::Patch(id), move |stop, journal| {
                    let factory = IntegratorFactory::new(checkout, &trees);
                    let tried = try_patch(&patch, &factory, scratch, stop, journal)?;
                    Ok(Validated::Patch(tried))
                })?;
        }
        Ok(())
    }

    /// Takes the results of the validations that have ended, and drops the patches of tasks that were released.
    pub(crate) fn take_validated(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        if context.integrations.is_empty() && context.integrations.previews.is_empty() {
            return Ok(());
        }
        // A command may have damaged the plan, which is read next.
        self.watch.quiet().repair_stores()?;
        for (which, validated) in context.in_flight.take_validated() {
            match (which, validated?) {
                (Validation::Patch(unit), Validated::Patch(tried)) => {
                    context.integrations.queue.end(&unit);
                    if let Some(patch) = context.integrations.patches.get_mut(&unit) {
                        patch.place = None;
                        patch.tried = Some(tried);
                    }
                }
                (Validation::Preview(row), Validated::Preview(shown)) => {
                    self.end_preview(&row, shown, context)?;
                }
                // Each thread returns what it was started for.
                _ => {}
            }
        }
        let state = self.state();
        let is_released = |unit: &UnitId| state.unit(unit).is_none_or(|unit| unit.ended.is_some());
        context.integrations.remove_if(|unit, _| is_released(unit));
        self.start_validations(context)?;
        self.start_previews(context)?;
        match context.is_stopping() {
            true => self.apply_before_stop(context),
            false => Ok(()),
        }
    }

    /// Waits until all integrations in flight have ended, and persists those of `phase`.
    pub(crate) fn finish_integrations(
        &mut self,
        phase: Phase,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        while context.in_flight.is_validating() || context.integrations.has_validated() {
            let in_flight = &mut context.in_flight;
            in_flight.wait(None, &mut self.recorder, context.watcher);
            self.take_validated(context)?;
            self.advance_units(phase, context)?;
        }
        Ok(())
    }

    /// While the run stops: applies what is validated and still valid, unless it stops at once. The rest is left to a resume.
    fn apply_before_stop(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        context
            .integrations
            .remove_if(|_, patch| patch.tried.is_none());
        while let Some(id) = context.integrations.queue.next_to_apply().cloned() {
            let plan = self.store.current()?;
            if let Some(unit) = self.state().unit(&id).cloned() {
                let task = self.task(&plan, &id)?;
                self.apply_first(&plan, &task, &unit, context)?;
            }
            context.integrations.remove(&id);
        }
        Ok(())
    }

    /// Applies the first patch of the queue, or records its refusal. `false` if it is validated again first.
    fn apply_first(
        &mut self,
        plan: &Plan,
        task: &Task,
        unit: &Unit,
        context: &mut Context<'_, '_>,
    ) -> Result<bool, RunError> {
        let patches = &mut context.integrations.patches;
        let Some(patch) = patches.get_mut(&unit.id) else {
            return Ok(false);
        };
        let Some(tried) = patch.tried.take() else {
            return Ok(false);
        };
        let (tries, known) = (patch.tries, patch.known.clone());
        let passed = tried.changed_since(&self.repo)?;
        if passed.is_some() && context.stop.urgency() == Urgency::Now {
            return Ok(false);
        }
        if unit.is_held() {
            context.integrations.remove(&unit.id);
            self.report_integration(unit, &known, context.watcher);
            match tried.has_passed() {
                true => self.decide(task, &unit.id, None, context)?,
                // Only records why.
                false => self.apply_tried(task, unit, tried, context)?,
            }
            return Ok(true);
        }
        let is_stale = self.is_stale(plan, unit, passed.unwrap_or_default())?;
        if is_stale && tries < TRIES {
            self.validate_again(unit, context)?;
            return Ok(false);
        }
        context.integrations.remove(&unit.id);
        self.with_expected_change(context, |run, context| match is_stale {
            true => run.refuse_unsettled(task, unit, context),
            false => run.apply_tried(task, unit, tried, context),
        })?;
        self.report_integration(unit, &known, context.watcher);
        Ok(true)
    }

    /// Whether the paths that `changed` since the validation of a unit's patch may affect it.
    fn is_stale(
        &self,
        plan: &Plan,
        unit: &Unit,
        mut changed: Vec<PathBuf>,
    ) -> Result<bool, RunError> {
        let (root, options) = (self.repo.root(), &self.settings.options);
        changed.retain(|path| {
            let path = root.join(path);
            path != self.settings.plan_file && !path.starts_with(self.folder.runs())
        });
        let reach = item_reach(find_item(plan, &unit.id)?);
        let reach = reach.map_err(RunError::UnusableTask)?;
        let claims = empty_claims(&options.shared_paths)?;
        Ok(must_validate_again(
            &changed,
            &reach,
            claims,
            options.strict_validation,
        ))
    }

    fn validate_again(
        &mut self,
        unit: &Unit,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        if context.is_stopping() {
            return Ok(());
        }
        context.watcher.say(&format!(
            "{}: the tree has changed since the validation; validating again",
            unit.id
        ));
        context.integrations.queue.validate_again(&unit.id);
        self.start_validations(context)
    }

    fn apply_tried(
        &mut self,
        task: &Task,
        unit: &Unit,
        tried: Tried,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let patch = self.accepted_patch(task, unit)?;
        self.with_integrator(&patch, 1, context, |integrator, request, journal| {
            integrator.apply_tried(request, tried, journal)
        })
    }

    fn refuse_unsettled(
        &mut self,
        task: &Task,
        unit: &Unit,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let patch = self.accepted_patch(task, unit)?;
        let why = format!(
            "paths that the task may touch changed each time while its patch was validated, {TRIES} times"
        );
        self.with_integrator(&patch, 1, context, |integrator, request, journal| {
            integrator.refuse(request, &why, journal)
        })
    }
}

/// Validates a patch in the scratch tree `scratch`.
fn try_patch(
    patch: &AcceptedPatch,
    factory: &IntegratorFactory<'_>,
    scratch: PathBuf,
    stop: &Stop,
    journal: &mut dyn Journal,
) -> Result<Tried, RunError> {
    let request = factory.request(patch);
    let mut integrator = factory.integrator(patch, scratch, stop);
    integrator.isolation = Isolation::Worktree;
    Ok(integrator.try_patch(&request, journal)?)
}
