//! The settings of a plan run, resolved in preflight and kept in the ledger.

use super::budget_overrides::BudgetOverrides;
use super::error::RunError;
use super::task_budget::TaskBudget;
use crate::adapter::EXTERNAL;
use crate::integrate::{Delivery, Isolation};
use crate::job::{Bounds, Budget, ExecutorChoice, Worker};
use crate::model::{Role, RoleBinding};
use crate::patch;
use crate::plan::{ItemId, Plan, SwarmOverrides};
use crate::schedule::{
    Deps, Dispatch, Priority, Selection, SelectionRequest, TaskArithmetic, TaskLimit, select,
    select_longest_first,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The options of a plan run that hold as they are given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanOptions {
    /// `max_tasks=`: how many tasks may be admitted.
    pub max_tasks: TaskLimit,
    /// `parallel_tasks=`: how many may be in flight at once.
    pub parallel_tasks: u32,
    /// How preflight computed that for `parallel_tasks=auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_arithmetic: Option<TaskArithmetic>,
    /// `--follow`: whether the run waits for the plan when nothing is ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// `--headless`: whether a task in progress that can't be run is left out, instead of ending the selection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_headless: bool,
    /// `--join`: whether other runs may work tasks of the same plan at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub join: bool,
    /// `--dispatch`: how the waves of several tasks follow one another.
    pub dispatch: Dispatch,
    /// `--deps`: how open dependencies are treated.
    pub deps: Deps,
    /// `shared_paths=`: paths that only one task in flight at a time may touch.
    pub shared_paths: Vec<String>,
    /// `--protocol`: a built-in protocol's name, or a protocol file.
    pub protocol: String,
    /// `protocols` of `mesh.yaml`: name -> file.
    pub protocols: BTreeMap<String, PathBuf>,
    /// `--roles`, `--consensus-threshold`, `--consensus-retries`; they override those of a task.
    pub swarm: SwarmOverrides,
    /// `--validation-allow`: prefixes of validation commands that a worker may propose.
    pub validation_allow: Vec<String>,
    /// `--trust-proposed-validation`: whether a worker may propose any command.
    pub trust_proposed_validation: bool,
    /// `--prevalidate`: whether the validation also runs before the vote, for the voters to see.
    pub prevalidate: bool,
    /// `--isolation`: where a patch is tried first.
    pub isolation: Isolation,
    /// `--validation-parallel`: how many patches are validated at once, each in a scratch tree.
    #[serde(default = "one")]
    pub validation_parallel: usize,
    /// `--strict-validation`: whether a patch is validated again whenever the tree has changed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict_validation: bool,
    /// `--integrate`: whether accepted patches are integrated; else they are kept, and the plan stays as it is.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub integrate: bool,
    /// `--comment`: whether a task whose patch is kept gets a comment in the plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comment: bool,
    /// `--delivery`: how a validated patch is delivered.
    pub delivery: Delivery,
    /// `--no-verify`: whether commits skip the repository's hooks.
    pub no_verify: bool,
    /// `--no-learnings`: whether nothing is added to the learnings.
    pub no_learnings: bool,
    /// `--strict`: whether answers must be JSON.
    pub strict: bool,
    /// Time limits, retries and the concurrency limit. Preflight lowers them to what the adapter can do.
    pub bounds: Bounds,
    /// `--patch-bytes-max`, `--allow-binary`: limits of a patch.
    pub patch: patch::Limits,
    /// Budget of the run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// `--max-wall-seconds`: wall-clock budget of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wall_seconds: Option<u64>,
    /// `--wall-hard`: whether running rows are ended at the wall-clock budget.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wall_hard: bool,
    /// Budget of each task.
    #[serde(default, skip_serializing_if = "TaskBudget::is_none")]
    pub task_budget: TaskBudget,
    /// `--validation-timeout-seconds`: wall-clock limit of a validation command.
    pub validation_timeout_seconds: u64,
    /// `--executor`: where rows run.
    #[serde(default, skip_serializing_if = "ExecutorChoice::is_local")]
    pub executor: ExecutorChoice,
    /// `--record`: where answers are recorded for the replay adapter.
    pub record: Option<PathBuf>,
    /// `KEY=VALUE` as given, for the preflight line.
    pub overrides: Vec<String>,
}

/// The worker of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleWorker {
    /// What the role is bound to, with its adapter.
    pub binding: RoleBinding,
    /// The command of one row.
    pub worker: Worker,
    /// The time limit of an attempt, if the adapter has another one than that of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runtime_seconds: Option<u64>,
}

