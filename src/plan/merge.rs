//! Merges several histories of a plan into one plan that keeps the changes of each.
//!
//! A field that only one side changed has the value of that side; comments and dependencies of both sides are kept. Without
//! a common ancestor, a field with its initial value (status `pending`, empty notes, a missing field) counts as unchanged,
//! and an item that only one side has counts as added, never as removed.
//!
//! Where both sides changed a value differently, that is a [`Conflict`]. Its rule loses neither value: one is kept in
//! place, and the other becomes a comment or gets an id of its own. The caller decides whether the rules apply. The sides
//! are ordered by age, and the newest value is kept in place.
//!
//! Pure: takes plans, returns a [`Merged`].

use std::collections::{BTreeSet, HashMap};

use super::error::{PlanError, joined};
use super::fold::Carried;
use super::foreign::Foreign;
use super::histories::{Histories, Origin, Side};
use super::id::ItemId;
use super::item::Item;
use super::link::{Comment, Dep};
use super::state::Plan;
use super::status::Status;
use super::view::deps_text;

/// A value that both sides changed differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Both values.
    pub what: String,
    /// How its rule resolves it.
    pub rule: String,
}

/// The merged plan.
#[derive(Debug)]
pub(super) struct Merged {
    pub plan: Plan,
    pub carried: Carried,
    /// The value that was chosen for each difference, a line each.
    pub decisions: Vec<String>,
    pub conflicts: Vec<Conflict>,
}

/// Makes a comment from a text.
pub(super) type MakeComment<'r> = &'r dyn Fn(String) -> Result<Comment, PlanError>;

/// Merges all histories, two at a time.
///
/// # Errors
/// A broken rule that no side explains; the error of `make_comment`.
pub(super) fn merge(
    histories: Histories,
    make_comment: MakeComment<'_>,
) -> Result<Merged, PlanError> {
    let ancestor = histories.ancestor;
    let mut sides = histories.sides.into_iter();
    let Some(mut merged) = sides.next() else {
        return Ok(Merged {
            plan: Plan::default(),
            carried: Carried::default(),
            decisions: Vec::new(),
            conflicts: Vec::new(),
        });
    };
    let (mut decisions, mut conflicts) = (Vec::new(), Vec::new());
    for next in sides {
        let mut merger = Merger {
            ancestor: ancestor.as_ref(),
            first: &merged.origin,
            second: &next.origin,
            make_comment,
            decisions: Vec::new(),
            conflicts: Vec::new(),
        };
        let carried = merger.merge_carried(&merged.carried, &next.carried);
        let plan = merger.merge_plans(&merged.plan, &next.plan)?;
        decisions.append(&mut merger.decisions);
        conflicts.append(&mut merger.conflicts);
        let mut origin = next.origin.clone();
        origin.records.extend(&merged.origin.records);
        origin.records.sort_unstable();
        merged = Side {
            plan,
            carried,
            origin,
            lines: Vec::new(),
        };
    }
    Ok(Merged {
        plan: merged.plan,
        carried: merged.carried,
        decisions,
        conflicts,
    })
}

/// Two sides being merged.
struct Merger<'m> {
    ancestor: Option<&'m Plan>,
    first: &'m Origin,
    second: &'m Origin,
    make_comment: MakeComment<'m>,
    decisions: Vec<String>,
    conflicts: Vec<Conflict>,
}

