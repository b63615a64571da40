//! The loop of a plan run. Each turn: finish what is open, take up tasks, ask every unit what it needs, do it.

use super::compile::Task;
use super::prepare::{closure, no_claims};
use super::state::State;
use super::{Preflight, Protocols, Recorder, RunError, RunFolder, Settings};
use crate::git::Repo;
use crate::integrate::RepoLock;
use crate::job::{self, Ending, Journal, Observer, Stop, Urgency};
use crate::ledger::Ledger;
use crate::model::{
    Event, PlanMutated, RunFinished, RunId, RunKind, RunStarted, UnitId, WaveCompiled,
};
use crate::plan::{Item, ItemId, MutateOptions, Plan, Status, Store};
use crate::schedule::{Deps, Selection, Wish, reach_of, select};
use std::collections::BTreeSet;

/// Somebody who watches a run.
pub trait Watcher: Observer {
    /// A wave is about to be worked.
    fn wave_begins(&mut self, wave: &WaveCompiled);
    /// Its rows have ended.
    fn wave_ends(&mut self, wave: &WaveCompiled, counts: job::Counts);
    /// One line about a task or the run.
    fn say(&mut self, text: &str);
    /// The plan was changed, and is like this now.
    fn mirror(&mut self, plan: &Plan);
}

/// The status of a run that has nothing left to do.
const COMPLETED: &str = "completed";

/// A plan run that holds its repository.
pub struct PlanRun {
    pub(super) folder: RunFolder,
    pub(super) repo: Repo,
    pub(super) store: Store,
    pub(super) protocols: Protocols,
    pub(super) settings: Settings,
    pub(super) recorder: Recorder,
    pub(super) lock: RepoLock,
    /// Tasks that the user was told about.
    warned: BTreeSet<ItemId>,
}

impl PlanRun {
    /// Begins a run: from now on it is in the ledger.
    pub fn begin(
        preflight: Preflight,
        folder: RunFolder,
        lock: RepoLock,
    ) -> Result<Self, RunError> {
        let mut settings = preflight.settings;
        settings.worker.folder = folder.snapshot();
        let mut recorder = Recorder::new(Ledger::create(&folder.ledger())?, State::default());
        recorder.record(&[Event::from(RunStarted {
            run_id: folder.id().clone(),
            kind: RunKind::Plan,
            mesh_version: env!("CARGO_PKG_VERSION").to_owned(),
            root: preflight.repo.root().to_owned(),
            settings: serde_json::to_value(&settings).unwrap_or_default(),
        })])?;
        Ok(Self {
            store: Store::at(&settings.plan_file),
            folder,
            repo: preflight.repo,
            protocols: preflight.protocols,
            settings,
            recorder,
            lock,
            warned: BTreeSet::new(),
        })
    }

    /// Takes up an earlier run from its ledger alone.
    pub fn resume(folder: RunFolder) -> Result<Self, RunError> {
        let mut state = State::default();
        let (ledger, _) = Ledger::open_with(&folder.ledger(), |record, place| {
            if place == 0 {
                folder.drop_cancel();
            }
            state.take(&record, place);
        })?;
        let refuse = |why: String| RunError::NotResumable {
            id: folder.id().clone(),
            why,
        };
        let started = state
            .started
            .clone()
            .ok_or_else(|| refuse("its ledger is empty".to_owned()))?;
        let settings: Settings = serde_json::from_value(started.settings)
            .map_err(|error| refuse(format!("its settings are not understood: {error}")))?;
        let repo = Repo::find(&started.root)?;
        let lock = RepoLock::take(&repo, Some(folder.path()))?;
        let mut protocols = Protocols::load(&settings.protocol, repo.root(), settings.swarm)?;
        if settings.is_reduced {
            protocols.reduce();
        }
        Ok(Self {
            store: Store::at(&settings.plan_file),
            protocols,
            repo,
            settings,
            recorder: Recorder::new(ledger, state),
            folder,
            lock,
            warned: BTreeSet::new(),
        })
    }

    /// What is known.
    pub fn state(&self) -> &State {
        self.recorder.state()
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        self.folder.id()
    }

