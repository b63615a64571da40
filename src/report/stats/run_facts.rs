//! What one run adds to the figures: a fold over its ledger and nothing else.

use super::effect::{EffectFold, Remark, RoleEffect};
use super::failures::{FailureFold, Failures};
use super::fan_out::FanOutFold;
use super::idle::FanOut;
use super::spend::Spend;
use super::votes::Decision;
use crate::adapter::agent_and_model;
use crate::job::Worker;
use crate::ledger;
use crate::ledger::Record;
use crate::model::{
    AttemptFinished, Event, IntegrationFinished, IntegrationOutcome, ProtocolChanged, Risk, RowId,
    RowKey, RunId, RunKind, Stage, Tally, UnitId, ValidationFinished, VerdictKind, VerdictRecord,
    WaveCompiled, WaveNo,
};
use crate::platform::clock;
use crate::protocol::{AGREE, DISAGREE};
use crate::report::view::{ViewError, role_workers, run_status};
use crate::run::{ACCEPTED, REJECTED, RunFolder, State, Unit};
use std::collections::{BTreeMap, HashMap};

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// Its patch is integrated.
    Completed,
    /// Its patch is accepted and kept (`integrate=false`).
    Accepted,
    /// It is blocked, or its patch is not accepted, for this reason.
    Blocked(String),
    /// Its patch was taken back by `mesh undo`.
    Undone,
    /// A person or another run changed its status.
    Conflict,
    /// It has not ended.
    Open,
}

/// One task of a run.
#[derive(Clone, Debug)]
pub struct TaskFacts {
    /// The protocol that it ended under.
    pub protocol: String,
    /// Its risk, if the ledger has it.
    pub risk: Option<Risk>,
    /// How it ended.
    pub end: TaskEnd,
    /// From its admission to its end, in milliseconds; without the time in which its patch was only kept.
    pub elapsed_ms: Option<u64>,
    /// What its rows took, by role.
    pub roles: BTreeMap<String, Spend>,
    /// Its votes, in order.
    pub decisions: Vec<Decision>,
    /// What its roles said, and what became of it.
    pub effects: BTreeMap<String, RoleEffect>,
}

/// The rows of a spawned CSV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CsvFacts {
    /// Rows with a result.
    pub completed: u64,
    /// Rows that failed.
    pub failed: u64,
    /// What they took.
    pub spend: Spend,
}

/// One run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The run.
    pub run_id: RunId,
    /// Plan or spawn.
    pub kind: RunKind,
    /// Its status in one word.
    pub status: String,
    /// When it started, in the ledger's format.
    pub started_at: String,
    /// The adapter.
    pub adapter: String,
    /// The model, if one is set.
    pub model: Option<String>,
    /// Adapter and model of the roles that are bound to others.
    pub roles: BTreeMap<String, (String, Option<String>)>,
    /// Its tasks, in the order of their admission.
    pub tasks: Vec<TaskFacts>,
    /// Its rows, if it is a spawned CSV.
    pub csv: Option<CsvFacts>,
    /// What failures cost.
    pub failures: Failures,
    /// How many rows ran at once.
    pub fan_out: Option<FanOut>,
}

impl RunFacts {
    /// Reads the ledger of a run, also of one that is going on.
    ///
    /// # Errors
    /// The ledger is damaged or of a later version, or has no start.
    pub fn read(folder: &RunFolder) -> Result<Self, ViewError> {
        let is_driven = ledger::is_in_use(&folder.ledger()).unwrap_or(false);
        let mut fold = Fold::default();
        ledger::scan(&folder.ledger(), |record, place| fold.apply(&record, place))?;
        fold.finish(folder.id(), is_driven)
            .ok_or_else(|| ViewError::NotStarted(folder.id().to_string()))
    }
}

/// What the events of one task say.
#[derive(Clone, Debug, Default)]
struct TaskFold {
    protocol: Option<String>,
    risk: Option<Risk>,
    /// Since when it is under way, unless it has ended.
    since_ms: Option<i64>,
    elapsed_ms: Option<u64>,
    roles: BTreeMap<String, Spend>,
    decisions: Vec<Decision>,
    effects: EffectFold,
    /// Outcomes of the commands of the last series: before the vote, and of the integration.
    previews: Vec<bool>,
    validations: Vec<bool>,
}

/// The fold over the records of a run.
#[derive(Clone, Debug, Default)]
struct Fold {
    state: State,
    fan_out: FanOutFold,
    failures: FailureFold,
    csv: Spend,
    tasks: HashMap<UnitId, TaskFold>,
    /// Answers that await their verdict.
    answers: HashMap<(WaveNo, RowId), Remark>,
}

