//! Preflight: resolves everything that is known before the first worker starts. Writes nothing.

use super::bindings::{BindingRequest, Bindings, RoleSources};
use super::closure::{closure, empty_claims};
use super::protocols::{ProtocolSearchPath, Protocols};
use super::tree::check_tree;
use crate::adapter::{Choice, Configured};
use crate::integrate::Delivery;
use crate::model::{RunId, UnitId, shell_word};
use crate::plan::{Item, ItemId, Plan, ResolveError, Status, Store};
use crate::platform::sandbox::Choice as Sandboxing;
use crate::platform::{Repo, look};
use crate::run::confinement::{SandboxRequest, protected_by_plan};
use crate::run::error::RunError;
use crate::run::settings::{PlanOptions, Settings};
use crate::run::store::TaskHolds;
use crate::schedule::{
    Concurrency, Limits, Selected, Selection, SelectionRequest, Skipped, TaskArithmetic,
};
use crate::{adapter, integrate, learnings, plan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A request to run a plan.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder where the command was given.
    pub folder: PathBuf,
    /// `plan_file=`.
    pub plan_file: Option<PathBuf>,
    /// `ids=`.
    pub ids: Vec<String>,
    /// The adapter, or the worker command.
    pub choice: Choice,
    /// What roles are bound to.
    pub roles: RoleSources,
    /// `adapters` and `prices` of `mesh.yaml`.
    pub adapters: Configured,
    /// `--sandbox`, `--writable`.
    pub sandbox: SandboxRequest,
    /// `--remaining-five-hour`, `--remaining-weekly`, in percent.
    pub remaining: [Option<f64>; 2],
    /// `--protected-branches`, in addition to the default ones.
    pub protected_branches: Vec<String>,
    /// `--allow-protected`.
    pub allow_protected: bool,
    /// `parallel_tasks=auto`.
    pub is_parallel_auto: bool,
    /// The options that hold as they are.
    pub options: PlanOptions,
}

impl Request {
    /// Where the protocols of the request are found.
    pub(crate) fn search_path<'r>(&'r self, repo: &'r Repo) -> ProtocolSearchPath<'r> {
        ProtocolSearchPath {
            root: repo.root(),
            named: &self.options.protocols,
        }
    }

    /// What selects the adapters of its roles.
    pub(super) fn bindings(&self) -> BindingRequest<'_> {
        BindingRequest {
            roles: &self.roles,
            choice: &self.choice,
            adapters: &self.adapters,
            folder: &self.folder,
            options: &self.options,
        }
    }

    /// The branch that commits go to when it is the one that is checked out, or why nothing could be delivered.
    pub(crate) fn check_delivery(&self, repo: &Repo) -> Result<Option<String>, RunError> {
        let (protected, allowed) = (&self.protected_branches, self.allow_protected);
        let delivery = self.options.delivery;
        Ok(integrate::check_delivery(
            repo, delivery, protected, allowed,
        )??)
    }
}

/// A run that can begin.
pub struct Preflight {
    /// The repository.
    pub repo: Repo,
    /// The plan file.
    pub store: Store,
    /// The current plan.
    pub plan: Arc<Plan>,
    /// The protocols.
    pub protocols: Protocols,
    /// The settings of the run.
    pub settings: Settings,
    /// The tasks that are admitted first; empty when none is runnable.
    pub selected: Vec<Selected>,
    /// Tasks before them that can't be run.
    pub skipped: Vec<Skipped>,
    /// Warnings about differences from the request.
    pub notes: Vec<String>,
}

