//! Fields of the events about taking a patch of a run back.

use super::super::id::UnitId;
use super::super::path_text;
use super::integration::IntegrationStarted;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Fields of `undo_started`: those of `integration_started`, of the reverse patch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UndoStarted(pub IntegrationStarted);

/// How taking a patch back ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoOutcome {
    /// The patch is no longer in the tree.
    Undone,
    /// The tree was restored.
    Restored,
    /// `mesh` was killed in between; the tree was restored.
    RolledBack,
    /// It could not be restored and `mesh resume --abandon` gave that up; the tree stays as it is.
    Abandoned,
}

/// Fields of `undo_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UndoFinished {
    /// The task.
    pub unit: UnitId,
    /// How it ended.
    pub outcome: UndoOutcome,
    /// The reason as text, unless undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Paths that the reverse patch changes.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub paths: Vec<PathBuf>,
    /// Paths that were in the way of a restore and were moved into the run's folder.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub moved_aside: Vec<PathBuf>,
}