impl Fold {
    fn apply(&mut self, record: &Record, place: u64) {
        let at = clock::read(&record.ts).map_or(0, |time| time.as_millisecond());
        self.fan_out.apply(record);
        match &record.event {
            Event::WaveCompiled(body) => self.compiled(body),
            Event::AttemptFinished(body) => self.attempt(body),
            Event::AttemptReported(body) if self.is_plan() => {
                let key = (body.wave, body.item_id.clone());
                self.answers.insert(key, Remark::of(&body.result));
            }
            Event::Verdict(body) => self.verdict(body),
            Event::Tally(body) => self.tally(body),
            Event::ValidationFinished(body) => self.validation(body),
            Event::IntegrationFinished(body) => self.integrated(body),
            Event::TaskDecided(body) => {
                self.task(&body.unit).validated(false);
                self.task(&body.unit).end(at);
            }
            Event::ProtocolChanged(body) => self.change_protocol(body),
            Event::TaskAdmitted(body) => self.task(&body.unit).begin(at),
            Event::BeganEarly(body) => self.task(&body.unit).begin(at),
            Event::PlanMutated(body) if body.status == "in_progress" => {
                self.task(&body.unit).begin(at);
            }
            // What `mesh undo` does to the plan is not the end of the work.
            Event::PlanMutated(body) if body.status != "pending" => {
                self.task(&body.unit).end(at);
            }
            _ => {}
        }
        self.state.apply_record(record, place);
    }

    fn is_plan(&self) -> bool {
        self.state.spawned.is_none()
    }

    fn task(&mut self, unit: &UnitId) -> &mut TaskFold {
        self.tasks.entry(unit.clone()).or_default()
    }

    fn compiled(&mut self, body: &WaveCompiled) {
        let Some(protocol) = &body.protocol else {
            return;
        };
        for key in body.rows.iter().filter_map(RowKey::parse) {
            let risk = body.risks.get(&key.unit).copied();
            let task = self.task(&key.unit);
            task.risk = Some(risk.unwrap_or(Risk::Medium));
            if task.protocol.as_ref() != Some(protocol) {
                task.protocol = Some(protocol.clone());
            }
        }
    }

    fn attempt(&mut self, body: &AttemptFinished) {
        self.failures.attempt(body, self.is_plan());
        let spend = Spend::of(body);
        match RowKey::parse(&body.item_id).filter(|_| self.is_plan()) {
            Some(key) => {
                let roles = &mut self.task(&key.unit).roles;
                *roles.entry(key.role.to_string()).or_default() += spend;
            }
            None => self.csv += spend,
        }
    }

    fn verdict(&mut self, body: &VerdictRecord) {
        self.failures.verdict(body);
        let answer = self.answers.remove(&(body.wave, body.item_id.clone()));
        let accepted = answer.filter(|_| body.verdict == VerdictKind::Accepted);
        if let Some((remark, key)) = accepted.zip(RowKey::parse(&body.item_id)) {
            let emission = (key.round, key.attempt);
            let effects = &mut self.task(&key.unit).effects;
            effects.answer(key.role.as_str(), emission, &remark);
        }
    }

    fn tally(&mut self, body: &Tally) {
        let cast = body
            .votes
            .iter()
            .filter_map(|line| match line.vote.as_str() {
                AGREE => Some((line.role.to_string(), true)),
                DISAGREE => Some((line.role.to_string(), false)),
                _ => None,
            });
        let votes = cast.collect();
        let task = self.task(&body.unit);
        task.effects.tally(body);
        task.decisions.push(Decision {
            consensus: body.consensus,
            votes,
            passed: outcome(&task.previews),
            is_weak: false,
        });
        task.previews.clear();
    }

    fn validation(&mut self, body: &ValidationFinished) {
        let task = self.task(&body.unit);
        let series = match body.stage {
            Stage::Before => return,
            Stage::Preview => &mut task.previews,
            Stage::Integration => &mut task.validations,
        };
        if body.number == 1 {
            series.clear();
        }
        series.push(body.passed());
    }

    fn integrated(&mut self, body: &IntegrationFinished) {
        let task = self.task(&body.unit);
        match body.outcome {
            // mesh was killed in between; the validation runs again.
            IntegrationOutcome::RolledBack => task.validations.clear(),
            _ => task.validated(!body.passed_before.is_empty()),
        }
    }

    fn change_protocol(&mut self, body: &ProtocolChanged) {
        let task = self.task(&body.unit);
        task.protocol = Some(body.to.clone());
        if !body.keeps {
            task.effects.start_over();
        }
    }

