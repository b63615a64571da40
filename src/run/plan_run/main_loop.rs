//! The loop of a plan run. Each turn: judge what has ended, do what needs no rows, take up tasks, send out what every unit
//! needs, and listen until a wave has ended.
//!
//! In rolling dispatch each unit goes on as soon as its own rows are judged; with a barrier nothing is settled or sent out
//! before all waves have ended. An integration changes the tree that snapshots are taken from, so nothing is sent out while
//! one is under way; rows that run go on.

use super::compile::Task;
use super::in_flight::WavesInFlight;
use super::phase::Phase;
use super::run_limits::RunLimits;
use super::task_accounts::Accounts;
use crate::executor::Slots;
use crate::integrate::RepoLock;
use crate::job::{JobStatus, Journal, Stop, Urgency};
use crate::ledger::Ledger;
use crate::model::{
    BeganEarly, Event, PlanMutated, RunFinished, RunId, RunKind, RunResumed, RunStarted, UnitId,
};
use crate::plan::{DepState, Item, ItemId, MutateOptions, Plan, Status, Store};
use crate::platform::Repo;
use crate::protocol::Action;
use crate::run::budget_overrides::BudgetOverrides;
use crate::run::error::RunError;
use crate::run::preflight::{Preflight, ProtocolSearchPath, Protocols, closure, no_claims};
use crate::run::settings::Settings;
use crate::run::store::{Recorder, RunFolder, State, TaskHolds, Unit, task_holds};
use crate::run::watcher::Watcher;
use crate::schedule::{Dispatch, Selection, SelectionRequest, reach_of};
use crate::workspace::Fingerprint;
use std::collections::BTreeSet;

/// The status of a run that has nothing left to do.
const COMPLETED: &str = "completed";

/// The status of a run that stopped where answers from outside are awaited; it keeps its tasks.
const WAITING: &str = "waiting";

