//! Which tasks a plan run takes, and when: as many as it has free task slots for.

use super::begin::{PlanRun, find_item};
use super::context::Context;
use super::join::Join;
use super::phase::Phase;
use crate::job::Journal;
use crate::model::{BeganEarly, Event, PlanMutated, TasksHeld, UnitId};
use crate::plan::{DepState, Item, ItemId, MutateOptions, Plan, Status};
use crate::protocol::Action;
use crate::run::error::RunError;
use crate::run::preflight::{closure, empty_claims};
use crate::run::store::Unit;
use crate::run::watcher::Watcher;
use crate::schedule::{Selection, SelectionRequest, free_task_slots, item_reach};
use std::collections::BTreeSet;

/// Of how many tasks that begin at once the names are shown.
const SHOWN: usize = 100;

impl PlanRun {
    /// Whether a task in flight has something to do, or another one can be admitted.
    pub(crate) fn has_more(&self) -> Result<bool, RunError> {
        if self.state().in_flight().any(|unit| !self.is_idle(unit)) {
            return Ok(true);
        }
        let free = self.free_slots();
        let plan = self.store.current()?;
        Ok(free > 0 && !self.select(&plan, free)?.tasks.is_empty())
    }

    /// Admits tasks until no slot is free. A task that can't end well is blocked at once and frees its slot.
    pub(crate) fn fill_free_slots(
        &mut self,
        phase: Phase,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let mut known = usize::MAX;
        while known != self.state().units.len() && !context.is_stopping() {
            known = self.state().units.len();
            self.admit_tasks(context)?;
            if known != self.state().units.len() {
                self.advance_units(phase, context)?;
            }
        }
        Ok(())
    }

    /// Admits one task for each free slot: `in_progress` in the plan first, then in the ledger. A kill in between leaves
    /// items that precede all others in the selection, so the next call admits them first.
    fn admit_tasks(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let free = self.free_slots();
        if free == 0 {
            return Ok(());
        }
        let plan = self.store.current()?;
        let selection = self.select(&plan, free)?;
        for skipped in &selection.skipped {
            if self.warned.insert(skipped.item.clone()) {
                context
                    .watcher
                    .warn(&format!("{}; it is skipped", skipped.why));
            }
        }
        self.note_held(&selection.held)?;
        if selection.tasks.is_empty() {
            return Ok(());
        }
        if !self.settings.options.integrate {
            let ids = selection.tasks.into_iter().map(|task| task.id);
            return self.admit_held(&plan, ids, context.watcher);
        }
        let (early, ready): (Vec<_>, Vec<_>) =
            selection.tasks.into_iter().partition(|task| task.is_early);
        let ids = ready.into_iter().map(|task| task.id).collect();
        let ids = self.lease_tasks(&plan, ids)?;
        if !ids.is_empty() {
            self.with_expected_change(context, |run, context| {
                run.set_in_progress(&ids, context.watcher)
            })?;
        }
        let early = early.into_iter().map(|task| task.id).collect();
        for id in self.lease_tasks(&plan, early)? {
            let open = plan
                .get(&id)
                .map_or(Vec::new(), |item| plan.waiting_on(item));
            let waits_for = open.iter().map(ToString::to_string).collect();
            self.begin_early(&id, waits_for, context.watcher)?;
        }
        Ok(())
    }

    /// Records how many tasks are left for now, if that has changed. Written without a sync: it is for reports only.
    fn note_held(&mut self, held: &TasksHeld) -> Result<(), RunError> {
        if self.state().held != *held {
            self.recorder.write(&[Event::from(held.clone())])?;
        }
        Ok(())
    }

    /// Sets tasks to `in_progress`, in the plan first, then in the ledger.
    pub(crate) fn set_in_progress(
        &mut self,
        ids: &[ItemId],
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let mut begun = Vec::new();
        let changed = self.store.mutate(self.mutate_options(), |plan| {
            for id in ids {
                // The task may have changed between the read of the plan and its lock.
                let status = plan.get(id).map(Item::status);
                if matches!(status, Some(Status::Pending | Status::InProgress)) {
                    plan.set_status(id, Status::InProgress)?;
                    begun.push(id);
                }
            }
            Ok(())
        })?;
        watcher.mirror(&changed);
        say_each(&begun, watcher, |id| format!("{id}: in progress"));
        let events = begun.into_iter().map(|id| {
            Event::from(PlanMutated {
                unit: UnitId::new(id.as_str()),
                status: Status::InProgress.as_str().to_owned(),
                comment: None,
                reason: None,
                detail: None,
            })
        });
        self.recorder.record(&events.collect::<Vec<_>>())?;
        Ok(())
    }

    fn begin_early(
        &mut self,
        id: &ItemId,
        waits_for: Vec<String>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let unit = UnitId::new(id.as_str());
        let open = waits_for.join(", ");
        watcher.say(&format!(
            "{unit}: begun before its open dependencies: {open}"
        ));
        self.recorder
            .record(&[Event::from(BeganEarly { unit, waits_for })])?;
        Ok(())
    }