    fn finish(self, run_id: &RunId, is_driven: bool) -> Option<RunFacts> {
        let Self {
            state,
            fan_out,
            failures,
            csv,
            mut tasks,
            ..
        } = self;
        let started = state.started.as_ref()?;
        let settings = &started.settings;
        let worker = match started.kind {
            RunKind::Plan => &settings["worker"],
            RunKind::Spawn => &settings["job"]["worker"],
        };
        let worker: Option<Worker> = serde_json::from_value(worker.clone()).ok();
        let protocol = settings["protocol"].as_str().unwrap_or_default();
        let facts = state.units.iter().map(|unit| {
            let fold = tasks.remove(&unit.id).unwrap_or_default();
            fold.finish(unit, protocol)
        });
        let tasks = facts.collect();
        let counts = state.spawned.as_ref().map(|job| job.counts());
        Some(RunFacts {
            run_id: run_id.clone(),
            kind: started.kind,
            status: run_status(&state, is_driven).to_owned(),
            started_at: state.started_at.clone(),
            adapter: adapter(settings, worker.as_ref()),
            model: worker.as_ref().and_then(|worker| agent_and_model(worker).1),
            roles: bound_agents(settings),
            tasks,
            csv: counts.map(|counts| CsvFacts {
                completed: counts.completed,
                failed: counts.failed,
                spend: csv,
            }),
            failures: failures.finish(),
            fan_out: fan_out.receipt(),
        })
    }
}

fn adapter(settings: &serde_json::Value, worker: Option<&Worker>) -> String {
    let of_plan = settings["adapter"].as_str().map(str::to_owned);
    let of_worker = || worker.map(|worker| worker.adapter.clone());
    of_plan.or_else(of_worker).unwrap_or_default()
}

fn bound_agents(settings: &serde_json::Value) -> BTreeMap<String, (String, Option<String>)> {
    let roles = role_workers(settings).into_iter();
    let agents = roles.map(|(role, worker)| {
        let model = agent_and_model(&worker).1;
        (role, (worker.adapter, model))
    });
    agents.collect()
}

/// Whether all commands passed; none if none ran.
fn outcome(commands: &[bool]) -> Option<bool> {
    (!commands.is_empty()).then(|| commands.iter().all(|passed| *passed))
}

impl TaskFold {
    fn begin(&mut self, at: i64) {
        self.since_ms.get_or_insert(at);
    }

    /// The task has ended; one whose kept patch is taken later is under way once more.
    fn end(&mut self, at: i64) {
        let since = self.since_ms.take();
        let elapsed = since.and_then(|since| u64::try_from(at - since).ok());
        if let Some(elapsed) = elapsed {
            *self.elapsed_ms.get_or_insert(0) += elapsed;
        }
    }

    /// The validation of the patch that was voted on has ended.
    fn validated(&mut self, is_weak: bool) {
        let passed = outcome(&self.validations);
        self.validations.clear();
        let voted = self.decisions.last_mut().filter(|vote| vote.consensus);
        if let Some(decision) = voted.filter(|_| passed.is_some()) {
            decision.passed = passed;
            decision.is_weak = is_weak;
        }
    }

    fn finish(self, unit: &Unit, protocol: &str) -> TaskFacts {
        let mut effects = self.effects.finish();
        for decision in &self.decisions {
            let Some(passed) = decision.passed else {
                continue;
            };
            for (role, agrees) in &decision.votes {
                let effect = effects.entry(role.clone()).or_default();
                effect.right_votes.count(*agrees == passed);
            }
        }
        TaskFacts {
            protocol: self.protocol.unwrap_or_else(|| protocol.to_owned()),
            risk: self.risk,
            end: end_of(unit),
            elapsed_ms: self.elapsed_ms,
            roles: self.roles,
            decisions: self.decisions,
            effects,
        }
    }
}

fn end_of(unit: &Unit) -> TaskEnd {
    let Some(ended) = &unit.ended else {
        return TaskEnd::Open;
    };
    match &ended.reason {
        _ if unit.undone.is_some() => TaskEnd::Undone,
        _ if ended.is_conflict => TaskEnd::Conflict,
        Some(reason) => TaskEnd::Blocked(reason.to_string()),
        None if ended.status == ACCEPTED => TaskEnd::Accepted,
        None if ended.status == REJECTED => TaskEnd::Blocked(REJECTED.to_owned()),
        None => TaskEnd::Completed,
    }
}

#[cfg(test)]
mod tests;
