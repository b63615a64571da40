//! Fields of the events about integrating a patch.

use super::super::id::{Role, UnitId};
use super::super::path_text;
use super::super::row::BlockReason;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The state of a path before the integrator changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum BeforeState {
    /// The path does not exist.
    Absent,
    /// A regular file.
    File {
        /// Permission bits, as a number.
        mode: u32,
        /// SHA-256 of the content, in hexadecimal; also the name of the stored copy.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Its target.
        #[serde(with = "path_text")]
        target: PathBuf,
    },
}

/// One path of a patch with its before-state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedPath {
    /// Relative to the repository's root.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Its state before the integration.
    pub before: BeforeState,
}

/// Fields of `integration_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntegrationStarted {
    /// The task.
    pub unit: UnitId,
    /// The patch file, relative to the run's folder.
    pub patch_path: PathBuf,
    /// The paths of the patch. Every other changed or untracked path of the tree is in `kept/` of the run's folder.
    pub paths: Vec<TouchedPath>,
    /// The subset that the patch itself changes.
    #[serde(with = "path_text::list")]
    pub patched: Vec<PathBuf>,
    /// Folders that the patch creates, outermost first; a restore removes them.
    #[serde(with = "path_text::list")]
    pub new_folders: Vec<PathBuf>,
    /// Changed paths that are neither saved nor restored: the plan file, submodules, oversized files.
    #[serde(with = "path_text::list")]
    pub left_alone: Vec<PathBuf>,
    /// The commit that was checked out; the parent of a commit made by this integration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
}

/// Which tree a validation command ran on, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// With the patch in place; decides on the integration.
    #[default]
    Integration,
    /// Without the patch; a command that passes here as well says little about the patch.
    Before,
    /// With the patch in a scratch tree, before the vote; shown to the voters.
    Preview,
}

impl Stage {
    fn is_integration(&self) -> bool {
        *self == Stage::Integration
    }
}

/// Fields of `validation_finished`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationFinished {
    /// The task.
    pub unit: UnitId,
    /// The role whose patch it ran with, if several are tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Role>,
    /// The command, from the task's metadata or the synthesis.
    pub command: String,
    /// Its number within the stage, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u32,
    /// Which tree it ran on.
    #[serde(default, skip_serializing_if = "Stage::is_integration")]
    pub stage: Stage,
    /// A worker proposed it; it is not in the task's metadata.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// Its exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// It exceeded its time limit and its process group was killed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
    /// It exceeded its output limit and its process group was killed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_much_output: bool,
    /// Wall-clock milliseconds.
    pub duration_ms: u64,
    /// One line of its output: the first that names a failure, else the last that is not blank.
    pub key_line: String,
    /// The whole output, relative to the run's folder.
    pub log_path: PathBuf,
    /// Paths of the user's tree that changed while the command ran in another tree. Whether the command or a person changed
    /// them is unknown.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub changed_meanwhile: Vec<PathBuf>,
    /// Only without the patch: how many patches of the run were applied when the validation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
}

impl ValidationFinished {
    /// Whether it exited with 0 within its limits.
    pub fn passed(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out && !self.too_much_output
    }

    /// The outcome as a short phrase: `exit 1`, `signal 9`, `timed out`.
    pub fn outcome(&self) -> String {
        match (self.timed_out, self.exit_code, self.signal) {
            (true, ..) => "timed out".to_owned(),
            _ if self.too_much_output => "too much output".to_owned(),
            (_, Some(code), _) => format!("exit {code}"),
            (_, _, Some(signal)) => format!("signal {signal}"),
            _ => "did not start".to_owned(),
        }
    }
}

/// How an integration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationOutcome {
    /// The patch is in the tree and validated.
    Applied,
    /// The tree was restored.
    Restored,
    /// The tree was not changed.
    Refused,
    /// `mesh` was killed in between; the tree was restored and the integration starts again.
    RolledBack,
    /// It could not be undone and `--abandon` gave it up; the tree stays as it is.
    Abandoned,
}

/// Fields of `integration_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntegrationFinished {
    /// The task.
    pub unit: UnitId,
    /// How it ended.
    pub outcome: IntegrationOutcome,
    /// The block reason, unless applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<BlockReason>,
    /// The reason as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Paths that the patch changes.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub paths: Vec<PathBuf>,
    /// Paths that were in the way of the restore and were moved into the run's folder.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub moved_aside: Vec<PathBuf>,
    /// Paths outside the patch that a passing validation changed or created and git does not ignore; they stay.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub by_validation: Vec<PathBuf>,
    /// Validation commands that pass without the patch as well: weak evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_before: Vec<String>,
    /// Validation commands of the synthesis that are not allowed; they were not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The commit with the patch, if one was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitRecord>,
}

/// A commit that a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Its id, in hexadecimal.
    pub id: String,
    /// Its branch.
    pub branch: String,
}

impl IntegrationFinished {
    /// The integration of `unit` ended with `outcome`; all other fields are empty.
    pub fn new(unit: &UnitId, outcome: IntegrationOutcome) -> Self {
        Self {
            unit: unit.clone(),
            outcome,
            reason: None,
            detail: None,
            paths: Vec::new(),
            moved_aside: Vec::new(),
            by_validation: Vec::new(),
            passed_before: Vec::new(),
            left_out: Vec::new(),
            commit: None,
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
