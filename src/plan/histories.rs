//! Finds several histories in one plan file: the result of a line-by-line git merge of two branches (`merge=union`, or
//! conflict markers removed by hand).
//!
//! Every writer rewrites the file as an event `replace` and a checkpoint with the same items. A merge puts the lines of both
//! branches into one file, whose last checkpoint silently hides the changes of the other branch; the sequence contract may
//! still hold. This module finds the branches: records that continue each other are one history. A whole state that no
//! earlier record explains starts another one, and so does an event whose number does not rise. [`merge`](super::merge)
//! merges them.
//!
//! Pure: takes bytes, returns [`Histories`]. Used only for a file with several checkpoints or a broken contract.

use std::collections::HashSet;
use std::fmt;

use super::error::PlanError;
use super::fold::{Carried, Stream};
use super::item::Item;
use super::lines::{lines, utf8};
use super::link::Comment;
use super::record;
use super::record::{Operation, Record};
use super::sequence::Lane;
use super::state::Plan;
use super::view::deps_text;

/// With more of them, the file was not merged: its numbers are broken.
const TIPS_MAX: usize = 16;

/// The histories of a file, and their common ancestor, if the file shows it.
#[derive(Debug)]
pub(super) struct Histories {
    pub ancestor: Option<Plan>,
    /// At least two, ordered by the time of the last record.
    pub sides: Vec<Side>,
}

/// One history.
#[derive(Debug)]
pub(super) struct Side {
    pub plan: Plan,
    pub carried: Carried,
    pub origin: Origin,
    /// Its lines, to find its commit.
    pub lines: Vec<Vec<u8>>,
}

/// The place of a history in the file, and its last writer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The records, counted from 1 over the lines that are not blank.
    pub records: Vec<usize>,
    /// The actor of the last one; may be empty.
    pub actor: String,
    /// The time of the last one, as written; may be empty.
    pub ts: String,
}

impl Origin {
    /// `records 1-2 (ann, 2026-02-09T20:02:00Z)`
    pub fn in_full(&self) -> String {
        let known = [self.actor.as_str(), self.ts.as_str()];
        let known: Vec<&str> = known.into_iter().filter(|text| !text.is_empty()).collect();
        match known.is_empty() {
            true => self.to_string(),
            false => format!("{self} ({})", known.join(", ")),
        }
    }
}

impl fmt::Display for Origin {
    /// `record 3`, `records 1-2, 5`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for &record in &self.records {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == record => *last = record,
                _ => ranges.push((record, record)),
            }
        }
        let ranges = ranges.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        let ranges = ranges.collect::<Vec<_>>().join(", ");
        let plural = if self.records.len() == 1 { "" } else { "s" };
        write!(f, "record{plural} {ranges}")
    }
}

/// The histories of a file; `None` if there is only one.
pub(super) fn find(bytes: &[u8]) -> Result<Option<Histories>, PlanError> {
    let lines: Vec<(usize, &[u8])> = lines(bytes).collect();
    let mut tree = Tree::new(&lines)?;
    for index in 0..lines.len() {
        tree.add_record(index)?;
        if tree.is_ambiguous {
            return Ok(None);
        }
    }
    tree.finish()
}

/// One record.
struct Node<'a> {
    record: Record<'a>,
    /// The items of a whole state.
    state: Option<Plan>,
}

/// The histories while the records are read.
struct Tree<'a> {
    lines: &'a [(usize, &'a [u8])],
    nodes: Vec<Node<'a>>,
    tips: Vec<Tip>,
    current: usize,
    /// The records can't be assigned to histories.
    is_ambiguous: bool,
}

/// The end of one history so far.
#[derive(Clone)]
struct Tip {
    /// The record with its initial state; `None` for the beginning of the file.
    root: Option<usize>,
    records: Vec<usize>,
    seq: Option<u64>,
    plan: Plan,
}

