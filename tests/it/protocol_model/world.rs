//! The state of the model: what a run has on disk, and what one call of the program holds in memory.

use super::observer::Seen;
use super::outcomes::Outcomes;
use mesh::executor::{Rank, SlotQueue};
use mesh::job::{Budget, BudgetTracker, Reserve, Status as RowStatus};
use mesh::model::{Event, UnitId, WaveNo};
use mesh::plan::{ItemId, Plan, SwarmOverrides};
use mesh::protocol::Protocol;
use mesh::run::{ProtocolSearchPath, Protocols, State, Unit};
use mesh::schedule::{Deps, Dispatch, IntegrationQueue, Selected, read_task};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What is explored.
#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    pub protocol: &'static str,
    pub swarm: SwarmOverrides,
    pub tasks: Vec<TaskSpec>,
    pub dispatch: Dispatch,
    pub deps: Deps,
    /// The most rows at once.
    pub concurrency: usize,
    pub parallel_tasks: u32,
    pub validation_parallel: usize,
    /// Of the run, and the larger one that a later call may have.
    pub budget: [Budget; 2],
    /// Of each task.
    pub task_budget: Budget,
    /// How many rows and validations may fail, at most; `None` for any number.
    pub failures_max: Option<usize>,
    pub kills: Kills,
}

/// How often the program may be killed, each time before any write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kills {
    /// Any number of times.
    Any,
    /// Once, and the run goes on to its end.
    Once,
    /// Once; the run is resumed and goes on to where it waits again, and is not explored any further.
    Resumed,
}

/// A task of the plan.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    pub id: &'static str,
    pub after: &'static [&'static str],
    /// The metadata in its notes; empty if a worker must propose it.
    pub scope: &'static str,
    pub risk: &'static str,
}

/// A task, whether its metadata is complete, and the protocol that it changed to.
type ProtocolKey = (UnitId, bool, Option<String>);

/// What all states of a scenario share.
#[derive(Debug)]
pub struct Setting {
    pub scenario: Scenario,
    pub protocols: Protocols,
    pub outcomes: Outcomes,
    resolved: Mutex<HashMap<ProtocolKey, Arc<Protocol>>>,
    pub selections: Mutex<HashMap<String, Arc<Vec<Selected>>>>,
    /// Events as they are read back, by their texts.
    pub known_events: Mutex<HashMap<Vec<u8>, Arc<Event>>>,
}

impl Setting {
    pub fn new(scenario: Scenario, folder: &Path) -> Self {
        let search_path = ProtocolSearchPath {
            root: folder,
            named: &BTreeMap::new(),
        };
        let protocols = Protocols::load(scenario.protocol, search_path, scenario.swarm);
        Self {
            protocols: protocols.expect("a known protocol"),
            outcomes: Outcomes::new(&folder.join(format!("{}.jsonl", scenario.name))),
            scenario,
            resolved: Mutex::default(),
            selections: Mutex::default(),
            known_events: Mutex::default(),
        }
    }

    /// The plan at the beginning.
    pub fn plan(&self) -> Plan {
        let item = |task: &TaskSpec| {
            let notes = match task.scope {
                "" => "prose".to_owned(),
                _ => metadata(task),
            };
            let item = json!({
                "id": task.id, "step": "s", "status": "pending", "deps": task.after, "notes": notes,
            });
            item.to_string().parse().expect("an item")
        };
        let items = self.scenario.tasks.iter().map(item);
        Plan::from_items(items.collect()).expect("a plan")
    }

    /// The protocol of a unit, and whether its metadata is complete.
    pub fn protocol(&self, plan: &Plan, unit: &Unit) -> (Arc<Protocol>, bool) {
        let id = item_id(&unit.id);
        let item = plan.get(&id).expect("it is in the plan");
        let has_metadata = item.notes() != "prose";
        let changed = unit.state.protocol.clone();
        let key = (unit.id.clone(), has_metadata, changed.clone());
        let mut resolved = self.resolved.lock().expect("no panic");
        let found = resolved.entry(key).or_insert_with(|| {
            let (task, _) = read_task(item, &|_| Ok(())).expect("sound metadata");
            let resolve = self
                .protocols
                .resolve(&id, task.metadata.as_ref(), changed.as_deref());
            Arc::new(resolve.expect("it exists"))
        });
        (Arc::clone(found), has_metadata)
    }

    pub fn spec(&self, unit: &UnitId) -> &TaskSpec {
        let mut tasks = self.scenario.tasks.iter();
        tasks.find(|task| task.id == unit.as_str()).expect("a task")
    }
}