/// Resolves a request.
pub fn prepare(request: &Request) -> Result<Preflight, RunError> {
    let mut options = request.options.clone();
    options.check_join()?;
    let repo = Repo::find(&request.folder)?;
    let plan_file = resolve_plan_file(request, repo.root())?;
    let store = Store::at(&plan_file).cached();
    let plan = store.current()?;
    plan::check_lock_ignored(&plan_file).map_err(RunError::LockNotIgnored)?;
    let ids: Vec<ItemId> = request
        .ids
        .iter()
        .map(|id| ItemId::try_from(id.clone()))
        .collect::<Result<_, _>>()?;
    let search_path = request.search_path(&repo);
    let mut protocols = Protocols::load(&options.protocol, search_path, options.swarm)?;
    let holds = TaskHolds::read_for_preflight(&repo, &plan_file)?.binding(options.join);
    if let Some(refusal) = ids.iter().find_map(|id| find_hold(&holds, id)) {
        return Err(refusal);
    }
    let branch = request.check_delivery(&repo)?;
    let mut adapter = adapter::select(&request.choice, &request.adapters, &request.folder)?;
    if options.join && adapter.name == adapter::EXTERNAL {
        return Err(RunError::NotWithJoin {
            option: "the adapter external",
            why: "nobody may be there to answer before the leases expire",
        });
    }
    if options.join && protocols.all().any(|protocol| protocol.tries_patches()) {
        return Err(RunError::NotWithJoin {
            option: "a protocol with candidates or a test",
            why: "the tree is copied for them while another run may change it",
        });
    }
    adapter.check_budget(&options.budget)?;
    adapter.check_budget(&options.task_budget.budget)?;
    let mut bindings = Bindings::select(&request.bindings(), &protocols, &adapter, search_path)?;
    options.bounds = adapter.capabilities.limit(options.bounds);
    let mut notes: Vec<String> = holds
        .units()
        .iter()
        .filter_map(|unit| Some(format!("{}; it is left to that run", holds.refusal(unit)?)))
        .collect();
    notes.extend(check_tree(&repo)?);
    if options.delivery == Delivery::Branch && has_uncommitted_changes(&repo, &plan_file)? {
        notes.push("uncommitted changes are no part of the branch that is delivered, and workers do not see them".to_owned());
    }
    if options.validation_parallel > 1
        && !options.validates_beside_workers()
        && !options.prevalidate
        && !protocols.all().any(|protocol| protocol.tries_patches())
    {
        notes.push("validation_parallel has no effect without isolation=worktree, and none with delivery=branch: the commands run in the tree that is patched".to_owned());
    }
    if options.comment && options.integrate {
        notes.push("comment has no effect without integrate=false: a task that is integrated or blocked always gets one".to_owned());
    }
    let protected = protected_by_plan(&repo, &plan_file)?;
    let sandbox = &request.sandbox;
    notes.extend(sandbox.apply(Sandboxing::Auto, &mut adapter.worker, &protected)?);
    notes.append(&mut bindings.notes);
    for other in bindings.adapters() {
        // The note is the same for all of them.
        sandbox.apply(Sandboxing::Auto, &mut other.worker, &protected)?;
    }
    let fanout = bindings.fanout(&adapter);
    let is_too_wide = fanout.is_some_and(|fanout| fanout < protocols.widest_round());
    let reduced = is_too_wide.then(|| protocols.use_fallback()).flatten();
    if let (Some(fallback), Some(fanout)) = (&reduced, fanout) {
        notes.push(format!(
            "adapter_capacity: `{}` runs {fanout} at once, too few for protocol `{}`; `{fallback}` instead",
            adapter.name, options.protocol
        ));
    }
    let limits = Limits {
        allowed: options.bounds.max_concurrency,
        fanout,
        remaining: request.remaining,
        rows: usize::MAX,
    };
    let mut is_reduced = reduced.is_some();
    if request.is_parallel_auto {
        let number = Concurrency::preflight(&limits).get();
        let roles = protocols.widest_round();
        let is_too_wide = !is_reduced && TaskArithmetic::fit(number, roles) == 0;
        if let Some(fallback) = is_too_wide.then(|| protocols.use_fallback()).flatten() {
            is_reduced = true;
            notes.push(format!(
                "parallel_tasks=auto: no task with {roles} rows at once fits into {number}; protocol `{fallback}` instead"
            ));
        }
        let arithmetic = TaskArithmetic::new(number, protocols.widest_round());
        options.parallel_tasks = arithmetic.tasks;
        options.parallel_arithmetic = Some(arithmetic);
    }
    let in_flight = options
        .max_tasks
        .count()
        .min(options.parallel_tasks as usize);
    let concurrency = Concurrency::preflight(&Limits {
        rows: protocols.widest_round() * in_flight.max(1),
        ..limits
    });
    let (selected, skipped) = select_first_tasks(&plan, &ids, &protocols, &options, &holds)?;
    if options.parallel_tasks <= 1 && holds.is_empty() && !options.join {
        plan.check_single_in_progress()?;
    }
    options.bounds.max_concurrency = concurrency.get();
    options.record = options.record.map(|path| request.folder.join(path));
    let settings = Settings {
        plan_file,
        ids,
        is_reduced,
        branch,
        adapter: adapter.name,
        worker: adapter.worker,
        role_workers: bindings.into_workers(&request.options, &options),
        base_sha: repo.head()?,
        options,
    };
    Ok(Preflight {
        repo,
        store,
        plan,
        protocols,
        settings,
        selected,
        skipped,
        notes,
    })
}

