//! Several histories of a plan -> one plan that keeps what each of them did.
//!
//! A field that only one side changed has that side's value; comments and dependencies of both sides are kept. Where
//! the common ancestor is not known, a field that stands at its beginning (status `pending`, empty notes, a field that
//! is not there) counts as not changed, and an item that only one side has counts as added, never as removed.
//!
//! What both sides changed differently is a [`Conflict`]. Nothing of it is lost either: by its rule one value is kept in
//! place and the other one becomes a comment or gets an id of its own. Whether the rules may be followed is for the
//! caller to say. The sides come oldest first, and what was written last stays in place.
//!
//! Pure: takes plans, gives a [`Merged`].

use std::collections::HashMap;

use super::error::PlanError;
use super::fold::Carried;
use super::foreign::Foreign;
use super::histories::{Histories, Origin, Side};
use super::id::ItemId;
use super::item::Item;
use super::link::{Comment, Dep};
use super::state::Plan;
use super::status::Status;

/// What both sides changed differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Both values.
    pub what: String,
    /// What becomes of them where the rules are followed.
    pub rule: String,
}

/// One plan out of several.
#[derive(Debug)]
pub(super) struct Merged {
    pub plan: Plan,
    pub carried: Carried,
    /// What was taken from which side, a line each.
    pub taken: Vec<String>,
    pub conflicts: Vec<Conflict>,
}

/// Makes a comment of a text.
pub(super) type Remark<'r> = &'r dyn Fn(String) -> Result<Comment, PlanError>;

/// Merges all histories, two at a time.
///
/// # Errors
/// A rule that is broken in a way that no side explains; what `remark` says.
pub(super) fn merge(histories: Histories, remark: Remark<'_>) -> Result<Merged, PlanError> {
    let ancestor = histories.ancestor;
    let mut sides = histories.sides.into_iter();
    let Some(mut merged) = sides.next() else {
        return Ok(Merged {
            plan: Plan::default(),
            carried: Carried::default(),
            taken: Vec::new(),
            conflicts: Vec::new(),
        });
    };
    let (mut taken, mut conflicts) = (Vec::new(), Vec::new());
    for next in sides {
        let mut merger = Merger {
            ancestor: ancestor.as_ref(),
            first: &merged.origin,
            second: &next.origin,
            remark,
            taken: Vec::new(),
            conflicts: Vec::new(),
        };
        let carried = merger.carried(&merged.carried, &next.carried);
        let plan = merger.plans(&merged.plan, &next.plan)?;
        taken.append(&mut merger.taken);
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
        taken,
        conflicts,
    })
}

/// Two sides being merged.
struct Merger<'m> {
    ancestor: Option<&'m Plan>,
    first: &'m Origin,
    second: &'m Origin,
    remark: Remark<'m>,
    taken: Vec<String>,
    conflicts: Vec<Conflict>,
}

/// Whose value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    /// Both have the same.
    Same,
    /// Only the first side changed it.
    First,
    /// Only the second side changed it.
    Second,
    /// Both changed it, differently.
    Conflict,
}

fn pick<T: PartialEq + ?Sized>(base: &T, first: &T, second: &T) -> Pick {
    match () {
        () if first == second => Pick::Same,
        () if first == base => Pick::Second,
        () if second == base => Pick::First,
        () => Pick::Conflict,
    }
}

