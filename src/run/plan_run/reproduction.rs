//! A task that begins with a test: it must fail without the patch and pass with it, and the patch may not change it.
//!
//! The test is tried like a patch before its vote ([`previews`](super::previews)), and is integrated together with the patch.

use super::begin::PlanRun;
use super::compile::Task;
use crate::model::RoundName;
use crate::patch::Patch;
use crate::protocol;
use crate::run::error::RunError;
use serde_json::Value;
use std::collections::BTreeSet;

impl PlanRun {
    /// The answer with the test that a task begins with, once it is accepted.
    pub(super) fn test_of(&self, task: &Task) -> Result<Option<Value>, RunError> {
        let unit = self.state().unit(&task.unit);
        let test = unit.and_then(|unit| protocol::latest_test(&task.protocol, &unit.state));
        test.map(|place| self.answer(Some(place))).transpose()
    }

    /// The paths of that test.
    pub(super) fn test_paths(&self, task: &Task) -> Result<BTreeSet<String>, RunError> {
        let test = self.test_of(task)?;
        let text = test.as_ref().and_then(|test| test.get("patch")?.as_str());
        let patch = text.map(|text| Patch::parse(text, &self.settings.options.patch));
        let patch = patch.and_then(Result::ok);
        Ok(patch.map_or(BTreeSet::new(), |patch| patch.paths()))
    }
}

/// Whether the rows of a round write a test.
pub(super) fn is_test(task: &Task, round: &RoundName) -> bool {
    let test = task.protocol.test_round();
    test.is_some_and(|test| test.name == *round)
}