/// The notes of a task whose metadata is complete.
pub fn metadata(task: &TaskSpec) -> String {
    let scope = match task.scope {
        "" => "hydrated/**",
        scope => scope,
    };
    let (id, risk) = (task.id, task.risk);
    format!(
        "scope: ['{scope}']\ntest_scope: ['tests/{id}/**']\nacceptance: [a]\nvalidation: [make]\nrisk: {risk}\n"
    )
}

pub fn item_id(unit: &UnitId) -> ItemId {
    ItemId::try_from(unit.to_string()).expect("an id")
}

/// What is on disk: the ledger, as the fold over it, and the plan.
#[derive(Clone, Debug)]
pub struct Disk {
    pub state: State,
    pub plan: Plan,
    pub history: Option<Arc<History>>,
    /// What the environment did, which no fold decides.
    pub seen: Seen,
}

/// The events of a ledger as they are read back, the last ones first.
#[derive(Debug)]
pub struct History {
    pub events: Vec<(Arc<Event>, u64)>,
    pub before: Option<Arc<History>>,
}

/// A run: what a call of the program is at, or what a kill left behind.
#[derive(Debug)]
pub enum Run {
    Called(Box<World>),
    Killed(Box<Disk>),
}

/// A run, in a call of the program or after it.
#[derive(Clone, Debug)]
pub struct World {
    pub disk: Disk,
    pub call: Call,
}

/// What a call holds in memory only.
#[derive(Clone, Debug)]
pub struct Call {
    pub slots: SlotQueue,
    /// The waves in flight, with their ranks.
    pub running: BTreeMap<WaveNo, Rank>,
    /// The waves whose rows have ended, and whether all of them have.
    pub ended: BTreeMap<WaveNo, bool>,
    pub queue: IntegrationQueue,
    pub patches: BTreeMap<UnitId, Patch>,
    pub budget: BudgetTracker,
    pub reserves: BTreeMap<(WaveNo, u64), Reserve>,
    /// Tasks that reached their budgets.
    pub closed: BTreeSet<UnitId>,
    /// The budget of the run is reached: nothing more starts.
    pub is_stopping: bool,
    pub end: Option<End>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Finished,
    Unanswered,
    BudgetReached,
}

/// An accepted patch on its way into the tree.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    pub is_validating: bool,
    /// How its validation ended; the loop has not seen it yet if `is_new`.
    pub tried: Option<Tried>,
    pub is_new: bool,
    pub tries: usize,
    /// How many patches were applied before its validation.
    pub applied_before: u64,
}

/// How a validation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    Passed,
    /// Passed, as it does without the patch.
    Weak,
    Failed,
    Conflict,
    /// Passed, but a person has changed a file in its scope since it began.
    Stale,
}

impl Tried {
    pub const ALL: [Self; 5] = [
        Self::Passed,
        Self::Weak,
        Self::Failed,
        Self::Conflict,
        Self::Stale,
    ];
}

impl Call {
    pub fn new(concurrency: usize, budget: BudgetTracker) -> Self {
        Self {
            slots: SlotQueue::new(concurrency),
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            queue: IntegrationQueue::default(),
            patches: BTreeMap::new(),
            budget,
            reserves: BTreeMap::new(),
            closed: BTreeSet::new(),
            is_stopping: false,
            end: None,
        }
    }

    /// Whether the loop has something to take.
    pub fn has_news(&self) -> bool {
        !self.ended.is_empty() || self.patches.values().any(|patch| patch.is_new)
    }

    pub fn is_idle(&self) -> bool {
        let is_validating = |patch: &Patch| patch.is_validating || patch.is_new;
        self.running.is_empty()
            && self.ended.is_empty()
            && !self.patches.values().any(is_validating)
            && self.queue.next_to_apply().is_none()
    }
}

impl World {
    /// The rows that run now, by wave and index.
    pub fn running_rows(&self) -> Vec<(WaveNo, u64)> {
        let rows = self.disk.state.waves.iter().flat_map(|wave| {
            let rows = 0..wave.compiled.rows.len() as u64;
            let running = rows.filter(|row| {
                let item = wave.job.item(*row);
                item.is_some_and(|item| item.status == RowStatus::Running)
            });
            running.map(|row| (wave.compiled.wave, row))
        });
        rows.collect()
    }
}

/// A unit's rank: how long the chain of tasks behind it is.
pub fn rank(plan: &Plan, unit: &UnitId, number: WaveNo) -> Rank {
    let priority = mesh::schedule::Priority::with_equal_costs(plan);
    let remaining = priority.remaining(&item_id(unit)).unwrap_or_default();
    Rank {
        remaining_path: Reverse((remaining * 1000.0) as u64),
        number: number.0,
    }
}

/// The state of a unit, whatever its answers are.
pub fn unit_of<'s>(state: &'s State, id: &UnitId) -> &'s Unit {
    state.unit(id).expect("it was admitted")
}
