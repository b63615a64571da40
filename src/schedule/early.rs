//! Tasks that may be worked before their dependencies are completed, under `Deps::Advisory`.
//!
//! What such a task is to build on is not there yet. It may go ahead only where that can't matter to the patch: when it
//! shares no path with any task that it waits for, directly or not. What can't be decided keeps it waiting.
//!
//! Only its rows go ahead. The plan does not say `in_progress` and nothing is integrated before its dependencies are
//! completed, so that its validation proves it on top of them.

use super::scopes::reach_of;
use crate::plan::{Item, ItemId, Plan, Status};
use crate::scope::{Claims, Reach};
use std::collections::{BTreeMap, BTreeSet};

/// The most open dependencies that are looked at for one task; with more it waits.
const OPEN_MAX: usize = 64;

/// Which waiting tasks may go ahead.
pub struct Early<'p> {
    plan: &'p Plan,
    no_claims: Claims,
    /// `None` for a task whose reach is not known.
    reaches: BTreeMap<&'p ItemId, Option<Reach>>,
}

impl<'p> Early<'p> {
    /// For the tasks of `plan`; `claims` tell the shared paths.
    pub fn new(plan: &'p Plan, claims: &Claims) -> Self {
        Self {
            plan,
            no_claims: claims.cleared(),
            reaches: BTreeMap::new(),
        }
    }

    /// Whether `reach`, that of `item`, is disjoint from all that `item` waits for.
    pub fn may_begin(&mut self, item: &'p Item, reach: &Reach) -> bool {
        let Some(open) = open_dependencies(self.plan, item) else {
            return false;
        };
        let mut claims = self.no_claims.clone();
        for dependency in open {
            let known = self.reaches.entry(dependency.id());
            match known.or_insert_with(|| reach_of(dependency).ok()) {
                Some(reach) => claims.add(reach.clone()),
                None => return false,
            }
        }
        !claims.conflict_with(reach)
    }
}

/// What `item` waits for, directly or not; `None` when that is too much, or not all in the plan.
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
