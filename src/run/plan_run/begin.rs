//! A plan run that holds its repository: begun after preflight, or resumed from its ledger.

use super::compile::Task;
use super::context::Context;
use super::follow_state::Follow;
use super::in_flight::WavesInFlight;
use super::integrations::Integrations;
use super::join::Join;
use super::role_workers::RoleWorkers;
use super::run_limits::RunLimits;
use super::task_accounts::Accounts;
use super::tree_sight::TreeSight;
use crate::executor::Slots;
use crate::integrate::{RepoLock, TreeWatch};
use crate::job::{Journal, Stop};
use crate::ledger::Ledger;
use crate::model::{Event, RunId, RunKind, RunResumed, RunStarted, UnitId};
use crate::plan::{Item, ItemId, Plan, PlanError, Store};
use crate::platform::{GitError, Repo, Sandbox, clock, look};
use crate::run::budget_overrides::BudgetOverrides;
use crate::run::confinement;
use crate::run::confinement::protected_by_plan;
use crate::run::error::RunError;
use crate::run::preflight::{Preflight, ProtocolSearchPath, Protocols};
use crate::run::settings::Settings;
use crate::run::store::{AnswerPlace, Recorder, RunFolder, State, TaskHolds, Wave, task_holds};
use crate::run::watcher::Watcher;
use crate::workspace::{Fingerprint, Workspaces};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The status of a run that has nothing left to do.
pub(super) const COMPLETED: &str = "completed";

/// A plan run that holds its repository.
pub struct PlanRun {
    pub(in crate::run) folder: RunFolder,
    pub(in crate::run) store: Store,
    pub(in crate::run) protocols: Protocols,
    pub(in crate::run) settings: Settings,
    pub(in crate::run) recorder: Recorder,
    pub(super) repo: Repo,
    pub(super) lock: Arc<RepoLock>,
    /// What it shares with other runs, if it has joined them.
    pub(super) join: Option<Join>,
    /// The watch of the tree while commands run elsewhere.
    pub(super) watch: Arc<TreeWatch>,
    /// The tasks of other runs. They can't change while this process has the lock.
    pub(super) holds: TaskHolds,
    /// The plan that the tasks in flight were last compared with.
    pub(super) compared: Option<Arc<Plan>>,
    /// The state that the tree and the plan must keep while workers run.
    pub(super) expected: Option<Fingerprint>,
    /// The plan in this state, to show what changed.
    pub(super) expected_plan: Option<Arc<Plan>>,
    /// What `expected` says of the tree now.
    pub(super) tree_sight: TreeSight,
    /// When the state of the tree was last forgotten, so that everything known of it is of a later time.
    pub(super) tree_forgotten_ns: i128,
    /// What its workers see.
    pub(super) workspaces: Workspaces,
    pub(super) run_limits: RunLimits,
    /// What its workers can't write.
    pub(super) sandbox: Option<Arc<Sandbox>>,
    sandbox_note: Option<String>,
    /// Task budgets that were reached in this call.
    pub(super) accounts: Accounts,
    /// Tasks that the user was warned about.
    pub(super) warned: BTreeSet<ItemId>,
    /// What a run that follows its plan needs.
    pub(super) follow: Follow,
}

impl PlanRun {
    /// Begins a run and records that in its ledger.
    pub fn begin(
        preflight: Preflight,
        folder: RunFolder,
        lock: RepoLock,
    ) -> Result<Self, RunError> {
        let mut settings = preflight.settings;
        for worker in settings.workers_mut() {
            worker.folder = folder.snapshots();
        }
        let repo = preflight.repo;
        // Preflight had no lock: another run may hold the tasks by now.
        let holds = TaskHolds::read(&repo, &settings.plan_file, Some(folder.path()))?;
        let holds = holds.binding(settings.options.join);
        let units = preflight
            .selected
            .iter()
            .map(|task| UnitId::new(task.id.as_str()));
        let refusals: Vec<RunError> = units.filter_map(|unit| holds.refusal(&unit)).collect();
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
        lock.name_run(folder.id())?;
        // A joined run does it in its first turn.
        if !settings.options.join {
            task_holds::add_run(&repo, &folder, &lock)?;
        }
        let repo = repo.recorded(&folder.writers());
        let protocols = preflight.protocols;
        let run = Self::assemble(folder, repo, lock, holds, protocols, settings, recorder)?;
        Ok(Self {
            store: preflight.store,
            ..run
        })
    }

