//! Longest remaining path first: the order of tasks while several are in flight.
//!
//! The remaining path of a task is its own remaining work plus the longest chain of tasks that wait for it. Serving the longest
//! path first starts every chain as early as possible. The estimates need not be accurate: with 1 for every task, the length
//! is the number of tasks in the chain.
//!
//! One pass forward and one back: linear in tasks and dependencies, and without recursion, because a chain may be as long as
//! the plan.

use crate::plan::{Item, ItemId, Plan, Status};
use std::cmp::Ordering;
use std::collections::HashMap;

/// The remaining paths of all workable tasks, and their order.
#[derive(Clone, Debug, Default)]
pub struct Priority {
    /// Longest first; equal ones in plan order.
    order: Vec<ItemId>,
    places: HashMap<ItemId, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    rank: usize,
    remaining: f64,
}

impl Priority {
    /// The priorities of the unfinished tasks of `plan`.
    ///
    /// `own` is the remaining work of one task, in any unit: all of it while it is pending, a share of it while it is in flight;
    /// `None` if it will not be run. Such a task has no path, nor has any direct or indirect dependent; the same holds for
    /// `blocked`, `deferred` and `canceled` tasks and for those in a cycle. NaN and negative numbers count as zero.
    pub fn new(plan: &Plan, own: impl Fn(&Item) -> Option<f64>) -> Self {
        let graph = Graph::new(plan, own);
        let forward = graph.topological_order();
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

    /// The priorities with 1 for every task, also for one in flight.
    pub fn with_equal_costs(plan: &Plan) -> Self {
        Self::new(plan, |_| Some(1.0))
    }

    /// The tasks, longest remaining path first.
    pub fn order(&self) -> &[ItemId] {
        &self.order
    }

    /// The length of a task's remaining path, in the unit of the estimates; `None` if it is finished or can't be run.
    pub fn remaining(&self, id: &ItemId) -> Option<f64> {
        self.places.get(id).map(|place| place.remaining)
    }

    /// The sort key: 0 for the longest path. Tasks without a path are last.
    pub fn rank(&self, id: &ItemId) -> usize {
        self.places.get(id).map_or(usize::MAX, |place| place.rank)
    }
}

/// The unfinished tasks, by their place in the plan.
struct Graph {
    /// The remaining work of the task itself; `None` if it is finished or will not be run.
    own: Vec<Option<f64>>,
    /// The number of its open dependencies; one that is not in the plan is always open.
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
            // `max` returns the other operand for NaN.
            Status::Pending | Status::InProgress => own(item).map(|left| left.max(0.0)),
            _ => None,
        });
        Self {
            own: own.collect(),
            open,
            dependents,
        }
    }

    /// The workable tasks, each after its dependencies.
    fn topological_order(&self) -> Vec<usize> {
        let mut open = self.open.clone();
        let is_root = |at: &usize| open[*at] == 0 && self.own[*at].is_some();
        let mut found: Vec<usize> = (0..open.len()).filter(is_root).collect();
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

    /// The length of every remaining path, by place; zero without one.
    fn remaining(&self, forward: &[usize]) -> Vec<f64> {
        let mut remaining = vec![0.0; self.own.len()];
        for &at in forward.iter().rev() {
            let dependents = self.dependents[at].iter().map(|&to| remaining[to]);
            remaining[at] = self.own[at].unwrap_or_default() + dependents.fold(0.0, f64::max);
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
    fn the_longest_chain_is_first_and_equal_ones_are_in_plan_order() {
        let plan = plan(&[
            ("alone", "pending", &[]),
            ("c", "pending", &["b", "x"]),
            ("a", "in_progress", &[]),
            ("b", "pending", &["a", "done"]),
            ("done", "completed", &[]),
            ("x", "pending", &["done"]),
        ]);
        let equal = Priority::with_equal_costs(&plan);
        assert_eq!(lines(&equal), ["a 3", "b 2", "x 2", "alone 1", "c 1"]);
        // `a` is nearly done, `alone` is large.
        let known = Priority::new(&plan, |item| match item.id().as_str() {
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
    fn tasks_that_will_not_run_lengthen_no_path() {
        let plan = plan(&[
            ("a", "pending", &[]),
            ("stuck", "blocked", &["a"]),
            ("after-stuck", "pending", &["stuck", "a"]),
            ("after-after-stuck", "pending", &["after-stuck"]),
            ("left-out", "pending", &["a"]),
            ("after-left-out", "pending", &["left-out"]),
            ("nowhere", "pending", &["gone"]),
            ("later", "deferred", &["a"]),
            ("b", "pending", &[]),
            ("c", "pending", &["b"]),
        ]);
        let left_out = |item: &Item| (item.id().as_str() != "left-out").then_some(1.0);
        assert_eq!(
            lines(&Priority::new(&plan, left_out)),
            ["b 2", "a 1", "c 1"]
        );
    }

    #[test]
    fn bad_estimates_and_cycles_are_tolerated() {
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
        assert_eq!(lines(&Priority::new(&plan, bad)), ["a 0", "b 0"]);
        assert_eq!(
            lines(&Priority::with_equal_costs(&Plan::default())),
            [""; 0]
        );
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
        let priority = Priority::with_equal_costs(&plan);
        let order = priority.order().iter().map(|id| id.as_str().to_owned());
        assert!(order.eq((0..count).map(|number| number.to_string())));
        assert_eq!(priority.remaining(&priority.order()[0]), Some(20_000.0));
    }

    /// By definition: the task, if it can run, plus the longest path of its dependents.
    fn defined(plan: &Plan, item: &Item) -> Option<f64> {
        fn can_be_worked(plan: &Plan, item: &Item) -> bool {
            let is_open = matches!(item.status(), Status::Pending | Status::InProgress);
            let mut deps = item.deps().iter().filter_map(|dep| plan.get(&dep.id));
            is_open && deps.all(|dep| dep.status() == Status::Completed || can_be_worked(plan, dep))
        }
        let waits = |other: &&Item| other.deps().iter().any(|dep| dep.id == *item.id());
        let dependents = plan.items().iter().filter(waits);
        let lengths = dependents.filter_map(|other| defined(plan, other));
        can_be_worked(plan, item).then(|| own(item) + lengths.fold(0.0, f64::max))
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
            let priority = Priority::new(&plan, |item| Some(own(item)));
            for item in plan.items() {
                prop_assert_eq!(priority.remaining(item.id()), defined(&plan, item));
            }
            let lengths = priority.order().iter().map(|id| priority.remaining(id));
            prop_assert!(lengths.rev().is_sorted(), "longest first");
        }
    }
}