impl Merger<'_> {
    fn base(&self, id: &ItemId) -> Option<&Item> {
        self.ancestor?.get(id)
    }

    fn conflict(&mut self, what: String, rule: impl Into<String>) {
        let rule = rule.into();
        self.conflicts.push(Conflict { what, rule });
    }

    fn remark(&self, item: &mut Item, text: String) -> Result<(), PlanError> {
        item.add_comment((self.remark)(format!("merged plan: {text}"))?);
        Ok(())
    }

    fn plans(&mut self, first: &Plan, second: &Plan) -> Result<Plan, PlanError> {
        let second = &self.without_collisions(first, second)?;
        let mut items = Vec::new();
        for item in first.items() {
            match second.get(item.id()) {
                Some(other) => items.push(self.item(item, other)?),
                None => items.extend(self.on_one_side(item, self.first, self.second)?),
            }
        }
        for item in second.items() {
            if first.get(item.id()).is_none() {
                items.extend(self.on_one_side(item, self.second, self.first)?);
            }
        }
        self.by_the_rules(Plan::from_items(items)?, first, second)
    }

    /// `second` with another id for each item that only has its id in common with one of `first`.
    fn without_collisions(&mut self, first: &Plan, second: &Plan) -> Result<Plan, PlanError> {
        let collides = |item: &&Item| {
            let other = first.get(item.id());
            self.base(item.id()).is_none() && other.is_some_and(|one| one.step() != item.step())
        };
        let colliding: Vec<Item> = second.items().iter().filter(collides).cloned().collect();
        let mut all = first.clone();
        second
            .items()
            .iter()
            .for_each(|item| all.upsert(item.clone()));
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
                self.remark(
                    renamed,
                    format!("was '{old}' before, which is another item too"),
                )?;
                all.upsert(renamed.clone());
            }
        }
        Plan::from_items(items)
    }

    /// An item that the `other` side does not have: added here or removed there.
    fn on_one_side(
        &mut self,
        item: &Item,
        here: &Origin,
        other: &Origin,
    ) -> Result<Option<Item>, PlanError> {
        let id = item.id();
        let Some(base) = self.base(id) else {
            self.taken
                .push(format!("'{id}' is only in {here}, and kept"));
            return Ok(Some(item.clone()));
        };
        if text(base) == text(item) {
            self.taken
                .push(format!("'{id}' was removed in {other}, and stays away"));
            return Ok(None);
        }
        let what = format!("'{id}' was removed in {other} and changed in {here}");
        self.conflict(what, "it is kept");
        let mut kept = item.clone();
        self.remark(
            &mut kept,
            "was removed on one side and changed on the other".to_owned(),
        )?;
        Ok(Some(kept))
    }

    fn item(&mut self, first: &Item, second: &Item) -> Result<Item, PlanError> {
        let base = self.base(first.id()).cloned();
        let base = base.as_ref();
        let mut item = first.clone();
        item.set_comments(comments(base, first, second));
        self.step(&mut item, base, second)?;
        self.status(&mut item, base, second)?;
        self.notes(&mut item, base, second)?;
        self.deps(&mut item, base, second);
        self.fields(&mut item, base, second)?;
        Ok(item)
    }

    fn step(
        &mut self,
        item: &mut Item,
        base: Option<&Item>,
        second: &Item,
    ) -> Result<(), PlanError> {
        // Two items of one id and different steps were told apart before, unless the ancestor has the id.
        let base = base.map_or("", Item::step);
        let lost = item.step().to_owned();
        let pick = self.decide(
            item,
            "step",
            pick(base, &lost, second.step()),
            &lost,
            second.step(),
        );
        if matches!(pick, Pick::Second | Pick::Conflict) {
            item.set_step(second.step())?;
        }
        self.note_lost(item, pick, "step", &lost)
    }

    fn status(
        &mut self,
        item: &mut Item,
        base: Option<&Item>,
        second: &Item,
    ) -> Result<(), PlanError> {
        let base = base.map_or(Status::Pending, Item::status);
        let lost = item.status();
        let picked = pick(&base, &lost, &second.status());
        let pick = self.decide(
            item,
            "status",
            picked,
            lost.as_str(),
            second.status().as_str(),
        );
        if matches!(pick, Pick::Second | Pick::Conflict) {
            item.set_status(second.status());
        }
        self.note_lost(item, pick, "status", lost.as_str())
    }

    fn notes(
        &mut self,
        item: &mut Item,
        base: Option<&Item>,
        second: &Item,
    ) -> Result<(), PlanError> {
        let base = base.map_or("", Item::notes);
        let lost = item.notes().to_owned();
        let pick = self.decide(
            item,
            "notes",
            pick(base, &lost, second.notes()),
            &lost,
            second.notes(),
        );
        if matches!(pick, Pick::Second | Pick::Conflict) {
            item.set_notes(second.notes());
        }
        self.note_lost(item, pick, "notes", &lost)
    }

    /// Those of both sides, without what one of them took out of the ancestor's.
    fn deps(&mut self, item: &mut Item, base: Option<&Item>, second: &Item) {
        let base = base.map_or(&[] as &[Dep], Item::deps);
        let first = item.deps().to_vec();
        let stays = |dep: &&Dep| second.deps().contains(dep) || !base.contains(dep);
        let added = |dep: &&Dep| !first.contains(dep) && !base.contains(dep);
        let mut deps: Vec<Dep> = first.iter().filter(stays).cloned().collect();
        deps.extend(second.deps().iter().filter(added).cloned());
        if first != second.deps() {
            let shown = Some(super::view::deps_text(&deps)).filter(|text| !text.is_empty());
            let shown = shown.as_deref().unwrap_or("(none)").to_owned();
            self.taken
                .push(format!("deps of '{}' are now {shown}", item.id()));
        }
        item.set_deps(deps);
    }

    fn fields(
        &mut self,
        item: &mut Item,
        base: Option<&Item>,
        second: &Item,
    ) -> Result<(), PlanError> {
        let empty = Foreign::default();
        let base = base.map_or(&empty, Item::foreign);
        for name in all_names(item.foreign(), second.foreign()) {
            let (mine, theirs) = (item.foreign().text(&name), second.foreign().text(&name));
            let lost = mine.unwrap_or("(none)").to_owned();
            let picked = pick(&base.text(&name), &mine, &theirs);
            let what = format!("field `{name}`");
            let pick = self.decide(item, &what, picked, &lost, theirs.unwrap_or("(none)"));
            if matches!(pick, Pick::Second | Pick::Conflict) {
                item.foreign_mut().take_over(&name, second.foreign());
            }
            self.note_lost(item, pick, &what, &lost)?;
        }
        Ok(())
    }

    /// Says whose value is taken.
    fn decide(&mut self, item: &Item, what: &str, pick: Pick, first: &str, second: &str) -> Pick {
        let id = item.id();
        let (one, two) = (self.first, self.second);
        let [first, second] = [first, second].map(excerpt);
        match pick {
            Pick::Same => {}
            Pick::First => {
                let text = format!("{what} of '{id}' is {first}, as in {one} ({second} in {two})");
                self.taken.push(text);
            }
            Pick::Second => {
                let text = format!("{what} of '{id}' is {second}, as in {two} ({first} in {one})");
                self.taken.push(text);
            }
            Pick::Conflict => self.conflict(
                format!("{what} of '{id}' is {first} in {one} and {second} in {two}"),
                format!("{second} is kept, and a comment has the other"),
            ),
        }
        pick
    }

    fn note_lost(
        &self,
        item: &mut Item,
        pick: Pick,
        what: &str,
        lost: &str,
    ) -> Result<(), PlanError> {
        match pick {
            Pick::Conflict if lost.trim().is_empty() => {
                self.remark(item, format!("{what} was empty on the other side"))
            }
            Pick::Conflict => self.remark(item, format!("{what} of the other side: {lost}")),
            _ => Ok(()),
        }
    }

    /// The fields of the records themselves, such as `graph`.
    fn carried(&mut self, first: &Carried, second: &Carried) -> Carried {
        let mut carried = first.clone();
        let lanes = [
            (&mut carried.event, &second.event),
            (&mut carried.checkpoint, &second.checkpoint),
        ];
        let mut named = Vec::new();
        for (own, theirs) in lanes {
            for name in all_names(own, theirs) {
                let differs = own.text(&name) != theirs.text(&name);
                if differs && own.text(&name).is_some() && theirs.text(&name).is_some() {
                    named.push(name.clone());
                }
                if theirs.text(&name).is_some() {
                    own.take_over(&name, theirs);
                }
            }
        }
        named.sort();
        named.dedup();
        for name in named {
            let what = format!(
                "the records' field `{name}` differs between {} and {}",
                self.first, self.second
            );
            let rule = format!("that of {} is kept, the other is dropped", self.second);
            self.conflict(what, rule);
        }
        carried
    }

    /// Makes a plan of it that can be written: what one side did may break a rule together with what the other did.
    fn by_the_rules(
        &mut self,
        mut plan: Plan,
        first: &Plan,
        second: &Plan,
    ) -> Result<Plan, PlanError> {
        loop {
            match plan.check() {
                Ok(()) => return Ok(plan),
                Err(PlanError::UnknownDependency { item, dependency }) => {
                    let gone = first.get(&dependency).or_else(|| second.get(&dependency));
                    let Some(gone) = gone else {
                        return Err(PlanError::UnknownDependency { item, dependency });
                    };
                    let mut gone = gone.clone();
                    let what = format!(
                        "'{dependency}' was removed on one side, and '{item}' of the other depends on it"
                    );
                    self.taken
                        .retain(|line| !line.starts_with(&format!("'{dependency}' was removed")));
                    self.conflict(what, format!("'{dependency}' is kept"));
                    self.remark(
                        &mut gone,
                        format!("was removed on one side, but '{item}' depends on it"),
                    )?;
                    plan.upsert(gone);
                }
                Err(PlanError::Unresolved {
                    item,
                    status,
                    waiting_on,
                }) => {
                    let waiting: Vec<&str> = waiting_on.iter().map(ItemId::as_str).collect();
                    let waiting = waiting.join(", ");
                    let what = format!(
                        "'{item}' is {status} on one side, and depends on {waiting}, which the merged plan has open"
                    );
                    self.conflict(
                        what,
                        format!("'{item}' becomes pending, and a comment has its status"),
                    );
                    plan.set_status(&item, Status::Pending)?;
                    let remark = (self.remark)(format!(
                        "merged plan: was {status}, while {waiting} is open"
                    ))?;
                    plan.add_comment(&item, remark)?;
                }
                Err(PlanError::Cycle { path }) => self.open_ring(&mut plan, &path, first)?,
                Err(other) => return Err(other),
            }
        }
    }

    /// Takes the edge of a ring away that the second side added.
    fn open_ring(
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
        let ring = path
            .iter()
            .map(ItemId::as_str)
            .collect::<Vec<_>>()
            .join(" -> ");
        let what = format!("the dependencies of both sides make a ring: {ring}");
        self.conflict(
            what,
            format!("'{item}' does not depend on '{dependency}', and a comment says so"),
        );
        let deps = plan.get(item).map_or(&[] as &[Dep], Item::deps);
        let deps = deps
            .iter()
            .filter(|dep| dep.id != *dependency)
            .cloned()
            .collect();
        plan.set_deps(item, deps)?;
        let remark = (self.remark)(format!(
            "merged plan: depended on '{dependency}', which made the ring {ring}"
        ))?;
        plan.add_comment(item, remark)
    }
}

/// Those of both sides, each as often as a side has it, in the order of their times behind the common beginning.
fn comments(base: Option<&Item>, first: &Item, second: &Item) -> Vec<Comment> {
    let (one, two) = (first.comments(), second.comments());
    let is_same = |(a, b): &(&Comment, &Comment)| text(*a) == text(*b);
    let shared = one.iter().zip(two).take_while(is_same).count();
    let mut rest: Vec<Comment> = one[shared..].to_vec();
    // What the ancestor has, both have from there: it is not there twice because both have it.
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

/// The file's form, to compare by.
fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value as a line shows it.
fn excerpt(value: &str) -> String {
    const CHARS_MAX: usize = 60;
    let line = value.replace(char::is_control, " ");
    match line.char_indices().nth(CHARS_MAX) {
        _ if line.trim().is_empty() => "empty".to_owned(),
        None => format!("`{line}`"),
        Some((end, _)) => format!("`{}…`", &line[..end]),
    }
}
