//! What is known of a run: a fold over its ledger. Nothing else says what has happened.

use crate::job::{AttemptCounts, Spent};
use crate::ledger::{LedgerError, Record};
use crate::model::{
    AttemptEnd, AttemptFinished, AttemptReported, AttemptStarted, Backpressure, BlockReason, Event,
    Fault, Hydrated, IntegrationFinished, IntegrationOutcome, IntegrationStarted, LearningAppended,
    PlanConflict, PlanMutated, ProtocolChanged, RowId, RowKey, RunFinished, RunKind, RunStarted,
    Stage, UnitId, ValidationFinished, VerdictKind, VerdictRecord, Violation, WaveCompiled, WaveNo,
};
use crate::platform::clock;
use crate::protocol::{Answer, Integration, UnitState};
use crate::{job, ledger};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How a task ended in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The plan status it has now.
    pub status: String,
    /// The block reason.
    pub reason: Option<BlockReason>,
    /// The block reason in words.
    pub detail: Option<String>,
    /// Somebody else gave it its status, and the run left it alone.
    pub is_conflict: bool,
}

/// A task that was taken up.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The task.
    pub id: UnitId,
    /// Rounds, tallies, integration.
    pub state: UnitState,
    /// It was taken up before its dependencies were completed, and the plan does not say `in_progress` yet.
    pub is_early: bool,
    /// The before-state of an integration that has not finished.
    pub open_integration: Option<IntegrationStarted>,
    /// The last integration that finished.
    pub integration: Option<IntegrationFinished>,
    /// What its rows used, and how many were begun.
    pub spent: Spent,
    /// Validation commands that were run for the voters, in order.
    pub previews: Vec<ValidationFinished>,
    /// Paths of the user's tree that changed while its commands ran in another one.
    pub changed_meanwhile: BTreeSet<PathBuf>,
    /// Answers that were not usable, in order.
    pub refusals: Vec<VerdictRecord>,
    /// Set when the outcome is persisted.
    pub ended: Option<Ended>,
}

/// A wave with the state of its rows.
#[derive(Clone, Debug)]
pub struct Wave {
    /// Its files and rows.
    pub compiled: WaveCompiled,
    /// Its rows.
    pub job: job::State,
    /// Codes of failed attempts, also of those after which the row was tried again.
    pub failures: BTreeSet<String>,
    /// What its rows answered, by index.
    pub answers: BTreeMap<u64, RowAnswer>,
    /// The substrate's job; set when it began.
    pub job_id: Option<crate::model::JobId>,
    /// Rows with a verdict.
    pub judged: Vec<RowId>,
    /// Those of them that were not accepted, each with its code.
    pub refused: Vec<(RowId, String)>,
}

/// What a row of a wave answered.
#[derive(Clone, Debug, Default)]
pub struct RowAnswer {
    /// The result that was taken.
    pub result: Option<Value>,
    /// Names of the secrets that were taken out of it.
    pub redacted: Vec<String>,
    /// `code: text` of the last failed attempt.
    pub last_error: Option<String>,
    /// What kept its worker from an answer, where that was not the row's.
    pub fault: Option<Fault>,
}

impl Wave {
    /// Rows without a verdict.
    pub fn is_open(&self) -> bool {
        self.judged.len() < self.compiled.rows.len()
    }
}

/// Everything that is known of a run.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// How it began.
    pub started: Option<RunStarted>,
    /// When, as the ledger has it.
    pub started_at: String,
    /// Where the rows of a spawned CSV were written last.
    output: Option<PathBuf>,
    /// Attempts that began and were not seen to end, by wave, row and number.
    open_attempts: BTreeMap<(WaveNo, u64, u32), RowId>,
    /// Tasks, in the order in which they were taken up.
    pub units: Vec<Unit>,
    /// Waves, in order.
    pub waves: Vec<Wave>,
    /// Every change of the plan file.
    pub mutations: Vec<PlanMutated>,
    /// Metadata that workers proposed.
    pub hydrations: Vec<Hydrated>,
    /// Tasks that went over to another protocol.
    pub protocol_changes: Vec<ProtocolChanged>,
    /// Changes of the concurrency number.
    pub pressures: Vec<Backpressure>,
    /// The concurrency number under backpressure.
    pub reduced_concurrency: Option<usize>,
    /// By command, how it ended without any patch since the last one that was applied.
    pub before: BTreeMap<String, ValidationFinished>,
    /// What was learned, in order.
    pub learnings: Vec<LearningAppended>,
    /// Changes that nobody may make.
    pub violations: Vec<Violation>,
    /// Until then the account's quota is used up, as far as was last known.
    pub account_until: Option<Timestamp>,
    /// The rows of a spawned CSV.
    pub spawned: Option<job::State>,
    /// How it ended, if it did.
    pub finished: Option<RunFinished>,
}

