//! `mesh doctor`: all checks of preflight, without stopping at the first error.
//!
//! The checks are the functions that preflight uses, so if all of them pass, a run starts. Changes nothing; takes the
//! repository's lock for a moment.

use super::bindings::Bindings;
use super::prepare;
use super::prepare::Request;
use super::protocols::Protocols;
use super::tree::check_tree;
use crate::integrate::{Delivery, RepoLock};
use crate::plan::{Item, Plan, Status, Store, metadata};
use crate::platform::sandbox::Choice as Sandboxing;
use crate::platform::{GitError, Repo};
use crate::run::confinement::protected_by_plan;
use crate::run::error::RunError;
use crate::run::settings::PlanOptions;
use crate::run::store::TaskHolds;
use crate::scope::Scope;
use crate::{adapter, plan};

/// The result of one check.
#[derive(Debug)]
pub struct Finding {
    /// `repository`, `tree`, `plan`, `task`, `protocol`, `workers`, `role`, `sandbox`, `delivery` or `integration`.
    pub subject: &'static str,
    /// A description of its state, or the error.
    pub result: Result<String, RunError>,
    /// What still works in spite of the error, if anything.
    pub alternative: Option<&'static str>,
}

impl Finding {
    /// Whether the error has to be fixed before anything works.
    pub fn is_failure(&self) -> bool {
        self.result.is_err() && self.alternative.is_none()
    }
}

/// Outside of a repository only CSVs can be run.
const ONLY_SPAWN: &str = "mesh spawn works here; mesh run needs a repository";

/// Checks everything that the requested run needs.
pub fn examine(request: &Request) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |subject, result| {
        findings.push(Finding {
            subject,
            result,
            alternative: None,
        });
    };
    let repo = match Repo::find(&request.folder) {
        Ok(repo) => repo,
        Err(error) => return report_missing_repository(error, check_workers(request)),
    };
    let root = repo.root().display().to_string();
    add(
        "repository",
        repo.head().map(|_| root).map_err(RunError::from),
    );
    match check_tree(&repo) {
        Ok(None) => {}
        Ok(Some(note)) => add("tree", Ok(note)),
        Err(error) => add("tree", Err(error)),
    }
    match check_plan(request, &repo) {
        Ok((plan, text)) => {
            add("plan", Ok(text));
            for (subject, result) in check_tasks(&plan) {
                add(subject, result);
            }
        }
        Err(error) => add("plan", Err(error)),
    }
    let PlanOptions {
        protocol: chosen,
        protocols,
        delivery,
        ..
    } = &request.options;
    let others = protocols.keys().filter(|name| *name != chosen);
    for name in std::iter::once(chosen).chain(others) {
        add("protocol", check_protocol(name, request, &repo));
    }
    add("workers", check_workers(request));
    for result in check_roles(request, &repo) {
        add("role", result);
    }
    add("sandbox", check_sandbox(request, &repo));
    let branch = request.check_delivery(&repo);
    add(
        "delivery",
        branch.map(|branch| match (delivery, branch) {
            (Delivery::Patch, _) => "patches stay in the tree".to_owned(),
            (_, Some(branch)) => format!("commits on `{branch}`"),
            (_, None) => "commits on a branch of the run".to_owned(),
        }),
    );
    let lock = RepoLock::take(&repo, None);
    add(
        "integration",
        lock.map(|lock| match lock.note() {
            None => "none interrupted".to_owned(),
            Some(note) => format!("none interrupted; {note}"),
        })
        .map_err(RunError::from),
    );
    findings
}

/// A folder outside of any repository is not a failure if there are workers for `mesh spawn`.
fn report_missing_repository(error: GitError, workers: Result<String, RunError>) -> Vec<Finding> {
    let is_plain = matches!(error, GitError::NoRepository { .. });
    vec![
        Finding {
            subject: "repository",
            result: Err(error.into()),
            alternative: (is_plain && workers.is_ok()).then_some(ONLY_SPAWN),
        },
        Finding {
            subject: "workers",
            result: workers,
            alternative: None,
        },
    ]
}

