//! The input of an integration: the patch, its validation commands and the rules that it must obey.

use super::commands::Commands;
use crate::model::{Role, Tally, UnitId};
use crate::patch;
use crate::plan::Metadata;
use crate::scope::Scope;
use std::path::{Path, PathBuf};

/// The rules that a patch of a task must obey.
#[derive(Clone, Copy, Debug)]
pub struct PatchPolicy<'t> {
    /// The validation commands of the task, and whether it may have none.
    pub metadata: &'t Metadata,
    /// The paths that the patch may touch, as written.
    pub globs: &'t [String],
    /// The same, compiled.
    pub scope: &'t Scope,
    /// The plan file, which no patch may change.
    pub plan_file: &'t Path,
    /// The folder of runs, which no patch may change.
    pub artifacts: &'t Path,
    /// Limits of every patch.
    pub limits: patch::Limits,
}

/// One accepted patch.
#[derive(Clone, Copy, Debug)]
pub struct IntegrationRequest<'r> {
    /// The task.
    pub unit: &'r UnitId,
    /// The description of the task, for the subject of a commit.
    pub subject: &'r str,
    /// The rules that the patch must obey.
    pub policy: PatchPolicy<'r>,
    /// The validation commands.
    pub commands: &'r Commands,
    /// The patch as the synthesizer gave it.
    pub patch: &'r str,
    /// The vote that accepted it, if there was one.
    pub tally: Option<&'r Tally>,
    /// Whether it holds a test that failed without the rest of it, so that commands that passed before say something about it.
    pub has_test: bool,
    /// The role that wrote it, if it is one of several candidates that are tried at the same time.
    pub candidate: Option<&'r Role>,
}

impl IntegrationRequest<'_> {
    /// The folder of its files, relative to that of the run; each candidate has one of its own.
    pub fn folder(&self) -> PathBuf {
        let unit = Path::new("units").join(self.unit.file_name());
        match self.candidate {
            Some(role) => unit.join("candidates").join(role.as_str()),
            None => unit,
        }
    }
}
