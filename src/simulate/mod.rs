//! A run with made-up results: which waves, how many rows, how long, before any worker is started.
//!
//! What is made up is only what workers say and how long they take. Which rows a task needs comes from
//! [`protocol::next`](crate::protocol::next), which task is taken up beside which from [`schedule`](crate::schedule), and
//! in what order both dispatches serve them is the order of the run itself. Pure and deterministic: the same plan and times give
//! the same prediction.
//!
//! Left out: refused answers, retries of attempts, rate limits and backpressure. Integrations happen one after the other and
//! take no slot. A task without metadata may touch anything until its end, since nobody knows yet what a worker will propose.

mod barrier;
mod bound;
mod durations;
mod learned;
mod progress;
mod rolling;
mod script;

pub use bound::Bound;
pub use durations::{Durations, DurationsError, Given, INTEGRATION, ROW_SECONDS_DEFAULT, Source};
pub use learned::{Learned, Median};
pub use script::End;

use crate::model::{Role, RoundName, RowKey, UnitId};
use crate::plan::{Item, ItemId, Metadata, Plan, Status};
use crate::protocol::Protocol;
use crate::schedule::{Concurrency, Dispatch, Priority, Selected, SkipReason, Skipped, read_task};
use crate::scope::{Claims, Reach};
use progress::Progress;
use rayon::prelude::*;
use script::{Script, Step};
use std::collections::{BTreeSet, HashMap};

/// How long things take, in milliseconds.
pub trait Times: Sync {
    /// One row, from the start of its worker to its result.
    fn row_ms(&self, row: &RowKey) -> u64;
    /// Applying a task's patch and validating it.
    fn integration_ms(&self, unit: &UnitId) -> u64;
    /// The whole task, alone and with a slot for every row; where it is known, rows and integration are stretched to fit.
    fn task_ms(&self, unit: &UnitId) -> Option<u64>;
}

/// The protocol of a task, by its metadata and the protocol that it went over to.
pub type ProtocolOf<'s> =
    dyn Fn(&ItemId, Option<&Metadata>, Option<&str>) -> Result<Protocol, String> + Sync + 's;

/// What is simulated.
pub struct Setup<'s> {
    /// The plan as it is now.
    pub plan: &'s Plan,
    /// The tasks that `ids=` lets in; `None` is no restriction.
    pub closure: Option<&'s BTreeSet<ItemId>>,
    /// Of these paths only one task at a time may touch any.
    pub shared: Reach,
    /// How many rows at once.
    pub slots: Concurrency,
    /// How many tasks in flight at once.
    pub parallel_tasks: usize,
    /// How many tasks in all.
    pub max_tasks: usize,
    /// Which rounds a task goes through.
    pub protocol_of: &'s ProtocolOf<'s>,
    /// How many votes of each task find no consensus, at most as many as it has retries.
    pub lost_votes: u32,
    /// How long things take.
    pub times: &'s dyn Times,
    /// How long the dispatch believes that they take; it does not see `times`.
    pub estimates: &'s dyn Times,
}

/// A task as far as it matters here.
struct Task {
    unit: UnitId,
    selected: Selected,
    reach: Reach,
    script: Script,
    /// Estimated milliseconds from the beginning of each step to the end of the task.
    rest_ms: Vec<u64>,
}

/// A plan, made ready for predictions.
pub struct Simulation<'s> {
    setup: Setup<'s>,
    /// The unfinished tasks by place in the plan; `Err` says why one can't be worked.
    tasks: Vec<Option<Result<Task, SkipReason>>>,
    places: HashMap<ItemId, usize>,
    no_claims: Claims,
    /// By the estimates, as it is before the run; paths behind a task stay as they are while it is in flight.
    priority: Priority,
}

/// What would happen under one dispatch.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Which.
    pub dispatch: Dispatch,
    /// The waves, in the order in which they are compiled.
    pub waves: Vec<Wave>,
    /// The tasks that were taken up, in this order.
    pub tasks: Vec<Worked>,
    /// What rounds they go through.
    pub rounds: Vec<Round>,
    /// Tasks that can't be worked as they stand.
    pub skipped: Vec<Skipped>,
    /// From the first row to the last integration.
    pub makespan_ms: u64,
    /// What no dispatch of these tasks could be faster than.
    pub bound: Bound,
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Its round.
    pub round: RoundName,
    /// How many rows.
    pub rows: usize,
    /// When its rows are due.
    pub begins_ms: u64,
    /// When the last one has ended.
    pub ends_ms: u64,
}

/// One round over all tasks that were taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Its name.
    pub name: RoundName,
    /// Who answers in it.
    pub roles: BTreeSet<Role>,
    /// How many rows.
    pub rows: usize,
    /// The sum of their times.
    pub work_ms: u64,
}

impl Round {
    fn new(name: &RoundName) -> Self {
        Self {
            name: name.clone(),
            roles: BTreeSet::new(),
            rows: 0,
            work_ms: 0,
        }
    }
}

/// One task that was taken up.
#[derive(Clone, Debug, PartialEq)]
pub struct Worked {
    /// The plan item.
    pub id: ItemId,
    /// When it was taken up.
    pub begins_ms: u64,
    /// When its outcome stood.
    pub ends_ms: u64,
    /// The outcome.
    pub end: End,
}