fn check_plan(request: &Request, repo: &Repo) -> Result<(Plan, String), RunError> {
    let file = prepare::resolve_plan_file(request, repo.root())?;
    let store = Store::at(&file);
    let plan = store.read()?;
    plan::check_lock_ignored(&file).map_err(RunError::LockNotIgnored)?;
    if request.options.parallel_tasks <= 1 && TaskHolds::read_for_preflight(repo, &file)?.is_empty()
    {
        plan.check_single_in_progress()?;
    }
    let open = plan.items().iter().filter(|item| is_open(item)).count();
    let tasks = match plan.items().len() {
        1 => "1 task".to_owned(),
        many => format!("{many} tasks"),
    };
    let name = file.strip_prefix(repo.root()).unwrap_or(&file);
    let text = format!("{}: {tasks}, {open} open", name.display());
    Ok((plan, text))
}

fn is_open(item: &Item) -> bool {
    matches!(item.status(), Status::Pending | Status::InProgress)
}

/// One finding for each open task that can't be run, and one for all that can.
fn check_tasks(plan: &Plan) -> Vec<(&'static str, Result<String, RunError>)> {
    let mut findings = Vec::new();
    let (mut workable, mut bare) = (0, 0);
    for item in plan.items().iter().filter(|item| is_open(item)) {
        let checked = metadata::read(item)
            .map_err(RunError::from)
            .and_then(|metadata| Scope::new(&metadata.scope).map_err(RunError::scope(item)));
        match checked {
            Ok(_) => workable += 1,
            Err(RunError::Metadata(error)) if error.needs_hydration() => bare += 1,
            Err(error) => findings.push(("task", Err(error))),
        }
    }
    let more = match bare {
        0 => String::new(),
        bare => format!(", {bare} without metadata, which a worker will propose"),
    };
    findings.push(("tasks", Ok(format!("{workable} ready to run{more}"))));
    findings
}

fn check_protocol(name: &str, request: &Request, repo: &Repo) -> Result<String, RunError> {
    let protocols = Protocols::load(name, request.search_path(repo), request.options.swarm)?;
    let rows = match protocols.widest_round() {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    };
    Ok(format!("{name}: at most {rows} at once for a task"))
}

/// Which sandbox holds here, or why none does.
fn check_sandbox(request: &Request, repo: &Repo) -> Result<String, RunError> {
    let plan_file = prepare::resolve_plan_file(request, repo.root());
    let plan_file = plan_file.unwrap_or_else(|_| repo.root().to_owned());
    let protected = protected_by_plan(repo, &plan_file)?;
    let choice = request.sandbox.choice.unwrap_or(Sandboxing::Auto);
    let (confinement, note) = choice.decide(&protected, &request.sandbox.writable)?;
    Ok(match (confinement, note) {
        (Some(confinement), _) => format!(
            "{}: workers can't write to the repository, the plan and the runs",
            confinement.mechanism.as_str()
        ),
        (None, Some(note)) => note,
        (None, None) => "none: changes by workers are only noticed".to_owned(),
    })
}

/// The roles with an adapter of their own. Empty if the one of the run can't be used, or the protocol, which other checks say.
fn check_roles(request: &Request, repo: &Repo) -> Vec<Result<String, RunError>> {
    let search_path = request.search_path(repo);
    let options = &request.options;
    let usual = adapter::select(&request.choice, &request.adapters, &request.folder);
    let protocols = Protocols::load(&options.protocol, search_path, options.swarm);
    let (Ok(usual), Ok(protocols)) = (usual, protocols) else {
        return Vec::new();
    };
    match Bindings::select(&request.bindings(), &protocols, &usual, search_path) {
        Ok(bindings) => {
            let notes = bindings.notes.clone().into_iter();
            notes.chain(bindings.described()).map(Ok).collect()
        }
        Err(error) => vec![Err(error.into())],
    }
}

fn check_workers(request: &Request) -> Result<String, RunError> {
    let adapter = adapter::select(&request.choice, &request.adapters, &request.folder)?;
    if adapter.name == adapter::EXTERNAL {
        return Ok("external: answers come by `mesh collect`".to_owned());
    }
    Ok(format!(
        "{}: {}",
        adapter.name,
        adapter.worker.program.display()
    ))
}
