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
    /// `ids=`; empty is no restriction.
    pub ids: Vec<ItemId>,
    /// How many tasks may be taken up.
    pub max_tasks: u32,
    /// How many may be in flight at once.
    pub parallel_tasks: u32,
    /// How the waves of several tasks follow one another.
    #[serde(default = "Dispatch::of_old")]
    pub dispatch: Dispatch,
    /// What open dependencies mean.
    #[serde(default)]
    pub deps: Deps,
    /// Of these paths only one task at a time may touch any; none in ledgers from before there were any.
    #[serde(default)]
    pub shared_paths: Vec<String>,
    /// A built-in protocol's name, or a protocol file.
    pub protocol: String,
    /// `protocols` of `mesh.yaml`: name -> file.
    #[serde(default)]
    pub protocols: BTreeMap<String, PathBuf>,
    /// Whether its fallback is used from the beginning, because the adapter can't run all of its rows at once.
    pub is_reduced: bool,
    /// What the run says of all tasks' swarms.
    pub swarm: SwarmOverrides,
    /// Beginnings of validation commands that a worker may propose.
    pub validation_allow: Vec<String>,
    /// Whether it may propose any.
    pub trust_proposed_validation: bool,
    /// Whether the commands are run before the vote as well, and shown to the voters.
    #[serde(default)]
    pub prevalidate: bool,
    /// Where a patch is tried first.
    #[serde(default)]
    pub isolation: Isolation,
    /// What becomes of a validated patch.
    #[serde(default)]
    pub delivery: Delivery,
    /// The branch that was checked out, where commits go to it.
    #[serde(default)]
    pub branch: Option<String>,
    /// Whether commits are made without asking the repository's hooks.
    #[serde(default)]
    pub no_verify: bool,
    /// Whether nothing is added to the learnings.
    #[serde(default)]
    pub no_learnings: bool,
    /// Whether answers must be JSON.
    pub strict: bool,
    /// The adapter's id.
    pub adapter: String,
    /// The command of one row.
    pub worker: Worker,
    /// Time and tries, and the one concurrency number.
    pub bounds: Bounds,
    /// What a patch may be; the default in ledgers from before it could be set.
    #[serde(default)]
    pub patch: patch::Limits,
    /// What the run may use up.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Wall-clock budget of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wall_seconds: Option<u64>,
    /// Whether running rows are ended then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wall_hard: bool,
    /// What each task may use up.
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

    /// The next tasks: in plan order, as the seed has it; with several in flight, of the ready ones those first behind which
    /// the most waits.
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
            select_longest_first(plan, wish, &Priority::of_equals(plan))
        }
        _ => select(plan, wish),
    }
}
