//! The workers that roles of a run are bound to, from its settings in the ledger.

use crate::job::Worker;
use serde_json::Value;
use std::collections::BTreeMap;

/// By role; empty where the adapter of the run works all rows.
pub fn role_workers(settings: &Value) -> BTreeMap<String, Worker> {
    let roles = settings["role_workers"].as_object();
    let roles = roles.into_iter().flatten();
    let workers = roles.filter_map(|(role, bound)| {
        let worker = serde_json::from_value(bound["worker"].clone()).ok()?;
        Some((role.clone(), worker))
    });
    workers.collect()
}
