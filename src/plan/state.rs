//! The plan as a value: items in order, with queries and changes.
//!
//! A change checks only what it touches (an id must exist, a step must not be blank). The rules over the whole plan are in
//! [`rules`](super::rules) and apply when a plan is read or written, so that several changes which are valid only together
//! can be made one after the other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::error::PlanError;
use super::id::ItemId;
use super::item::Item;
use super::link::{Comment, Dep};
use super::status::{DepState, Status};

/// The items of a plan, each id once, in file order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    items: Vec<Item>,
    /// Clones share it until one of them gets or loses an item.
    index: Arc<HashMap<ItemId, usize>>,
    events: u64,
}

/// An item to add, or the changed parts of an existing one.
#[derive(Clone, Debug, Default)]
pub struct NewItem {
    /// The id; without one, the next free `st-NNN`.
    pub id: Option<ItemId>,
    /// The work to do.
    pub step: String,
    /// The status; without one, `pending` for a new item and no change for an existing one.
    pub status: Option<Status>,
    /// The dependencies; without them, none for a new item and no change for an existing one.
    pub deps: Option<Vec<Dep>>,
}

impl Plan {
    /// A plan of exactly these items.
    ///
    /// # Errors
    /// [`PlanError::DuplicateItem`].
    pub fn from_items(items: Vec<Item>) -> Result<Plan, PlanError> {
        let mut index = HashMap::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let id = item.id().clone();
            if index.insert(id.clone(), at).is_some() {
                return Err(PlanError::DuplicateItem { id });
            }
        }
        Ok(Plan {
            items,
            index: Arc::new(index),
            events: 0,
        })
    }

    /// All items, in file order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The item of that id.
    pub fn get(&self, id: &ItemId) -> Option<&Item> {
        self.index.get(id).map(|&at| &self.items[at])
    }

    /// The dependencies of `item` that are not completed or not in the plan, in order, each once.
    pub fn waiting_on(&self, item: &Item) -> Vec<ItemId> {
        let mut seen = HashSet::new();
        item.deps()
            .iter()
            .map(|dep| &dep.id)
            .filter(|id| self.is_open(id) && seen.insert(*id))
            .cloned()
            .collect()
    }

    /// Whether `item` may start.
    pub fn dep_state(&self, item: &Item) -> DepState {
        let is_waiting = item.deps().iter().any(|dep| self.is_open(&dep.id));
        DepState::new(item.status(), is_waiting)
    }

    /// Whether `id` is not completed or not in the plan.
    fn is_open(&self, id: &ItemId) -> bool {
        self.get(id)
            .is_none_or(|item| item.status() != Status::Completed)
    }

    /// `ids` and all their direct and indirect dependencies that are in the plan.
    ///
    /// # Errors
    /// [`PlanError::UnknownId`] when one of `ids` is not in the plan.
    pub fn closure(&self, ids: &[ItemId]) -> Result<BTreeSet<ItemId>, PlanError> {
        let mut closure = BTreeSet::new();
        let mut open = Vec::new();
        for id in ids {
            open.push(
                self.get(id)
                    .ok_or_else(|| PlanError::UnknownId { id: id.clone() })?,
            );
        }
        while let Some(item) = open.pop() {
            if closure.insert(item.id().clone()) {
                open.extend(item.deps().iter().filter_map(|dep| self.get(&dep.id)));
            }
        }
        Ok(closure)
    }

    /// Adds an item, or changes the one with its id. Returns the id.
    ///
    /// # Errors
    /// [`PlanError::EmptyOption`] when the step is blank.
    pub fn add(&mut self, new: NewItem) -> Result<ItemId, PlanError> {
        let id = new.id.unwrap_or_else(|| self.next_id());
        let mut item = match self.get(&id) {
            Some(existing) => existing.clone(),
            None => Item::new(id.clone(), &new.step)?,
        };
        item.set_step(&new.step)?;
        if let Some(status) = new.status {
            item.set_status(status);
        }
        if let Some(deps) = new.deps {
            item.set_deps(deps);
        }
        self.upsert(item);
        Ok(id)
    }

    /// Replaces the item with the same id, or appends the item.
    pub fn upsert(&mut self, item: Item) {
        self.events += 1;
        match self.index.get(item.id()) {
            Some(&at) => self.items[at] = item,
            None => {
                let index = Arc::make_mut(&mut self.index);
                index.insert(item.id().clone(), self.items.len());
                self.items.push(item);
            }
        }
    }

    /// Replaces the item with the same id by an imported one, but keeps its foreign fields; or appends the item.
    pub fn merge(&mut self, item: Item) {
        let merged = match self.get(item.id()) {
            Some(existing) => existing.overlaid_with(item),
            None => item,
        };
        self.upsert(merged);
    }

    /// Replaces all items.
    ///
    /// # Errors
    /// [`PlanError::DuplicateItem`].
    pub fn replace(&mut self, items: Vec<Item>) -> Result<(), PlanError> {
        let events = self.events + 1;
        *self = Plan {
            events,
            ..Plan::from_items(items)?
        };
        Ok(())
    }

    /// Sets the status.
    ///
    /// # Errors
    /// [`PlanError::UnknownId`].
    pub fn set_status(&mut self, id: &ItemId, status: Status) -> Result<(), PlanError> {
        self.change(id)?.set_status(status);
        Ok(())
    }

    /// Replaces the dependencies.
    ///
    /// # Errors
    /// [`PlanError::UnknownId`] for `id`; an unknown dependency is found when the plan is written.
    pub fn set_deps(&mut self, id: &ItemId, deps: Vec<Dep>) -> Result<(), PlanError> {
        self.change(id)?.set_deps(deps);
        Ok(())
    }

    /// Replaces the notes.
    ///
    /// # Errors
    /// [`PlanError::UnknownId`].
    pub fn set_notes(&mut self, id: &ItemId, notes: &str) -> Result<(), PlanError> {
        self.change(id)?.set_notes(notes);
        Ok(())
    }

    /// Adds a comment at the end.
    ///
    /// # Errors
    /// [`PlanError::UnknownId`].
    pub fn add_comment(&mut self, id: &ItemId, comment: Comment) -> Result<(), PlanError> {
        self.change(id)?.add_comment(comment);
        Ok(())
    }

    /// Removes an item. An unknown id changes nothing, but counts as an event.
    pub fn remove(&mut self, id: &ItemId) {
        self.events += 1;
        let index = Arc::make_mut(&mut self.index);
        if let Some(at) = index.remove(id) {
            self.items.remove(at);
            for place in index.values_mut().filter(|place| **place > at) {
                *place -= 1;
            }
        }
    }

    /// The place of an id in [`items`](Plan::items).
    pub(super) fn position(&self, id: &ItemId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The number of changes since the plan was read; each takes one sequence number.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Starts counting changes from here.
    pub(super) fn reset_events(&mut self) {
        self.events = 0;
    }

    fn change(&mut self, id: &ItemId) -> Result<&mut Item, PlanError> {
        let at = self
            .position(id)
            .ok_or_else(|| PlanError::UnknownId { id: id.clone() })?;
        self.events += 1;
        Ok(&mut self.items[at])
    }

    /// A free id for an item with the id `id`: the next number, or `id-2`, `id-3` and so on if it has no number.
    pub(super) fn free_id(&self, id: &ItemId) -> ItemId {
        if number_of(id).is_some() {
            return self.next_id();
        }
        let free = |number: u64| {
            let candidate = format!("{id}-{number}")
                .parse()
                .expect("the text is not blank");
            self.get(&candidate).is_none().then_some(candidate)
        };
        (2..)
            .find_map(free)
            .expect("a plan has fewer items than there are numbers")
    }

    /// One above the largest number of an `st-` or (older) `kt-` id, with at least three digits.
    fn next_id(&self) -> ItemId {
        let numbers = self.items.iter().filter_map(|item| number_of(item.id()));
        let largest = numbers.max();
        let next = largest.map_or(1, |number| u64::from(number) + 1);
        format!("st-{next:03}")
            .parse()
            .expect("the text is not blank")
    }
}

