//! Everything of a plan run that needs no rows: counting votes, integrating, persisting, and undoing what a kill interrupted.

use super::compile::Task;
use super::drive::{PlanRun, Watcher, item_of};
use super::hydration::Hydration;
use super::state::Unit;
use super::{RunError, RunFolder, Settings};
use crate::git::Repo;
use crate::integrate::{self, Integrator, Order, Persisted, RepoLock, Terms};
use crate::job::{Journal, Stop, Urgency};
use crate::model::{
    BlockReason, Event, Hydrated, PlanMutated, ProtocolChanged, RowId, RowKey, UnitId, one_line,
};
use crate::protocol::{self, Action, Answer, Change, UnitState};
use serde_json::Value;
use std::time::Duration;

impl PlanRun {
    /// A kill during an integration: the tree goes back to its before-state first of all.
    pub(super) fn roll_back(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let open: Vec<_> = self
            .state()
            .units
            .iter()
            .filter_map(|unit| unit.open_integration.clone())
            .collect();
        for started in open {
            watcher.say(&format!(
                "{}: an interrupted integration is rolled back",
                started.unit
            ));
            let restored = integrator(&self.repo, &self.folder, &self.settings, &self.lock, stop)
                .roll_back(&started, &mut self.recorder)?;
            let aside = self.folder.unit(&started.unit).join("aside");
            let given_way = [&restored.moved_aside[..], &restored.overwritten[..]].concat();
            if !given_way.is_empty() {
                watcher.say(&format!(
                    "what stood at {given_way:?} is in {}",
                    aside.display()
                ));
            }
            if !restored.kept.is_empty() {
                watcher.warn(&format!(
                    "changed since the integration began, and left as they are: {:?}",
                    restored.kept
                ));
            }
        }
        // A kill between the mark and `integration_started` leaves the mark alone: nothing was changed.
        Ok(self.lock.settled()?)
    }

    /// Does everything that needs no rows, unit by unit: count votes, integrate, persist.
    pub(super) fn settle(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let ids: Vec<UnitId> = self
            .state()
            .in_flight()
            .map(|unit| unit.id.clone())
            .collect();
        for id in ids {
            // A stop is looked at between steps: each of them is whole by itself.
            while stop.urgency() == Urgency::None && self.step(&id, watcher, stop)? {}
        }
        Ok(())
    }

