//! Selects the next tasks, by the selection order, the dependencies and the scopes.
//!
//! First the items that are `in_progress`, then the pending ones whose dependencies are completed, each in plan order; `ids=`
//! restricts them to the dependency closure. A task is selected only if it conflicts with none in flight.
//!
//! One pass fills all places: items are read in blocks, on all cores, and claimed one after the other.

use super::early::Early;
use super::priority::Priority;
use super::scopes::{read_metadata, scope_reach};
use super::skip_reason::SkipReason;
use crate::model::{TasksHeld, UnitId};
use crate::plan::{DepState, Item, ItemId, Metadata, Plan, Status};
use crate::scope::{Claims, Reach};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The least and the most items to read ahead of the claims: enough for all cores if many places are free, and few if most would
/// be read in vain.
const BLOCK: RangeInclusive<usize> = 8..=256;

/// At most so many tasks that wait for dependencies are counted.
const HELD_MAX: usize = 1000;

/// How open dependencies affect a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deps {
    /// It waits until they are completed.
    #[default]
    Strict,
    /// It may start after all ready ones, by the rules of [`early`](super::early).
    Advisory,
}

impl fmt::Display for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Deps::Strict => "strict",
            Deps::Advisory => "advisory",
        })
    }
}

impl FromStr for Deps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "strict" => Ok(Deps::Strict),
            "advisory" => Ok(Deps::Advisory),
            _ => Err("must be strict or advisory".to_owned()),
        }
    }
}

/// A request for tasks of the plan.
#[derive(Clone)]
pub struct SelectionRequest<'w> {
    /// The tasks that `ids=` allows; `None` for all.
    pub closure: Option<&'w BTreeSet<ItemId>>,
    /// Tasks that this run selected before.
    pub past: &'w BTreeSet<UnitId>,
    /// The paths that the tasks in flight may touch.
    pub claims: Claims,
    /// The most tasks to select.
    pub places: usize,
    /// How open dependencies affect a task.
    pub deps: Deps,
    /// Whether a task in progress that can't be run is skipped like a ready one.
    pub leaves_out_begun: bool,
    /// The caller's check of a task.
    pub is_workable: &'w (dyn Fn(&Selected) -> Result<(), String> + Sync),
}

/// A task that may start now.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The plan item.
    pub id: ItemId,
    /// Its metadata; `None` if a worker must propose it first.
    pub metadata: Option<Metadata>,
    /// Whether some of its dependencies are not completed.
    pub is_early: bool,
}

/// A task that is due but can't be run.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The plan item.
    pub item: ItemId,
    /// The reason.
    pub why: SkipReason,
}

/// The selected tasks.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The tasks to start, in this order; none if all conflict with those in flight.
    pub tasks: Vec<Selected>,
    /// The due tasks that can't be run.
    pub skipped: Vec<Skipped>,
    /// How many tasks are left for now; [`select_due`] counts only those left for their scopes.
    pub held: TasksHeld,
}

/// Selects the next workable tasks that conflict neither with those in flight nor with one another.
///
/// A ready task that can't be run is skipped; one that is `in_progress` ends the selection, because it comes before all others.
pub fn select(plan: &Plan, request: SelectionRequest<'_>) -> Selection {
    let is_workable = request.is_workable;
    let due = candidates(plan, &request);
    select_counted(plan, request, due, &|item| read_task(item, is_workable))
}

/// [`select_due`], with the number of tasks that are left for each reason.
fn select_counted(
    plan: &Plan,
    request: SelectionRequest<'_>,
    due: Vec<&Item>,
    read: &ReadTask<'_>,
) -> Selection {
    let all = due.len();
    let waiting = pending(plan, DepState::WaitingOnDeps).filter(|item| request.allows(item));
    let waiting = waiting.take(HELD_MAX).count();
    let mut selection = select_due(plan, request, due.into_iter(), read);
    let early = selection.tasks.iter().filter(|task| task.is_early).count();
    let settled = selection.tasks.len() - early + selection.skipped.len();
    let held = &mut selection.held;
    held.dependencies = waiting.saturating_sub(early) as u64;
    held.task_limit = (all.saturating_sub(settled) as u64).saturating_sub(held.scopes);
    selection
}

