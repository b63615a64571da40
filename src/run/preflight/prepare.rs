//! Preflight: everything that can be known before the first worker, resolved once. Nothing is written here.

use super::closure::{closure, no_claims};
use super::protocols::{ProtocolSearchPath, Protocols};
use crate::adapter::{Choice, Configured};
use crate::integrate::{Delivery, Isolation};
use crate::job::{Bounds, Budget};
use crate::model::{RunId, UnitId, shell_word};
use crate::plan::{Item, ItemId, Plan, ResolveError, Status, Store, SwarmOverrides};
use crate::platform::Repo;
use crate::run::error::RunError;
use crate::run::settings::{Settings, select_next};
use crate::run::store::TaskHolds;
use crate::run::task_budget::TaskBudget;
use crate::schedule::{
    Concurrency, Deps, Dispatch, Limits, Selected, Selection, SelectionRequest, Skipped,
};
use crate::{adapter, integrate, learnings, patch, plan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the command was given.
    pub folder: PathBuf,
    /// `plan_file=`.
    pub plan_file: Option<PathBuf>,
    /// `ids=`.
    pub ids: Vec<String>,
    /// `max_tasks=`.
    pub max_tasks: u32,
    /// `parallel_tasks=`.
    pub parallel_tasks: u32,
    /// `--dispatch`.
    pub dispatch: Dispatch,
    /// `--deps`.
    pub deps: Deps,
    /// `shared_paths=`.
    pub shared_paths: Vec<String>,
    /// `--protocol`.
    pub protocol: String,
    /// `protocols` of `mesh.yaml`.
    pub protocols: BTreeMap<String, PathBuf>,
    /// `--roles`, `--consensus-threshold`, `--consensus-retries`.
    pub swarm: SwarmOverrides,
    /// `--validation-allow`.
    pub validation_allow: Vec<String>,
    /// `--trust-proposed-validation`.
    pub trust_proposed_validation: bool,
    /// `--strict`.
    pub strict: bool,
    /// Who does the work.
    pub choice: Choice,
    /// `adapters` and `prices` of `mesh.yaml`.
    pub adapters: Configured,
    /// `--max-concurrency` and its like.
    pub bounds: Bounds,
    /// `--max-cost-usd` and its like.
    pub budget: Budget,
    /// `--max-wall-seconds`.
    pub max_wall_seconds: Option<u64>,
    /// `--wall-hard`.
    pub wall_hard: bool,
    /// `--task-max-cost-usd` and its like.
    pub task_budget: TaskBudget,
    /// `--remaining-five-hour`, `--remaining-weekly`, in percent.
    pub remaining: [Option<f64>; 2],
    /// `--patch-bytes-max`, `--allow-binary`.
    pub patch: patch::Limits,
    /// `--validation-timeout-seconds`.
    pub validation_timeout_seconds: u64,
    /// How patches are tried and delivered.
    pub integrating: Integrating,
    /// `--record DIR`.
    pub record: Option<PathBuf>,
    /// What was overridden, as `key=value`.
    pub overrides: Vec<String>,
}

impl Request {
    /// Where its protocols are found.
    pub(crate) fn search_path<'r>(&'r self, repo: &'r Repo) -> ProtocolSearchPath<'r> {
        ProtocolSearchPath {
            root: repo.root(),
            named: &self.protocols,
        }
    }
}

/// What is to be done with patches, beside applying and validating them.
#[derive(Clone, Debug, Default)]
pub struct Integrating {
    /// `--prevalidate`.
    pub prevalidate: bool,
    /// `--isolation`.
    pub isolation: Isolation,
    /// `--delivery`.
    pub delivery: Delivery,
    /// `--protected-branches`, beside those that always are.
    pub protected_branches: Vec<String>,
    /// `--allow-protected`.
    pub allow_protected: bool,
    /// `--no-verify`.
    pub no_verify: bool,
    /// `--no-learnings`.
    pub no_learnings: bool,
}

impl Integrating {
    /// The branch that commits go to when it is the one that is checked out, or why nothing could be delivered.
    pub(crate) fn check(&self, repo: &Repo) -> Result<Option<String>, RunError> {
        let (protected, allowed) = (&self.protected_branches, self.allow_protected);
        Ok(integrate::check_delivery(
            repo,
            self.delivery,
            protected,
            allowed,
        )??)
    }
}

