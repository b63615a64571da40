//! What an integration is asked to do, and what its patch may be.

use super::allow::Commands;
use crate::model::{Tally, UnitId};
use crate::patch;
use crate::plan::Metadata;
use crate::scope::Scope;
use std::path::Path;

/// What a patch of a task is measured against.
#[derive(Clone, Copy, Debug)]
pub struct PatchPolicy<'t> {
    /// Scope and validation commands.
    pub metadata: &'t Metadata,
    /// The compiled scope.
    pub scope: &'t Scope,
    /// The plan file, which no patch may touch.
    pub plan_file: &'t Path,
    /// Where runs keep their files, which no patch may touch either.
    pub artifacts: &'t Path,
    /// What any patch may be.
    pub limits: patch::Limits,
}

/// One accepted patch and what its task says about it.
#[derive(Clone, Copy, Debug)]
pub struct IntegrationRequest<'o> {
    /// The task.
    pub unit: &'o UnitId,
    /// The task in words; the subject of a commit.
    pub subject: &'o str,
    /// What the patch is measured against.
    pub policy: PatchPolicy<'o>,
    /// What validates it.
    pub commands: &'o Commands,
    /// The patch as the synthesizer gave it.
    pub patch: &'o str,
    /// The vote that accepted it, where there was one.
    pub tally: Option<&'o Tally>,
}