/// [`select`] with the ready tasks in the order of `priority`: with several tasks in flight, the longest chain determines when
/// all are done. Tasks in progress are still first, in plan order.
pub fn select_longest_first(
    plan: &Plan,
    request: SelectionRequest<'_>,
    priority: &Priority,
) -> Selection {
    let is_workable = request.is_workable;
    let mut due = candidates(plan, &request);
    // Stable: tasks without a rank stay in plan order.
    due.sort_by_cached_key(|item| match item.status() {
        Status::InProgress => None,
        _ => Some(priority.rank(item.id())),
    });
    let read = |item: &Item| read_task(item, is_workable);
    select_counted(plan, request, due, &read)
}

/// [`select`] for a caller that selects often, and keeps the `due` tasks in their order and the results of [`read_task`].
pub fn select_due<'p>(
    plan: &'p Plan,
    request: SelectionRequest<'_>,
    mut due: impl Iterator<Item = &'p Item>,
    read: &ReadTask<'_>,
) -> Selection {
    let mut selection = Selection::default();
    let mut claims = request.claims.clone();
    let block = request.places.clamp(*BLOCK.start(), *BLOCK.end());
    while selection.tasks.len() < request.places {
        let block: Vec<&Item> = due.by_ref().take(block).collect();
        if block.is_empty() {
            break;
        }
        let candidates: Vec<_> = block.par_iter().map(|item| read(item)).collect();
        for (item, candidate) in block.iter().zip(candidates) {
            match candidate {
                _ if selection.tasks.len() >= request.places => return selection,
                Ok((_, reach)) if claims.conflicts_with(&reach) => selection.held.scopes += 1,
                Ok((task, reach)) => {
                    claims.add(reach);
                    selection.tasks.push(task);
                }
                Err(why) => {
                    let id = item.id().clone();
                    selection.skipped.push(Skipped { item: id, why });
                    if item.status() == Status::InProgress && !request.leaves_out_begun {
                        return selection;
                    }
                }
            }
        }
    }
    if request.deps == Deps::Advisory {
        add_early(plan, &request, read, &mut claims, &mut selection.tasks);
    }
    selection
}

/// Fills the remaining places with tasks whose dependencies are open. One that can't be run is not reported, because it is not
/// due yet.
fn add_early(
    plan: &Plan,
    request: &SelectionRequest<'_>,
    read: &ReadTask<'_>,
    claims: &mut Claims,
    tasks: &mut Vec<Selected>,
) {
    let mut early = Early::new(plan, claims);
    for item in pending(plan, DepState::WaitingOnDeps).filter(|item| request.allows(item)) {
        if tasks.len() >= request.places {
            return;
        }
        if let Ok((task, reach)) = read(item)
            && !claims.conflicts_with(&reach)
            && early.may_start(item, &reach)
        {
            claims.add(reach);
            tasks.push(Selected {
                is_early: true,
                ..task
            });
        }
    }
}

/// The due items, in selection order.
fn candidates<'p>(plan: &'p Plan, request: &SelectionRequest<'_>) -> Vec<&'p Item> {
    let items = plan.items().iter();
    items
        .filter(|item| item.status() == Status::InProgress)
        .chain(pending(plan, DepState::Ready))
        .filter(|item| request.allows(item))
        .collect()
}

fn pending(plan: &Plan, state: DepState) -> impl Iterator<Item = &Item> {
    let items = plan.items().iter();
    items.filter(move |item| item.status() == Status::Pending && plan.dep_state(item) == state)
}

impl SelectionRequest<'_> {
    fn allows(&self, item: &Item) -> bool {
        self.closure.is_none_or(|ids| ids.contains(item.id()))
            && !self.past.contains(&UnitId::new(item.id().as_str()))
    }
}

/// Reads the task of an item and the paths that it may touch, or why it can't be run.
pub type ReadTask<'r> = dyn Fn(&Item) -> Result<(Selected, Reach), SkipReason> + Sync + 'r;