impl<'a> Tree<'a> {
    fn new(lines: &'a [(usize, &'a [u8])]) -> Result<Tree<'a>, PlanError> {
        let node = |&(at, line): &(usize, &'a [u8])| {
            let record = Record::parse(utf8(line, at)?, at)?;
            let state = match &record.operation {
                Operation::Replace(items) => {
                    let items = super::json::items(items).map_err(|error| error.at_line(at))?;
                    Some(Plan::from_items(items).map_err(|error| error.at_line(at))?)
                }
                _ => None,
            };
            Ok(Node { record, state })
        };
        let nodes = lines.iter().map(node).collect::<Result<_, PlanError>>()?;
        Ok(Tree {
            lines,
            nodes,
            tips: vec![Tip {
                root: None,
                records: Vec::new(),
                seq: None,
                plan: Plan::default(),
            }],
            current: 0,
            is_ambiguous: false,
        })
    }

    fn add_record(&mut self, index: usize) -> Result<(), PlanError> {
        let node = &self.nodes[index];
        match (&node.state, node.record.number.lane) {
            (Some(state), Lane::Checkpoint) => {
                let state = state.clone();
                match self.find_tip_with(index, &state) {
                    Some(tip) => self.append(tip, index),
                    None => self.start_tip(index, state),
                }
            }
            (Some(state), Lane::Event) if self.has_checkpoint(index) => {
                let state = state.clone();
                self.start_tip(index, state);
            }
            _ => self.append_event(index)?,
        }
        Ok(())
    }

    fn seq(&self, index: usize) -> Option<u64> {
        self.nodes[index].record.number.seq
    }

    /// Whether a checkpoint further down repeats this event.
    fn has_checkpoint(&self, index: usize) -> bool {
        let state = self.nodes[index].state.as_ref();
        self.nodes[index + 1..].iter().any(|later| {
            later.record.number.lane == Lane::Checkpoint
                && later.record.number.seq == self.seq(index)
                && later
                    .state
                    .as_ref()
                    .zip(state)
                    .is_some_and(|(a, b)| same(a, b))
        })
    }

    /// The history whose current state is `state`, preferably with the number of the record.
    fn find_tip_with(&self, index: usize, state: &Plan) -> Option<usize> {
        let newest_first = [self.current].into_iter().chain((0..self.tips.len()).rev());
        let mut tips = newest_first.filter(|&tip| {
            let tip = &self.tips[tip];
            !tip.records.is_empty() && same(&tip.plan, state)
        });
        let with_number = tips
            .clone()
            .find(|&tip| self.tips[tip].seq == self.seq(index));
        with_number.or_else(|| tips.next())
    }

    fn append(&mut self, tip: usize, index: usize) {
        let seq = self.seq(index);
        self.tips[tip].records.push(index);
        self.tips[tip].seq = self.tips[tip].seq.max(seq);
        self.current = tip;
    }

    fn start_tip(&mut self, index: usize, plan: Plan) {
        self.push_tip(Tip {
            root: Some(index),
            records: vec![index],
            seq: self.seq(index),
            plan,
        });
    }

    fn push_tip(&mut self, tip: Tip) {
        self.tips.push(tip);
        self.current = self.tips.len() - 1;
        self.is_ambiguous = self.tips.len() > TIPS_MAX;
    }

    /// Appends an event to the history that it continues: the current one if its number rises there, otherwise another one
    /// where it rises, otherwise a new one that forks from the current one before that number.
    fn append_event(&mut self, index: usize) -> Result<(), PlanError> {
        let seq = self.seq(index);
        let is_init = matches!(self.nodes[index].record.operation, Operation::Init);
        let rises = |tip: &Tip| seq.is_none() || tip.seq.is_none() || seq > tip.seq;
        let root = self.tips[self.current].root;
        let fits = |tip: &usize| self.tips[*tip].root == root && rises(&self.tips[*tip]);
        if !is_init && !rises(&self.tips[self.current]) {
            match (0..self.tips.len()).rev().find(fits) {
                Some(tip) => self.current = tip,
                None => self.fork(seq)?,
            }
        }
        let (at, line) = self.lines[index];
        let operation = Record::parse(utf8(line, at)?, at)?.operation;
        let tip = self.current;
        self.is_ambiguous |= operation.apply(&mut self.tips[tip].plan).is_err();
        self.append(tip, index);
        Ok(())
    }

    /// Forks the current history before the number `seq`, unless it ends there.
    fn fork(&mut self, seq: Option<u64>) -> Result<(), PlanError> {
        let tip = &self.tips[self.current];
        let is_shared = |index: &&usize| {
            let number = &self.nodes[**index].record.number;
            number.seq < seq || self.nodes[**index].state.is_some()
        };
        let shared: Vec<usize> = tip.records.iter().take_while(is_shared).copied().collect();
        if shared.len() == tip.records.len() {
            return Ok(());
        }
        let seq = shared.iter().filter_map(|&index| self.seq(index)).max();
        let (root, plan) = (tip.root, self.fold(&shared)?.plan);
        self.push_tip(Tip {
            root,
            records: shared,
            seq,
            plan,
        });
        Ok(())
    }

    fn fold(&self, records: &[usize]) -> Result<Stream, PlanError> {
        Stream::fold(records.iter().map(|&index| self.lines[index]))
    }

    fn finish(self) -> Result<Option<Histories>, PlanError> {
        // Records before the first whole state are part of that state.
        let is_settled = self.tips.iter().any(|tip| tip.root.is_some());
        let (mut heads, before): (Vec<&Tip>, Vec<&Tip>) = self
            .tips
            .iter()
            .filter(|tip| !tip.records.is_empty())
            .partition(|tip| !is_settled || tip.root.is_some());
        let mut distinct: Vec<Tip> = Vec::new();
        for head in heads.drain(..) {
            match distinct.iter_mut().find(|own| same(&own.plan, &head.plan)) {
                Some(own) => own.records.extend(&head.records),
                None => distinct.push(head.clone()),
            }
        }
        if distinct.len() < 2 {
            return Ok(None);
        }
        let ancestor = self.ancestor(&mut distinct, &before)?;
        let mut sides = Vec::new();
        for tip in distinct {
            sides.push(self.side(tip)?);
        }
        sides.sort_by(|a: &Side, b: &Side| a.origin.ts.cmp(&b.origin.ts));
        Ok(Some(Histories { ancestor, sides }))
    }

    /// The common ancestor of all `heads`, if the file shows it. It is removed from the heads if it is one of them.
    fn ancestor(&self, heads: &mut Vec<Tip>, before: &[&Tip]) -> Result<Option<Plan>, PlanError> {
        let is_one_root = heads.iter().all(|head| head.root == heads[0].root);
        if is_one_root {
            let first = &heads[0].records;
            let is_shared = |(at, index): &(usize, &usize)| {
                heads
                    .iter()
                    .all(|head| head.records.get(*at) == Some(*index))
            };
            let shared = first.iter().enumerate().take_while(is_shared);
            let shared: Vec<usize> = shared.map(|(_, index)| *index).collect();
            return Ok(Some(self.fold(&shared)?.plan));
        }
        if heads.len() > 2 && is_ancestor(&heads[0], &heads[1..]) {
            return Ok(Some(heads.remove(0).plan));
        }
        let before = before.first().filter(|_| before.len() == 1);
        let before = before.filter(|tip| is_ancestor(tip, heads));
        Ok(before.map(|tip| tip.plan.clone()))
    }

    fn side(&self, tip: Tip) -> Result<Side, PlanError> {
        let mut records = tip.records;
        records.sort_unstable();
        records.dedup();
        let stream = self.fold(&records)?;
        let (at, line) = self.lines[records[records.len() - 1]];
        let (ts, actor) = record::stamp(utf8(line, at)?);
        Ok(Side {
            plan: stream.plan,
            carried: stream.carried,
            lines: records
                .iter()
                .map(|&index| self.lines[index].1.to_vec())
                .collect(),
            origin: Origin {
                records: records.iter().map(|index| index + 1).collect(),
                actor,
                ts,
            },
        })
    }
}

