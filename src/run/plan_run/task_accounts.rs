//! What each task has used up, beside what it may.

use crate::model::UnitId;
use serde_json::Number;
use std::collections::BTreeMap;
use std::time::Instant;

/// What this call knows of its tasks' budgets.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(super) began: BTreeMap<UnitId, Instant>,
    /// The budgets that were reached, by task.
    pub(super) reached: BTreeMap<UnitId, (String, Number)>,
}

impl Accounts {
    /// Whether nothing more of the task starts in this call.
    pub fn is_closed(&self, unit: &UnitId) -> bool {
        self.reached.contains_key(unit)
    }

    /// The budget that a task reached, where one did.
    pub fn first_reached(&self) -> Option<&(String, Number)> {
        self.reached.values().next()
    }
}
