//! The tasks that `ids=` selects, and the claims before any task is in flight.

use crate::plan::{ItemId, Plan};
use crate::run::error::RunError;
use crate::scope::{Claims, Reach};
use std::collections::BTreeSet;

/// The claims while no task is in flight.
pub(crate) fn empty_claims(shared_paths: &[String]) -> Result<Claims, RunError> {
    let shared = Reach::new(shared_paths).map_err(RunError::SharedPaths)?;
    Ok(Claims::new(shared))
}

/// The tasks that `ids=` selects: those named and everything they depend on. `None` is no restriction.
pub(crate) fn closure(plan: &Plan, ids: &[ItemId]) -> Result<Option<BTreeSet<ItemId>>, RunError> {
    if ids.is_empty() {
        return Ok(None);
    }
    Ok(Some(plan.closure(ids)?))
}