/// Whether `tip` can be the ancestor of all `heads`: it is older, none of its items is missing in all of them, and they do
/// not all have the same changes. In doubt it counts as a history of its own, whose changes are kept.
fn is_ancestor(tip: &Tip, heads: &[Tip]) -> bool {
    heads.iter().all(|head| tip.seq < head.seq)
        && tip.plan.items().iter().all(|item| {
            let theirs = heads.iter().filter_map(|head| head.plan.get(item.id()));
            let theirs: Vec<&Item> = theirs.collect();
            // Comments are only added: a head without one of them has another ancestor.
            let has_comments = |head: &&Item| {
                let is_there = |one: &Comment| head.comments().iter().any(|own| own.is_same(one));
                item.comments().iter().all(is_there)
            };
            !theirs.is_empty()
                && theirs.iter().all(has_comments)
                && !VALUES
                    .iter()
                    .any(|value| is_changed_alike(item, &theirs, value))
        })
}

/// The values of an item by which states are compared.
const VALUES: [fn(&Item) -> String; 4] = [
    |item| item.status().to_string(),
    |item| item.step().to_owned(),
    |item| item.notes().to_owned(),
    |item| deps_text(item.deps()),
];

/// Whether several items all differ from `item`, and have the same value.
fn is_changed_alike(item: &Item, theirs: &[&Item], value: &fn(&Item) -> String) -> bool {
    let values: HashSet<String> = theirs.iter().map(|item| value(item)).collect();
    theirs.len() > 1 && values.len() == 1 && !values.contains(&value(item))
}

/// Whether two plans have the same items with the same fields.
pub(super) fn same(a: &Plan, b: &Plan) -> bool {
    let text = |plan: &Plan| serde_json::to_string(plan.items()).ok();
    a.items().len() == b.items().len() && text(a) == text(b)
}
