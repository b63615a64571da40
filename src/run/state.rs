//! What is known of a run: a fold over its ledger. Nothing else says what has happened.

use crate::job::{self, AttemptCounts};
use crate::ledger::Record;
use crate::model::{
    BlockReason, Event, IntegrationFinished, IntegrationOutcome, IntegrationStarted, PlanMutated,
    RowId, RowKey, RunFinished, RunKind, RunStarted, UnitId, VerdictKind, VerdictRecord, Violation,
    WaveCompiled, WaveNo,
};
use crate::protocol::{Answer, Integration, UnitState};
use serde_json::Value;

/// How a task ended in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The plan status it has now.
    pub status: String,
    /// The block reason.
    pub reason: Option<BlockReason>,
    /// The block reason in words.
    pub detail: Option<String>,
}

/// A task that was taken up.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The task.
    pub id: UnitId,
    /// Rounds, tallies, integration.
    pub state: UnitState,
    /// The before-state of an integration that has not finished.
    pub open_integration: Option<IntegrationStarted>,
    /// The last integration that finished.
    pub integration: Option<IntegrationFinished>,
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
    /// The substrate's job; set when it began.
    pub job_id: Option<crate::model::JobId>,
    /// Rows with a verdict.
    pub judged: Vec<RowId>,
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
    /// Tasks, in the order in which they were taken up.
    pub units: Vec<Unit>,
    /// Waves, in order.
    pub waves: Vec<Wave>,
    /// Every change of the plan file.
    pub mutations: Vec<PlanMutated>,
    /// Changes that nobody may make.
    pub violations: Vec<Violation>,
    /// The rows of a spawned CSV.
    pub spawned: Option<job::State>,
    /// How it ended, if it did.
    pub finished: Option<RunFinished>,
}

