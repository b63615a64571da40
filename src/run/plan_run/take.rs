//! Integrates patches that a run has kept (`integrate=false`) and a person chooses, in the order of the plan.
//!
//! Each is compared with the plan and the tree as they are now; one that no longer fits is refused, and nothing changes. Then
//! `patch_taken` is durable, and from there on the task takes the same way as any other, also after a kill.

use super::begin::{PlanRun, find_item};
use super::checkout::IntegratorFactory;
use super::context::Context;
use super::phase::Phase;
use super::proposals::text_digest;
use crate::job::{JobStatus, Journal, Stop};
use crate::model::{BlockReason, Event, PatchTaken, UnitId, one_line, shell_word, with_code};
use crate::plan::{DepState, Item, Plan};
use crate::run::error::RunError;
use crate::run::store::{Unit, task_holds};
use crate::run::watcher::Watcher;

/// What became of a task whose patch was chosen.
#[derive(Clone, Debug)]
pub struct Pick {
    /// The task.
    pub unit: UnitId,
    /// Its status in the plan; `None` if its patch was refused, or is not integrated yet.
    pub status: Option<String>,
    /// Why it is not completed.
    pub why: Option<String>,
}

/// What became of the chosen patches.
#[derive(Clone, Debug, Default)]
pub struct TakenPatches {
    /// In the order in which they were looked at.
    pub picks: Vec<Pick>,
    /// Whether it was asked to stop before all were integrated.
    pub is_stopped: bool,
}

impl TakenPatches {
    fn refuse(&mut self, unit: &UnitId, why: String) {
        self.picks.push(Pick {
            unit: unit.clone(),
            status: None,
            why: Some(why),
        });
    }
}

/// What keeps a patch from being integrated.
enum Obstacle {
    /// A dependency is not completed.
    Waits(String),
    /// The plan or the tree has changed.
    Changed(String),
}

impl PlanRun {
    /// Whether patches are kept instead of integrated.
    pub fn keeps_patches(&self) -> bool {
        !self.settings.options.integrate
    }

