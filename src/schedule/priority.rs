//! Longest remaining path first: which task is served before which while several are in flight.
//!
//! A task's remaining path is what is left of itself and then the longest chain of tasks that wait for it. Who serves
//! the longest one first keeps short of the end no chain that could have begun earlier. The estimates need not be true:
//! with 1 for every task the length is the number of tasks in the chain.
//!
//! One pass along the dependencies and one back: linear in tasks and dependencies, and without recursion, since a chain may be as
//! long as the plan. Only the order is sorted.

use crate::plan::{Item, ItemId, Plan, Status};
use std::cmp::Ordering;
use std::collections::HashMap;

/// The remaining paths of all tasks that can still be worked, and the order that they make.
#[derive(Clone, Debug, Default)]
pub struct Priority {
    /// Longest first; of equals the one that comes first in the plan.
    order: Vec<ItemId>,
    places: HashMap<ItemId, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    rank: usize,
    remaining: f64,
}

impl Priority {
    /// Of the unfinished tasks of `plan`.
    ///
    /// `own` is what is left of one task, in any unit: all of it while it is pending, a share of it while it is in
    /// flight. `None` says that it will not be worked. Such a task has no path, nor has any that waits for it, directly or not;
    /// the same holds for `blocked`, `deferred` and `canceled` ones and for those that are in a circle. What is no
    /// number or less than zero counts as zero.
    pub fn of(plan: &Plan, own: impl Fn(&Item) -> Option<f64>) -> Self {
        let graph = Graph::new(plan, own);
        let forward = graph.forward();
        let remaining = graph.remaining(&forward);
        let longest_first = |a: &usize, b: &usize| match remaining[*b].total_cmp(&remaining[*a]) {
            Ordering::Equal => a.cmp(b),
            other => other,
        };
        let mut order = forward;
        order.sort_unstable_by(longest_first);
        let id = |&at: &usize| plan.items()[at].id().clone();
        let places = order.iter().enumerate().map(|(rank, at)| {
            let remaining = remaining[*at];
            (id(at), Place { rank, remaining })
        });
        Self {
            places: places.collect(),
            order: order.iter().map(id).collect(),
        }
    }

    /// Every task counts as 1, also one that is in flight.
    pub fn of_equals(plan: &Plan) -> Self {
        Self::of(plan, |_| Some(1.0))
    }

    /// The tasks, longest remaining path first.
    pub fn order(&self) -> &[ItemId] {
        &self.order
    }

    /// The length of a task's remaining path, in the unit of the estimates; `None` for one that is done or can't be worked.
    pub fn remaining(&self, id: &ItemId) -> Option<f64> {
        self.places.get(id).map(|place| place.remaining)
    }

    /// The key to sort by: 0 for the longest path. Tasks without one come after all others.
    pub fn rank(&self, id: &ItemId) -> usize {
        self.places.get(id).map_or(usize::MAX, |place| place.rank)
    }
}

/// The unfinished tasks, by their place in the plan.
struct Graph {
    /// What is left of the task itself; `None` when it is finished or will not be worked.
    own: Vec<Option<f64>>,
    /// How many of its dependencies are open; one that is not in the plan always is.
    open: Vec<usize>,
    dependents: Vec<Vec<usize>>,
}

impl Graph {
    fn new(plan: &Plan, own: impl Fn(&Item) -> Option<f64>) -> Self {
        let items = plan.items();
        let places = items.iter().enumerate();
        let at: HashMap<&ItemId, usize> = places.map(|(at, item)| (item.id(), at)).collect();
        let mut open = vec![0; items.len()];
        let mut dependents = vec![Vec::new(); items.len()];
        for (dependent, item) in items.iter().enumerate() {
            for dep in item.deps() {
                let dependency = at.get(&dep.id).copied();
                if dependency.is_some_and(|at| items[at].status() == Status::Completed) {
                    continue;
                }
                open[dependent] += 1;
                if let Some(dependency) = dependency {
                    dependents[dependency].push(dependent);
                }
            }
        }
        let own = items.iter().map(|item| match item.status() {
            // `max` gives the other one for what is no number.
            Status::Pending | Status::InProgress => own(item).map(|left| left.max(0.0)),
            _ => None,
        });
        Self {
            own: own.collect(),
            open,
            dependents,
        }
    }

