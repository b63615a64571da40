//! Whatever two branches do to a plan: merged, nothing of it is gone without being named.

use proptest::collection::vec;
use proptest::prelude::*;

use super::histories::{Histories, Origin, Side};
use super::item::Item;
use super::link::Comment;
use super::merge::{Merged, merge};
use super::properties::{Change, change, config};
use super::state::Plan;

/// The plan after those of the changes that leave it valid.
fn changed(from: &Plan, changes: &[Change]) -> Plan {
    let mut plan = from.clone();
    for change in changes {
        let mut next = plan.clone();
        if change.make(&mut next).is_ok() && next.check().is_ok() {
            plan = next;
        }
    }
    plan
}

fn merged(ancestor: Option<&Plan>, first: &Plan, second: &Plan) -> Merged {
    let side = |plan: &Plan, record: usize| Side {
        plan: plan.clone(),
        carried: Default::default(),
        origin: Origin {
            records: vec![record],
            ..Origin::default()
        },
        lines: Vec::new(),
    };
    let histories = Histories {
        ancestor: ancestor.cloned(),
        sides: vec![side(first, 1), side(second, 2)],
    };
    let remark =
        |text: String| Comment::new("2026-02-09T20:02:00Z".parse().expect("a time"), "m", &text);
    merge(histories, &remark).expect("merged")
}

fn text(item: &Item) -> String {
    serde_json::to_string(item).expect("JSON")
}

fn has_remark(item: &Item, value: &str) -> bool {
    item.comments()
        .iter()
        .any(|comment| comment.text.contains(value.trim()))
}

/// What is gone of `side`: items that the other side did not remove, comments, and values that the ancestor did not have.
fn lost(ancestor: Option<&Plan>, side: &Plan, other: &Plan, merged: &Plan) -> Vec<String> {
    let mut lost = Vec::new();
    for item in side.items() {
        let base = ancestor.and_then(|plan| plan.get(item.id()));
        let is_removed = base.is_some_and(|base| text(base) == text(item));
        if is_removed && other.get(item.id()).is_none() {
            continue;
        }
        // It may have another id; one with its step is it, unless something of it is gone.
        let is_it = |found: &&Item| found.id() == item.id() || found.step() == item.step();
        let found = merged.items().iter().filter(is_it);
        let gone = found
            .map(|found| gone(base, item, found))
            .min_by_key(Vec::len);
        lost.extend(gone.unwrap_or_else(|| vec![format!("item {}", text(item))]));
    }
    lost
}

/// What of `item` is not in `found`, neither in its place nor in a comment.
fn gone(base: Option<&Item>, item: &Item, found: &Item) -> Vec<String> {
    let mut gone = Vec::new();
    for comment in item.comments() {
        if !found.comments().iter().any(|one| one.text == comment.text) {
            gone.push(format!("comment {}", comment.text));
        }
    }
    let values =
        |item: &Item| [item.status().as_str(), item.notes(), item.step()].map(str::to_owned);
    let before = base.map_or(["pending", "", ""].map(str::to_owned), values);
    for ((value, is), was) in values(item).into_iter().zip(values(found)).zip(before) {
        let is_blank = value.trim().is_empty();
        if value != was && value != is && !is_blank && !has_remark(found, &value) {
            gone.push(format!("`{value}` of {}", text(item)));
        }
    }
    gone
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_of_either_side_is_lost(
        common in vec(change(), 0..8),
        ours in vec(change(), 0..8),
        theirs in vec(change(), 0..8),
        is_known in any::<bool>(),
    ) {
        let base = changed(&Plan::default(), &common);
        let (first, second) = (changed(&base, &ours), changed(&base, &theirs));
        let ancestor = is_known.then_some(&base);
        let merged = merged(ancestor, &first, &second);
        prop_assert!(merged.plan.check().is_ok());
        for (side, other) in [(&first, &second), (&second, &first)] {
            let lost = lost(ancestor, side, other, &merged.plan);
            prop_assert!(lost.is_empty(), "{lost:#?}\n{:#?}", merged.conflicts);
        }
    }

    #[test]
    fn a_side_that_did_nothing_changes_nothing(common in vec(change(), 0..8), ours in vec(change(), 0..8)) {
        // Comments are kept, whoever replaces an item as a whole.
        let is_partial = |change: &Change| !matches!(change, Change::Replace(_) | Change::Upsert(..));
        let ours: Vec<Change> = ours.into_iter().filter(is_partial).collect();
        let base = changed(&Plan::default(), &common);
        let side = changed(&base, &ours);
        let all = |plan: &Plan| {
            let mut all: Vec<String> = plan.items().iter().map(text).collect();
            all.sort();
            all
        };
        for (first, second) in [(&base, &side), (&side, &base)] {
            let merged = merged(Some(&base), first, second);
            prop_assert!(merged.conflicts.is_empty(), "{:#?}", merged.conflicts);
            prop_assert_eq!(all(&merged.plan), all(&side));
        }
    }
}
