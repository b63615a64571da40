//! A task that begins with a test: it must fail without the patch and pass with it, and the patch may not change it.
//!
//! The test is tried like a patch before its vote ([`previews`](super::previews)), and is integrated together with the patch.

use super::begin::PlanRun;
use super::compile::Task;
use crate::model::RoundName;
use crate::protocol;
use crate::run::error::RunError;
use serde_json::Value;

impl PlanRun {
    /// The answer with the test that a task begins with, once it is accepted.
    pub(super) fn test_of(&self, task: &Task) -> Result<Option<Value>, RunError> {
        let unit = self.state().unit(&task.unit);
        let test = unit.and_then(|unit| protocol::latest_test(&task.protocol, &unit.state));
        test.map(|place| self.answer(Some(place))).transpose()
    }
}

/// Whether the rows of a round write a test.
pub(super) fn is_test(task: &Task, round: &RoundName) -> bool {
    let test = task.protocol.test_round();
    test.is_some_and(|test| test.name == *round)
}
