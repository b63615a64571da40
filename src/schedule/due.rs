//! The due tasks of a plan in selection order, kept while tasks begin and end: each change costs what depends on it, and not
//! what the plan holds. For a caller that selects as often as there are tasks.

use super::priority::Priority;
use crate::plan::{DepState, Item, ItemId, Plan, Status};
use std::collections::{BTreeSet, HashMap};

/// The due tasks of a plan.
pub struct DueTasks<'p> {
    plan: &'p Plan,
    /// By place in the plan; `None` for a task that can't become due.
    keys: Vec<Option<Key>>,
    due: BTreeSet<Key>,
    /// How many dependencies of each pending task are not completed.
    open: Vec<usize>,
    dependents: HashMap<&'p ItemId, Vec<usize>>,
}

/// Tasks in progress are first, in plan order; then the pending ones by rank, and in plan order.
type Key = (bool, usize, usize);

impl<'p> DueTasks<'p> {
    /// The due tasks among those that `allows` lets through.
    pub fn new(
        plan: &'p Plan,
        priority: Option<&Priority>,
        allows: impl Fn(&Item) -> bool,
    ) -> Self {
        let rank = |item: &Item| priority.map_or(0, |priority| priority.rank(item.id()));
        let key = |(place, item): (usize, &Item)| match item.status() {
            _ if !allows(item) => None,
            Status::InProgress => Some((false, 0, place)),
            Status::Pending => Some((true, rank(item), place)),
            _ => None,
        };
        let mut tasks = Self {
            plan,
            keys: plan.items().iter().enumerate().map(key).collect(),
            due: BTreeSet::new(),
            open: Vec::new(),
            dependents: HashMap::new(),
        };
        for (place, item) in plan.items().iter().enumerate() {
            tasks.add(place, item);
        }
        tasks
    }

    fn add(&mut self, place: usize, item: &'p Item) {
        let plan = self.plan;
        let is_completed = |id| {
            let found = plan.get(id);
            found.is_some_and(|item| item.status() == Status::Completed)
        };
        let open: Vec<_> = item
            .deps()
            .iter()
            .filter(|dep| !is_completed(&dep.id))
            .collect();
        self.open.push(open.len());
        for dep in open {
            self.dependents.entry(&dep.id).or_default().push(place);
        }
        let is_due = match item.status() {
            Status::InProgress => true,
            _ => plan.dep_state(item) == DepState::Ready,
        };
        self.due.extend(self.keys[place].filter(|_| is_due));
    }

    /// Whether no task is due.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// The due tasks, in selection order.
    pub fn items(&self) -> impl Iterator<Item = &'p Item> {
        let plan = self.plan;
        self.due.iter().map(|(_, _, place)| &plan.items()[*place])
    }

    /// A task was begun: it is no longer due.
    pub fn begin(&mut self, place: usize) {
        if let Some(key) = self.keys[place].take() {
            self.due.remove(&key);
        }
    }

    /// A task was completed: what waited for it alone is due.
    pub fn complete(&mut self, id: &ItemId) {
        for place in self.dependents.remove(id).unwrap_or_default() {
            self.open[place] -= 1;
            if self.open[place] == 0 {
                self.due.extend(self.keys[place]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(due: &DueTasks<'_>) -> String {
        let ids: Vec<&str> = due.items().map(|item| item.id().as_str()).collect();
        ids.join(" ")
    }

    #[test]
    fn tasks_become_due_when_their_last_dependency_is_completed() {
        let item = |(id, status, deps): (&str, &str, &[&str])| {
            let item = json!({"id": id, "step": "s", "status": status, "deps": deps});
            item.to_string().parse().expect("an item")
        };
        let items = [
            ("last", "pending", &["b", "begun"][..]),
            ("lost", "pending", &["nowhere"]),
            ("begun", "in_progress", &["b"]),
            ("a", "pending", &["done"]),
            ("b", "pending", &[]),
            ("after", "pending", &["b", "a"]),
            ("done", "completed", &[]),
            ("not", "blocked", &[]),
        ];
        let plan = Plan::from_items(items.map(item).into()).expect("a plan");
        let mut due = DueTasks::new(&plan, None, |item| item.id().as_str() != "not");
        assert_eq!(ids(&due), "begun a b");
        due.begin(2);
        due.begin(4);
        assert_eq!(ids(&due), "a");
        due.complete(plan.items()[4].id());
        assert_eq!(ids(&due), "a");
        due.complete(plan.items()[2].id());
        assert_eq!(ids(&due), "last a");
        let longest = Priority::with_equal_costs(&plan);
        let due = DueTasks::new(&plan, Some(&longest), |_| true);
        assert_eq!(ids(&due), "begun b a");
    }
}
