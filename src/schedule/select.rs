//! Which task comes next: the seed's selection order, the dependency gate and scope disjointness.
//!
//! An `in_progress` item first, else the first pending one whose dependencies are completed; `ids=` restricts to
//! the dependency closure. A further task joins those in flight only when its scope provably shares no path with theirs.

use crate::model::UnitId;
use crate::plan::metadata::{self, MetadataError};
use crate::plan::{DepState, Item, ItemId, Metadata, Plan, Status};
use crate::scope::{Scope, ScopeError};
use std::collections::BTreeSet;

/// A task that may be taken up now.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The plan item.
    pub id: ItemId,
    /// Its metadata.
    pub metadata: Metadata,
    /// Its compiled scope.
    pub scope: Scope,
}

/// What the plan offers.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Take up this task.
    Task(Box<Selected>),
    /// The next task in line can't be worked as it stands.
    Unusable(MetadataError),
    /// The next task in line has a scope that is none.
    BadScope(ItemId, ScopeError),
    /// Nothing can start beside what is in flight.
    Nothing,
}

/// The next task that is neither done with in this run (`past`) nor in conflict with one in flight.
pub fn select(
    plan: &Plan,
    closure: Option<&BTreeSet<ItemId>>,
    past: &BTreeSet<UnitId>,
    in_flight: &[Scope],
) -> Selection {
    let allowed = |item: &&Item| {
        closure.is_none_or(|ids| ids.contains(item.id()))
            && !past.contains(&UnitId::new(item.id().as_str()))
    };
    let in_progress = plan
        .items()
        .iter()
        .filter(|item| item.status() == Status::InProgress);
    let ready = plan
        .items()
        .iter()
        .filter(|item| item.status() == Status::Pending && plan.dep_state(item) == DepState::Ready);
    for item in in_progress.chain(ready).filter(allowed) {
        let metadata = match metadata::read(item) {
            Ok(metadata) => metadata,
            Err(error) => return Selection::Unusable(error),
        };
        let scope = match Scope::new(&metadata.scope) {
            Ok(scope) => scope,
            Err(error) => return Selection::BadScope(item.id().clone(), error),
        };
        if in_flight.iter().all(|other| !other.may_meet(&scope)) {
            return Selection::Task(Box::new(Selected {
                id: item.id().clone(),
                metadata,
                scope,
            }));
        }
    }
    Selection::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(items: serde_json::Value) -> Plan {
        let items = items.as_array().expect("an array").iter().map(|item| {
            let mut item = item.clone();
            item["step"] = "s".into();
            if item.get("notes").is_none() {
                let scope = item["id"].clone();
                let scope = scope.as_str().expect("an id");
                item["notes"] =
                    format!("scope: [{scope}.rs]\nacceptance: []\nvalidation: [make]\n").into();
            }
            serde_json::from_value::<Item>(item).expect("an item")
        });
        Plan::from_items(items.collect()).expect("a plan")
    }

    fn pick(plan: &Plan, past: &[&str], in_flight: &[&str]) -> String {
        let past = past.iter().map(|id| UnitId::new(*id)).collect();
        let in_flight: Vec<Scope> = in_flight
            .iter()
            .map(|glob| Scope::new(&[(*glob).to_owned()]).expect("a glob"))
            .collect();
        match select(plan, None, &past, &in_flight) {
            Selection::Task(selected) => selected.id.to_string(),
            Selection::Unusable(error) => error.to_string(),
            Selection::BadScope(_, error) => error.to_string(),
            Selection::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn in_progress_first_then_the_first_ready_one() {
        let items = plan(json!([
            {"id": "a", "status": "pending", "deps": ["b"]},
            {"id": "b", "status": "pending", "deps": []},
            {"id": "c", "status": "in_progress", "deps": []},
        ]));
        assert_eq!(pick(&items, &[], &[]), "c");
        assert_eq!(pick(&items, &["c"], &[]), "b");
        assert_eq!(pick(&items, &["c", "b"], &[]), "nothing");
    }

    #[test]
    fn a_task_whose_scope_meets_one_in_flight_waits_and_the_next_goes_first() {
        let items = plan(json!([
            {"id": "a", "status": "pending", "deps": []},
            {"id": "b", "status": "pending", "deps": []},
        ]));
        assert_eq!(pick(&items, &[], &["a.*"]), "b");
        assert_eq!(pick(&items, &[], &["*.rs"]), "nothing");
    }

    #[test]
    fn a_task_without_metadata_is_named() {
        let items = plan(json!([{"id": "a", "status": "pending", "deps": [], "notes": "prose"}]));
        assert!(pick(&items, &[], &[]).contains("item `a`"));
    }
}
