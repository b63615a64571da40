//! Which tasks come next: the seed's selection order, the dependency gate and scope disjointness.
//!
//! Items that are `in_progress` first, then the pending ones whose dependencies are completed, each in plan order;
//! `ids=` restricts to the dependency closure. A task joins those in flight only when it is in conflict with none.
//!
//! One pass fills all places: items are read in blocks, on all cores, and claimed one after the other.

use crate::model::UnitId;
use crate::plan::metadata::{self, MetadataError};
use crate::plan::{DepState, Item, ItemId, Metadata, Plan, Status};
use crate::scope::{Claims, Reach, ScopeError};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// How many items are read ahead of the claims; few enough to waste nothing on a plan of which one task is taken.
const BLOCK: usize = 256;

/// What is asked of the plan.
pub struct Wish<'w> {
    /// The tasks that `ids=` lets in; `None` is no restriction.
    pub closure: Option<&'w BTreeSet<ItemId>>,
    /// Tasks that this run has taken up before.
    pub past: &'w BTreeSet<UnitId>,
    /// What the tasks in flight may touch.
    pub claims: Claims,
    /// How many tasks at most.
    pub places: usize,
    /// The caller's own measure.
    pub is_workable: &'w (dyn Fn(&Selected) -> Result<(), String> + Sync),
}

/// A task that may be taken up now.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The plan item.
    pub id: ItemId,
    /// Its metadata.
    pub metadata: Metadata,
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
    /// Take up these tasks, in this order; none when nothing can start beside what is in flight.
    pub tasks: Vec<Selected>,
    /// Tasks that were passed over on the way to them.
    pub skipped: Vec<Skipped>,
}

/// The next tasks that are workable and in conflict neither with what is in flight nor with one another.
///
/// A ready task that can't be worked is passed over; one that is `in_progress` already is not, since it stands before
/// all others.
pub fn select(plan: &Plan, wish: Wish<'_>) -> Selection {
    let mut selection = Selection::default();
    let mut claims = wish.claims;
    for block in in_line(plan, wish.closure, wish.past).chunks(BLOCK) {
        if selection.tasks.len() >= wish.places {
            break;
        }
        let read = |item: &&Item| read(item, wish.is_workable);
        let candidates: Vec<_> = block.par_iter().map(read).collect();
        for (item, candidate) in block.iter().zip(candidates) {
            match candidate {
                _ if selection.tasks.len() >= wish.places => return selection,
                Ok((_, reach)) if claims.conflict_with(&reach) => {}
                Ok((task, reach)) => {
                    claims.add(reach);
                    selection.tasks.push(task);
                }
                Err(why) => {
                    let id = item.id().clone();
                    selection.skipped.push(Skipped { item: id, why });
                    if item.status() == Status::InProgress {
                        return selection;
                    }
                }
            }
        }
    }
    selection
}

/// The items that could be taken up, in the order in which they are asked.
fn in_line<'p>(
    plan: &'p Plan,
    closure: Option<&BTreeSet<ItemId>>,
    past: &BTreeSet<UnitId>,
) -> Vec<&'p Item> {
    let is_allowed = |item: &&Item| {
        closure.is_none_or(|ids| ids.contains(item.id()))
            && !past.contains(&UnitId::new(item.id().as_str()))
    };
    let with = |status: Status| {
        let items = plan.items().iter();
        items.filter(move |item| item.status() == status)
    };
    let ready = with(Status::Pending).filter(|item| plan.dep_state(item) == DepState::Ready);
    with(Status::InProgress)
        .chain(ready)
        .filter(is_allowed)
        .collect()
}