impl State {
    /// Folds a whole ledger.
    pub fn fold(records: &[Record]) -> Self {
        let mut state = Self::default();
        for record in records {
            if state.started_at.is_empty() {
                state.started_at.clone_from(&record.ts);
            }
            state.apply(&record.event);
        }
        state
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::RunStarted(body) => {
                let is_spawn = body.kind == RunKind::Spawn;
                self.spawned = is_spawn.then(|| job::State::new(WaveNo(1)));
                self.started = Some(body.clone());
            }
            Event::WaveCompiled(body) => self.compiled(body),
            Event::WaveStarted(body) => {
                if let Some(job) = &mut self.spawned {
                    job.apply(event);
                }
                if let Some(wave) = self.wave_mut(body.wave) {
                    wave.job_id = Some(body.job_id.clone());
                    wave.job.apply(event);
                }
            }
            Event::AttemptStarted(body) => self.row_event(body.wave, event),
            Event::AttemptReported(body) => self.row_event(body.wave, event),
            Event::AttemptFinished(body) => self.row_event(body.wave, event),
            Event::Verdict(body) => self.judged(body),
            Event::Tally(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.state.tallies.push(body.clone());
                }
            }
            Event::IntegrationStarted(body) => self.integration_started(body),
            Event::ValidationFinished(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.state.validations.push(body.clone());
                }
            }
            Event::IntegrationFinished(body) => self.integration_finished(body),
            Event::PlanMutated(body) => self.mutated(body),
            Event::Violation(body) => self.violations.push(body.clone()),
            // A resumed run has ended before and goes on: the last word counts.
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

    /// Where the rows of a spawned CSV go.
    pub fn spawned_output(&self) -> Option<&str> {
        let settings = &self.started.as_ref()?.settings;
        settings["job"]["output_csv_path"].as_str()
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

    fn unit_mut(&mut self, id: &UnitId) -> Option<&mut Unit> {
        self.units.iter_mut().find(|unit| unit.id == *id)
    }

    fn wave_mut(&mut self, number: WaveNo) -> Option<&mut Wave> {
        self.waves
            .iter_mut()
            .rev()
            .find(|wave| wave.compiled.wave == number)
    }

    fn row_event(&mut self, wave: WaveNo, event: &Event) {
        if let Some(job) = &mut self.spawned {
            job.apply(event);
        }
        if let Some(wave) = self.wave_mut(wave) {
            wave.job.apply(event);
        }
    }

    fn compiled(&mut self, body: &WaveCompiled) {
        let keys: Vec<RowKey> = body.rows.iter().filter_map(RowKey::parse).collect();
        for unit in &mut self.units {
            let mine = || keys.iter().filter(|key| key.unit == unit.id);
            if let Some(first) = mine().next() {
                let roles: Vec<_> = mine().map(|key| key.role.clone()).collect();
                unit.state.emitted(&body.round, first.attempt, roles);
            }
        }
        let mut job = job::State::new(body.wave);
        job.expect(body.rows.len() as u64);
        self.waves.push(Wave {
            compiled: body.clone(),
            job,
            job_id: None,
            judged: Vec::new(),
        });
    }

    fn judged(&mut self, body: &VerdictRecord) {
        let result = self.result_of(body.wave, &body.item_id);
        if let Some(wave) = self.wave_mut(body.wave)
            && !wave.judged.contains(&body.item_id)
        {
            wave.judged.push(body.item_id.clone());
        }
        let Some(key) = RowKey::parse(&body.item_id) else {
            return;
        };
        let Some(unit) = self.unit_mut(&key.unit) else {
            return;
        };
        let code = body.code.clone().unwrap_or_default();
        let detail = body.detail.clone().unwrap_or_default();
        let answer = match (body.verdict, result) {
            (VerdictKind::Accepted, Some(result)) => Answer::Accepted(result),
            (VerdictKind::Accepted, None) | (VerdictKind::Rejected, _) => {
                Answer::Rejected { code, detail }
            }
            (VerdictKind::Retry, _) => Answer::Retry { code, detail },
        };
        unit.state
            .answered(&key.round, key.attempt, &key.role, answer);
        if let Some(checks) = &body.checks {
            unit.state.checked(&key.round, key.attempt, checks.clone());
        }
    }

    /// The reported result of a row.
    fn result_of(&self, wave: WaveNo, row: &RowId) -> Option<Value> {
        let wave = self.wave(wave)?;
        let index = wave.compiled.rows.iter().position(|id| id == row)?;
        let text = wave.job.item(index as u64)?.result.as_deref()?;
        serde_json::from_str(text).ok()
    }

    fn integration_started(&mut self, body: &IntegrationStarted) {
        if let Some(unit) = self.unit_mut(&body.unit) {
            unit.state.integration = Integration::Started;
            unit.state.validations.clear();
            unit.open_integration = Some(body.clone());
        }
    }

    fn integration_finished(&mut self, body: &IntegrationFinished) {
        let Some(unit) = self.unit_mut(&body.unit) else {
            return;
        };
        let detail = body.detail.clone().unwrap_or_default();
        unit.open_integration = None;
        unit.integration = Some(body.clone());
        unit.state.integration = match (body.outcome, body.reason) {
            (IntegrationOutcome::Applied, _) => {
                unit.state.changed_paths.clone_from(&body.paths);
                Integration::Applied
            }
            (IntegrationOutcome::RolledBack, _) => Integration::None,
            (_, Some(reason)) => Integration::Failed(reason, detail),
            (_, None) => Integration::Failed(BlockReason::AmbiguousIntegration, detail),
        };
    }

    fn mutated(&mut self, body: &PlanMutated) {
        self.mutations.push(body.clone());
        if body.status == "in_progress" {
            if self.unit(&body.unit).is_none() {
                self.units.push(Unit {
                    id: body.unit.clone(),
                    state: UnitState::default(),
                    open_integration: None,
                    integration: None,
                    ended: None,
                });
            }
        } else if let Some(unit) = self.unit_mut(&body.unit) {
            unit.ended = Some(Ended {
                status: body.status.clone(),
                reason: body.reason,
                detail: body.detail.clone(),
            });
        }
    }
}