/// Whether tracked files are changed, other than those that runs change.
fn has_uncommitted_changes(repo: &Repo, plan_file: &Path) -> Result<bool, RunError> {
    let changed = repo.changed_tracked()?;
    let is_own = |path: &PathBuf| {
        path != Path::new(learnings::FILE_NAME) && !is_same(&repo.root().join(path), plan_file)
    };
    Ok(changed.iter().any(is_own))
}

/// An explicit file is relative to the folder of the command, the default ones to the root of the repository.
pub(crate) fn resolve_plan_file(request: &Request, root: &Path) -> Result<PathBuf, RunError> {
    let explicit = request
        .plan_file
        .as_ref()
        .map(|path| request.folder.join(path));
    plan::resolve(root, explicit.as_deref()).map_err(|error| match error {
        // The hint is a command for the folder of this one.
        ResolveError::Missing { file, .. }
            if explicit.is_none() && !is_same(&request.folder, root) =>
        {
            RunError::Resolve(ResolveError::missing(root, &root.join(file)))
        }
        other => RunError::Resolve(other),
    })
}

fn is_same(a: &Path, b: &Path) -> bool {
    // For a hint only.
    look::real(a).ok() == look::real(b).ok()
}

/// The first tasks, and those that were skipped. It is an error if every candidate is unusable.
fn select_first_tasks(
    plan: &Plan,
    ids: &[ItemId],
    protocols: &Protocols,
    options: &PlanOptions,
    holds: &TaskHolds,
) -> Result<(Vec<Selected>, Vec<Skipped>), RunError> {
    let closure = closure(plan, ids)?;
    let wanted = SelectionRequest {
        closure: closure.as_ref(),
        past: &holds.units(),
        claims: empty_claims(&options.shared_paths)?,
        places: options
            .max_tasks
            .count()
            .min(options.parallel_tasks as usize),
        deps: options.deps,
        leaves_out_begun: options.is_headless,
        is_workable: &|task| protocols.check(task),
    };
    let Selection { tasks, skipped, .. } = options.select(plan, wanted);
    if options.follow {
        return Ok((tasks, skipped));
    }
    match skipped.first() {
        Some(first) if tasks.is_empty() => Err(RunError::UnusableTask(first.why.clone())),
        None if tasks.is_empty() => {
            // Other runs hold the remaining tasks, or those that they wait for.
            let is_selected = |id: &&ItemId| closure.as_ref().is_none_or(|ids| ids.contains(*id));
            let mut ids = plan.items().iter().map(Item::id).filter(is_selected);
            match ids.find_map(|id| find_hold(holds, id)) {
                Some(refusal) => Err(refusal),
                None => Ok((tasks, skipped)),
            }
        }
        _ => Ok((tasks, skipped)),
    }
}

fn find_hold(holds: &TaskHolds, id: &ItemId) -> Option<RunError> {
    holds.refusal(&UnitId::new(id.as_str()))
}