fn read(
    item: &Item,
    is_workable: &dyn Fn(&Selected) -> Result<(), String>,
) -> Result<(Selected, Reach), SkipReason> {
    let metadata = metadata::read(item)?;
    let reach = Reach::new(&metadata.scope).map_err(|source| SkipReason::Scope {
        item: item.id().clone(),
        source,
    })?;
    let task = Selected {
        id: item.id().clone(),
        metadata,
    };
    is_workable(&task).map_err(SkipReason::Refused)?;
    Ok((task, reach))
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

    fn reach(globs: &[String]) -> Reach {
        Reach::new(globs).expect("globs")
    }

    fn pick_many(plan: &Plan, past: &[&str], in_flight: &[&str], places: usize) -> Vec<String> {
        let mut claims = Claims::new(reach(&["Cargo.*".to_owned()]));
        for glob in in_flight {
            claims.add(reach(&[(*glob).to_owned()]));
        }
        let wish = Wish {
            closure: None,
            past: &past.iter().map(|id| UnitId::new(*id)).collect(),
            claims,
            places,
            is_workable: &|_| Ok(()),
        };
        let selection = select(plan, wish);
        let skipped = selection.skipped.iter();
        let skipped = skipped.map(|skipped| format!("{} skipped", skipped.item));
        let tasks = selection.tasks.iter().map(|task| task.id.to_string());
        skipped.chain(tasks).collect()
    }

    fn pick(plan: &Plan, past: &[&str], in_flight: &[&str]) -> String {
        pick_many(plan, past, in_flight, 1).join(", ")
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
        assert_eq!(pick(&items, &["c", "b"], &[]), "");
    }

    #[test]
    fn a_task_whose_scope_meets_one_in_flight_waits_and_the_next_goes_first() {
        let items = plan(json!([
            {"id": "a", "status": "pending", "deps": []},
            {"id": "b", "status": "pending", "deps": []},
        ]));
        assert_eq!(pick(&items, &[], &["a.*"]), "b");
        assert_eq!(pick(&items, &[], &["*.rs"]), "");
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
        assert_eq!(pick(&items("in_progress"), &[], &[]), "a skipped");
    }

    fn scoped(id: &str, status: &str, scope: &[&str]) -> serde_json::Value {
        let notes = format!(
            "scope: {}\nacceptance: []\nvalidation: [make]\n",
            json!(scope)
        );
        json!({"id": id, "status": status, "deps": [], "notes": notes})
    }

    #[test]
    fn one_pass_fills_all_places_in_the_order_of_the_seed() {
        let items = plan(json!([
            scoped("a", "pending", &["src/a.rs"]),
            scoped("b", "pending", &["src/*.rs"]),
            scoped("c", "in_progress", &["docs/"]),
            scoped("d", "pending", &["Cargo.toml"]),
            scoped("e", "pending", &["Cargo.lock", "e"]),
            scoped("f", "pending", &["f"]),
        ]));
        assert_eq!(pick_many(&items, &[], &[], 9), ["c", "a", "d", "f"]);
        assert_eq!(pick_many(&items, &[], &[], 2), ["c", "a"]);
        assert_eq!(pick_many(&items, &[], &["Cargo.lock"], 9), ["c", "a", "f"]);
        assert!(pick_many(&items, &[], &[], 0).is_empty());
    }

    /// Every tenth task has a scope that an earlier one has.
    #[test]
    fn many_tasks_are_told_apart() {
        let id = |number: usize| format!("t{number:05}");
        let items: Vec<_> = (0..10_000)
            .map(|number| {
                let folder = number - usize::from(number % 10 == 9);
                let globs = ["lib.rs", "*_a.rs", "sub/**", "{x,y}.md", "[0-9].txt"];
                let globs = globs.map(|glob| format!("crates/c{folder}/{glob}"));
                scoped(
                    &id(number),
                    "pending",
                    &globs.each_ref().map(String::as_str),
                )
            })
            .collect();
        let expected: Vec<_> = (0..10_000)
            .filter(|number| number % 10 != 9)
            .map(id)
            .collect();
        let plan = plan(items.into());
        assert!(pick_many(&plan, &[], &[], 10_000) == expected);
    }
}