impl Merger<'_> {
    fn base(&self, id: &ItemId) -> Option<&Item> {
        self.ancestor?.get(id)
    }

    fn conflict(&mut self, what: String, rule: impl Into<String>) {
        let rule = rule.into();
        self.conflicts.push(Conflict { what, rule });
    }

    fn comment(&self, text: &str) -> Result<Comment, PlanError> {
        (self.make_comment)(format!("merged plan: {text}"))
    }

    fn merge_plans(&mut self, first: &Plan, second: &Plan) -> Result<Plan, PlanError> {
        let second = &self.rename_collisions(first, second)?;
        let mut items = Vec::new();
        for item in first.items() {
            match second.get(item.id()) {
                Some(other) => items.push(self.merge_item(item, other)?),
                None => items.extend(self.merge_missing(item, self.first, self.second)?),
            }
        }
        for item in second.items() {
            if first.get(item.id()).is_none() {
                items.extend(self.merge_missing(item, self.second, self.first)?);
            }
        }
        self.restore_rules(Plan::from_items(items)?, first, second)
    }

    /// `second` with a new id for each item that has only its id in common with one of `first`.
    fn rename_collisions(&mut self, first: &Plan, second: &Plan) -> Result<Plan, PlanError> {
        let collides = |item: &&Item| {
            let other = first.get(item.id());
            self.base(item.id()).is_none() && other.is_some_and(|one| one.step() != item.step())
        };
        let colliding: Vec<Item> = second.items().iter().filter(collides).cloned().collect();
        let mut all = first.clone();
        for item in second.items() {
            all.upsert(item.clone());
        }
        let mut items = second.items().to_vec();
        for item in colliding {
            let (old, new) = (item.id(), all.free_id(item.id()));
            let theirs = first.get(old).map_or("", Item::step);
            let what = format!(
                "'{old}' is `{theirs}` in {} and `{}` in {}",
                self.first,
                item.step(),
                self.second
            );
            self.conflict(what, format!("the latter gets the id '{new}'"));
            items = items
                .into_iter()
                .map(|one| one.renamed(old, &new))
                .collect();
            for renamed in items.iter_mut().filter(|one| *one.id() == new) {
                let text = format!("was '{old}' before, which is also the id of another item");
                renamed.add_comment(self.comment(&text)?);
                all.upsert(renamed.clone());
            }
        }
        Plan::from_items(items)
    }

    /// An item that the `other` side does not have: added here or removed there.
    fn merge_missing(
        &mut self,
        item: &Item,
        here: &Origin,
        other: &Origin,
    ) -> Result<Option<Item>, PlanError> {
        let id = item.id();
        let Some(base) = self.base(id) else {
            self.decisions
                .push(format!("'{id}' is only in {here}, and kept"));
            return Ok(Some(item.clone()));
        };
        if text(base) == text(item) {
            self.decisions
                .push(format!("'{id}' was removed in {other}, and stays removed"));
            return Ok(None);
        }
        let what = format!("'{id}' was removed in {other} and changed in {here}");
        self.conflict(what, "it is kept");
        let mut kept = item.clone();
        kept.add_comment(self.comment("was removed on one side and changed on the other")?);
        Ok(Some(kept))
    }

    fn merge_item(&mut self, first: &Item, second: &Item) -> Result<Item, PlanError> {
        let base = self.base(first.id()).cloned();
        let base = base.as_ref();
        let mut item = first.clone();
        item.set_comments(merge_comments(base, first, second));
        // Items of one id and different steps were renamed before, unless the ancestor has the id.
        let steps = [base.map_or("", Item::step), first.step(), second.step()];
        if self.choose_second(&mut item, "step", steps)? {
            item.set_step(second.step())?;
        }
        let base_status = base.map_or(Status::Pending, Item::status);
        let statuses = [base_status, first.status(), second.status()].map(Status::as_str);
        if self.choose_second(&mut item, "status", statuses)? {
            item.set_status(second.status());
        }
        let notes = [base.map_or("", Item::notes), first.notes(), second.notes()];
        if self.choose_second(&mut item, "notes", notes)? {
            item.set_notes(second.notes());
        }
        self.merge_deps(&mut item, base, second);
        self.merge_fields(&mut item, base, second)?;
        Ok(item)
    }

    /// Whether the second side's value replaces that of the first: where only the second one changed it, and in a
    /// conflict, where a comment keeps the other value.
    fn choose_second(
        &mut self,
        item: &mut Item,
        what: &str,
        [base, first, second]: [&str; 3],
    ) -> Result<bool, PlanError> {
        if first == second {
            return Ok(false);
        }
        let id = item.id();
        let (one, two) = (self.first, self.second);
        let [shown, shown_second] = [first, second].map(excerpt);
        if second == base {
            self.decisions.push(format!(
                "{what} of '{id}' is {shown}, as in {one} ({shown_second} in {two})"
            ));
            return Ok(false);
        }
        if first == base {
            self.decisions.push(format!(
                "{what} of '{id}' is {shown_second}, as in {two} ({shown} in {one})"
            ));
            return Ok(true);
        }
        self.conflict(
            format!("{what} of '{id}' is {shown} in {one} and {shown_second} in {two}"),
            format!("{shown_second} is kept, and a comment has the other"),
        );
        let comment = match first.trim() {
            "" => self.comment(&format!("{what} was empty on the other side")),
            _ => self.comment(&format!("{what} of the other side: {first}")),
        };
        item.add_comment(comment?);
        Ok(true)
    }

    /// Keeps the dependencies of both sides, without those of the ancestor that one side removed.
    fn merge_deps(&mut self, item: &mut Item, base: Option<&Item>, second: &Item) {
        let base = base.map_or(&[] as &[Dep], Item::deps);
        let first = item.deps().to_vec();
        let remains = |dep: &&Dep| second.deps().contains(dep) || !base.contains(dep);
        let added = |dep: &&Dep| !first.contains(dep) && !base.contains(dep);
        let mut deps: Vec<Dep> = first.iter().filter(remains).cloned().collect();
        deps.extend(second.deps().iter().filter(added).cloned());
        if first != second.deps() {
            let shown = match deps_text(&deps) {
                text if text.is_empty() => "(none)".to_owned(),
                text => text,
            };
            self.decisions
                .push(format!("deps of '{}' are now {shown}", item.id()));
        }
        item.set_deps(deps);
    }

    fn merge_fields(
        &mut self,
        item: &mut Item,
        base: Option<&Item>,
        second: &Item,
    ) -> Result<(), PlanError> {
        let empty = Foreign::default();
        let base = base.map_or(&empty, Item::foreign);
        let first = item.foreign().clone();
        for name in all_names(&first, second.foreign()) {
            // No JSON text is `(none)`.
            let texts = [base, &first, second.foreign()];
            let texts = texts.map(|fields| fields.text(&name).unwrap_or("(none)"));
            if self.choose_second(item, &format!("field `{name}`"), texts)? {
                item.foreign_mut().copy_field(&name, second.foreign());
            }
        }
        Ok(())
    }

    /// Merges the fields of the records themselves, such as `graph`.
    fn merge_carried(&mut self, first: &Carried, second: &Carried) -> Carried {
        let mut carried = first.clone();
        let lanes = [
            (&mut carried.event, &second.event),
            (&mut carried.checkpoint, &second.checkpoint),
        ];
        let mut differing = BTreeSet::new();
        for (own, theirs) in lanes {
            for name in all_names(own, theirs) {
                let differs = own.text(&name) != theirs.text(&name);
                if differs && own.text(&name).is_some() && theirs.text(&name).is_some() {
                    differing.insert(name.clone());
                }
                if theirs.text(&name).is_some() {
                    own.copy_field(&name, theirs);
                }
            }
        }
        for name in differing {
            let what = format!(
                "the records' field `{name}` differs between {} and {}",
                self.first, self.second
            );
            let rule = format!("that of {} is kept, the other is dropped", self.second);
            self.conflict(what, rule);
        }
        carried
    }

    /// Resolves rules that the changes of both sides break together, until the plan can be written.
    fn restore_rules(
        &mut self,
        mut plan: Plan,
        first: &Plan,
        second: &Plan,
    ) -> Result<Plan, PlanError> {
        loop {
            match plan.check() {
                Ok(()) => return Ok(plan),
                Err(PlanError::UnknownDependency { item, dependency }) => {
                    let removed = first.get(&dependency).or_else(|| second.get(&dependency));
                    let Some(removed) = removed else {
                        return Err(PlanError::UnknownDependency { item, dependency });
                    };
                    let mut kept = removed.clone();
                    let what = format!(
                        "'{dependency}' was removed on one side, and '{item}' of the other depends on it"
                    );
                    let removal = format!("'{dependency}' was removed");
                    self.decisions.retain(|line| !line.starts_with(&removal));
                    self.conflict(what, format!("'{dependency}' is kept"));
                    let text = format!("was removed on one side, but '{item}' depends on it");
                    kept.add_comment(self.comment(&text)?);
                    plan.upsert(kept);
                }
                Err(PlanError::Unresolved {
                    item,
                    status,
                    waiting_on,
                }) => {
                    let waiting = joined(&waiting_on, ", ");
                    let what = format!(
                        "'{item}' is {status} on one side, and depends on {waiting}, which is open in the merged plan"
                    );
                    self.conflict(
                        what,
                        format!("'{item}' becomes pending, and a comment has its status"),
                    );
                    plan.set_status(&item, Status::Pending)?;
                    let comment =
                        self.comment(&format!("was {status}, while {waiting} is open"))?;
                    plan.add_comment(&item, comment)?;
                }
                Err(PlanError::Cycle { path }) => self.break_cycle(&mut plan, &path, first)?,
                Err(other) => return Err(other),
            }
        }
    }

    /// Removes the dependency of a cycle that the second side added.
    fn break_cycle(
        &mut self,
        plan: &mut Plan,
        path: &[ItemId],
        first: &Plan,
    ) -> Result<(), PlanError> {
        let is_new = |edge: &&[ItemId]| {
            let before = first.get(&edge[0]).map_or(&[] as &[Dep], Item::deps);
            !before.iter().any(|dep| dep.id == edge[1])
        };
        let edge = path
            .windows(2)
            .find(is_new)
            .or_else(|| path.windows(2).next());
        let Some([item, dependency]) = edge else {
            return Err(PlanError::Cycle {
                path: path.to_vec(),
            });
        };
        let cycle = joined(path, " -> ");
        let what = format!("the dependencies of both sides form a cycle: {cycle}");
        self.conflict(
            what,
            format!("'{item}' does not depend on '{dependency}', and a comment says so"),
        );
        let deps = plan.get(item).map_or(&[] as &[Dep], Item::deps);
        let deps = deps.iter().filter(|dep| dep.id != *dependency);
        let deps = deps.cloned().collect();
        plan.set_deps(item, deps)?;
        let text = format!("depended on '{dependency}', which formed the cycle {cycle}");
        plan.add_comment(item, self.comment(&text)?)
    }
}