impl Preflight {
    /// The preflight line, printed before any worker starts (CONTRACT, section 6).
    pub fn preflight_line(&self, run_id: &RunId) -> String {
        let ids: Vec<&str> = self.selected.iter().map(|task| task.id.as_str()).collect();
        let or_none = |text: String| {
            if text.is_empty() {
                "none".to_owned()
            } else {
                text
            }
        };
        let plan_file = &self.settings.plan_file;
        format!(
            "mesh_preflight mesh_run_id={run_id} plan_file={} adapter={} ids={} overrides={} concurrency={}{}",
            plan_file
                .strip_prefix(self.repo.root())
                .unwrap_or(plan_file)
                .display(),
            self.settings.adapter,
            or_none(ids.join(",")),
            or_none(self.settings.options.overrides.join(",")),
            self.settings.options.bounds.max_concurrency,
            self.settings
                .roles_as_text()
                .map_or(String::new(), |roles| format!(" roles={roles}")),
        )
    }

    /// The numbers of ready, waiting, blocked and completed tasks, for a run that has nothing to do.
    pub fn counts(&self) -> String {
        let with = |status: Status| {
            self.plan
                .items()
                .iter()
                .filter(|item| item.status() == status)
                .count()
        };
        let pending = self
            .plan
            .items()
            .iter()
            .filter(|item| item.status() == Status::Pending);
        let (ready, waiting): (Vec<_>, Vec<_>) =
            pending.partition(|item| self.plan.dep_state(item) == plan::DepState::Ready);
        format!(
            "ready={} waiting={} blocked={} completed={}",
            ready.len(),
            waiting.len(),
            with(Status::Blocked),
            with(Status::Completed)
        )
    }

    /// The command to type in `folder` when no task can begin because all are blocked, or wait for a deferred or cancelled one. It
    /// is for the first task that others wait for, else for the first blocked one.
    pub fn suggest_command(&self, folder: &Path) -> Option<String> {
        let closure = closure(&self.plan, &self.settings.ids).ok()?;
        let is_meant = |item: &&Item| closure.as_ref().is_none_or(|ids| ids.contains(item.id()));
        let items: Vec<&Item> = self.plan.items().iter().filter(is_meant).collect();
        let is_pending = |item: &&&Item| item.status() == Status::Pending;
        let is_ready = |item: &&Item| self.plan.dep_state(item) == plan::DepState::Ready;
        if items.iter().filter(is_pending).any(is_ready) {
            return None;
        }
        let waits = |one: &Item| {
            let is_it = |item: &&&Item| item.deps().iter().any(|dep| dep.id == *one.id());
            items.iter().filter(is_pending).find(is_it).copied()
        };
        let blocked: Vec<&Item> = items_with_status(&items, Status::Blocked);
        let first = blocked.iter().find(|one| waits(one).is_some());
        if let Some(first) = first.or(blocked.first()) {
            let more = match blocked.len() {
                1 => "1 task is blocked".to_owned(),
                many => format!("{many} tasks are blocked"),
            };
            return Some(format!(
                "{more}; their comments say why. To retry one: {}",
                self.retry_command(first, folder)
            ));
        }
        let mut idle = items_with_status(&items, Status::Deferred);
        idle.extend(items_with_status(&items, Status::Canceled));
        idle.into_iter().find_map(|one| {
            let waiting = waits(one)?;
            Some(format!(
                "`{}` waits for `{}`, which is {}. To run that: {}",
                waiting.id(),
                one.id(),
                one.status().as_str(),
                self.retry_command(one, folder)
            ))
        })
    }

    /// The command that makes an item pending, as it is typed in `folder`.
    fn retry_command(&self, item: &Item, folder: &Path) -> String {
        let usual = folder.join(plan::PLAN_FILE_DEFAULT);
        let file = match is_same(&usual, &self.settings.plan_file) {
            true => String::new(),
            false => format!(
                " --file {}",
                shell_word(&self.settings.plan_file.to_string_lossy())
            ),
        };
        let id = shell_word(item.id().as_str());
        format!("mesh st set-status --id {id} --status pending{file}")
    }
}

fn items_with_status<'i>(items: &[&'i Item], status: Status) -> Vec<&'i Item> {
    let found = items.iter().filter(|item| item.status() == status);
    found.copied().collect()
}
