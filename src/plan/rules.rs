//! The rules over a whole plan. A state that breaks one is neither written nor returned.
//!
//! All checks are linear in items plus dependencies, and without recursion.

use super::error::PlanError;
use super::id::ItemId;
use super::item::Item;
use super::link::Dep;
use super::state::Plan;
use super::status::Status;

impl Plan {
    /// Checks all rules but the number of items in progress, in this order: an item depends on itself, on an unknown id, in a
    /// cycle; an item is in progress or completed before its dependencies.
    ///
    /// # Errors
    /// The first rule broken, for the first item in plan order.
    pub fn check(&self) -> Result<(), PlanError> {
        let edges = self.edges()?;
        self.check_acyclic(&edges)?;
        self.check_resolved()
    }

    /// Checks that at most one item is in progress.
    ///
    /// # Errors
    /// [`PlanError::MultipleInProgress`].
    pub fn check_single_in_progress(&self) -> Result<(), PlanError> {
        let in_progress = self
            .items()
            .iter()
            .filter(|item| item.status() == Status::InProgress);
        let ids: Vec<ItemId> = in_progress.map(|item| item.id().clone()).collect();
        match ids.len() {
            0 | 1 => Ok(()),
            _ => Err(PlanError::MultipleInProgress { ids }),
        }
    }

    /// The places of the dependencies of every item.
    fn edges(&self) -> Result<Vec<Vec<usize>>, PlanError> {
        self.items().iter().map(|item| self.places(item)).collect()
    }

    fn places(&self, item: &Item) -> Result<Vec<usize>, PlanError> {
        let place = |dep: &Dep| {
            if dep.id == *item.id() {
                return Err(PlanError::SelfDependency {
                    item: item.id().clone(),
                });
            }
            self.position(&dep.id)
                .ok_or_else(|| PlanError::UnknownDependency {
                    item: item.id().clone(),
                    dependency: dep.id.clone(),
                })
        };
        item.deps().iter().map(place).collect()
    }

    fn check_acyclic(&self, edges: &[Vec<usize>]) -> Result<(), PlanError> {
        match find_cycle(edges) {
            None => Ok(()),
            Some(cycle) => Err(PlanError::Cycle {
                path: cycle
                    .iter()
                    .map(|&at| self.items()[at].id().clone())
                    .collect(),
            }),
        }
    }

    fn check_resolved(&self) -> Result<(), PlanError> {
        let needs_deps = |status| matches!(status, Status::InProgress | Status::Completed);
        for item in self.items().iter().filter(|item| needs_deps(item.status())) {
            let waiting_on = self.waiting_on(item);
            if !waiting_on.is_empty() {
                return Err(PlanError::Unresolved {
                    item: item.id().clone(),
                    status: item.status(),
                    waiting_on,
                });
            }
        }
        Ok(())
    }
}

/// The progress of the search at a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    /// Not visited.
    New,
    /// On the current path.
    OnPath,
    /// Visited with all reachable nodes, without a cycle.
    Done,
}

/// The first cycle of a graph, with its first node again at the end.
///
/// A depth-first search with an explicit list of (node, next edge) as its path, so that a chain of a million items needs no
/// stack.
fn find_cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut visits = vec![Visit::New; edges.len()];
    for start in 0..edges.len() {
        if visits[start] != Visit::New {
            continue;
        }
        visits[start] = Visit::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((node, edge)) = path.last_mut() {
            let Some(&to) = edges[*node].get(*edge) else {
                visits[*node] = Visit::Done;
                path.pop();
                continue;
            };
            *edge += 1;
            match visits[to] {
                Visit::Done => {}
                Visit::New => {
                    visits[to] = Visit::OnPath;
                    path.push((to, 0));
                }
                Visit::OnPath => {
                    let cycle = path
                        .iter()
                        .map(|&(node, _)| node)
                        .skip_while(|&node| node != to);
                    return Some(cycle.chain([to]).collect());
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(items: Value) -> Plan {
        let Value::Array(items) = items else {
            unreachable!("tests pass a list")
        };
        let items = items
            .into_iter()
            .map(|item| item.to_string().parse().expect("a good item"));
        Plan::from_items(items.collect()).expect("each id once")
    }

    fn item(id: &str, status: &str, deps: &[&str]) -> Value {
        json!({"id": id, "step": "s", "status": status, "deps": deps})
    }

    #[test]
    fn each_rule_has_its_message() {
        for (items, message) in [
            (
                json!([item("a", "pending", &["a"])]),
                "item 'a' cannot depend on itself",
            ),
            (
                json!([item("a", "pending", &["b"])]),
                "item 'a' references unknown dependency 'b'",
            ),
            (
                json!([
                    item("x", "pending", &["a"]),
                    item("a", "pending", &["b"]),
                    item("b", "pending", &["a"])
                ]),
                "dependency cycle detected: a -> b -> a",
            ),
            (
                json!([item("b", "pending", &[]), item("a", "completed", &["b"])]),
                "item 'a' cannot be completed; unresolved dependencies: b",
            ),
            (
                json!([
                    item("b", "canceled", &[]),
                    item("c", "blocked", &[]),
                    item("a", "in_progress", &["b", "c"])
                ]),
                "item 'a' cannot be in_progress; unresolved dependencies: b, c",
            ),
        ] {
            assert_eq!(plan(items).check().expect_err(message).to_string(), message);
        }
    }

    #[test]
    fn several_in_progress_are_checked_separately() {
        let plan = plan(json!([
            item("a", "in_progress", &[]),
            item("b", "in_progress", &[])
        ]));
        plan.check().expect("no other rule is broken");
        let error = plan.check_single_in_progress().expect_err("two");
        assert_eq!(error.to_string(), "multiple in_progress items found: a, b");
    }

    #[test]
    fn a_long_chain_and_a_wide_diamond_have_no_cycle() {
        let chain: Vec<Vec<usize>> = (0..200_000)
            .map(|at| if at == 0 { vec![] } else { vec![at - 1] })
            .collect();
        assert_eq!(find_cycle(&chain), None);
        let reversed: Vec<Vec<usize>> = (0..200_000)
            .map(|at| if at == 199_999 { vec![] } else { vec![at + 1] })
            .collect();
        assert_eq!(find_cycle(&reversed), None);
        assert_eq!(find_cycle(&[vec![1, 2], vec![3], vec![3], vec![]]), None);
        assert_eq!(
            find_cycle(&[vec![1], vec![2], vec![1]]),
            Some(vec![1, 2, 1])
        );
    }
}