    /// Resumes an earlier run from its ledger alone.
    pub fn resume(folder: RunFolder, overrides: BudgetOverrides) -> Result<Self, RunError> {
        Self::open(folder, overrides, |root, folder, has_joined| {
            let repo = Repo::find(root)?;
            let lock = match has_joined {
                true => RepoLock::join(&repo)?,
                false => RepoLock::take(&repo, Some(folder.path()))?,
            };
            lock.name_run(folder.id())?;
            Ok((repo, lock))
        })
    }

    /// Resumes an earlier run for one step.
    ///
    /// # Errors
    /// As [`PlanRun::resume`]; the run has joined others, which would have to wait for the next step.
    pub fn resume_to_step(folder: RunFolder) -> Result<Self, RunError> {
        let id = folder.id().clone();
        let run = Self::resume(folder, BudgetOverrides::default())?;
        match run.join {
            Some(_) => Err(RunError::NoSteps { id }),
            None => Ok(run),
        }
    }

    /// Opens a run that was killed during an integration, to restore the tree for another one in the turn that has `lock`.
    pub(super) fn open_to_restore(folder: RunFolder, lock: &RepoLock) -> Result<Self, RunError> {
        Self::open(folder, BudgetOverrides::default(), |root, _, _| {
            Ok((Repo::find(root)?, lock.lend()?))
        })
    }

    /// Opens an earlier run to abandon what it could not restore, also where its folder is no repository any more.
    pub fn open_to_abandon(folder: RunFolder) -> Result<Self, RunError> {
        Self::open(
            folder,
            BudgetOverrides::default(),
            |root, folder, has_joined| match Repo::find(root) {
                Err(GitError::NoRepository { .. })
                    if look::is_folder(root).map_err(RunError::io(root))? =>
                {
                    let lock = RepoLock::without_repository(folder.path())?;
                    Ok((Repo::gone(root), lock))
                }
                repo => {
                    let repo = repo?;
                    let lock = match has_joined {
                        true => RepoLock::join_for_one_turn(&repo, folder.id())?,
                        false => RepoLock::take(&repo, Some(folder.path()))?,
                    };
                    Ok((repo, lock))
                }
            },
        )
    }