impl State {
    /// What the ledger at `path` says.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let mut state = Self::default();
        ledger::scan(path, |record, place| state.take(&record, place))?;
        Ok(state)
    }

    /// Takes in one record of a ledger, and where it stands there.
    pub fn take(&mut self, record: &Record, place: u64) {
        if self.started_at.is_empty() {
            self.started_at.clone_from(&record.ts);
        }
        self.apply(&record.event, place);
    }

    /// Takes in one event, and where the ledger has it.
    pub fn apply(&mut self, event: &Event, place: u64) {
        // What comes behind an end is a resumed run, which has not ended.
        self.finished = None;
        match event {
            Event::RunStarted(body) => {
                let is_spawn = body.kind == RunKind::Spawn;
                self.spawned = is_spawn.then(|| job::State::new(WaveNo(1)));
                self.started = Some(body.clone());
            }
            Event::RunResumed(body) => {
                if let Some(started) = &mut self.started {
                    started.change(body);
                }
                if body.names_output() {
                    self.output = None;
                }
            }
            Event::OutputWritten(body) => self.output = Some(body.path.clone()),
            Event::WaveCompiled(body) => self.compiled(body),
            Event::WaveStarted(body) => {
                if let Some(job) = &mut self.spawned {
                    job.apply(event, place);
                }
                if let Some(wave) = self.wave_mut(body.wave) {
                    wave.job_id = Some(body.job_id.clone());
                    wave.job.apply(event, place);
                }
            }
            Event::AttemptStarted(body) => {
                // Of a spawned CSV nobody asks, and it may have a million rows.
                if self.spawned.is_none() {
                    self.row_began(body);
                    let key = (body.wave, body.row_index, body.attempt);
                    self.open_attempts.insert(key, body.item_id.clone());
                }
                self.row_event(body.wave, event, place);
            }
            Event::AttemptReported(body) => self.reported(body, event, place),
            Event::AttemptFinished(body) => self.attempt_finished(body, event, place),
            Event::RowsReopened(body) => self.row_event(body.wave, event, place),
            Event::RateLimited(body) => {
                let until = body.account_until.as_deref().and_then(clock::read);
                self.account_until = until.or(self.account_until);
                self.row_event(body.wave, event, place);
            }
            Event::ReportRefused(_) | Event::BudgetReached(_) => {}
            Event::Verdict(body) => self.judged(body),
            Event::Tally(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.state.record_tally(body.clone());
                }
            }
            Event::Backpressure(body) => {
                self.reduced_concurrency = Some(body.to);
                self.pressures.push(body.clone());
            }
            // The plan has it as well.
            Event::Hydrated(body) => self.hydrations.push(body.clone()),
            Event::ProtocolChanged(body) => {
                self.protocol_changes.push(body.clone());
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.state.change_protocol(&body.to, body.keeps);
                }
            }
            Event::IntegrationStarted(body) => self.integration_started(body),
            Event::ValidationFinished(body) => self.validated(body),
            Event::IntegrationFinished(body) => self.integration_finished(body),
            Event::BeganEarly(body) => {
                self.admitted(&body.unit).is_early = true;
            }
            Event::PlanMutated(body) => self.mutated(body),
            Event::PlanConflict(body) => self.released(body),
            Event::LearningAppended(body) => self.learnings.push(body.clone()),
            Event::Violation(body) => self.violations.push(body.clone()),
            Event::RunFinished(body) => self.finished = Some(body.clone()),
            Event::Unknown { .. } => {}
        }
    }

    /// The task `id`, if it was taken up.
    pub fn unit(&self, id: &UnitId) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.id == *id)
    }

    /// Tasks whose outcome is not persisted.
    pub fn in_flight(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.ended.is_none())
    }

    /// The wave `number`.
    pub fn wave(&self, number: WaveNo) -> Option<&Wave> {
        self.waves.iter().find(|wave| wave.compiled.wave == number)
    }

    /// A run that goes on asks anew where nothing but the service or the machine kept a worker from an answer.
    pub fn forget_faults(&mut self) {
        for unit in &mut self.units {
            unit.state.forget_faults();
        }
    }

    /// Where the rows of a spawned CSV go.
    pub fn spawned_output(&self) -> Option<&Path> {
        let settings = &self.started.as_ref()?.settings;
        let wanted = settings["job"]["output_csv_path"].as_str().map(Path::new);
        self.output.as_deref().or(wanted)
    }

    /// The number of the next wave.
    pub fn next_wave(&self) -> WaveNo {
        WaveNo(self.waves.last().map_or(1, |wave| wave.compiled.wave.0 + 1))
    }

    /// Attempts over all waves.
    pub fn attempts(&self) -> AttemptCounts {
        let mut sum = AttemptCounts::default();
        for wave in &self.waves {
            sum += wave.job.attempts;
        }
        sum
    }

    /// What all waves used up.
    pub fn spent(&self) -> Spent {
        let mut sum = Spent::default();
        for wave in &self.waves {
            sum += wave.job.spent;
        }
        sum
    }

    /// The rows whose attempts began and were not seen to end.
    pub fn stragglers(&self) -> Vec<String> {
        let rows = self.open_attempts.values();
        rows.map(ToString::to_string).collect()
    }

    fn unit_mut(&mut self, id: &UnitId) -> Option<&mut Unit> {
        self.units.iter_mut().find(|unit| unit.id == *id)
    }

    fn wave_mut(&mut self, number: WaveNo) -> Option<&mut Wave> {
        self.waves
            .iter_mut()
            .rev()
            .find(|wave| wave.compiled.wave == number)
    }

    fn row_event(&mut self, wave: WaveNo, event: &Event, place: u64) {
        if let Some(job) = &mut self.spawned {
            job.apply(event, place);
        }
        if let Some(wave) = self.wave_mut(wave) {
            wave.job.apply(event, place);
        }
    }

    fn reported(&mut self, body: &AttemptReported, event: &Event, place: u64) {
        self.row_event(body.wave, event, place);
        if let Some(wave) = self.wave_mut(body.wave) {
            let answer = wave.answers.entry(body.row_index).or_default();
            answer.result = Some(body.result.clone());
            answer.redacted.clone_from(&body.redacted);
            answer.last_error = None;
        }
    }

    fn row_began(&mut self, body: &AttemptStarted) {
        let key = RowKey::parse(&body.item_id).filter(|_| body.attempt == 1);
        if let Some(unit) = key.and_then(|key| self.unit_mut(&key.unit)) {
            unit.spent.rows += 1;
        }
    }

    fn attempt_finished(&mut self, body: &AttemptFinished, event: &Event, place: u64) {
        let key = (body.wave, body.row_index, body.attempt);
        self.open_attempts.remove(&key);
        self.row_event(body.wave, event, place);
        if let Some(usage) = body.usage
            && let Some(key) = RowKey::parse(&body.item_id)
            && let Some(unit) = self.unit_mut(&key.unit)
        {
            unit.spent.usage += usage;
            unit.spent.attempts += 1;
        }
        if matches!(body.end, AttemptEnd::Failed | AttemptEnd::Retry)
            && let Some(wave) = self.wave_mut(body.wave)
        {
            let code = body
                .error
                .as_deref()
                .and_then(|error| error.split(':').next());
            wave.failures.extend(code.map(str::to_owned));
            let answer = wave.answers.entry(body.row_index).or_default();
            answer.last_error.clone_from(&body.error);
            answer.fault = body.fault.as_ref().map(|fault| fault.kind);
        }
    }

    fn compiled(&mut self, body: &WaveCompiled) {
        let keys: Vec<RowKey> = body.rows.iter().filter_map(RowKey::parse).collect();
        for unit in &mut self.units {
            let mine = || keys.iter().filter(|key| key.unit == unit.id);
            if let Some(first) = mine().next() {
                let roles: Vec<_> = mine().map(|key| key.role.clone()).collect();
                unit.state
                    .record_emission(&body.round, first.attempt, roles);
            }
        }
        let mut job = job::State::new(body.wave);
        job.expect(body.rows.len() as u64);
        self.waves.push(Wave {
            compiled: body.clone(),
            job,
            failures: BTreeSet::new(),
            answers: BTreeMap::new(),
            job_id: None,
            judged: Vec::new(),
            refused: Vec::new(),
        });
    }

    fn judged(&mut self, body: &VerdictRecord) {
        let result = self.result_of(body.wave, &body.item_id);
        if let Some(wave) = self.wave_mut(body.wave)
            && !wave.judged.contains(&body.item_id)
        {
            wave.judged.push(body.item_id.clone());
            if body.verdict != VerdictKind::Accepted {
                let code = body.code.clone().unwrap_or_default();
                wave.refused.push((body.item_id.clone(), code));
            }
        }
        let Some(key) = RowKey::parse(&body.item_id) else {
            return;
        };
        let Some(unit) = self.unit_mut(&key.unit) else {
            return;
        };
        if body.verdict != VerdictKind::Accepted {
            unit.refusals.push(body.clone());
        }
        let code = body.code.clone().unwrap_or_default();
        let detail = body.detail.clone().unwrap_or_default();
        let answer = match (body.verdict, result) {
            (VerdictKind::Retry | VerdictKind::Rejected, _) if body.fault.is_some() => {
                Answer::Fault {
                    detail: format!("{code}: {detail}"),
                    is_final: body.verdict == VerdictKind::Rejected,
                }
            }
            (VerdictKind::Accepted, Some(result)) => Answer::Accepted(result),
            (VerdictKind::Accepted, None) | (VerdictKind::Rejected, _) => {
                Answer::Rejected { code, detail }
            }
            (VerdictKind::Retry, _) => Answer::Retry { code, detail },
        };
        unit.state
            .record_answer(&key.round, key.attempt, &key.role, answer);
        if let Some(checks) = &body.checks {
            unit.state
                .record_checks(&key.round, key.attempt, checks.clone());
        }
    }

    /// The reported result of a row.
    fn result_of(&self, wave: WaveNo, row: &RowId) -> Option<Value> {
        let wave = self.wave(wave)?;
        let index = wave.compiled.rows.iter().position(|id| id == row)?;
        wave.answers.get(&(index as u64))?.result.clone()
    }

    fn integration_started(&mut self, body: &IntegrationStarted) {
        if let Some(unit) = self.unit_mut(&body.unit) {
            unit.state.integration = Integration::Started;
            unit.open_integration = Some(body.clone());
        }
    }

    fn validated(&mut self, body: &ValidationFinished) {
        if body.stage == Stage::Before {
            self.before.insert(body.command.clone(), body.clone());
        }
        let Some(unit) = self.unit_mut(&body.unit) else {
            return;
        };
        let changed = body.changed_meanwhile.iter().cloned();
        unit.changed_meanwhile.extend(changed);
        let runs = match body.stage {
            Stage::Before => return,
            Stage::Preview => &mut unit.previews,
            Stage::Integration => &mut unit.state.validations,
        };
        // The first command again: of an integration that was interrupted, or of another patch.
        if body.number == 1 {
            runs.clear();
        }
        runs.push(body.clone());
    }

    fn integration_finished(&mut self, body: &IntegrationFinished) {
        let mut is_other_tree = false;
        let Some(unit) = self.unit_mut(&body.unit) else {
            return;
        };
        let detail = body.detail.clone().unwrap_or_default();
        unit.open_integration = None;
        unit.integration = Some(body.clone());
        unit.state.integration = match (body.outcome, body.reason) {
            (IntegrationOutcome::Applied, _) => {
                is_other_tree = true;
                unit.state.changed_paths.clone_from(&body.paths);
                Integration::Applied
            }
            (IntegrationOutcome::RolledBack, _) => Integration::None,
            (_, Some(reason)) => Integration::Failed(reason, detail),
            (_, None) => Integration::Failed(BlockReason::AmbiguousIntegration, detail),
        };
        if is_other_tree {
            self.before.clear();
        }
    }

    fn admitted(&mut self, id: &UnitId) -> &mut Unit {
        let known = self.units.iter().position(|unit| unit.id == *id);
        let at = known.unwrap_or_else(|| {
            self.units.push(Unit {
                id: id.clone(),
                state: UnitState::default(),
                is_early: false,
                spent: Spent::default(),
                open_integration: None,
                integration: None,
                previews: Vec::new(),
                changed_meanwhile: BTreeSet::new(),
                refusals: Vec::new(),
                ended: None,
            });
            self.units.len() - 1
        });
        &mut self.units[at]
    }

    fn mutated(&mut self, body: &PlanMutated) {
        self.mutations.push(body.clone());
        if body.status == "in_progress" {
            self.admitted(&body.unit).is_early = false;
        } else if let Some(unit) = self.unit_mut(&body.unit) {
            unit.ended = Some(Ended {
                status: body.status.clone(),
                reason: body.reason,
                detail: body.detail.clone(),
                is_conflict: false,
            });
        }
    }

    fn released(&mut self, body: &PlanConflict) {
        if let Some(unit) = self.unit_mut(&body.unit) {
            unit.ended = Some(Ended {
                status: body.found.clone(),
                reason: None,
                detail: Some(body.message()),
                is_conflict: true,
            });
        }
    }
}