impl<'s> Simulation<'s> {
    /// Looks up for every unfinished task which rows it will need.
    pub fn new(setup: Setup<'s>) -> Self {
        let items = setup.plan.items();
        let tasks: Vec<_> = items.par_iter().map(|item| task(item, &setup)).collect();
        let places = items.iter().enumerate();
        let places: HashMap<ItemId, usize> =
            places.map(|(at, item)| (item.id().clone(), at)).collect();
        let estimate = |item: &Item| {
            let is_in = setup.closure.is_none_or(|ids| ids.contains(item.id()));
            let task = tasks[*places.get(item.id())?].as_ref()?.as_ref().ok()?;
            is_in.then_some(task.rest_ms[0] as f64)
        };
        Self {
            priority: Priority::of(setup.plan, estimate),
            no_claims: Claims::new(setup.shared.clone()),
            tasks,
            places,
            setup,
        }
    }

    /// What would happen.
    pub fn predict(&self, dispatch: Dispatch) -> Prediction {
        let mut progress = Progress::new(self, dispatch);
        let (waves, makespan_ms) = match dispatch {
            Dispatch::Rolling => rolling::play(self, &mut progress),
            Dispatch::Barrier => barrier::play(self, &mut progress),
        };
        Prediction {
            dispatch,
            waves,
            makespan_ms,
            bound: Bound::of(self, &progress.worked),
            rounds: self.rounds(&progress.worked),
            skipped: progress.skipped(),
            tasks: progress.worked,
        }
    }

    /// How many tasks could be worked if nothing was in their way: unfinished, and let in.
    pub fn unfinished(&self) -> usize {
        let items = self.setup.plan.items().iter().zip(&self.tasks);
        let is_in = |id: &ItemId| self.setup.closure.is_none_or(|ids| ids.contains(id));
        items
            .filter(|(item, task)| task.is_some() && is_in(item.id()))
            .count()
    }

    /// The rounds that these tasks go through, in the order in which they come up.
    fn rounds(&self, worked: &[Worked]) -> Vec<Round> {
        let mut rounds: Vec<Round> = Vec::new();
        let tasks = worked.iter().filter_map(|worked| self.find(&worked.id));
        for step in tasks.flat_map(|(_, task)| &task.script.steps) {
            let Step::Rows(emitted) = step else { continue };
            let known = rounds.iter().position(|known| known.name == emitted.round);
            let at = known.unwrap_or_else(|| {
                rounds.push(Round::new(&emitted.round));
                rounds.len() - 1
            });
            rounds[at].rows += emitted.rows_ms.len();
            rounds[at].work_ms += emitted.rows_ms.iter().sum::<u64>();
            rounds[at].roles.extend(emitted.roles.iter().cloned());
        }
        rounds
    }

    /// The task at a place in the plan; `None` for one that selection never gives.
    fn task(&self, place: usize) -> Option<&Task> {
        self.tasks.get(place)?.as_ref()?.as_ref().ok()
    }

    /// The same by its id, with its place.
    fn find(&self, id: &ItemId) -> Option<(usize, &Task)> {
        let place = *self.places.get(id)?;
        Some((place, self.task(place)?))
    }

    /// What selection is told of an item, as it was read before.
    fn read(&self, item: &Item) -> Result<(Selected, Reach), SkipReason> {
        let place = self.places.get(item.id());
        match place.and_then(|place| self.tasks[*place].as_ref()) {
            Some(Ok(task)) => Ok((task.selected.clone(), task.reach.clone())),
            Some(Err(why)) => Err(why.clone()),
            // Only open tasks are selected, and all of them were read.
            None => read_task(item, &|_| Ok(())),
        }
    }
}

impl Prediction {
    /// Rows over all waves.
    pub fn rows(&self) -> usize {
        self.waves.iter().map(|wave| wave.rows).sum()
    }

    /// The makespan as a multiple of the bound; 1 when there is nothing to do.
    pub fn ratio(&self) -> f64 {
        match self.bound.ms() {
            0 => 1.0,
            bound => self.makespan_ms as f64 / bound as f64,
        }
    }

    /// Which share of the slots' time rows took, from 0 to 1.
    pub fn busy(&self) -> f64 {
        let slots_ms = self.bound.slots as f64 * self.makespan_ms as f64;
        self.bound.work_ms as f64 / slots_ms.max(1.0)
    }
}

/// `None` for a task that is finished or that nobody may pick up.
fn task(item: &Item, setup: &Setup<'_>) -> Option<Result<Task, SkipReason>> {
    let is_open = matches!(item.status(), Status::Pending | Status::InProgress);
    is_open.then(|| open_task(item, setup))
}

fn open_task(item: &Item, setup: &Setup<'_>) -> Result<Task, SkipReason> {
    let (selected, reach) = read_task(item, &|_| Ok(()))?;
    let script = |times| {
        let metadata = selected.metadata.as_ref();
        Script::write(item.id(), metadata, setup, times).map_err(SkipReason::Refused)
    };
    Ok(Task {
        unit: UnitId::new(item.id().as_str()),
        rest_ms: script(setup.estimates)?.rest_ms(),
        script: script(setup.times)?,
        selected,
        reach,
    })
}
