//! The figures of several runs: sums over what each of them adds.
//!
//! A task counts as done if its patch is integrated, or accepted and kept. What a done task took is everything that all tasks took, those
//! that were blocked included, divided by the number of those that are done.

use super::effect::RoleEffect;
use super::failures::{Failures, failures_json};
use super::idle::FanOut;
use super::rate::{TOO_FEW, rounded};
use super::run_facts::{CsvFacts, RunFacts, TaskEnd, TaskFacts};
use super::spend::{Spend, minutes};
use super::votes::Calibration;
use crate::model::{RunId, RunKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What tasks are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The protocol that a task ended under.
    Protocol,
    /// The role of its rows; a task is in the group of each role that had a row.
    Role,
    /// The adapter of its rows; a task is in the group of each adapter that had a row.
    Adapter,
    /// The model of its rows, likewise.
    Model,
    /// Its risk.
    Risk,
}

impl By {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Protocol => "protocol",
            By::Role => "role",
            By::Adapter => "adapter",
            By::Model => "model",
            By::Risk => "risk",
        }
    }

    /// The groups of a task, with what it took in each.
    fn groups(self, run: &RunFacts, task: &TaskFacts) -> Vec<(String, Spend)> {
        let name = match self {
            By::Role => {
                let roles = task.roles.iter();
                return roles.map(|(role, spend)| (role.clone(), *spend)).collect();
            }
            By::Protocol => task.protocol.clone(),
            By::Adapter | By::Model => return self.groups_by_agent(run, task),
            By::Risk => match task.risk {
                Some(risk) => risk.as_str().to_owned(),
                None => UNRECORDED.to_owned(),
            },
        };
        vec![(name, spend_of(task))]
    }
}

impl By {
    /// The agents of a task, with what its roles took of each; that of the run for a task without rows.
    fn groups_by_agent(self, run: &RunFacts, task: &TaskFacts) -> Vec<(String, Spend)> {
        let name = |adapter: &str, model: Option<&str>| match self {
            By::Model => model.unwrap_or(UNSET).to_owned(),
            _ => adapter.to_owned(),
        };
        let usual = || name(&run.adapter, run.model.as_deref());
        let mut groups: BTreeMap<String, Spend> = BTreeMap::new();
        for (role, spend) in &task.roles {
            let group = match run.roles.get(role) {
                Some((adapter, model)) => name(adapter, model.as_deref()),
                None => usual(),
            };
            *groups.entry(group).or_default() += *spend;
        }
        if groups.is_empty() {
            groups.insert(usual(), Spend::default());
        }
        groups.into_iter().collect()
    }
}

/// The group of rows without a model.
const UNSET: &str = "not set";
/// The group of tasks in ledgers of earlier versions.
const UNRECORDED: &str = "not recorded";

/// What all roles of a task took.
fn spend_of(task: &TaskFacts) -> Spend {
    let mut sum = Spend::default();
    task.roles.values().for_each(|spend| sum += *spend);
    sum
}

/// Sums over tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSums {
    /// All tasks.
    pub tasks: u64,
    /// Those whose patch is integrated.
    pub completed: u64,
    /// Those whose patch is accepted and kept.
    pub accepted: u64,
    /// Those that are blocked or rejected, by reason.
    pub blocked: BTreeMap<String, u64>,
    /// Those whose patch was taken back.
    pub undone: u64,
    /// Those whose status was changed from elsewhere.
    pub conflicts: u64,
    /// Those that have not ended.
    pub open: u64,
    /// What their rows took.
    pub spend: Spend,
    /// From admission to end, of those that are done, in milliseconds.
    pub elapsed_ms: u64,
    /// Their votes against their validations.
    pub votes: Calibration,
}

impl TaskSums {
    fn add(&mut self, task: &TaskFacts, spend: Spend) {
        self.tasks += 1;
        match &task.end {
            TaskEnd::Completed => self.completed += 1,
            TaskEnd::Accepted => self.accepted += 1,
            TaskEnd::Blocked(reason) => *self.blocked.entry(reason.clone()).or_default() += 1,
            TaskEnd::Undone => self.undone += 1,
            TaskEnd::Conflict => self.conflicts += 1,
            TaskEnd::Open => self.open += 1,
        }
        if matches!(task.end, TaskEnd::Completed | TaskEnd::Accepted) {
            self.elapsed_ms += task.elapsed_ms.unwrap_or(0);
        }
        self.spend += spend;
        for decision in &task.decisions {
            self.votes.count(decision);
        }
    }

    /// Tasks that are completed or accepted.
    pub fn done(&self) -> u64 {
        self.completed + self.accepted
    }

    /// Tasks that are blocked or rejected.
    pub fn blocked(&self) -> u64 {
        self.blocked.values().sum()
    }

    /// `number` a done task; none without one.
    pub fn per_done(&self, number: f64) -> Option<f64> {
        (self.done() > 0).then(|| number / self.done() as f64)
    }