    /// One step of one unit; `false` when it needs rows, or nothing any more.
    fn step(
        &mut self,
        id: &UnitId,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<bool, RunError> {
        let in_flight = self.state().in_flight().find(|unit| unit.id == *id);
        let Some(unit) = in_flight.cloned() else {
            return Ok(false);
        };
        let task = self.task(&self.store.read()?, id)?;
        match task.next(&unit.state) {
            Action::Await | Action::Emit(_) => return Ok(false),
            Action::Hydrate(answer) => self.hydrate(&task, &unit, &answer, watcher)?,
            Action::Change(change) => self.change(&task, change, watcher)?,
            Action::Tally => self.tally(&task, &unit.state, watcher)?,
            Action::Integrate => self.integrate(&task, &unit.state, watcher, stop)?,
            Action::Complete => self.persist(&unit, None, "", watcher)?,
            Action::Block(reason, detail) => self.persist(&unit, Some(reason), &detail, watcher)?,
        }
        Ok(true)
    }

    /// Stores the metadata that a worker proposed, without the commands that nobody vouches for.
    fn hydrate(
        &mut self,
        task: &Task,
        unit: &Unit,
        answer: &Value,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let plan = self.store.read()?;
        let item = item_of(&plan, &task.unit)?;
        let stored = self.settings.hydration(item, answer);
        // It could be stored when it was judged; the item was edited since.
        let Hydration {
            metadata,
            notes,
            left_out,
        } = stored.map_err(|why| RunError::Swarm {
            item: item.id().clone(),
            why,
        })?;
        self.store.mutate(self.mutate_options(), |plan| {
            plan.set_notes(item.id(), &notes)
        })?;
        watcher.say(&format!("{}: metadata stored", task.unit));
        if !left_out.is_empty() {
            watcher.warn(&format!(
                "{}: proposed validation commands that validation_allow does not cover were left out: {}",
                task.unit,
                one_line(&left_out.join("; "))
            ));
        }
        let run = unit.state.rounds.last();
        let row = run.and_then(|run| {
            let role = run.answers.keys().next()?.clone();
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
        change: Change,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        watcher.say(&format!(
            "{}: goes on under protocol `{}` ({}: {})",
            task.unit, change.to, change.code, change.detail
        ));
        self.recorder.record(&[Event::from(ProtocolChanged {
            unit: task.unit.clone(),
            from: task.protocol.name.clone(),
            to: change.to,
            keeps: change.keeps,
            code: change.code,
            detail: change.detail,
        })])?;
        Ok(())
    }

    fn tally(
        &mut self,
        task: &Task,
        state: &UnitState,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let threshold = task
            .protocol
            .consensus
            .as_ref()
            .map_or(0, |gate| gate.threshold);
        let answers = state.current_answers();
        let votes = task
            .protocol
            .voters()
            .iter()
            .map(|role| match answers.get(role) {
                Some(Answer::Accepted(value)) => (role, Ok(value)),
                Some(Answer::Rejected { code, .. } | Answer::Retry { code, .. }) => {
                    (role, Err(code.as_str()))
                }
                Some(Answer::Open) | None => (role, Err("no verdict")),
            });
        let number = state.tallies.len() as u32 + 1;
        let tally = protocol::tally(&task.unit, number, threshold, votes);
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

    fn integrate(
        &mut self,
        task: &Task,
        state: &UnitState,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let order = Order {
            unit: &task.unit,
            terms: Terms {
                metadata: &task.metadata,
                scope: &task.scope,
                plan_file: self.store.file(),
                artifacts: self.folder.runs(),
                limits: self.settings.patch,
            },
            patch: protocol::latest_patch(&task.protocol, state).unwrap_or_default(),
        };
        integrator(&self.repo, &self.folder, &self.settings, &self.lock, stop)
            .integrate(&order, &mut self.recorder)?;
        if let Some(unit) = self.state().unit(&task.unit) {
            for run in &unit.state.validations {
                watcher.say(&format!(
                    "{}: `{}`: {}",
                    task.unit,
                    run.command,
                    run.outcome()
                ));
            }
        }
        Ok(())
    }

    fn persist(
        &mut self,
        unit: &Unit,
        reason: Option<BlockReason>,
        detail: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let run_id = self.id().clone();
        let outcome = Persisted {
            run_id: &run_id,
            reason,
            detail,
            tally: unit.state.tallies.last(),
            validations: &unit.state.validations,
        };
        let text = integrate::comment(&outcome);
        let status = outcome.status();
        let plan = self.store.read()?;
        let item = item_of(&plan, &unit.id)?;
        integrate::persist(&self.store, item.id(), status, &text, self.mutate_options())?;
        let why = reason.map_or(String::new(), |reason| format!(" ({reason}: {detail})"));
        watcher.say(&format!("{}: {}{why}", unit.id, status.as_str()));
        self.recorder.record(&[Event::from(PlanMutated {
            unit: unit.id.clone(),
            status: status.as_str().to_owned(),
            comment: Some(text),
            reason,
            detail: reason.map(|_| detail.to_owned()),
        })])?;
        Ok(())
    }
}

fn integrator<'i>(
    repo: &'i Repo,
    folder: &'i RunFolder,
    settings: &Settings,
    lock: &'i RepoLock,
    stop: &'i Stop,
) -> Integrator<'i> {
    Integrator {
        repo,
        run_folder: folder.path(),
        limits: integrate::Limits {
            timeout: Duration::from_secs(settings.validation_timeout_seconds),
            grace: Duration::from_secs(settings.bounds.grace_seconds),
            log_bytes_max: 16 * 1024 * 1024,
        },
        stop,
        lock,
    }
}
