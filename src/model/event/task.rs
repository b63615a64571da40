//! Fields of the events about one task of the plan.

use super::super::id::{RowId, RunId, UnitId};
use super::super::row::BlockReason;
use super::super::text::one_line;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Fields of `hydrated`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hydrated {
    /// The task.
    pub unit: UnitId,
    /// The row that proposed the metadata.
    pub item_id: RowId,
    /// The metadata, as YAML.
    pub mesh: String,
    /// Proposed validation commands that are not allowed; not added to the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Fields of `protocol_changed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProtocolChanged {
    /// The task.
    pub unit: UnitId,
    /// The previous protocol.
    pub from: String,
    /// The new protocol.
    pub to: String,
    /// Whether accepted answers are kept; else the task starts over.
    pub keeps: bool,
    /// The reason, as a failure code or block reason.
    pub code: String,
    /// The reason as text.
    pub detail: String,
}

/// Fields of `began_early`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BeganEarly {
    /// The task.
    pub unit: UnitId,
    /// Its dependencies that are not completed.
    pub waits_for: Vec<String>,
}

/// Fields of `task_admitted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAdmitted {
    /// The task.
    pub unit: UnitId,
    /// What it is to do.
    pub objective: String,
    /// Its status in the plan, which stays.
    pub status: String,
    /// SHA-256 of its text in the plan, in hexadecimal, to notice later edits.
    pub item_sha256: String,
}

/// Fields of `task_decided`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDecided {
    /// The task.
    pub unit: UnitId,
    /// Why its patch is not accepted; `None` if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<BlockReason>,
    /// The reason as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The patch that was voted for and applies, relative to the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_path: Option<PathBuf>,
    /// What the synthesis says may still be wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub residual_risk: String,
    /// The `[mesh]` comment added to the plan, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Fields of `patch_taken`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchTaken {
    /// The task.
    pub unit: UnitId,
}

/// Fields of `tasks_held`: how many tasks of the plan a run leaves for now, after it has filled its free task slots. A task is in the
/// first count that holds for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksHeld {
    /// Ready tasks whose scopes meet those of tasks in flight.
    pub scopes: u64,
    /// Ready tasks beyond `parallel_tasks` or `max_tasks`.
    pub task_limit: u64,
    /// Tasks whose dependencies are not completed; at most 1,000 are counted.
    pub dependencies: u64,
}

/// Fields of `plan_mutated`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanMutated {
    /// The task.
    pub unit: UnitId,
    /// Its new status.
    pub status: String,
    /// The `[mesh]` comment added with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The block reason, if blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<BlockReason>,
    /// The block reason as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Fields of `plan_conflict`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanConflict {
    /// The task.
    pub unit: UnitId,
    /// The status in the plan file, or `removed`.
    pub found: String,
    /// The joined run that took the task over after the lease of this run had expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<RunId>,
}

/// Fields of `lease_acquired`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseAcquired {
    /// The task.
    pub unit: UnitId,
    /// The epoch of the lease: each owner's is higher than those before.
    pub epoch: u64,
    /// The run that had an expired lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RunId>,
}

impl PlanConflict {
    /// The conflict as a message.
    pub fn message(&self) -> String {
        if let Some(run) = &self.taken_by {
            return format!(
                "run `{run}` has taken the task over, because the lease of this run had expired; this run's results for it are refused"
            );
        }
        format!(
            "the plan says `{}`, which this run did not write; left unchanged",
            one_line(&self.found)
        )
    }
}

/// Fields of `learning_appended`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LearningAppended {
    /// The task; `None` for the learning of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// The record's id.
    pub id: String,
    /// Its text.
    pub learning: String,
    /// The file already had this learning, under the id above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}