    /// Whether the task of `unit` was begun early and still waits for a dependency.
    pub(crate) fn has_to_wait(&self, plan: &Plan, unit: &Unit) -> Result<bool, RunError> {
        let item = find_item(plan, &unit.id)?;
        Ok(unit.is_early && plan.dep_state(item) == DepState::WaitingOnDeps)
    }

    /// How many tasks may be admitted now.
    pub(super) fn free_slots(&self) -> usize {
        let state = self.state();
        // A run that keeps patches was to propose what was ready then; what a taken patch makes ready is for another run.
        if !self.settings.options.integrate && state.has_completed {
            return 0;
        }
        // A task that only waits for its dependencies must not keep them from being admitted.
        let at_work = state.in_flight().filter(|unit| !self.is_parked(unit));
        let (at_work, admitted) = (at_work.count(), state.units.len());
        let options = &self.settings.options;
        free_task_slots(options.parallel_tasks, options.max_tasks, at_work, admitted)
    }

    /// Whether a task in flight has nothing to do in this call. A task that reached its budget keeps its slot, since it is
    /// `in_progress` in the plan.
    fn is_idle(&self, unit: &Unit) -> bool {
        self.accounts.is_closed(&unit.id) || self.is_parked(unit)
    }

    /// Whether a task that was begun early lacks nothing but its dependencies.
    fn is_parked(&self, unit: &Unit) -> bool {
        let parked = || {
            let plan = self.store.current()?;
            let task = self.task(&plan, &unit.id)?;
            let is_ready = matches!(task.next(&unit.state), Action::Integrate);
            Ok::<bool, RunError>(is_ready && self.has_to_wait(&plan, unit)?)
        };
        unit.is_early && parked().unwrap_or(false)
    }

    fn select(&self, plan: &Plan, free: usize) -> Result<Selection, RunError> {
        let state = self.state();
        let mut claims = empty_claims(&self.settings.options.shared_paths)?;
        for unit in state.in_flight() {
            let reach = item_reach(find_item(plan, &unit.id)?);
            claims.add(reach.map_err(RunError::UnusableTask)?);
        }
        let closure = closure(plan, &self.settings.ids)?;
        let mut past = self.holds.units();
        past.extend(state.units.iter().map(|unit| unit.id.clone()));
        let request = SelectionRequest {
            closure: closure.as_ref(),
            past: &past,
            claims,
            places: free,
            deps: self.settings.options.deps,
            leaves_out_begun: self.settings.options.is_headless,
            is_workable: &|task| self.protocols.check(task),
        };
        match &self.join {
            Some(join) => self.select_beside_others(plan, request, join),
            None => Ok(self.settings.options.select(plan, request)),
        }
    }

    /// The same beside joined runs: first the tasks whose leases have expired, then others whose scopes share no path with any that
    /// is leased.
    fn select_beside_others(
        &self,
        plan: &Plan,
        request: SelectionRequest<'_>,
        join: &Join,
    ) -> Result<Selection, RunError> {
        let options = &self.settings.options;
        let (alive, expired) = join.units();
        let places = request.places;
        let mut claims = request.claims.clone();
        join.claim_alive(&mut claims)?;
        let is_lost = |item: &&Item| {
            expired.contains(&UnitId::new(item.id().as_str()))
                && request.closure.is_none_or(|ids| ids.contains(item.id()))
        };
        let lost = plan.items().iter().filter(is_lost);
        let lost: BTreeSet<ItemId> = lost.map(|item| item.id().clone()).collect();
        let mut selection = match lost.is_empty() {
            true => Selection::default(),
            false => options.select(
                plan,
                SelectionRequest {
                    closure: Some(&lost),
                    claims,
                    ..request.clone()
                },
            ),
        };
        let mut past = request.past.clone();
        past.extend(alive.into_iter().chain(expired));
        let mut claims = request.claims.clone();
        join.claim_all(&mut claims)?;
        let rest = SelectionRequest {
            past: &past,
            claims,
            places: places.saturating_sub(selection.tasks.len()),
            ..request
        };
        let rest = options.select(plan, rest);
        selection.tasks.extend(rest.tasks);
        selection.skipped.extend(rest.skipped);
        selection.held = rest.held;
        Ok(selection)
    }

    pub(crate) fn mutate_options(&self) -> MutateOptions {
        // Tasks of other runs and edits by the user must not stop a run halfway.
        let is_crowded = || {
            let plan = self.store.current();
            plan.is_ok_and(|plan| plan.check_single_in_progress().is_err())
        };
        MutateOptions {
            allow_multiple_in_progress: self.settings.options.parallel_tasks > 1
                || self.has_joined()
                || !self.holds.is_empty()
                || is_crowded(),
            ..MutateOptions::default()
        }
    }
}

/// Says what `text` says of each, for the first ones.
pub(super) fn say_each<T>(all: &[T], watcher: &mut dyn Watcher, text: impl Fn(&T) -> String) {
    for one in all.iter().take(SHOWN) {
        watcher.say(&text(one));
    }
    if all.len() > SHOWN {
        watcher.say(&format!("and {} more tasks", all.len() - SHOWN));
    }
}