/// A run that may begin.
pub struct Preflight {
    /// The repository.
    pub repo: Repo,
    /// The plan as it is now.
    pub plan: Plan,
    /// The protocols.
    pub protocols: Protocols,
    /// Everything the run needs to know.
    pub settings: Settings,
    /// The tasks that are taken up first; empty when nothing is runnable.
    pub selected: Vec<Selected>,
    /// Tasks before them that can't be worked as they stand.
    pub skipped: Vec<Skipped>,
    /// What differs from what was asked for.
    pub notes: Vec<String>,
}

/// Resolves a request, or says what is wrong with it.
pub fn prepare(request: &Request) -> Result<Preflight, RunError> {
    let repo = Repo::find(&request.folder)?;
    let plan_file = plan_file(request, repo.root())?;
    let store = Store::at(&plan_file);
    let plan = store.read()?;
    plan::check_lock_ignored(&plan_file).map_err(RunError::PlanGate)?;
    let ids: Vec<ItemId> = request
        .ids
        .iter()
        .map(|id| ItemId::try_from(id.clone()))
        .collect::<Result<_, _>>()?;
    let mut protocols =
        Protocols::load(&request.protocol, request.search_path(&repo), request.swarm)?;
    let holds = TaskHolds::between_steps(&repo, &plan_file)?;
    if let Some(refusal) = ids.iter().find_map(|id| refusal(&holds, id)) {
        return Err(refusal);
    }
    let (selected, skipped) = first_tasks(&plan, &ids, &protocols, request, &holds)?;
    if request.parallel_tasks <= 1 && holds.is_empty() {
        plan.check_single_in_progress()?;
    }
    let integrating = &request.integrating;
    let branch = integrating.check(&repo)?;
    let adapter = adapter::select(&request.choice, &request.adapters, &request.folder)?;
    adapter.check_budget(&request.budget)?;
    adapter.check_budget(&request.task_budget.budget)?;
    let bounds = adapter.capabilities.limit(request.bounds);
    let mut notes: Vec<String> = holds
        .units()
        .iter()
        .filter_map(|unit| Some(format!("{}; it is left to that run", holds.refusal(unit)?)))
        .collect();
    if integrating.delivery == Delivery::Branch && has_own_changes(&repo, &plan_file)? {
        notes.push("uncommitted changes are no part of the branch that is delivered, and workers do not see them".to_owned());
    }
    let fanout = adapter.capabilities.fanout;
    let is_too_wide = fanout.is_some_and(|fanout| fanout < protocols.widest_round());
    let reduced = if is_too_wide {
        protocols.reduce()
    } else {
        None
    };
    if let (Some(fallback), Some(fanout)) = (&reduced, fanout) {
        notes.push(format!(
            "adapter_capacity: `{}` runs {fanout} at once, too few for protocol `{}`; `{fallback}` instead",
            adapter.name, request.protocol
        ));
    }
    let in_flight = request.parallel_tasks.min(request.max_tasks).max(1) as usize;
    let widest = protocols.widest_round() * in_flight;
    let concurrency = Concurrency::preflight(&Limits {
        allowed: bounds.max_concurrency,
        fanout,
        remaining: request.remaining,
        rows: widest,
    });
    let settings = Settings {
        plan_file,
        ids,
        max_tasks: request.max_tasks,
        parallel_tasks: request.parallel_tasks,
        dispatch: request.dispatch,
        deps: request.deps,
        shared_paths: request.shared_paths.clone(),
        protocol: request.protocol.clone(),
        protocols: request.protocols.clone(),
        is_reduced: reduced.is_some(),
        swarm: request.swarm,
        validation_allow: request.validation_allow.clone(),
        trust_proposed_validation: request.trust_proposed_validation,
        prevalidate: integrating.prevalidate,
        isolation: integrating.isolation,
        delivery: integrating.delivery,
        branch,
        no_verify: integrating.no_verify,
        no_learnings: integrating.no_learnings,
        strict: request.strict,
        adapter: adapter.name,
        worker: adapter.worker,
        bounds: Bounds {
            max_concurrency: concurrency.get(),
            ..bounds
        },
        patch: request.patch,
        budget: request.budget,
        max_wall_seconds: request.max_wall_seconds,
        wall_hard: request.wall_hard,
        task_budget: request.task_budget,
        validation_timeout_seconds: request.validation_timeout_seconds,
        record: request
            .record
            .as_ref()
            .map(|path| request.folder.join(path)),
        base_sha: repo.head()?,
        overrides: request.overrides.clone(),
    };
    Ok(Preflight {
        repo,
        plan,
        protocols,
        settings,
        selected,
        skipped,
        notes,
    })
}