/// The number of an `st-` or (older) `kt-` id.
fn number_of(id: &ItemId) -> Option<u32> {
    let text = id.as_str();
    let digits = text
        .strip_prefix("st-")
        .or_else(|| text.strip_prefix("kt-"))?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    // A number beyond 32 bits is a hash or a date, not a count.
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(items: &[(&str, &str)]) -> Plan {
        let mut plan = Plan::default();
        for (id, deps) in items {
            let deps = Some(Dep::parse_list(deps).expect("a good list"));
            let id = Some(id.parse().expect("a good id"));
            plan.add(NewItem {
                id,
                step: "s".to_owned(),
                deps,
                ..NewItem::default()
            })
            .expect("a good item");
        }
        plan
    }

    fn id(text: &str) -> ItemId {
        text.parse().expect("a good id")
    }

    #[test]
    fn an_item_waits_for_what_is_not_completed() {
        let mut plan = plan(&[("a", ""), ("b", "a,a:other,gone")]);
        assert_eq!(plan.waiting_on(&plan.items()[1]), [id("a"), id("gone")]);
        assert_eq!(plan.dep_state(&plan.items()[1]), DepState::WaitingOnDeps);
        plan.set_status(&id("a"), Status::Completed)
            .expect("a is there");
        assert_eq!(plan.waiting_on(&plan.items()[1]), [id("gone")]);
        assert_eq!(plan.dep_state(&plan.items()[0]), DepState::NotApplicable);
    }

    #[test]
    fn the_closure_follows_dependencies_and_refuses_unknown_ids() {
        let plan = plan(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "")]);
        let closure = plan.closure(&[id("c")]).expect("c is there");
        assert_eq!(
            closure.iter().map(ItemId::as_str).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(
            plan.closure(&[id("z")]).expect_err("no z").to_string(),
            "unknown id 'z'"
        );
    }

    #[test]
    fn ids_are_counted_up_over_both_prefixes() {
        let mut plan = plan(&[
            ("st-002", ""),
            ("kt-41", ""),
            ("st-x9", ""),
            ("st-+77", ""),
            ("st-99999999999", ""),
        ]);
        let new = NewItem {
            step: "s".to_owned(),
            ..NewItem::default()
        };
        assert_eq!(plan.add(new.clone()).expect("added"), id("st-042"));
        assert_eq!(Plan::default().add(new).expect("added"), id("st-001"));
    }

    #[test]
    fn adding_an_existing_id_changes_only_the_given_parts() {
        let mut plan = plan(&[("a", ""), ("b", "a")]);
        plan.set_notes(&id("b"), "keep me").expect("b is there");
        plan.add(NewItem {
            id: Some(id("b")),
            step: "new".to_owned(),
            ..NewItem::default()
        })
        .expect("changed");
        let item = plan.get(&id("b")).expect("b is there");
        assert_eq!(
            (item.step(), item.notes(), item.deps().len()),
            ("new", "keep me", 1)
        );
    }

    #[test]
    fn removing_an_item_updates_the_index() {
        let mut plan = plan(&[("a", ""), ("b", ""), ("c", "")]);
        plan.remove(&id("a"));
        plan.remove(&id("nobody"));
        assert_eq!(plan.get(&id("c")).map(Item::id), Some(&id("c")));
        assert_eq!(plan.items().len(), 2);
    }
}