    fn open(
        folder: RunFolder,
        overrides: BudgetOverrides,
        find: impl FnOnce(&Path, &RunFolder, bool) -> Result<(Repo, RepoLock), RunError>,
    ) -> Result<Self, RunError> {
        folder.check_kind(RunKind::Plan)?;
        let mut state = State::default();
        let (ledger, _) = Ledger::open_with(&folder.ledger(), |record, place| {
            if place == 0 {
                folder.claim();
            }
            state.apply_record(&record, place);
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
        settings.apply(&overrides);
        let has_joined = settings.options.join;
        let (repo, lock) = find(&started.root, &folder, has_joined)?;
        let repo = repo.recorded(&folder.writers());
        let is_gone = repo.is_gone()?;
        // Without a repository no worker starts.
        let mut sandbox_note = None;
        if !is_gone {
            let protected = protected_by_plan(&repo, &settings.plan_file)?;
            for worker in settings.workers_mut() {
                // The note is the same for all of them.
                sandbox_note = confinement::renew(worker, overrides.sandbox, &protected)?;
            }
        }
        let now = serde_json::to_value(&settings).unwrap_or_default();
        // The service or the machine may work again by now.
        state.forget_faults();
        if overrides.ask_now {
            state.account_until = None;
        }
        let holds = match is_gone {
            true => TaskHolds::default(),
            false => TaskHolds::read(&repo, &settings.plan_file, Some(folder.path()))?
                .binding(has_joined),
        };
        let in_flight = || state.in_flight().filter(|unit| !unit.is_held());
        if let Some(refusal) = in_flight().find_map(|unit| holds.refusal(&unit.id)) {
            return Err(refusal);
        }
        let is_over = state
            .finished
            .as_ref()
            .is_some_and(|end| end.status == COMPLETED);
        if !is_over && !is_gone && !has_joined {
            task_holds::add_run(&repo, &folder, &lock)?;
        }
        let mut protocols = Protocols::load(
            &settings.options.protocol,
            ProtocolSearchPath {
                root: repo.root(),
                named: &settings.options.protocols,
            },
            settings.options.swarm,
        )?;
        if settings.is_reduced {
            protocols.use_fallback();
        }
        let recorder = Recorder::new(ledger, state);
        let mut run = Self::assemble(folder, repo, lock, holds, protocols, settings, recorder)?;
        run.sandbox_note = sandbox_note;
        // Overrides hold for later calls as well.
        if let Some(resumed) = RunResumed::between(&before, &now) {
            run.recorder.record(&[Event::from(resumed)])?;
        }
        Ok(run)
    }

    fn assemble(
        folder: RunFolder,
        repo: Repo,
        lock: RepoLock,
        holds: TaskHolds,
        protocols: Protocols,
        settings: Settings,
        recorder: Recorder,
    ) -> Result<Self, RunError> {
        // Without a repository no worker starts.
        let protected = match repo.is_gone()? {
            true => Vec::new(),
            false => protected_by_plan(&repo, &settings.plan_file)?,
        };
        let role_workers = RoleWorkers::of(&settings, &protected, folder.runs())?;
        let run_limits = RunLimits::of(&settings, recorder.state(), role_workers)?;
        let protocol = run_limits.agent_protocol.as_ref();
        let workspaces = Workspaces::in_folder(&folder.snapshots());
        repo.forget_changes();
        let tree_forgotten_ns = clock::now().as_nanosecond();
        Ok(Self {
            sandbox: confinement::sandbox(&settings.worker, protocol, protected, folder.runs())?,
            run_limits,
            store: Store::at(&settings.plan_file).cached(),
            watch: Arc::new(TreeWatch::new(&repo, &settings.plan_file, folder.path())),
            join: Join::of(&lock, folder.id()),
            folder,
            repo,
            lock: Arc::new(lock),
            holds,
            protocols,
            settings,
            recorder,
            compared: None,
            sandbox_note: None,
            expected: None,
            expected_plan: None,
            tree_sight: TreeSight::Past,
            tree_forgotten_ns,
            workspaces,
            accounts: Accounts::default(),
            warned: BTreeSet::new(),
            follow: Follow::default(),
        })
    }

    /// The state of the run, folded from its ledger.
    pub fn state(&self) -> &State {
        self.recorder.state()
    }

    /// The answer at `place`; `null` without one.
    pub(crate) fn answer(&self, place: Option<&AnswerPlace>) -> Result<Value, RunError> {
        match place {
            Some(place) => Ok(place.read(self.recorder.reader()?)?),
            None => Ok(Value::Null),
        }
    }

    /// The root of the repository.
    pub fn root(&self) -> &Path {
        self.repo.root()
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The run's id.
    pub fn id(&self) -> &RunId {
        self.folder.id()
    }

    /// A message about the process that held the repository before, if there is one.
    pub fn lock_note(&self) -> Option<&str> {
        self.lock.note()
    }

    /// A message about workers that are not confined although this call asks for it.
    pub fn sandbox_note(&self) -> Option<&str> {
        self.sandbox_note.as_deref()
    }

    /// Whether the run has rows for an external runner.
    pub fn awaits_answers(&self) -> bool {
        self.settings.is_external() && self.open_waves().next().is_some()
    }

    /// The waves with rows that have no verdict.
    pub(crate) fn open_waves(&self) -> impl Iterator<Item = &Wave> {
        self.state().waves.iter().filter(|wave| wave.is_open())
    }

    /// The task of `unit`, as the plan and the run's state describe it.
    pub(crate) fn task(&self, plan: &Plan, unit: &UnitId) -> Result<Task, RunError> {
        let known = self.state().unit(unit);
        let changed = known.and_then(|unit| unit.state.protocol.as_deref());
        let item = find_item(plan, unit)?;
        let item = self.with_proposed_metadata(item, known)?;
        let mut task = Task::read(&item, &self.protocols, changed)?;
        task.is_hydrated = self.state().hydrations.iter().any(|one| one.unit == *unit);
        Ok(task)
    }

    /// Calls `step` with a context in which it may start waves.
    pub(crate) fn with_context<T>(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
        step: impl FnOnce(&mut Self, &mut Context<'_, '_>) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let slots = Slots::new(self.concurrency());
        std::thread::scope(|scope| {
            let in_flight = WavesInFlight::new(scope, &slots, stop);
            let mut context = Context {
                watcher,
                stop,
                in_flight,
                integrations: Integrations::default(),
            };
            let end = step(self, &mut context);
            if end.is_err() {
                stop.end_now();
            }
            context.in_flight.drain(&mut self.recorder, context.watcher);
            end
        })
    }
}

/// The plan item of a unit.
pub(crate) fn find_item<'p>(plan: &'p Plan, unit: &UnitId) -> Result<&'p Item, RunError> {
    let id = ItemId::try_from(unit.to_string())?;
    let item = plan.get(&id);
    item.ok_or(RunError::Plan(PlanError::UnknownId { id }))
}
