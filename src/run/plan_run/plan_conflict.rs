//! Releases tasks whose status in the plan was changed by a person or another run, and those that a joined run has taken over. Their
//! change stays, and the run does nothing more for the task.

use super::begin::PlanRun;
use crate::integrate::is_outcome_of;
use crate::job::Journal;
use crate::model::{
    Event, PlanConflict, RowId, RowKey, RunId, UnitId, VerdictKind, VerdictRecord, WaveNo,
};
use crate::plan::{ItemId, Plan, Status};
use crate::run::error::RunError;
use crate::run::store::Unit;
use crate::run::watcher::Watcher;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The failure code of rows whose task was released.
pub(crate) const CODE: &str = "plan_conflict";

/// The status of an item that the plan no longer has.
const REMOVED: &str = "removed";

impl PlanRun {
    /// Releases every task in flight whose status a person or another run changed, or whose lease was taken over.
    pub(crate) fn release_changed_units(
        &mut self,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let plan = self.store.current()?;
        self.release_lost_units(&plan, watcher)?;
        // A task joins with a change of the plan, or as the plan has it.
        let is_same = |compared: &Arc<Plan>| Arc::ptr_eq(compared, &plan);
        if self.compared.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        let changed = |unit: &Unit| Some((unit.id.clone(), self.changed(&plan, unit)?));
        let changed: Vec<(UnitId, String)> = self.state().in_flight().filter_map(changed).collect();
        for (unit, found) in changed {
            self.release_unit(&unit, &found, watcher)?;
        }
        self.compared = Some(plan);
        Ok(())
    }

    /// The items of tasks in flight that were changed.
    pub(super) fn changed_items(&self, plan: &Plan) -> BTreeSet<ItemId> {
        let is_changed = |unit: &&Unit| self.changed(plan, unit).is_some();
        let changed = self.state().in_flight().filter(is_changed);
        let ids = changed.filter_map(|unit| ItemId::try_from(unit.id.to_string()).ok());
        ids.collect()
    }

    fn release_lost_units(
        &mut self,
        plan: &Plan,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let lost = |unit: &Unit| {
            let run = self.taken_by(&unit.id)?;
            // A lease that all have forgotten says nothing that the plan does not say.
            let is_said = run == self.id() && self.changed(plan, unit).is_some();
            (!is_said).then(|| (unit.id.clone(), run.clone()))
        };
        let lost: Vec<(UnitId, RunId)> = match self.has_joined() {
            true => self.state().in_flight().filter_map(lost).collect(),
            false => Vec::new(),
        };
        for (unit, run) in lost {
            let conflict = PlanConflict {
                found: find_status(plan, &unit),
                unit,
                taken_by: Some(run),
            };
            self.release(&conflict, watcher)?;
        }
        Ok(())
    }

    /// The status of a task in flight, if this run did not set it.
    fn changed(&self, plan: &Plan, unit: &Unit) -> Option<String> {
        let id = ItemId::try_from(unit.id.to_string()).ok();
        let Some(item) = id.and_then(|id| plan.get(&id)) else {
            return Some(REMOVED.to_owned());
        };
        // Others may take a task whose patch is kept; nobody needs the patch of one that is done.
        if unit.is_held() {
            let is_over = matches!(item.status(), Status::Completed | Status::Canceled);
            return is_over.then(|| item.status().as_str().to_owned());
        }
        // A kill may have come between the outcome in the plan and its event in the ledger.
        let is_own = |text: &str| is_outcome_of(text, self.id());
        let is_known = is_known(item.status(), unit.is_early)
            || item.comments().iter().any(|comment| is_own(&comment.text));
        (!is_known).then(|| item.status().as_str().to_owned())
    }

    /// Releases a task, and rejects its open rows.
    pub(crate) fn release_unit(
        &mut self,
        unit: &UnitId,
        found: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let conflict = PlanConflict {
            unit: unit.clone(),
            found: found.to_owned(),
            taken_by: None,
        };
        self.release(&conflict, watcher)
    }

    fn release(
        &mut self,
        conflict: &PlanConflict,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let unit = &conflict.unit;
        watcher.warn(&format!("{unit}: {}", conflict.message()));
        let open = self.open_rows(unit).into_iter();
        let verdict = |(wave, item_id)| {
            Event::from(VerdictRecord {
                evidence: None,
                wave,
                item_id,
                verdict: VerdictKind::Rejected,
                code: Some(CODE.to_owned()),
                detail: Some(conflict.message()),
                fault: None,
                checks: None,
            })
        };
        let mut events: Vec<Event> = open.map(verdict).collect();
        events.push(Event::from(conflict.clone()));
        self.recorder.record(&events)?;
        Ok(())
    }

    fn open_rows(&self, unit: &UnitId) -> Vec<(WaveNo, RowId)> {
        let mut rows = Vec::new();
        for wave in self.open_waves() {
            let is_own = |id: &&RowId| RowKey::parse(id).is_some_and(|key| key.unit == *unit);
            let open = wave.open_rows().map(|(_, id)| id).filter(is_own);
            rows.extend(open.map(|id| (wave.compiled.wave, id.clone())));
        }
        rows
    }
}

/// The status of a task in the plan.
fn find_status(plan: &Plan, unit: &UnitId) -> String {
    let id = ItemId::try_from(unit.to_string()).ok();
    let item = id.and_then(|id| plan.get(&id));
    let status = item.map_or(REMOVED, |item| item.status().as_str());
    status.to_owned()
}

/// Whether this run itself may have given a task in flight the status.
pub(crate) fn is_known(status: Status, is_early: bool) -> bool {
    status == Status::InProgress || (is_early && status == Status::Pending)
}