/// All settings of a plan run, resolved in preflight and kept in the ledger.
///
/// The ledger has the options beside the other fields, not below a key of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The plan file.
    pub plan_file: PathBuf,
    /// `ids=`; all tasks when empty.
    pub ids: Vec<ItemId>,
    /// Whether the run uses the fallback protocol, because the adapter can't run all rows of the chosen one at once.
    pub is_reduced: bool,
    /// The branch that was checked out, when commits go to it.
    pub branch: Option<String>,
    /// The adapter's id.
    pub adapter: String,
    /// The command of one row.
    pub worker: Worker,
    /// The workers of roles that are bound to something else, by role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub role_workers: BTreeMap<Role, RoleWorker>,
    /// The commit that was checked out at the start.
    pub base_sha: String,
    /// The options.
    #[serde(flatten)]
    pub options: PlanOptions,
}

/// The default of `--validation-parallel`.
fn one() -> usize {
    1
}

/// The default of `--integrate`.
fn yes() -> bool {
    true
}

fn is_yes(flag: &bool) -> bool {
    *flag
}

impl Settings {
    /// The worker of the run, and those of roles.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        let others = self.role_workers.values().map(|role| &role.worker);
        std::iter::once(&self.worker).chain(others)
    }

    /// The same, to change them.
    pub(crate) fn workers_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        let others = self.role_workers.values_mut().map(|role| &mut role.worker);
        std::iter::once(&mut self.worker).chain(others)
    }

    /// Replaces what a call may change of a run.
    pub(crate) fn apply(&mut self, overrides: &BudgetOverrides) {
        let options = &mut self.options;
        overrides.apply(
            &mut options.budget,
            &mut options.max_wall_seconds,
            &mut options.wall_hard,
            &mut options.bounds,
        );
        options.executor.change(&overrides.slurm);
        options.task_budget = overrides.task_budget.or(options.task_budget);
        options.validation_parallel = overrides
            .validation_parallel
            .unwrap_or(options.validation_parallel);
        options.strict_validation = overrides
            .strict_validation
            .unwrap_or(options.strict_validation);
    }

    /// `skeptic=codex:gpt-5,critic_a=claude`: the roles that are bound, if any is.
    pub fn roles_as_text(&self) -> Option<String> {
        let roles = self.role_workers.iter();
        let roles: Vec<String> = roles
            .map(|(role, worker)| format!("{role}={}", worker.binding))
            .collect();
        (!roles.is_empty()).then(|| roles.join(","))
    }

    /// Whether an external runner runs the rows.
    pub fn is_external(&self) -> bool {
        self.adapter == EXTERNAL
    }
}

impl PlanOptions {
    /// Whether patches are validated beside workers and one another: only in scratch trees. The tree of a branch is not one,
    /// because workers see it.
    pub(crate) fn validates_beside_workers(&self) -> bool {
        self.isolation == Isolation::Worktree && self.delivery != Delivery::Branch
    }

    /// Refuses what joined runs can't do.
    pub(crate) fn check_join(&self) -> Result<(), RunError> {
        let refuse = |option, why| Err(RunError::NotWithJoin { option, why });
        match self {
            Self { join: false, .. } => Ok(()),
            Self {
                delivery: Delivery::Branch,
                ..
            } => refuse(
                "delivery=branch",
                "the branch of a run has only its own patches, and its tasks may depend on those of others",
            ),
            Self {
                isolation: Isolation::Worktree,
                ..
            } => refuse(
                "isolation=worktree",
                "the tree is copied for it while another run may change it",
            ),
            Self {
                integrate: false, ..
            } => refuse(
                "integrate=false",
                "the leases of tasks whose patches are kept would end with the run",
            ),
            Self { follow: true, .. } => refuse(
                "follow",
                "a run that waits for the plan keeps the repository for itself",
            ),
            Self {
                prevalidate: true, ..
            } => refuse(
                "prevalidate",
                "the tree is copied for it while another run may change it",
            ),
            Self { .. } => Ok(()),
        }
    }

    /// Selects the next tasks: in plan order; with several in flight, by the longest path of tasks that depend on them.
    pub(crate) fn select(&self, plan: &Plan, request: SelectionRequest<'_>) -> Selection {
        match self.dispatch {
            Dispatch::Rolling if self.parallel_tasks > 1 => {
                select_longest_first(plan, request, &Priority::with_equal_costs(plan))
            }
            _ => select(plan, request),
        }
    }
}
