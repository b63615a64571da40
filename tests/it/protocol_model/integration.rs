//! The part of the shell that integrates accepted patches: `run::plan_run::validate_beside`.

use super::properties;
use super::shell::{Checked, Shell};
use super::world::{Patch, Tried, item_id, unit_of};
use mesh::model::{
    BlockReason, Event, IntegrationFinished, IntegrationOutcome, IntegrationStarted, UnitId,
};
use mesh::plan::DepState;
use mesh::run::Unit;
use mesh::schedule::{Deps, item_reach, must_validate_again};
use mesh::scope::{Claims, Reach};
use std::path::PathBuf;

/// How often a patch is validated because what it may touch changed each time.
const TRIES: usize = 3;

impl Shell<'_> {
    pub(super) fn take_validated(&mut self) -> Checked {
        let call = &mut self.world.call;
        for (unit, patch) in &mut call.patches {
            if std::mem::take(&mut patch.is_new) {
                call.queue.end(unit);
            }
        }
        self.start_validations();
        if !self.world.call.is_stopping {
            return Ok(());
        }
        let call = &mut self.world.call;
        let untried = call.patches.iter();
        let untried = untried.filter(|(_, patch)| patch.tried.is_none() && !patch.is_validating);
        for unit in untried.map(|(unit, _)| unit.clone()).collect::<Vec<_>>() {
            call.queue.remove(&unit);
            call.patches.remove(&unit);
        }
        while let Some(unit) = self.world.call.queue.next_to_apply().cloned() {
            self.apply_first(&unit)?;
            self.world.call.queue.remove(&unit);
            self.world.call.patches.remove(&unit);
        }
        Ok(())
    }

    pub(super) fn start_validations(&mut self) {
        let applied = self.disk().state.applied;
        let call = &mut self.world.call;
        let parallel = self.setting.scenario.validation_parallel;
        while !call.is_stopping
            && let Some(unit) = call.queue.next_to_validate(parallel).cloned()
        {
            call.queue.start(&unit);
            let patch = call.patches.entry(unit).or_default();
            patch.is_validating = true;
            patch.applied_before = applied;
            patch.tries += 1;
        }
    }

    pub(super) fn has_to_wait(&self, unit: &Unit) -> bool {
        let plan = &self.disk().plan;
        let item = plan.get(&item_id(&unit.id)).expect("it is in the plan");
        unit.is_early && plan.dep_state(item) == DepState::WaitingOnDeps
    }

    pub(super) fn step_integration(&mut self, unit: &Unit) -> Checked<bool> {
        if self.world.call.queue.next_to_apply() == Some(&unit.id) {
            return self.apply_first(&unit.id);
        }
        if self.world.call.queue.has(&unit.id) {
            return Ok(false);
        }
        if unit.is_early {
            self.set_in_progress(std::slice::from_ref(&unit.id))?;
            return Ok(true);
        }
        properties::check_accepted(self.setting, self.disk(), unit)?;
        self.world.call.queue.add(&unit.id);
        self.world
            .call
            .patches
            .insert(unit.id.clone(), Patch::default());
        self.start_validations();
        Ok(false)
    }

    pub(super) fn apply_first(&mut self, id: &UnitId) -> Checked<bool> {
        let patch = self.world.call.patches.get_mut(id);
        let Some((patch, tried)) =
            patch.and_then(|patch| Some((patch.clone(), patch.tried.take()?)))
        else {
            return Ok(false);
        };
        let is_stale = self.is_stale(id, &patch, tried)?;
        if is_stale && patch.tries < TRIES {
            if !self.world.call.is_stopping {
                self.world.call.queue.validate_again(id);
                self.start_validations();
            }
            return Ok(false);
        }
        self.world.call.queue.remove(id);
        self.world.call.patches.remove(id);
        let refused = |reason| (IntegrationOutcome::Refused, Some(reason));
        let (outcome, reason) = match tried {
            _ if is_stale => refused(BlockReason::AmbiguousIntegration),
            Tried::Conflict => refused(BlockReason::AmbiguousIntegration),
            Tried::Failed => refused(BlockReason::ValidationFailed),
            Tried::Passed | Tried::Weak | Tried::Stale => (IntegrationOutcome::Applied, None),
        };
        if outcome == IntegrationOutcome::Applied && tried == Tried::Stale {
            return Err(format!("{id} is applied, and its scope has changed since"));
        }
        if outcome == IntegrationOutcome::Applied {
            let unit = unit_of(&self.disk().state, id);
            properties::check_accepted(self.setting, self.disk(), unit)?;
            properties::check_dependencies(self.setting, self.disk(), id, Deps::Strict)?;
            self.record_all([Event::from(IntegrationStarted {
                unit: id.clone(),
                patch_path: PathBuf::new(),
                paths: Vec::new(),
                patched: Vec::new(),
                new_folders: Vec::new(),
                left_alone: Vec::new(),
                head: String::new(),
            })])?;
        }
        self.finish_integration(id, outcome, reason)?;
        Ok(true)
    }

    /// Whether what has changed since a validation began may affect its patch.
    pub(super) fn is_stale(&self, id: &UnitId, patch: &Patch, tried: Tried) -> Checked<bool> {
        let disk = self.disk();
        let applied = disk.state.units.iter();
        let applied = applied.filter(|unit| unit.applied_number > patch.applied_before);
        let mut changed: Vec<PathBuf> = applied
            .flat_map(|unit| unit.state.changed_paths.clone())
            .collect();
        if tried == Tried::Stale {
            changed.push(self.path_of(id));
        }
        let item = disk.plan.get(&item_id(id)).ok_or("it is not in the plan")?;
        let reach = item_reach(item).map_err(|why| why.to_string())?;
        let shared = Reach::new(&[]).map_err(|why| why.to_string())?;
        Ok(must_validate_again(
            &changed,
            &reach,
            Claims::new(shared),
            false,
        ))
    }

    /// A path that the patch of a unit changes.
    pub(super) fn path_of(&self, id: &UnitId) -> PathBuf {
        let scope = self.setting.spec(id).scope;
        PathBuf::from(match scope {
            "" => "hydrated/x".to_owned(),
            scope => scope.replace("**", "x"),
        })
    }

    pub(super) fn finish_integration(
        &mut self,
        id: &UnitId,
        outcome: IntegrationOutcome,
        reason: Option<BlockReason>,
    ) -> Checked {
        let mut finished = IntegrationFinished::new(id, outcome);
        finished.reason = reason;
        if outcome == IntegrationOutcome::Applied {
            finished.paths = vec![self.path_of(id)];
        }
        self.record_all([Event::from(finished)])
    }

    /// A validation ends.
    pub fn end_validation(&mut self, unit: &UnitId, tried: Tried) {
        if let Some(patch) = self.world.call.patches.get_mut(unit) {
            patch.is_validating = false;
            patch.tried = Some(tried);
            patch.is_new = true;
        }
    }
}
