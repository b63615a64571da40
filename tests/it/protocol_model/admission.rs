//! The part of the shell that admits tasks and compiles waves: `run::plan_run::admission` and `waves`.

use super::properties;
use super::shell::{Checked, Shell};
use super::world::item_id;
use mesh::job::BudgetTracker;
use mesh::model::{
    BeganEarly, BudgetReached, Event, PlanMutated, Role, RowId, RowKey, UnitId, WaveCompiled,
};
use mesh::plan::Status;
use mesh::protocol::{Action, Emission};
use mesh::run::Unit;
use mesh::schedule::{
    Deps, Dispatch, Priority, SelectionRequest, TaskLimit, free_task_slots, item_reach, select,
    select_longest_first,
};
use mesh::scope::{Claims, Reach};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

impl Shell<'_> {
    pub(super) fn set_in_progress(&mut self, units: &[UnitId]) -> Checked {
        for unit in units {
            // One change of the plan.
            if *unit == units[0] {
                self.write_point();
            }
            properties::check_dependencies(self.setting, self.disk(), unit, Deps::Strict)?;
            let plan = &mut self.world.disk.plan;
            plan.set_status(&item_id(unit), Status::InProgress)
                .map_err(|error| error.to_string())?;
        }
        self.record_all(units.iter().map(|unit| {
            Event::from(PlanMutated {
                unit: unit.clone(),
                status: Status::InProgress.as_str().to_owned(),
                comment: None,
                reason: None,
                detail: None,
            })
        }))
    }

    pub(super) fn fill_free_slots(&mut self) -> Checked {
        let mut known = usize::MAX;
        while known != self.disk().state.units.len() {
            known = self.disk().state.units.len();
            self.admit_tasks()?;
            if known != self.disk().state.units.len() {
                self.advance_units()?;
            }
        }
        Ok(())
    }

    pub(super) fn admit_tasks(&mut self) -> Checked {
        let state = &self.disk().state;
        let is_parked = |unit: &&Unit| {
            let is_ready = matches!(self.next(unit), Action::Integrate);
            unit.is_early && is_ready && self.has_to_wait(unit)
        };
        let at_work = state.in_flight().filter(|unit| !is_parked(unit)).count();
        let parallel = self.setting.scenario.parallel_tasks;
        let free = free_task_slots(parallel, TaskLimit::Auto, at_work, state.units.len());
        if free == 0 {
            return Ok(());
        }
        let (early, ready) = self.select(free)?;
        if !ready.is_empty() {
            self.set_in_progress(&ready)?;
        }
        for unit in early {
            properties::check_dependencies(self.setting, self.disk(), &unit, Deps::Advisory)?;
            let waits_for = Vec::new();
            self.record_all([Event::from(BeganEarly { unit, waits_for })])?;
        }
        Ok(())
    }

    /// The tasks to begin early, and those that are ready.
    pub(super) fn select(&self, places: usize) -> Checked<(Vec<UnitId>, Vec<UnitId>)> {
        let (scenario, disk) = (&self.setting.scenario, self.disk());
        let past: BTreeSet<UnitId> = disk
            .state
            .units
            .iter()
            .map(|unit| unit.id.clone())
            .collect();
        let in_flight: Vec<&UnitId> = disk.state.in_flight().map(|unit| &unit.id).collect();
        let items = disk.plan.items().iter();
        let items: Vec<_> = items.map(|item| (item.status(), item.notes())).collect();
        let key = format!("{items:?} {past:?} {in_flight:?} {places}");
        let known = self
            .setting
            .selections
            .lock()
            .expect("no panic")
            .get(&key)
            .cloned();
        let selected = match known {
            Some(selected) => selected,
            None => {
                let nothing = Reach::new(&[]).map_err(|why| why.to_string())?;
                let mut claims = Claims::new(nothing);
                for unit in in_flight {
                    let item = disk
                        .plan
                        .get(&item_id(unit))
                        .ok_or("it is not in the plan")?;
                    claims.add(item_reach(item).map_err(|why| why.to_string())?);
                }
                let request = SelectionRequest {
                    closure: None,
                    past: &past,
                    claims,
                    places,
                    deps: scenario.deps,
                    leaves_out_begun: false,
                    is_workable: &|task| self.setting.protocols.check(task),
                };
                let selection = match scenario.dispatch {
                    Dispatch::Rolling if scenario.parallel_tasks > 1 => {
                        let priority = Priority::with_equal_costs(&disk.plan);
                        select_longest_first(&disk.plan, request, &priority)
                    }
                    _ => select(&disk.plan, request),
                };
                let tasks = Arc::new(selection.tasks);
                let mut known = self.setting.selections.lock().expect("no panic");
                known.insert(key, Arc::clone(&tasks));
                tasks
            }
        };
        let (early, ready): (Vec<_>, Vec<_>) = selected.iter().partition(|task| task.is_early);
        let ids = |tasks: Vec<&mesh::schedule::Selected>| {
            let ids = tasks.into_iter().map(|task| UnitId::new(task.id.as_str()));
            ids.collect()
        };
        Ok((ids(early), ids(ready)))
    }

    pub(super) fn compile_waves(&mut self) -> Checked {
        let units = self.disk().state.in_flight();
        let needed = units.filter_map(|unit| match self.next(unit) {
            Action::Emit(emission) => Some((unit.clone(), emission)),
            _ => None,
        });
        let mut groups: Vec<Vec<(Unit, Emission)>> = Vec::new();
        for (unit, emission) in needed.collect::<Vec<_>>() {
            if !self.fits_budget(&unit, emission.roles.len())? {
                continue;
            }
            let is_barrier = self.setting.scenario.dispatch == Dispatch::Barrier;
            let name = |unit: &Unit| {
                self.setting
                    .protocol(&self.disk().plan, unit)
                    .0
                    .name
                    .clone()
            };
            let mut known = groups.iter_mut();
            let same = known.find(|group| {
                let (first, other) = &group[0];
                is_barrier && other.round == emission.round && name(first) == name(&unit)
            });
            match same {
                Some(group) => group.push((unit, emission)),
                None => groups.push(vec![(unit, emission)]),
            }
        }
        groups
            .into_iter()
            .try_for_each(|group| self.compile_wave(&group))
    }

    pub(super) fn fits_budget(&mut self, unit: &Unit, rows: usize) -> Checked<bool> {
        if self.world.call.closed.contains(&unit.id) {
            return Ok(false);
        }
        let budget = BudgetTracker::new(self.setting.scenario.task_budget, unit.spent);
        let Some((name, limit)) = budget.lacking(rows as u64) else {
            return Ok(true);
        };
        self.world.call.closed.insert(unit.id.clone());
        self.record_all([Event::from(BudgetReached {
            budget: format!("task_{name}"),
            limit,
            unit: Some(unit.id.clone()),
        })])?;
        Ok(false)
    }

    pub(super) fn compile_wave(&mut self, group: &[(Unit, Emission)]) -> Checked {
        let (first, emission) = &group[0];
        let (protocol, _) = self.setting.protocol(&self.disk().plan, first);
        let round = protocol
            .round(&emission.round)
            .ok_or("a round that does not exist")?;
        let rows = group.iter().flat_map(|(unit, emission)| {
            let key = |role: &Role| RowKey {
                unit: unit.id.clone(),
                round: emission.round.clone(),
                role: role.clone(),
                attempt: emission.attempt,
            };
            emission.roles.iter().map(move |role| key(role).id())
        });
        let rows: Vec<RowId> = rows.collect();
        properties::check_rows(self.disk(), group, &rows)?;
        self.record_all([Event::from(WaveCompiled {
            wave: self.disk().state.next_wave(),
            round: round.name.clone(),
            lane: round.lane,
            rows,
            csv_path: PathBuf::new(),
            call_path: PathBuf::new(),
            csv_sha256: String::new(),
            max_concurrency: self.concurrency(),
            protocol: Some(protocol.name.clone()),
            risks: BTreeMap::new(),
        })])
    }
}
