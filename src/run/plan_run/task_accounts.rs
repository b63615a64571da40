//! Time and budgets of the tasks in this call.

use crate::model::UnitId;
use serde_json::Number;
use std::collections::BTreeMap;
use std::time::Instant;

/// The start and the reached budget of each task.
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

    /// The reached budget of the first task, by id, that reached one.
    pub fn first_reached(&self) -> Option<&(String, Number)> {
        self.reached.values().next()
    }
}