/// The comments of both sides, each as often as a side has it: the common beginning, then the others by time.
fn merge_comments(base: Option<&Item>, first: &Item, second: &Item) -> Vec<Comment> {
    let (one, two) = (first.comments(), second.comments());
    let is_same = |(a, b): &(&Comment, &Comment)| text(*a) == text(*b);
    let shared = one.iter().zip(two).take_while(is_same).count();
    let mut rest: Vec<Comment> = one[shared..].to_vec();
    // Comments of the ancestor are on both sides, and are kept once.
    let mut known: HashMap<String, usize> = HashMap::new();
    let from_ancestor = base.map_or(&[] as &[Comment], Item::comments);
    for comment in one[shared..]
        .iter()
        .filter(|one| from_ancestor.iter().any(|base| text(base) == text(*one)))
    {
        *known.entry(text(comment)).or_default() += 1;
    }
    for comment in &two[shared..] {
        match known.get_mut(&text(comment)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => rest.push(comment.clone()),
        }
    }
    rest.sort_by(|a, b| a.ts.cmp(&b.ts));
    one[..shared].iter().cloned().chain(rest).collect()
}

fn all_names(first: &Foreign, second: &Foreign) -> Vec<String> {
    let mut names: Vec<String> = first.names().map(str::to_owned).collect();
    let more = second.names().filter(|name| first.text(name).is_none());
    names.extend(more.map(str::to_owned));
    names
}

/// The JSON text, for comparison.
fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value in one short line.
fn excerpt(value: &str) -> String {
    const CHARS_MAX: usize = 60;
    let line = value.replace(char::is_control, " ");
    match line.char_indices().nth(CHARS_MAX) {
        _ if line.trim().is_empty() => "empty".to_owned(),
        None => format!("`{line}`"),
        Some((end, _)) => format!("`{}…`", &line[..end]),
    }
}
