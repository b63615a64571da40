//! The settings of a plan run, resolved in preflight and kept in the ledger.

use super::task_budget::TaskBudget;
use crate::adapter::EXTERNAL;
use crate::integrate::{Delivery, Isolation};
use crate::job::{Bounds, Budget, Worker};
use crate::patch;
use crate::plan::{ItemId, Plan, SwarmOverrides};
use crate::schedule::{
    Deps, Dispatch, Priority, Selection, SelectionRequest, select, select_longest_first,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All settings of a plan run, resolved in preflight and kept in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The plan file.
    pub plan_file: PathBuf,
    /// `ids=`; all tasks when empty.
    pub ids: Vec<ItemId>,
    /// How many tasks may be admitted.
    pub max_tasks: u32,
    /// How many may be in flight at once.
    pub parallel_tasks: u32,
    /// How the waves of several tasks follow one another.
    pub dispatch: Dispatch,
    /// How open dependencies are treated.
    pub deps: Deps,
    /// Paths that only one task in flight at a time may touch.
    pub shared_paths: Vec<String>,
    /// A built-in protocol's name, or a protocol file.
    pub protocol: String,
    /// `protocols` of `mesh.yaml`: name -> file.
    pub protocols: BTreeMap<String, PathBuf>,
    /// Whether the run uses the fallback protocol, because the adapter can't run all rows of the chosen one at once.
    pub is_reduced: bool,
    /// Swarm settings of the run, which override those of a task.
    pub swarm: SwarmOverrides,
    /// Prefixes of validation commands that a worker may propose.
    pub validation_allow: Vec<String>,
    /// Whether a worker may propose any command.
    pub trust_proposed_validation: bool,
    /// Whether the validation also runs before the vote, for the voters to see.
    pub prevalidate: bool,
    /// Where a patch is tried first.
    pub isolation: Isolation,
    /// How a validated patch is delivered.
    pub delivery: Delivery,
    /// The branch that was checked out, when commits go to it.
    pub branch: Option<String>,
    /// Whether commits skip the repository's hooks.
    pub no_verify: bool,
    /// Whether nothing is added to the learnings.
    pub no_learnings: bool,
    /// Whether answers must be JSON.
    pub strict: bool,
    /// The adapter's id.
    pub adapter: String,
    /// The command of one row.
    pub worker: Worker,
    /// Time limits, retries, and the concurrency limit.
    pub bounds: Bounds,
    /// Limits of a patch.
    pub patch: patch::Limits,
    /// Budget of the run.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Wall-clock budget of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wall_seconds: Option<u64>,
    /// Whether running rows are ended at the wall-clock budget.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wall_hard: bool,
    /// Budget of each task.
    #[serde(default, skip_serializing_if = "TaskBudget::is_none")]
    pub task_budget: TaskBudget,
    /// Wall-clock limit of a validation command.
    pub validation_timeout_seconds: u64,
    /// Where answers are recorded for the replay adapter.
    pub record: Option<PathBuf>,
    /// The commit that was checked out at the start.
    pub base_sha: String,
    /// `KEY=VALUE` as given, for the preflight line.
    pub overrides: Vec<String>,
}

impl Settings {
    /// Whether an external runner works the rows.
    pub fn is_external(&self) -> bool {
        self.adapter == EXTERNAL
    }

    /// Selects the next tasks: in plan order; with several in flight, by the longest path of tasks that depend on them.
    pub(crate) fn select(&self, plan: &Plan, wish: SelectionRequest<'_>) -> Selection {
        select_next(self.dispatch, self.parallel_tasks, plan, wish)
    }
}

pub(crate) fn select_next(
    dispatch: Dispatch,
    parallel_tasks: u32,
    plan: &Plan,
    wish: SelectionRequest<'_>,
) -> Selection {
    match dispatch {
        Dispatch::Rolling if parallel_tasks > 1 => {
            select_longest_first(plan, wish, &Priority::with_equal_costs(plan))
        }
        _ => select(plan, wish),
    }
}