    /// The tasks that can be worked, each after all that it waits for.
    fn forward(&self) -> Vec<usize> {
        let mut open = self.open.clone();
        let is_first = |at: &usize| open[*at] == 0 && self.own[*at].is_some();
        let mut found: Vec<usize> = (0..open.len()).filter(is_first).collect();
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            for &dependent in &self.dependents[at] {
                open[dependent] -= 1;
                if open[dependent] == 0 && self.own[dependent].is_some() {
                    found.push(dependent);
                }
            }
        }
        found
    }

    /// The length of every remaining path, by place; zero where there is none.
    fn remaining(&self, forward: &[usize]) -> Vec<f64> {
        let mut remaining = vec![0.0; self.own.len()];
        for &at in forward.iter().rev() {
            let behind = self.dependents[at].iter().map(|&to| remaining[to]);
            remaining[at] = self.own[at].unwrap_or_default() + behind.fold(0.0, f64::max);
        }
        remaining
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    fn plan(items: &[(&str, &str, &[&str])]) -> Plan {
        let item = |(id, status, deps): &(&str, &str, &[&str])| {
            let item = json!({"id": id, "step": "s", "status": status, "deps": deps});
            item.to_string().parse().expect("an item")
        };
        Plan::from_items(items.iter().map(item).collect()).expect("each id once")
    }

    /// `id length`, in order.
    fn lines(priority: &Priority) -> Vec<String> {
        let line = |id: &ItemId| {
            let length = priority.remaining(id).expect("it is in the order");
            format!("{id} {length}")
        };
        priority.order().iter().map(line).collect()
    }

    #[test]
    fn the_longest_chain_goes_first_and_of_equals_the_first_in_the_plan() {
        let plan = plan(&[
            ("alone", "pending", &[]),
            ("c", "pending", &["b", "x"]),
            ("a", "in_progress", &[]),
            ("b", "pending", &["a", "done"]),
            ("done", "completed", &[]),
            ("x", "pending", &["done"]),
        ]);
        let equal = Priority::of_equals(&plan);
        assert_eq!(lines(&equal), ["a 3", "b 2", "x 2", "alone 1", "c 1"]);
        // `a` is nearly done, `alone` is large.
        let known = Priority::of(&plan, |item| match item.id().as_str() {
            "a" => Some(0.25),
            "alone" => Some(9.0),
            _ => Some(1.0),
        });
        assert_eq!(lines(&known), ["alone 9", "a 2.25", "b 2", "x 2", "c 1"]);
        let done = "done".parse().expect("an id");
        assert_eq!(
            (known.remaining(&done), known.rank(&done)),
            (None, usize::MAX)
        );
        let ranks = equal.order().iter().map(|id| equal.rank(id));
        assert!(ranks.eq(0..5));
    }

    #[test]
    fn what_will_not_be_worked_makes_no_path_longer() {
        let plan = plan(&[
            ("a", "pending", &[]),
            ("stuck", "blocked", &["a"]),
            ("behind-stuck", "pending", &["stuck", "a"]),
            ("far-behind", "pending", &["behind-stuck"]),
            ("left-out", "pending", &["a"]),
            ("behind-left-out", "pending", &["left-out"]),
            ("nowhere", "pending", &["gone"]),
            ("later", "deferred", &["a"]),
            ("b", "pending", &[]),
            ("c", "pending", &["b"]),
        ]);
        let left_out = |item: &Item| (item.id().as_str() != "left-out").then_some(1.0);
        assert_eq!(lines(&Priority::of(&plan, left_out)), ["b 2", "a 1", "c 1"]);
    }

    #[test]
    fn a_bad_estimate_and_a_circle_are_no_harm() {
        let plan = plan(&[
            ("a", "pending", &[]),
            ("b", "pending", &["a", "a"]),
            ("x", "pending", &["y"]),
            ("y", "pending", &["x"]),
        ]);
        let bad = |item: &Item| {
            Some(if item.id().as_str() == "a" {
                f64::NAN
            } else {
                -3.0
            })
        };
        assert_eq!(lines(&Priority::of(&plan, bad)), ["a 0", "b 0"]);
        assert_eq!(lines(&Priority::of_equals(&Plan::default())), [""; 0]);
    }

    /// A chain is as long as the plan, and every task also waits for the ten before it.
    #[test]
    fn many_tasks_in_one_chain() {
        let count = 20_000_usize;
        let item = |number: usize| {
            let deps: Vec<_> = (number.saturating_sub(10)..number)
                .map(|dep| dep.to_string())
                .collect();
            let item = json!({"id": number.to_string(), "step": "s", "deps": deps});
            item.to_string().parse().expect("an item")
        };
        let items = (0..count).rev().map(item).collect();
        let plan = Plan::from_items(items).expect("each id once");
        let priority = Priority::of_equals(&plan);
        let order = priority.order().iter().map(|id| id.as_str().to_owned());
        assert!(order.eq((0..count).map(|number| number.to_string())));
        assert_eq!(priority.remaining(&priority.order()[0]), Some(20_000.0));
    }

    /// By the definition: a task that can be worked, and then the longest of those that wait for it.
    fn defined(plan: &Plan, item: &Item) -> Option<f64> {
        fn can_be_worked(plan: &Plan, item: &Item) -> bool {
            let is_open = matches!(item.status(), Status::Pending | Status::InProgress);
            let mut deps = item.deps().iter().filter_map(|dep| plan.get(&dep.id));
            is_open && deps.all(|dep| dep.status() == Status::Completed || can_be_worked(plan, dep))
        }
        let waits = |other: &&Item| other.deps().iter().any(|dep| dep.id == *item.id());
        let behind = plan.items().iter().filter(waits);
        let behind = behind.filter_map(|other| defined(plan, other));
        can_be_worked(plan, item).then(|| own(item) + behind.fold(0.0, f64::max))
    }

    fn own(item: &Item) -> f64 {
        item.step().len() as f64
    }

    proptest! {
        #[test]
        fn lengths_are_as_defined(drawn in vec((0_usize..8, 1_usize..5, vec(0_usize..99, 0..4)), 0..12)) {
            let item = |(at, (status, length, wishes)): (usize, &(usize, usize, Vec<usize>))| {
                // Most tasks are pending.
                let statuses = ["completed", "blocked", "in_progress"];
                let status = statuses.get(*status).unwrap_or(&"pending");
                let deps: Vec<_> = wishes.iter().filter(|_| at > 0).map(|wish| wish % at).collect();
                let deps: Vec<_> = deps.iter().map(ToString::to_string).collect();
                let step = "x".repeat(*length);
                let item = json!({"id": at.to_string(), "step": step, "status": status, "deps": deps});
                item.to_string().parse().expect("an item")
            };
            let items = drawn.iter().enumerate().map(item).collect();
            let plan = Plan::from_items(items).expect("each id once");
            let priority = Priority::of(&plan, |item| Some(own(item)));
            for item in plan.items() {
                prop_assert_eq!(priority.remaining(item.id()), defined(&plan, item));
            }
            let lengths = priority.order().iter().map(|id| priority.remaining(id));
            prop_assert!(lengths.rev().is_sorted(), "longest first");
        }
    }
}
