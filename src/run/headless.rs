//! Runs without a person: what keeps one from beginning, as a word that scripts can act on (CONTRACT, section 6).

use super::error::RunError;
use crate::adapter::AdapterError;
use crate::job::JobError;
use crate::plan::{PlanError, ResolveError};
use std::fmt;

/// What a person would have to provide or decide first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadlessStop {
    /// There is no plan file.
    PlanMissing,
    /// There are two, and none was chosen.
    AmbiguousPlanFile,
    /// The agent can't do what the options demand.
    AdapterMissingCapability,
    /// There is no agent.
    NoAdapter,
    /// Another process works on the repository.
    LockHeld,
}

impl fmt::Display for HeadlessStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadlessStop::PlanMissing => "plan_missing",
            HeadlessStop::AmbiguousPlanFile => "ambiguous_plan_file",
            HeadlessStop::AdapterMissingCapability => "adapter_missing_capability",
            HeadlessStop::NoAdapter => "no_adapter",
            HeadlessStop::LockHeld => "lock_held",
        })
    }
}

impl RunError {
    /// What keeps a run from beginning, if it is one of those that hold for all tasks.
    pub fn headless_stop(&self) -> Option<HeadlessStop> {
        Some(match self {
            RunError::Resolve(ResolveError::Missing { .. })
            | RunError::Plan(PlanError::NotFound { .. }) => HeadlessStop::PlanMissing,
            RunError::Resolve(ResolveError::Both) => HeadlessStop::AmbiguousPlanFile,
            RunError::Adapter(AdapterError::NoSuchOption { .. } | AdapterError::NoUsage { .. }) => {
                HeadlessStop::AdapterMissingCapability
            }
            RunError::Role(error) if error.lacks_capability() => {
                HeadlessStop::AdapterMissingCapability
            }
            RunError::Adapter(_)
            | RunError::Role(_)
            | RunError::Job(JobError::NoProgram { .. }) => HeadlessStop::NoAdapter,
            held if held.is_held_elsewhere() => HeadlessStop::LockHeld,
            _ => return None,
        })
    }
}