    /// Drives the run until nothing is left to do or it is asked to stop, and records how it ended.
    pub fn drive(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<Ending, RunError> {
        let ended = self.state().finished.as_ref();
        if ended.is_some_and(|ended| ended.status == COMPLETED) {
            return Ok(Ending::Finished);
        }
        self.roll_back(watcher, stop)?;
        let end = loop {
            if let Some(end) = self.finish_open_waves(watcher, stop)? {
                break end;
            }
            self.settle(watcher, stop)?;
            if stop.urgency() != Urgency::None {
                break Ending::of(stop);
            }
            self.take_up(watcher)?;
            if self.state().in_flight().next().is_none() {
                break Ending::Finished;
            }
            self.emit()?;
        };
        if end == Ending::Finished {
            self.learn_from_run(watcher)?;
        }
        let finished = self.finished(&end);
        self.recorder.record(&[Event::from(finished)])?;
        self.folder.tidy();
        Ok(end)
    }

    /// Fills the places for tasks: `in_progress` in the plan first, then in the ledger. A kill in between leaves items
    /// that stand before all others, so they are the ones that are taken up next.
    fn take_up(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        let places = self.free_places();
        if places == 0 {
            return Ok(());
        }
        let plan = self.store.read()?;
        let selection = self.select(&plan, places)?;
        for skipped in &selection.skipped {
            if self.warned.insert(skipped.item.clone()) {
                watcher.warn(&format!("{}; it is left for later", skipped.why));
            }
        }
        if selection.tasks.is_empty() {
            return Ok(());
        }
        let changed = self.store.mutate(self.mutate_options(), |plan| {
            let mut tasks = selection.tasks.iter();
            tasks.try_for_each(|task| plan.set_status(&task.id, Status::InProgress))
        })?;
        watcher.mirror(&changed);
        let mut events = Vec::new();
        for task in &selection.tasks {
            let unit = UnitId::new(task.id.as_str());
            watcher.say(&format!("{unit}: in progress"));
            events.push(Event::from(PlanMutated {
                unit,
                status: Status::InProgress.as_str().to_owned(),
                comment: None,
                reason: None,
                detail: None,
            }));
        }
        self.recorder.record(&events)?;
        Ok(())
    }

    /// How many tasks may be taken up now.
    fn free_places(&self) -> usize {
        let state = self.state();
        let parallel = self.settings.parallel_tasks.max(1) as usize;
        let in_all = self.settings.max_tasks as usize;
        parallel
            .saturating_sub(state.in_flight().count())
            .min(in_all.saturating_sub(state.units.len()))
    }

    fn select(&self, plan: &Plan, places: usize) -> Result<Selection, RunError> {
        let state = self.state();
        let mut claims = no_claims(&self.settings.shared_paths)?;
        for unit in state.in_flight() {
            let reach = reach_of(item_of(plan, &unit.id)?);
            claims.add(reach.map_err(RunError::Unusable)?);
        }
        let closure = closure(plan, &self.settings.ids)?;
        let wish = Wish {
            closure: closure.as_ref(),
            past: &state.units.iter().map(|unit| unit.id.clone()).collect(),
            claims,
            places,
            deps: Deps::Strict,
            is_workable: &|task| self.protocols.check(task),
        };
        Ok(select(plan, wish))
    }

    pub(super) fn task(&self, plan: &Plan, unit: &UnitId) -> Result<Task, RunError> {
        let known = self.state().unit(unit);
        let changed = known.and_then(|unit| unit.state.protocol.as_deref());
        Task::read(item_of(plan, unit)?, &self.protocols, changed)
    }

    pub(super) fn mutate_options(&self) -> MutateOptions {
        MutateOptions {
            allow_multiple_in_progress: self.settings.parallel_tasks > 1,
            ..MutateOptions::default()
        }
    }

    fn finished(&self, end: &Ending) -> RunFinished {
        let state = self.state();
        let blocked = state.units.iter().any(|unit| {
            unit.ended
                .as_ref()
                .is_some_and(|ended| ended.reason.is_some())
        });
        let attempts = state.attempts();
        let unclean = attempts.spawned != attempts.closed || !state.violations.is_empty();
        let (status, exit_code) = match end.exit_code() {
            Some(code) => ("cancelled", code),
            None => (COMPLETED, u8::from(blocked || unclean)),
        };
        RunFinished {
            status: status.to_owned(),
            exit_code,
            detail: end.job_error(),
        }
    }
}

pub(super) fn item_of<'p>(plan: &'p Plan, unit: &UnitId) -> Result<&'p Item, RunError> {
    let id = crate::plan::ItemId::try_from(unit.to_string())?;
    let item = plan.get(&id);
    item.ok_or(RunError::Plan(crate::plan::PlanError::UnknownId { id }))
}