    /// Integrates the kept patches of the tasks `ids`, or all if there are none.
    pub fn take_patches(
        &mut self,
        ids: &[String],
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<TakenPatches, RunError> {
        let end = self.state().finished.clone();
        let mut taken = self.with_context(watcher, stop, |run, context| {
            run.roll_back(context)?;
            let mut taken = TakenPatches::default();
            let begun = run.state().in_flight().filter(|unit| unit.is_taken());
            let begun: Vec<UnitId> = begun.map(|unit| unit.id.clone()).collect();
            run.commit(context)?;
            for unit in &begun {
                run.add_outcome(unit, &mut taken);
            }
            let picked = run.pick(ids, &begun, &mut taken)?;
            run.take_in_order(picked, &mut taken, context)?;
            Ok(taken)
        })?;
        taken.is_stopped = stop.urgency() != crate::job::Urgency::None;
        if self.state().finished.is_some() || self.state().in_flight().any(Unit::is_taken) {
            return Ok(taken);
        }
        match end {
            // It had tasks to go on with.
            Some(end) if !self.state().has_completed => {
                self.write_results()?;
                self.recorder.record(&[Event::from(end)])?;
            }
            _ if !self.has_more()? => self.end(&JobStatus::Finished, watcher)?,
            _ => {}
        }
        Ok(taken)
    }

    /// Integrates and persists what is taken.
    fn commit(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        self.advance_units(Phase::Commit, context)?;
        self.finish_integrations(Phase::Commit, context)
    }

    fn add_outcome(&self, id: &UnitId, taken: &mut TakenPatches) {
        let ended = self.state().unit(id).and_then(|unit| unit.ended.as_ref());
        let why = ended.and_then(|ended| {
            let detail = ended.detail.clone()?;
            let reason = ended.reason.map(BlockReason::as_str);
            Some(reason.map_or(detail.clone(), |reason| with_code(reason, &detail)))
        });
        taken.picks.push(Pick {
            unit: id.clone(),
            status: ended.map(|ended| ended.status.clone()),
            why,
        });
    }

    /// The tasks to integrate, in the order of the plan. Those that can't be are refused; `begun` ones are done already.
    fn pick(
        &self,
        ids: &[String],
        begun: &[UnitId],
        taken: &mut TakenPatches,
    ) -> Result<Vec<UnitId>, RunError> {
        let is_open = |unit: &Unit| unit.proposal.as_ref().is_some_and(|it| it.is_open());
        let mut picked: Vec<UnitId> = Vec::new();
        if ids.is_empty() {
            let open = self.state().units.iter().filter(|unit| is_open(unit));
            picked.extend(open.map(|unit| unit.id.clone()));
        }
        for id in ids {
            let id = UnitId::new(id.as_str());
            match self.state().unit(&id) {
                _ if begun.contains(&id) || picked.contains(&id) => {}
                Some(unit) if is_open(unit) => picked.push(id),
                unit => taken.refuse(&id, why_not(unit)),
            }
        }
        let plan = self.store.current()?;
        let place = |id: &UnitId| {
            let mut items = plan.items().iter();
            items.position(|item| item.id().as_str() == id.as_str())
        };
        picked.sort_by_key(|id| place(id).unwrap_or(usize::MAX));
        Ok(picked)
    }

    /// Takes the patches one by one. What one of them completes may be a dependency of another.
    fn take_in_order(
        &mut self,
        mut open: Vec<UnitId>,
        taken: &mut TakenPatches,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        loop {
            let mut waiting = Vec::new();
            let before = open.len();
            for id in open {
                if context.is_stopping() {
                    return Ok(());
                }
                match self.obstacle(&id, context.stop)? {
                    Some(Obstacle::Waits(why)) => waiting.push((id, why)),
                    Some(Obstacle::Changed(why)) => taken.refuse(&id, why),
                    None => {
                        self.take(&id, context)?;
                        self.add_outcome(&id, taken);
                    }
                }
            }
            if waiting.is_empty() || waiting.len() == before {
                for (id, why) in waiting {
                    taken.refuse(&id, why);
                }
                return Ok(());
            }
            open = waiting.into_iter().map(|(id, _)| id).collect();
        }
    }

    fn take(&mut self, id: &UnitId, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        task_holds::add_run(&self.repo, &self.folder, &self.lock)?;
        let event = PatchTaken { unit: id.clone() };
        self.recorder.record(&[Event::from(event)])?;
        self.commit(context)
    }

    /// What keeps the patch of a task from being integrated now.
    fn obstacle(&self, id: &UnitId, stop: &Stop) -> Result<Option<Obstacle>, RunError> {
        let changed = |why: String| Ok(Some(Obstacle::Changed(why)));
        let unit = self.state().unit(id);
        let Some((unit, proposal)) = unit.and_then(|unit| Some((unit, unit.proposal.as_ref()?)))
        else {
            return changed(why_not(unit));
        };
        if let Some(refusal) = self.holds.refusal(id) {
            return changed(refusal.to_string());
        }
        let plan = self.store.current()?;
        let Ok(item) = find_item(&plan, id) else {
            return changed("the plan has no such task any more".to_owned());
        };
        let (then, now) = (&proposal.admitted.status, item.status().as_str());
        if then != now {
            return changed(format!(
                "the plan says `{now}`, and said `{then}` when the run began the task: a person or another run took it"
            ));
        }
        if text_digest(item) != proposal.admitted.item_sha256 {
            return changed(
                "its text in the plan was edited after the run began it; run it again".to_owned(),
            );
        }
        if plan.dep_state(item) == DepState::WaitingOnDeps {
            return Ok(Some(Obstacle::Waits(open_dependencies(&plan, item))));
        }
        let misfit = self.find_misfit(&plan, unit, stop)?;
        Ok(misfit.map(Obstacle::Changed))
    }

    /// Why the patch of a unit does not apply to the tree as it is.
    fn find_misfit(
        &self,
        plan: &Plan,
        unit: &Unit,
        stop: &Stop,
    ) -> Result<Option<String>, RunError> {
        let task = self.task(plan, &unit.id)?;
        let patch = self.accepted_patch(&task, unit)?;
        let trees = self.trees();
        let factory = IntegratorFactory::new(self.checkout()?, &trees);
        let request = factory.request(&patch);
        let Some(why) = factory.restorer(stop).find_misfit(&request)? else {
            return Ok(None);
        };
        let reason = BlockReason::AmbiguousIntegration;
        self.explain_block(&task, unit, reason, &why).map(Some)
    }
}

/// Why the run has no patch of a task to integrate.
fn why_not(unit: Option<&Unit>) -> String {
    let Some(unit) = unit else {
        return "the run has no such task".to_owned();
    };
    let Some(ended) = &unit.ended else {
        return "it has no vote yet; resume the run first".to_owned();
    };
    let detail = ended.detail.as_deref().map(one_line).unwrap_or_default();
    match ended.reason {
        _ if ended.is_conflict => detail,
        _ if unit.is_taken() => format!("its patch was taken before: {}", ended.status),
        Some(reason) => format!(
            "its patch was rejected ({})",
            with_code(reason.as_str(), &detail)
        ),
        None => detail,
    }
}

fn open_dependencies(plan: &Plan, item: &Item) -> String {
    let open = plan.waiting_on(item);
    let open: Vec<String> = open.iter().map(|id| shell_word(id.as_str())).collect();
    format!("it waits for {}, which is not completed", open.join(", "))
}
