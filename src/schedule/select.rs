//! Which task comes next: the seed's selection order, the dependency gate and scope disjointness.
//!
//! An `in_progress` item first, else the first pending one whose dependencies are completed; `ids=` restricts to
//! the dependency closure. A further task joins those in flight only when its scope provably shares no path with theirs.

use crate::model::UnitId;
use crate::plan::metadata::{self, MetadataError};
use crate::plan::{DepState, Item, ItemId, Metadata, Plan, Status};
use crate::scope::{Reach, ScopeError};
use std::collections::BTreeSet;

/// A task that may be taken up now.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The plan item.
    pub id: ItemId,
    /// Its metadata.
    pub metadata: Metadata,
    /// What it can touch.
    pub reach: Reach,
}

/// A task that would be in line but can't be worked as it stands.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The plan item.
    pub item: ItemId,
    /// What keeps it.
    pub why: SkipReason,
}

/// What keeps a task from being worked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SkipReason {
    /// Its metadata is missing or broken.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Its scope is none.
    #[error("item `{item}`: {source}")]
    Scope {
        /// The plan item.
        item: ItemId,
        /// What is wrong with it.
        source: ScopeError,
    },
    /// The caller can't work what it asks for.
    #[error("{0}")]
    Refused(String),
}

/// What the plan offers.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Take up this task; `None` when nothing can start beside what is in flight.
    pub task: Option<Box<Selected>>,
    /// Tasks that were passed over on the way to it.
    pub skipped: Vec<Skipped>,
}

/// The next task that is neither done with in this run (`past`) nor in conflict with one in flight, and that
/// `is_workable` by the caller's own measure.
///
/// A ready task that can't be worked is passed over; one that is `in_progress` already is not, since it stands before
/// all others.
pub fn select(
    plan: &Plan,
    closure: Option<&BTreeSet<ItemId>>,
    past: &BTreeSet<UnitId>,
    in_flight: &[Reach],
    is_workable: &dyn Fn(&Selected) -> Result<(), String>,
) -> Selection {
    let allowed = |item: &&Item| {
        closure.is_none_or(|ids| ids.contains(item.id()))
            && !past.contains(&UnitId::new(item.id().as_str()))
    };
    let with = |status: Status| {
        plan.items()
            .iter()
            .filter(move |item| item.status() == status)
    };
    let ready = with(Status::Pending).filter(|item| plan.dep_state(item) == DepState::Ready);
    let mut selection = Selection::default();
    for item in with(Status::InProgress).chain(ready).filter(allowed) {
        let candidate = candidate(item).and_then(|task| {
            is_workable(&task).map_err(SkipReason::Refused)?;
            Ok(task)
        });
        match candidate {
            Ok(task) if in_flight.iter().any(|other| other.may_meet(&task.reach)) => {}
            Ok(task) => {
                selection.task = Some(Box::new(task));
                return selection;
            }
            Err(why) => {
                let item_id = item.id().clone();
                selection.skipped.push(Skipped { item: item_id, why });
                if item.status() == Status::InProgress {
                    return selection;
                }
            }
        }
    }
    selection
}

fn candidate(item: &Item) -> Result<Selected, SkipReason> {
    let metadata = metadata::read(item)?;
    let reach = Reach::new(&metadata.scope).map_err(|source| SkipReason::Scope {
        item: item.id().clone(),
        source,
    })?;
    Ok(Selected {
        id: item.id().clone(),
        metadata,
        reach,
    })
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
            item.to_string().parse().expect("an item")
        });
        Plan::from_items(items.collect()).expect("a plan")
    }

    fn pick(plan: &Plan, past: &[&str], in_flight: &[&str]) -> String {
        let past = past.iter().map(|id| UnitId::new(*id)).collect();
        let in_flight: Vec<Reach> = in_flight
            .iter()
            .map(|glob| Reach::new(&[(*glob).to_owned()]).expect("a glob"))
            .collect();
        let selection = select(plan, None, &past, &in_flight, &|_| Ok(()));
        let skipped = selection
            .skipped
            .iter()
            .map(|skipped| format!("{} skipped, ", skipped.item));
        let task = selection
            .task
            .map_or("nothing".to_owned(), |task| task.id.to_string());
        skipped.chain([task]).collect()
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
    fn a_ready_task_without_metadata_is_passed_over_but_not_one_in_progress() {
        let items = |status: &str| {
            plan(json!([
                {"id": "a", "status": status, "deps": [], "notes": "prose"},
                {"id": "b", "status": "pending", "deps": []},
            ]))
        };
        assert_eq!(pick(&items("pending"), &[], &[]), "a skipped, b");
        assert_eq!(pick(&items("in_progress"), &[], &[]), "a skipped, nothing");
    }
}
