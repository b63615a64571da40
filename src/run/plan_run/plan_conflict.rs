//! A task whose status in the plan is not the one that this run gave it: a person, or another run, has decided about it. What
//! they wrote is left alone, and the run has nothing more to do with the task.

use super::begin::PlanRun;
use crate::integrate::is_outcome_of;
use crate::job::Journal;
use crate::model::{
    Event, PlanConflict, RowId, RowKey, UnitId, VerdictKind, VerdictRecord, WaveNo,
};
use crate::plan::{ItemId, Plan, Status};
use crate::run::error::RunError;
use crate::run::store::Unit;
use crate::run::watcher::Watcher;

/// The failure code of rows whose task is not the run's any more.
const CODE: &str = "plan_conflict";

/// What the plan says of an item that is not there.
const REMOVED: &str = "removed";

impl PlanRun {
    /// Lets go of every task in flight whose status was changed behind the run.
    pub(crate) fn release_changed_units(
        &mut self,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let plan = self.store.read()?;
        let changed = |unit: &Unit| Some((unit.id.clone(), self.changed(&plan, unit)?));
        let changed: Vec<(UnitId, String)> = self.state().in_flight().filter_map(changed).collect();
        for (unit, found) in changed {
            self.release_unit(&unit, &found, watcher)?;
        }
        Ok(())
    }

    /// What the plan says of a task in flight, where that is nothing that this run wrote.
    fn changed(&self, plan: &Plan, unit: &Unit) -> Option<String> {
        let id = ItemId::try_from(unit.id.to_string()).ok();
        let Some(item) = id.and_then(|id| plan.get(&id)) else {
            return Some(REMOVED.to_owned());
        };
        // A kill may have come between the outcome in the plan and the event that says so.
        let is_own = |text: &str| is_outcome_of(text, self.id());
        let is_known = is_known(item.status(), unit.is_early)
            || item.comments().iter().any(|comment| is_own(&comment.text));
        (!is_known).then(|| item.status().as_str().to_owned())
    }

    /// The task is not this run's any more: nothing further is done for it, and its open rows are judged.
    pub(crate) fn release_unit(
        &mut self,
        unit: &UnitId,
        found: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let conflict = PlanConflict {
            unit: unit.clone(),
            found: found.to_owned(),
        };
        watcher.warn(&format!("{unit}: {}", conflict.told()));
        let open = self.open_rows(unit).into_iter();
        let verdict = |(wave, item_id)| {
            Event::from(VerdictRecord {
                wave,
                item_id,
                verdict: VerdictKind::Rejected,
                code: Some(CODE.to_owned()),
                detail: Some(conflict.told()),
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
            let is_open = |id: &&RowId| {
                !wave.judged.contains(id) && RowKey::parse(id).is_some_and(|key| key.unit == *unit)
            };
            let open = wave.compiled.rows.iter().filter(is_open);
            rows.extend(open.map(|id| (wave.compiled.wave, id.clone())));
        }
        rows
    }
}

/// Whether a task in flight may have this status without anybody else's doing.
pub(crate) fn is_known(status: Status, is_early: bool) -> bool {
    status == Status::InProgress || (is_early && status == Status::Pending)
}