/// Whether tracked files are changed, beside those that runs themselves change.
fn has_own_changes(repo: &Repo, plan_file: &Path) -> Result<bool, RunError> {
    let changed = repo.changed_tracked()?;
    let is_own = |path: &PathBuf| {
        path != Path::new(learnings::FILE_NAME) && !is_same(&repo.root().join(path), plan_file)
    };
    Ok(changed.iter().any(is_own))
}

/// An explicit file counts from where the command was given, the default ones from the repository's root.
pub(crate) fn plan_file(request: &Request, root: &Path) -> Result<PathBuf, RunError> {
    let explicit = request
        .plan_file
        .as_ref()
        .map(|path| request.folder.join(path));
    plan::resolve(root, explicit.as_deref()).map_err(|error| match error {
        // The command that mends it is typed where this one was.
        ResolveError::Missing { file, .. }
            if explicit.is_none() && !is_same(&request.folder, root) =>
        {
            RunError::Resolve(ResolveError::missing(root, &root.join(file)))
        }
        other => RunError::Resolve(other),
    })
}

fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok() == b.canonicalize().ok()
}

/// The tasks to begin with, and those passed over on the way. When every candidate is unusable, that is an error.
fn first_tasks(
    plan: &Plan,
    ids: &[ItemId],
    protocols: &Protocols,
    request: &Request,
    holds: &TaskHolds,
) -> Result<(Vec<Selected>, Vec<Skipped>), RunError> {
    let closure = closure(plan, ids)?;
    let wish = SelectionRequest {
        closure: closure.as_ref(),
        past: &holds.units(),
        claims: no_claims(&request.shared_paths)?,
        places: request.parallel_tasks.min(request.max_tasks) as usize,
        deps: request.deps,
        is_workable: &|task| protocols.check(task),
    };
    let Selection { tasks, skipped } =
        select_next(request.dispatch, request.parallel_tasks, plan, wish);
    match skipped.first() {
        Some(first) if tasks.is_empty() => Err(RunError::Unusable(first.why.clone())),
        None if tasks.is_empty() => {
            // What other runs hold is all that there would be, or what the rest waits for.
            let lets_in = |id: &&ItemId| closure.as_ref().is_none_or(|ids| ids.contains(*id));
            let mut ids = plan.items().iter().map(Item::id).filter(lets_in);
            match ids.find_map(|id| refusal(holds, id)) {
                Some(refusal) => Err(refusal),
                None => Ok((tasks, skipped)),
            }
        }
        _ => Ok((tasks, skipped)),
    }
}

fn refusal(holds: &TaskHolds, id: &ItemId) -> Option<RunError> {
    holds.refusal(&UnitId::new(id.as_str()))
}

impl Preflight {
    /// The one line before any worker (CONTRACT, section 6).
    pub fn line(&self, run_id: &RunId) -> String {
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
            "mesh_preflight mesh_run_id={run_id} plan_file={} adapter={} ids={} overrides={} concurrency={}",
            plan_file
                .strip_prefix(self.repo.root())
                .unwrap_or(plan_file)
                .display(),
            self.settings.adapter,
            or_none(ids.join(",")),
            or_none(self.settings.overrides.join(",")),
            self.settings.bounds.max_concurrency,
        )
    }

    /// Ready, waiting, blocked and completed tasks, for a run that has nothing to do.
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

    /// How to go on where nothing can begin because tasks that may be worked are blocked, or wait for one that is put off or
    /// given up: the command for the first of those that hold up others, else for the first one that is blocked. `folder` is
    /// where the command would be typed.
    pub fn way_on(&self, folder: &Path) -> Option<String> {
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
        let blocked: Vec<&Item> = with(&items, Status::Blocked);
        let first = blocked.iter().find(|one| waits(one).is_some());
        if let Some(first) = first.or(blocked.first()) {
            let more = match blocked.len() {
                1 => "1 task is blocked".to_owned(),
                many => format!("{many} tasks are blocked"),
            };
            return Some(format!(
                "{more}; their comments say why. To retry one: {}",
                self.set_pending(first, folder)
            ));
        }
        let mut idle = with(&items, Status::Deferred);
        idle.extend(with(&items, Status::Canceled));
        idle.into_iter().find_map(|one| {
            let waiting = waits(one)?;
            Some(format!(
                "`{}` waits for `{}`, which is {}. To run that: {}",
                waiting.id(),
                one.id(),
                one.status().as_str(),
                self.set_pending(one, folder)
            ))
        })
    }

    /// The command that makes an item pending, as it is typed in `folder`.
    fn set_pending(&self, item: &Item, folder: &Path) -> String {
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

fn with<'i>(items: &[&'i Item], status: Status) -> Vec<&'i Item> {
    let found = items.iter().filter(|item| item.status() == status);
    found.copied().collect()
}