/// Reads one task, due or not.
pub fn read_task(
    item: &Item,
    is_workable: &dyn Fn(&Selected) -> Result<(), String>,
) -> Result<(Selected, Reach), SkipReason> {
    let metadata = read_metadata(item)?;
    let reach = scope_reach(item, metadata.as_ref())?;
    let task = Selected {
        id: item.id().clone(),
        metadata,
        is_early: false,
    };
    is_workable(&task).map_err(SkipReason::Refused)?;
    Ok((task, reach))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(items: serde_json::Value) -> Plan {
        let items = items.as_array().expect("an array").iter().map(|item| {
            let mut item = item.clone();
            item["step"] = "s".into();
            if item.get("notes").is_none() {
                let scope = item["id"].clone();
                let scope = scope.as_str().expect("an id");
                item["notes"] =
                    format!("scope: [{scope}.rs]\nacceptance: []\nvalidation: [make]\n").into();
            }
            item.to_string().parse().expect("an item")
        });
        Plan::from_items(items.collect()).expect("a plan")
    }

    fn reach(globs: &[String]) -> Reach {
        Reach::new(globs).expect("globs")
    }

    fn pick_many(plan: &Plan, past: &[&str], in_flight: &[&str], places: usize) -> Vec<String> {
        pick_with(Deps::Strict, plan, past, in_flight, places)
    }

    fn pick_with(
        deps: Deps,
        plan: &Plan,
        past: &[&str],
        in_flight: &[&str],
        places: usize,
    ) -> Vec<String> {
        let mut claims = Claims::new(reach(&["Cargo.*".to_owned()]));
        for glob in in_flight {
            claims.add(reach(&[(*glob).to_owned()]));
        }
        let request = SelectionRequest {
            closure: None,
            past: &past.iter().map(|id| UnitId::new(*id)).collect(),
            claims,
            places,
            deps,
            leaves_out_begun: false,
            is_workable: &|_| Ok(()),
        };
        let selection = select(plan, request);
        let skipped = selection.skipped.iter();
        let skipped = skipped.map(|skipped| format!("{} skipped", skipped.item));
        let tasks = selection.tasks.iter().map(|task| task.id.to_string());
        skipped.chain(tasks).collect()
    }

    fn pick(plan: &Plan, past: &[&str], in_flight: &[&str]) -> String {
        pick_many(plan, past, in_flight, 1).join(", ")
    }

    #[test]
    fn in_progress_first_then_the_first_ready_one() {
        let items = plan(json!([
            {"id": "a", "status": "pending", "deps": ["b"]},
            {"id": "b", "status": "pending", "deps": []},
            {"id": "c", "status": "in_progress", "deps": []},
        ]));
        assert_eq!(pick(&items, &[], &[]), "c");
        assert_eq!(pick(&items, &["c"], &[]), "b");
        assert_eq!(pick(&items, &["c", "b"], &[]), "");
    }

    #[test]
    fn a_task_that_conflicts_with_one_in_flight_waits() {
        let items = plan(json!([
            {"id": "a", "status": "pending", "deps": []},
            {"id": "b", "status": "pending", "deps": []},
        ]));
        assert_eq!(pick(&items, &[], &["a.*"]), "b");
        assert_eq!(pick(&items, &[], &["*.rs"]), "");
    }

    #[test]
    fn the_longest_chain_is_selected_first_after_tasks_in_progress() {
        let items = plan(json!([
            {"id": "short", "status": "pending", "deps": []},
            {"id": "long", "status": "pending", "deps": []},
            {"id": "after", "status": "pending", "deps": ["long"]},
            {"id": "begun", "status": "in_progress", "deps": []},
        ]));
        let select = |places| {
            let request = SelectionRequest {
                closure: None,
                past: &BTreeSet::new(),
                claims: Claims::new(reach(&[])),
                places,
                deps: Deps::Strict,
                leaves_out_begun: false,
                is_workable: &|_| Ok(()),
            };
            let selection =
                select_longest_first(&items, request, &Priority::with_equal_costs(&items));
            let tasks = selection.tasks.iter().map(|task| task.id.to_string());
            tasks.collect::<Vec<_>>()
        };
        assert_eq!(select(2), ["begun", "long"]);
        assert_eq!(select(9), ["begun", "long", "short"]);
    }

    #[test]
    fn a_task_without_metadata_may_touch_anything_and_so_runs_alone() {
        let items = plan(json!([
            {"id": "a", "status": "pending", "deps": [], "notes": "prose"},
            {"id": "b", "status": "pending", "deps": []},
        ]));
        assert_eq!(pick(&items, &[], &[]), "a");
        assert_eq!(pick(&items, &[], &["c.rs"]), "b");
        assert_eq!(pick_many(&items, &[], &[], 2), ["a"]);
    }

    #[test]
    fn a_ready_task_with_broken_metadata_is_skipped_but_not_one_in_progress() {
        let items = |status: &str| {
            plan(json!([
                {"id": "a", "status": status, "deps": [], "notes": "```mesh\nnonsense: 1\n```\n"},
                {"id": "b", "status": "pending", "deps": []},
            ]))
        };
        assert_eq!(pick(&items("pending"), &[], &[]), "a skipped, b");
        assert_eq!(pick(&items("in_progress"), &[], &[]), "a skipped");
    }

    fn scoped(id: &str, status: &str, scope: &[&str]) -> serde_json::Value {
        let notes = format!(
            "scope: {}\nacceptance: []\nvalidation: [make]\n",
            json!(scope)
        );
        json!({"id": id, "status": status, "deps": [], "notes": notes})
    }

    #[test]
    fn one_pass_fills_all_places_in_selection_order() {
        let items = plan(json!([
            scoped("a", "pending", &["src/a.rs"]),
            scoped("b", "pending", &["src/*.rs"]),
            scoped("c", "in_progress", &["docs/"]),
            scoped("d", "pending", &["Cargo.toml"]),
            scoped("e", "pending", &["Cargo.lock", "e"]),
            scoped("f", "pending", &["f"]),
        ]));
        assert_eq!(pick_many(&items, &[], &[], 9), ["c", "a", "d", "f"]);
        assert_eq!(pick_many(&items, &[], &[], 2), ["c", "a"]);
        assert_eq!(pick_many(&items, &[], &["Cargo.lock"], 9), ["c", "a", "f"]);
        assert!(pick_many(&items, &[], &[], 0).is_empty());
    }

    #[test]
    fn tasks_that_are_left_are_counted_by_the_first_reason() {
        let mut waiting = scoped("late", "pending", &["late.rs"]);
        waiting["deps"] = json!(["a"]);
        let items = plan(json!([
            scoped("a", "pending", &["a.rs"]),
            scoped("meets", "pending", &["a.*"]),
            scoped("b", "pending", &["b.rs"]),
            scoped("c", "pending", &["c.rs"]),
            waiting,
        ]));
        let held = |places| {
            let request = SelectionRequest {
                closure: None,
                past: &BTreeSet::new(),
                claims: Claims::new(reach(&[])),
                places,
                deps: Deps::Strict,
                leaves_out_begun: false,
                is_workable: &|_| Ok(()),
            };
            let held = select(&items, request).held;
            [held.scopes, held.task_limit, held.dependencies]
        };
        assert_eq!(held(1), [0, 3, 1]);
        assert_eq!(held(2), [1, 1, 1]);
        assert_eq!(held(9), [1, 0, 1]);
    }

    #[test]
    fn advisory_dependencies_let_disjoint_tasks_start() {
        let after = |deps: &[&str], mut item: serde_json::Value| {
            item["deps"] = json!(deps);
            item
        };
        let items = plan(json!([
            after(&["c"], scoped("early", "pending", &["early.rs"])),
            after(&["c"], scoped("meets", "pending", &["c.*"])),
            after(&["mid"], scoped("meets-far", "pending", &["[c].rs"])),
            after(&["c"], scoped("mid", "pending", &["mid.rs"])),
            after(&["vague"], scoped("after-vague", "pending", &["x.rs"])),
            after(
                &["c"],
                json!({"id": "vague", "status": "pending", "notes": "prose"})
            ),
            scoped("c", "pending", &["c.rs"]),
            scoped("ready", "pending", &["ready.rs"]),
        ]));
        let pick =
            |in_flight: &[&str], places| pick_with(Deps::Advisory, &items, &[], in_flight, places);
        assert_eq!(pick(&[], 9), ["c", "ready", "early", "mid"]);
        assert_eq!(pick(&[], 3), ["c", "ready", "early"]);
        assert_eq!(pick(&["early.*", "c.rs"], 9), ["ready", "mid"]);
        assert_eq!(pick_many(&items, &[], &[], 9), ["c", "ready"]);
    }

    /// Every tenth task has a scope that an earlier one has.
    #[test]
    fn conflicts_among_many_tasks_are_found() {
        let id = |number: usize| format!("t{number:05}");
        let items: Vec<_> = (0..10_000)
            .map(|number| {
                let folder = number - usize::from(number % 10 == 9);
                let globs = ["lib.rs", "*_a.rs", "sub/**", "{x,y}.md", "[0-9].txt"];
                let globs = globs.map(|glob| format!("crates/c{folder}/{glob}"));
                scoped(
                    &id(number),
                    "pending",
                    &globs.each_ref().map(String::as_str),
                )
            })
            .collect();
        let expected: Vec<_> = (0..10_000)
            .filter(|number| number % 10 != 9)
            .map(id)
            .collect();
        let plan = plan(items.into());
        assert!(pick_many(&plan, &[], &[], 10_000) == expected);
    }
}
