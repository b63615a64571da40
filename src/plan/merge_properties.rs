//! Properties of a merge, for random changes of two branches: nothing is lost without a message.

use proptest::collection::vec;
use proptest::prelude::*;

use super::histories::{Histories, Origin, Side};
use super::item::Item;
use super::link::Comment;
use super::merge::{Merged, merge};
use super::properties::{Change, change, config};
use super::state::Plan;

/// The plan after those changes that keep it valid.
fn apply_valid(from: &Plan, changes: &[Change]) -> Plan {
    let mut plan = from.clone();
    for change in changes {
        let mut next = plan.clone();
        if change.apply(&mut next).is_ok() && next.check().is_ok() {
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
    let make_comment =
        |text: String| Comment::new("2026-02-09T20:02:00Z".parse().expect("a time"), "m", &text);
    merge(histories, &make_comment).expect("merged")
}

fn text(item: &Item) -> String {
    serde_json::to_string(item).expect("JSON")
}

fn is_in_a_comment(item: &Item, value: &str) -> bool {
    item.comments()
        .iter()
        .any(|comment| comment.text.contains(value.trim()))
}

/// What `merged` lacks of `side`: items that the other side did not remove, comments, and values that are not of the ancestor.
fn find_lost(ancestor: Option<&Plan>, side: &Plan, other: &Plan, merged: &Plan) -> Vec<String> {
    let mut lost = Vec::new();
    for item in side.items() {
        let base = ancestor.and_then(|plan| plan.get(item.id()));
        let is_removed = base.is_some_and(|base| text(base) == text(item));
        if is_removed && other.get(item.id()).is_none() {
            continue;
        }
        // It may have a new id; then it is found by its step.
        let is_same = |found: &&Item| found.id() == item.id() || found.step() == item.step();
        let found = merged.items().iter().filter(is_same);
        let gone = found
            .map(|found| find_missing(base, item, found))
            .min_by_key(Vec::len);
        lost.extend(gone.unwrap_or_else(|| vec![format!("item {}", text(item))]));
    }
    lost
}

/// What `found` lacks of `item`, in place and in comments.
fn find_missing(base: Option<&Item>, item: &Item, found: &Item) -> Vec<String> {
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
        if value != was && value != is && !is_blank && !is_in_a_comment(found, &value) {
            gone.push(format!("`{value}` of {}", text(item)));
        }
    }
    gone
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_merge_loses_nothing_of_either_side(
        common in vec(change(), 0..8),
        ours in vec(change(), 0..8),
        theirs in vec(change(), 0..8),
        is_known in any::<bool>(),
    ) {
        let base = apply_valid(&Plan::default(), &common);
        let (first, second) = (apply_valid(&base, &ours), apply_valid(&base, &theirs));
        let ancestor = is_known.then_some(&base);
        let merged = merged(ancestor, &first, &second);
        prop_assert!(merged.plan.check().is_ok());
        for (side, other) in [(&first, &second), (&second, &first)] {
            let lost = find_lost(ancestor, side, other, &merged.plan);
            prop_assert!(lost.is_empty(), "{lost:#?}\n{:#?}", merged.conflicts);
        }
    }

    #[test]
    fn an_unchanged_side_changes_nothing(common in vec(change(), 0..8), ours in vec(change(), 0..8)) {
        // Comments survive when an item is replaced as a whole.
        let is_partial = |change: &Change| !matches!(change, Change::Replace(_) | Change::Upsert(..));
        let ours: Vec<Change> = ours.into_iter().filter(is_partial).collect();
        let base = apply_valid(&Plan::default(), &common);
        let side = apply_valid(&base, &ours);
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
