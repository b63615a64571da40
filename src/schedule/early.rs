//! Tasks that may start before their dependencies are completed, under `Deps::Advisory`.
//!
//! Such a task may start only if the missing results can't matter to its patch: if it shares no path with any direct or
//! indirect open dependency. In doubt it waits.
//!
//! Only its rows run early. Its status becomes `in_progress`, and its patch is integrated, only after its dependencies are
//! completed, so that its validation includes them.

use super::scopes::item_reach;
use crate::plan::{Item, ItemId, Plan, Status};
use crate::scope::{Claims, Reach};
use std::collections::{BTreeMap, BTreeSet};

/// The most open dependencies of a task that may start early.
const OPEN_MAX: usize = 64;

/// Decides which waiting tasks may start early.
pub struct Early<'p> {
    plan: &'p Plan,
    no_claims: Claims,
    /// The known reaches; `None` for a task with broken metadata.
    reaches: BTreeMap<&'p ItemId, Option<Reach>>,
}

impl<'p> Early<'p> {
    /// For the tasks of `plan`, with the shared paths of `claims`.
    pub fn new(plan: &'p Plan, claims: &Claims) -> Self {
        Self {
            plan,
            no_claims: claims.cleared(),
            reaches: BTreeMap::new(),
        }
    }

    /// Whether `reach`, that of `item`, is disjoint from all open dependencies of `item`.
    pub fn may_start(&mut self, item: &'p Item, reach: &Reach) -> bool {
        let Some(open) = open_dependencies(self.plan, item) else {
            return false;
        };
        let mut claims = self.no_claims.clone();
        for dependency in open {
            let known = self.reaches.entry(dependency.id());
            match known.or_insert_with(|| item_reach(dependency).ok()) {
                Some(reach) => claims.add(reach.clone()),
                None => return false,
            }
        }
        !claims.conflicts_with(reach)
    }
}

/// The direct and indirect open dependencies of `item`; `None` if there are too many, or one is not in the plan.
fn open_dependencies<'p>(plan: &'p Plan, item: &'p Item) -> Option<Vec<&'p Item>> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut open = vec![item];
    while let Some(next) = open.pop() {
        for dep in next.deps().iter().filter(|dep| seen.insert(&dep.id)) {
            let item = plan.get(&dep.id)?;
            if item.status() != Status::Completed {
                found.push(item);
                open.push(item);
            }
        }
        if found.len() > OPEN_MAX {
            return None;
        }
    }
    Some(found)
}