    fn json(&self) -> Value {
        let per_done = |number: f64| self.per_done(number).map(rounded);
        let spend = &self.spend;
        json!({
            "tasks": self.tasks,
            "completed": self.completed,
            "accepted": self.accepted,
            "blocked": self.blocked,
            "undone": self.undone,
            "conflicts": self.conflicts,
            "open": self.open,
            "spent": spend.json(),
            "per_done_task": {
                "rows": per_done(spend.rows as f64),
                "tokens": spend.tokens.and_then(|tokens| per_done(tokens as f64)),
                "cost_usd": spend.cost_usd.and_then(|cost| self.per_done(cost)),
                "worker_minutes": per_done(spend.minutes()),
                "elapsed_minutes": per_done(minutes(self.elapsed_ms)),
            },
            "votes": self.votes.json(),
        })
    }
}

/// A run as a line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLine {
    /// The run.
    pub run_id: RunId,
    /// Plan or spawn.
    pub kind: RunKind,
    /// Its status in one word.
    pub status: String,
    /// When it started, in the ledger's format.
    pub started_at: String,
    /// How many rows ran at once; none if its rows ran elsewhere, or none ran.
    pub fan_out: Option<FanOut>,
}

/// The figures of several runs.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    by: Option<By>,
    /// The runs, in the order in which they were added.
    pub runs: Vec<RunLine>,
    /// Runs that could not be read, and why.
    pub left_out: Vec<(String, String)>,
    /// All tasks.
    pub tasks: TaskSums,
    /// Tasks by group.
    pub groups: BTreeMap<String, TaskSums>,
    /// Spawned CSVs, and the sums over their rows.
    pub csv: Option<(u64, CsvFacts)>,
    /// What roles said, and what became of it.
    pub roles: BTreeMap<String, RoleEffect>,
    /// What failures cost.
    pub failures: Failures,
}

impl Figures {
    /// No runs yet.
    pub fn new(by: Option<By>) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// What tasks are grouped by.
    pub fn by(&self) -> Option<By> {
        self.by
    }

    /// Adds a run.
    pub fn add(&mut self, run: RunFacts) {
        for task in &run.tasks {
            self.tasks.add(task, spend_of(task));
            for (name, spend) in self.by.iter().flat_map(|by| by.groups(&run, task)) {
                self.groups.entry(name).or_default().add(task, spend);
            }
            for (role, effect) in &task.effects {
                self.roles.entry(role.clone()).or_default().add(effect);
            }
        }
        if let Some(csv) = run.csv {
            let (jobs, sum) = self.csv.get_or_insert_default();
            *jobs += 1;
            sum.completed += csv.completed;
            sum.failed += csv.failed;
            sum.spend += csv.spend;
        }
        for (code, spend) in run.failures {
            *self.failures.entry(code).or_default() += spend;
        }
        self.runs.push(RunLine {
            run_id: run.run_id,
            kind: run.kind,
            status: run.status,
            started_at: run.started_at,
            fan_out: run.fan_out,
        });
    }

    /// Names a run that can't be read.
    pub fn leave_out(&mut self, run: String, why: String) {
        self.left_out.push((run, why));
    }

    /// All figures as one object:
    ///
    /// ```text
    /// {v: 1, by, too_few_below,
    ///  runs: [{mesh_run_id, kind, status, started, fan_out: null | {asked, attempts, seconds, ready_seconds, reached, reached_share,
    ///          busy_slot_seconds, idle_slot_seconds: {cause: seconds}}}],
    ///  left_out: [{run, why}],
    ///  tasks: SUMS, groups: [{name, …SUMS}],
    ///  csv: null | {jobs, completed, failed, spent: SPENT},
    ///  roles: [{role, critiques, quiet_critiques, dissent, assent: {said, first_patch, changed: RATE}, right_votes: RATE}],
    ///  failures: [{code, …SPENT}]}
    /// SUMS  = {tasks, completed, accepted, blocked: {reason: count}, undone, conflicts, open, spent: SPENT,
    ///          per_done_task: {rows, tokens, cost_usd, worker_minutes, elapsed_minutes},
    ///          votes: {decisions, validated, passed, weak, brier, brier_of_base_rate, is_too_few, too_few_below,
    ///                  buckets: [{agree, …RATE}]}}
    /// SPENT = {rows, attempts, worker_seconds, tokens, cost_usd}
    /// RATE  = {hits, of, share, low, high, is_too_few}
    /// ```
    ///
    /// What nobody reported, and what has no cases, is null.
    pub fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| {
            json!({
                "mesh_run_id": run.run_id, "kind": run.kind, "status": run.status, "started": run.started_at,
                "fan_out": run.fan_out.as_ref().map(FanOut::json),
            })
        });
        let left_out = self.left_out.iter();
        let left_out = left_out.map(|(run, why)| json!({"run": run, "why": why}));
        let named = |key: &str, name: &str, mut json: Value| {
            json[key] = json!(name);
            json
        };
        let groups = self.groups.iter();
        let groups = groups.map(|(name, sums)| named("name", name, sums.json()));
        let roles = self.roles.iter();
        let roles = roles.map(|(role, effect)| named("role", role, effect.json()));
        json!({
            "v": 1,
            "by": self.by.map(By::as_str),
            "too_few_below": TOO_FEW,
            "runs": runs.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
            "tasks": self.tasks.json(),
            "groups": groups.collect::<Vec<_>>(),
            "csv": self.csv.map(|(jobs, sum)| {
                json!({"jobs": jobs, "completed": sum.completed, "failed": sum.failed, "spent": sum.spend.json()})
            }),
            "roles": roles.collect::<Vec<_>>(),
            "failures": failures_json(&self.failures),
        })
    }
}