/// A plan run that holds its repository.
pub struct PlanRun {
    pub(crate) folder: RunFolder,
    pub(crate) repo: Repo,
    pub(crate) store: Store,
    pub(crate) protocols: Protocols,
    pub(crate) settings: Settings,
    pub(crate) recorder: Recorder,
    pub(crate) lock: RepoLock,
    /// What other runs hold; nobody else can begin or end one while this process has the lock.
    pub(crate) holds: TaskHolds,
    /// How the tree and the plan must look while workers run.
    pub(crate) expected: Option<Fingerprint>,
    pub(crate) run_limits: RunLimits,
    /// Budgets of tasks that were reached in this call.
    pub(crate) accounts: Accounts,
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
        settings.worker.folder = folder.snapshots();
        let repo = preflight.repo;
        // Preflight had no lock: since then another run may have taken the tasks up.
        let holds = TaskHolds::read(&repo, &settings.plan_file, Some(folder.path()))?;
        let wanted = preflight
            .selected
            .iter()
            .map(|task| UnitId::new(task.id.as_str()));
        let refusals: Vec<RunError> = wanted.filter_map(|unit| holds.refusal(&unit)).collect();
        if refusals.len() == preflight.selected.len()
            && let Some(refusal) = refusals.into_iter().next()
        {
            return Err(refusal);
        }
        let mut recorder = Recorder::new(Ledger::create(&folder.ledger())?, State::default());
        recorder.record(&[Event::from(RunStarted {
            run_id: folder.id().clone(),
            kind: RunKind::Plan,
            mesh_version: env!("CARGO_PKG_VERSION").to_owned(),
            root: repo.root().to_owned(),
            settings: serde_json::to_value(&settings).unwrap_or_default(),
        })])?;
        task_holds::enter(&repo, &folder, &lock)?;
        Ok(Self {
            run_limits: RunLimits::of(&settings, recorder.state())?,
            store: Store::at(&settings.plan_file),
            repo: repo.recorded(&folder.writers()),
            folder,
            protocols: preflight.protocols,
            settings,
            recorder,
            lock,
            holds,
            expected: None,
            accounts: Accounts::default(),
            warned: BTreeSet::new(),
        })
    }

    /// Takes up an earlier run from its ledger alone.
    pub fn resume(folder: RunFolder, overrides: BudgetOverrides) -> Result<Self, RunError> {
        folder.must_be(RunKind::Plan)?;
        let mut state = State::default();
        let (ledger, _) = Ledger::open_with(&folder.ledger(), |record, place| {
            if place == 0 {
                folder.take_over();
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
        let mut settings: Settings = serde_json::from_value(started.settings)
            .map_err(|error| refuse(format!("its settings are not understood: {error}")))?;
        let before = serde_json::to_value(&settings).unwrap_or_default();
        overrides.apply(
            &mut settings.budget,
            &mut settings.max_wall_seconds,
            &mut settings.wall_hard,
            &mut settings.bounds,
        );
        settings.task_budget = overrides.task_budget.or(settings.task_budget);
        let now = serde_json::to_value(&settings).unwrap_or_default();
        // What was not there may be there now.
        state.forget_faults();
        if overrides.ask_now {
            state.account_until = None;
        }
        let repo = Repo::find(&started.root)?.recorded(&folder.writers());
        let lock = RepoLock::take(&repo, Some(folder.path()))?;
        let holds = TaskHolds::read(&repo, &settings.plan_file, Some(folder.path()))?;
        if let Some(refusal) = state.in_flight().find_map(|unit| holds.refusal(&unit.id)) {
            return Err(refusal);
        }
        let is_over = state
            .finished
            .as_ref()
            .is_some_and(|end| end.status == COMPLETED);
        if !is_over {
            task_holds::enter(&repo, &folder, &lock)?;
        }
        let mut protocols = Protocols::load(
            &settings.protocol,
            ProtocolSearchPath {
                root: repo.root(),
                named: &settings.protocols,
            },
            settings.swarm,
        )?;
        if settings.is_reduced {
            protocols.reduce();
        }
        let terms = RunLimits::of(&settings, &state)?;
        let mut recorder = Recorder::new(ledger, state);
        // What was told once holds for later calls as well.
        if let Some(resumed) = RunResumed::between(&before, &now) {
            recorder.record(&[Event::from(resumed)])?;
        }
        Ok(Self {
            run_limits: terms,
            store: Store::at(&settings.plan_file),
            protocols,
            repo,
            settings,
            recorder,
            folder,
            lock,
            holds,
            expected: None,
            accounts: Accounts::default(),
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
    pub fn drive(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<JobStatus, RunError> {
        let ended = self.state().finished.as_ref();
        if ended.is_some_and(|ended| ended.status == COMPLETED) {
            return Ok(JobStatus::Finished);
        }
        self.roll_back(watcher, stop)?;
        let slots = Slots::new(self.concurrency());
        let end = std::thread::scope(|scope| {
            let mut in_flight = WavesInFlight::new(scope, &slots, stop);
            let end = self.turns(&mut in_flight, watcher, stop);
            // It was sound when the run began.
            let end = end.map_err(|error| match error {
                RunError::Plan(error) => RunError::PlanLost(error),
                other => other,
            });
            if end.is_err() {
                stop.end_now();
            }
            in_flight.drain(&mut self.recorder, watcher);
            end
        })?;
        self.end(&end, watcher)?;
        Ok(end)
    }

    /// Records how the run ended, and before that what was learned from one that is through.
    pub(crate) fn end(
        &mut self,
        end: &JobStatus,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        if *end == JobStatus::Finished {
            self.learn_from_run(watcher)?;
        }
        let finished = self.finished(end);
        self.recorder.record(&[Event::from(finished)])?;
        self.folder.tidy();
        // One that stopped where answers are awaited keeps its tasks.
        if !self.awaits_answers() {
            task_holds::leave(&self.repo, &self.folder, &self.lock)?;
        }
        Ok(())
    }

    fn turns(
        &mut self,
        in_flight: &mut WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<JobStatus, RunError> {
        let mut early = None;
        loop {
            if in_flight.has_ended() {
                self.check_for_tampering(in_flight, watcher)?;
            }
            for wave in in_flight.take_ended() {
                match wave.result? {
                    (JobStatus::Finished, _) => {
                        self.judge(wave.compiled.wave, in_flight, watcher, stop)?;
                    }
                    (ending, _) => {
                        stop.drain();
                        early.get_or_insert(ending);
                    }
                }
            }
            let is_rolling = self.settings.dispatch == Dispatch::Rolling;
            let may_go_on = is_rolling || self.open_waves().next().is_none();
            if may_go_on && stop.urgency() == Urgency::None {
                self.advance_units(Phase::All, in_flight, watcher, stop)?;
            }
            if may_go_on && stop.urgency() == Urgency::None {
                self.fill_free_slots(Phase::All, in_flight, watcher, stop)?;
                self.emit(watcher)?;
            }
            if stop.urgency() == Urgency::None && !self.settings.is_external() {
                self.start_waves(in_flight, watcher)?;
            }
            if in_flight.is_empty() {
                return Ok(match (early, stop.urgency()) {
                    (Some(early), _) => early,
                    (None, Urgency::None) => self.final_status(),
                    (None, _) => JobStatus::of(stop),
                });
            }
            in_flight.wait_for_wave(&mut self.recorder, watcher);
        }
    }

    /// Nothing is left to do here; perhaps somebody else has, or a task may not go on.
    pub(crate) fn final_status(&self) -> JobStatus {
        let open: Vec<String> = self
            .open_waves()
            .map(|wave| wave.compiled.wave.to_string())
            .collect();
        match open.as_slice() {
            [] => match self.accounts.first_reached().cloned() {
                Some((budget, limit)) => JobStatus::BudgetReached {
                    budget,
                    limit,
                    is_hard: false,
                },
                None => self
                    .unanswered()
                    .map_or(JobStatus::Finished, JobStatus::Unanswered),
            },
            open => JobStatus::Halted(format!(
                "answers from outside are awaited for: {}",
                open.join(", ")
            )),
        }
    }

    /// Why a task in flight does not go on, where that is nothing that a worker said.
    fn unanswered(&self) -> Option<String> {
        let plan = self.store.read().ok()?;
        self.state().in_flight().find_map(|unit| {
            match self.task(&plan, &unit.id).ok()?.next(&unit.state) {
                Action::Halt(detail) => Some(format!("{}: {detail}", unit.id)),
                _ => None,
            }
        })
    }

    /// Whether a task in flight has something to do, or another one can be taken up.
    pub(crate) fn has_more(&self) -> Result<bool, RunError> {
        if self.state().in_flight().any(|unit| !self.is_idle(unit)) {
            return Ok(true);
        }
        let places = self.free_slots();
        let plan = self.store.read()?;
        Ok(places > 0 && !self.select(&plan, places)?.tasks.is_empty())
    }

    /// Takes up tasks until no place is free. One that can't end well is blocked at once and leaves its place to another one.
    pub(crate) fn fill_free_slots(
        &mut self,
        steps: Phase,
        in_flight: &mut WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let mut known = usize::MAX;
        while known != self.state().units.len() && stop.urgency() == Urgency::None {
            known = self.state().units.len();
            self.admit_tasks(in_flight, watcher)?;
            if known != self.state().units.len() {
                self.advance_units(steps, in_flight, watcher, stop)?;
            }
        }
        Ok(())
    }

    /// Fills the places for tasks: `in_progress` in the plan first, then in the ledger. A kill in between leaves items
    /// that stand before all others, so they are the ones that are taken up next.
    fn admit_tasks(
        &mut self,
        in_flight: &mut WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let places = self.free_slots();
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
        let (early, ready): (Vec<_>, Vec<_>) =
            selection.tasks.into_iter().partition(|task| task.is_early);
        if !ready.is_empty() {
            let ids: Vec<ItemId> = ready.into_iter().map(|task| task.id).collect();
            self.with_expected_change(in_flight, watcher, |run, _, watcher| {
                run.set_in_progress(&ids, watcher)
            })?;
        }
        for task in early {
            let item = plan.get(&task.id);
            let open = item.map_or(Vec::new(), |item| plan.waiting_on(item));
            let waits_for = open.iter().map(ToString::to_string).collect();
            self.begin_early(&task.id, waits_for, watcher)?;
        }
        Ok(())
    }

    /// Says `in_progress` of tasks, first in the plan and then in the ledger.
    pub(crate) fn set_in_progress(
        &mut self,
        ids: &[ItemId],
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let mut begun = Vec::new();
        let changed = self.store.mutate(self.mutate_options(), |plan| {
            for id in ids {
                // Between reading the plan and locking it, somebody may have decided about the task.
                let status = plan.get(id).map(Item::status);
                if matches!(status, Some(Status::Pending | Status::InProgress)) {
                    plan.set_status(id, Status::InProgress)?;
                    begun.push(id);
                }
            }
            Ok(())
        })?;
        watcher.mirror(&changed);
        let mut events = Vec::new();
        for id in begun {
            let unit = UnitId::new(id.as_str());
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

    fn begin_early(
        &mut self,
        id: &ItemId,
        waits_for: Vec<String>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let unit = UnitId::new(id.as_str());
        let open = waits_for.join(", ");
        watcher.say(&format!(
            "{unit}: begun ahead of {open}, which it waits for"
        ));
        self.recorder
            .record(&[Event::from(BeganEarly { unit, waits_for })])?;
        Ok(())
    }

    /// Whether the task of `unit` was begun early and still waits for a dependency.
    pub(crate) fn has_to_wait(&self, plan: &Plan, unit: &Unit) -> Result<bool, RunError> {
        let item = item_of(plan, &unit.id)?;
        Ok(unit.is_early && plan.dep_state(item) == DepState::WaitingOnDeps)
    }

    /// How many tasks may be taken up now.
    fn free_slots(&self) -> usize {
        let state = self.state();
        let parallel = self.settings.parallel_tasks.max(1) as usize;
        let in_all = self.settings.max_tasks as usize;
        // One that has nothing to do but to wait for others must not keep them from being taken up.
        let at_work = state.in_flight().filter(|unit| !self.is_parked(unit));
        parallel
            .saturating_sub(at_work.count())
            .min(in_all.saturating_sub(state.units.len()))
    }

    /// Whether a task in flight has nothing to do in this call. One without budget keeps its place: the plan says
    /// `in_progress` of it.
    fn is_idle(&self, unit: &Unit) -> bool {
        self.accounts.is_closed(&unit.id) || self.is_parked(unit)
    }

    /// Whether a task that was begun early has everything but its dependencies.
    fn is_parked(&self, unit: &Unit) -> bool {
        let parked = || {
            let plan = self.store.read()?;
            let task = self.task(&plan, &unit.id)?;
            let is_ready = matches!(task.next(&unit.state), Action::Integrate);
            Ok::<bool, RunError>(is_ready && self.has_to_wait(&plan, unit)?)
        };
        unit.is_early && parked().unwrap_or(false)
    }

    fn select(&self, plan: &Plan, places: usize) -> Result<Selection, RunError> {
        let state = self.state();
        let mut claims = no_claims(&self.settings.shared_paths)?;
        for unit in state.in_flight() {
            let reach = reach_of(item_of(plan, &unit.id)?);
            claims.add(reach.map_err(RunError::Unusable)?);
        }
        let closure = closure(plan, &self.settings.ids)?;
        let mut past = self.holds.units();
        past.extend(state.units.iter().map(|unit| unit.id.clone()));
        let wish = SelectionRequest {
            closure: closure.as_ref(),
            past: &past,
            claims,
            places,
            deps: self.settings.deps,
            is_workable: &|task| self.protocols.check(task),
        };
        Ok(self.settings.select(plan, wish))
    }

    pub(crate) fn task(&self, plan: &Plan, unit: &UnitId) -> Result<Task, RunError> {
        let known = self.state().unit(unit);
        let changed = known.and_then(|unit| unit.state.protocol.as_deref());
        let mut task = Task::read(item_of(plan, unit)?, &self.protocols, changed)?;
        task.is_hydrated = self.state().hydrations.iter().any(|one| one.unit == *unit);
        Ok(task)
    }

    pub(crate) fn mutate_options(&self) -> MutateOptions {
        // The tasks of other runs, and what a person did meanwhile, are no reason to stop in the middle.
        let is_crowded = || {
            let plan = self.store.read();
            plan.is_ok_and(|plan| plan.check_single_in_progress().is_err())
        };
        MutateOptions {
            allow_multiple_in_progress: self.settings.parallel_tasks > 1
                || !self.holds.is_empty()
                || is_crowded(),
            ..MutateOptions::default()
        }
    }

    fn finished(&self, end: &JobStatus) -> RunFinished {
        let state = self.state();
        // One that was begun early and whose dependencies are still open is not done either.
        let blocked = state.units.iter().any(|unit| {
            let ended = unit.ended.as_ref();
            ended.is_none_or(|ended| ended.reason.is_some() || ended.is_conflict)
        });
        let attempts = state.attempts();
        let unclean = attempts.spawned != attempts.closed || !state.violations.is_empty();
        let (status, exit_code) = match end.exit_code() {
            Some(code) if self.awaits_answers() && matches!(end, JobStatus::Halted(_)) => {
                (WAITING, code)
            }
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

pub(crate) fn item_of<'p>(plan: &'p Plan, unit: &UnitId) -> Result<&'p Item, RunError> {
    let id = crate::plan::ItemId::try_from(unit.to_string())?;
    let item = plan.get(&id);
    item.ok_or(RunError::Plan(crate::plan::PlanError::UnknownId { id }))
}
