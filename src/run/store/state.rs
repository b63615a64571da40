//! The state of a run: a fold over its ledger, and nothing else.

use super::unit::{Proposal, TaskEnd, Unit};
use super::wave::Wave;
use crate::job::{AttemptCounts, Spent};
use crate::ledger::{LedgerError, Record};
use crate::model::{
    AttemptEnd, AttemptFinished, AttemptReported, AttemptStarted, Backpressure, BlockReason, Event,
    Hydrated, IntegrationFinished, IntegrationOutcome, IntegrationStarted, LearningAppended,
    PlanConflict, PlanMutated, ProtocolChanged, RowId, RowKey, RunFinished, RunKind, RunStarted,
    Stage, TasksHeld, UndoOutcome, UnitId, ValidationFinished, VerdictKind, VerdictRecord,
    Violation, WaveCompiled, WaveNo,
};
use crate::platform::clock;
use crate::protocol::{Answer, Checked, Integration};
use crate::{job, ledger};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The state of a run.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The start of the run.
    pub started: Option<RunStarted>,
    /// The time of the start, as written in the ledger.
    pub started_at: String,
    /// The last output of a spawned CSV.
    output: Option<PathBuf>,
    /// Attempts that started and have not finished, by wave, row and number.
    open_attempts: BTreeMap<(WaveNo, u64, u32), RowId>,
    /// The tasks, in the order of their admission.
    pub units: Vec<Unit>,
    /// The indexes of the tasks.
    unit_indexes: HashMap<UnitId, usize>,
    /// The waves, in order.
    pub waves: Vec<Wave>,
    /// Every change of the plan file.
    pub mutations: Vec<Mutation>,
    /// Metadata that workers proposed.
    pub hydrations: Vec<Hydrated>,
    /// Changes of protocol.
    pub protocol_changes: Vec<ProtocolChanged>,
    /// Changes of the concurrency number.
    pub backpressure: Vec<Backpressure>,
    /// The concurrency number under backpressure.
    pub reduced_concurrency: Option<usize>,
    /// The outcome of each command without the patch, since the last patch was applied.
    pub before: BTreeMap<String, ValidationFinished>,
    /// How many patches were applied.
    pub applied: u64,
    /// Learnings, in order.
    pub learnings: Vec<LearningAppended>,
    /// Changes of the tree or the plan that no worker may make.
    pub violations: Vec<Violation>,
    /// How many tasks are left for now.
    pub held: TasksHeld,
    /// The time until which the quota of the account is used up.
    pub account_until: Option<Timestamp>,
    /// The rows of a spawned CSV.
    pub spawned: Option<job::State>,
    /// The end of the run, if it has ended.
    pub finished: Option<RunFinished>,
    /// Whether it has ever had nothing left to do.
    pub has_completed: bool,
}

/// A change of the plan file.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// The task.
    pub unit: UnitId,
    /// Its status from then on.
    pub status: Cow<'static, str>,
    /// Whether a comment was added.
    pub has_comment: bool,
}

impl Mutation {
    fn of(body: &PlanMutated) -> Self {
        // Without an allocation: there are at least as many as tasks.
        let known = ["in_progress", "completed", "blocked", "pending"];
        let known = known.into_iter().find(|known| *known == body.status);
        Self {
            unit: body.unit.clone(),
            status: known.map_or_else(|| Cow::Owned(body.status.clone()), Cow::Borrowed),
            has_comment: body.comment.is_some(),
        }
    }
}

impl State {
    /// Folds the ledger at `path`.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let mut state = Self::default();
        ledger::scan(path, |record, place| state.apply_record(&record, place))?;
        Ok(state)
    }

    /// Applies a record at offset `place` of the ledger.
    pub fn apply_record(&mut self, record: &Record, place: u64) {
        if self.started_at.is_empty() {
            self.started_at.clone_from(&record.ts);
        }
        self.apply(&record.event, place);
    }

    /// Applies an event at offset `place` of the ledger.
    pub fn apply(&mut self, event: &Event, place: u64) {
        // An event after the end is of a resumed run, unless a task is undone.
        if !self.is_of_undo(event) {
            self.finished = None;
        }
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
            Event::WaveCompiled(body) => self.apply_wave_compiled(body),
            Event::WaveStarted(body) => {
                if let Some(wave) = self.wave_mut(body.wave) {
                    wave.job_id = Some(body.job_id.clone());
                }
                self.apply_row_event(body.wave, event, place);
            }
            Event::AttemptStarted(body) => {
                // Not used for a spawned CSV, which may have a million rows.
                if self.spawned.is_none() {
                    self.count_started_row(body);
                    let key = (body.wave, body.row_index, body.attempt);
                    self.open_attempts.insert(key, body.item_id.clone());
                }
                self.apply_row_event(body.wave, event, place);
            }
            Event::AttemptReported(body) => self.apply_report(body, event, place),
            Event::AttemptFinished(body) => self.apply_attempt_finished(body, event, place),
            Event::RowsReopened(body) => self.apply_row_event(body.wave, event, place),
            Event::RateLimited(body) => {
                let until = body.account_until.as_deref().and_then(clock::read);
                self.account_until = until.or(self.account_until);
                self.apply_row_event(body.wave, event, place);
            }
            Event::ReportRefused(_) | Event::BudgetReached(_) => {}
            // In the files of slices, not in the ledger of a run.
            Event::SliceTaken(_) | Event::SliceFinished(_) => {}
            Event::Verdict(body) => self.apply_verdict(body),
            Event::Tally(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.state.record_tally(body.clone());
                }
            }
            Event::Backpressure(body) => {
                self.reduced_concurrency = Some(body.to);
                self.backpressure.push(body.clone());
            }
            Event::Hydrated(body) => self.hydrations.push(body.clone()),
            Event::ProtocolChanged(body) => {
                self.protocol_changes.push(body.clone());
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.state.change_protocol(&body.to, body.keeps);
                }
            }
            Event::IntegrationStarted(body) => self.apply_integration_started(body),
            Event::ValidationFinished(body) => self.apply_validation(body),
            Event::IntegrationFinished(body) => self.apply_integration_finished(body),
            Event::UndoStarted(body) => {
                if let Some(unit) = self.unit_mut(&body.0.unit) {
                    unit.open_undo = Some(Box::new(body.0.clone()));
                }
            }
            Event::UndoFinished(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.open_undo = None;
                    unit.undone =
                        (body.outcome == UndoOutcome::Undone).then(|| Box::new(body.clone()));
                }
            }
            // What a lease says now is in its file.
            Event::LeaseAcquired(_) => {}
            Event::TasksHeld(body) => self.held = body.clone(),
            Event::BeganEarly(body) => {
                self.unit_or_insert(&body.unit).is_early = true;
            }
            Event::TaskAdmitted(body) => {
                self.unit_or_insert(&body.unit).proposal = Some(Box::new(Proposal::of(body)));
            }
            Event::TaskDecided(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.apply_decision(body);
                }
            }
            Event::PatchTaken(body) => {
                if let Some(unit) = self.unit_mut(&body.unit) {
                    unit.apply_taken();
                }
            }
            Event::PlanMutated(body) => self.apply_plan_mutation(body),
            Event::PlanConflict(body) => self.apply_plan_conflict(body),
            Event::LearningAppended(body) => self.learnings.push(body.clone()),
            Event::Violation(body) => self.violations.push(body.clone()),
            Event::RunFinished(body) => {
                self.has_completed |= body.status == "completed";
                self.finished = Some(body.clone());
            }
            Event::Unknown { .. } => {}
        }
    }

    /// The task `id`, if it was admitted.
    pub fn unit(&self, id: &UnitId) -> Option<&Unit> {
        self.unit_indexes.get(id).map(|&at| &self.units[at])
    }

    /// The tasks whose outcome is not persisted.
    pub fn in_flight(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.ended.is_none())
    }

    /// The wave `number`.
    pub fn wave(&self, number: WaveNo) -> Option<&Wave> {
        let at = self.wave_index(number)?;
        self.waves.get(at)
    }

    /// The wave of a row, and the index of the row there.
    pub fn locate(&self, id: &RowId) -> Option<(WaveNo, u64)> {
        let unit = self.unit(&RowKey::parse(id)?.unit)?;
        let is_row = |(wave, index): &&(WaveNo, u32)| {
            let wave = self.wave(*wave);
            wave.is_some_and(|wave| wave.compiled.rows.get(*index as usize) == Some(id))
        };
        let (wave, index) = unit.rows.iter().find(is_row)?;
        Some((*wave, u64::from(*index)))
    }

    /// Forgets faults of the service or the machine, so that a resumed run asks those roles again.
    pub fn forget_faults(&mut self) {
        for unit in &mut self.units {
            unit.state.forget_faults();
        }
    }

    /// The output of a spawned CSV.
    pub fn spawned_output(&self) -> Option<&Path> {
        let settings = &self.started.as_ref()?.settings;
        let planned = settings["job"]["output_csv_path"].as_str().map(Path::new);
        self.output.as_deref().or(planned)
    }

    /// The number of the next wave.
    pub fn next_wave(&self) -> WaveNo {
        WaveNo(self.waves.last().map_or(1, |wave| wave.compiled.wave.0 + 1))
    }

    /// The attempts of all waves.
    pub fn attempts(&self) -> AttemptCounts {
        let mut sum = AttemptCounts::default();
        for wave in &self.waves {
            sum += wave.job.attempts;
        }
        sum
    }

    /// The usage of all waves.
    pub fn spent(&self) -> Spent {
        let mut sum = Spent::default();
        for wave in &self.waves {
            sum += wave.job.spent;
        }
        sum
    }

    /// The rows with attempts that have not finished.
    pub fn stragglers(&self) -> Vec<String> {
        let rows = self.open_attempts.values();
        rows.map(ToString::to_string).collect()
    }

    fn is_of_undo(&self, event: &Event) -> bool {
        let unit = match event {
            Event::UndoStarted(_) | Event::UndoFinished(_) => return true,
            Event::PlanMutated(body) => &body.unit,
            Event::PlanConflict(body) => &body.unit,
            _ => return false,
        };
        self.unit(unit).is_some_and(|unit| unit.undone.is_some())
    }

    fn unit_mut(&mut self, id: &UnitId) -> Option<&mut Unit> {
        let at = *self.unit_indexes.get(id)?;
        self.units.get_mut(at)
    }

    fn wave_mut(&mut self, number: WaveNo) -> Option<&mut Wave> {
        let at = self.wave_index(number)?;
        self.waves.get_mut(at)
    }

    /// Waves are numbered in order.
    fn wave_index(&self, number: WaveNo) -> Option<usize> {
        let found = self
            .waves
            .binary_search_by_key(&number, |wave| wave.compiled.wave);
        found.ok()
    }

    fn apply_row_event(&mut self, wave: WaveNo, event: &Event, place: u64) {
        if let Some(job) = &mut self.spawned {
            job.apply(event, place);
        }
        if let Some(wave) = self.wave_mut(wave) {
            wave.job.apply(event, place);
        }
    }

    fn apply_report(&mut self, body: &AttemptReported, event: &Event, place: u64) {
        self.apply_row_event(body.wave, event, place);
        if let Some(wave) = self.wave_mut(body.wave) {
            wave.note_gist(body.row_index, &body.result);
        }
    }

    fn count_started_row(&mut self, body: &AttemptStarted) {
        let key = RowKey::parse(&body.item_id).filter(|_| body.attempt == 1);
        if let Some(unit) = key.and_then(|key| self.unit_mut(&key.unit)) {
            unit.spent.rows += 1;
        }
    }

    fn apply_attempt_finished(&mut self, body: &AttemptFinished, event: &Event, place: u64) {
        let key = (body.wave, body.row_index, body.attempt);
        self.open_attempts.remove(&key);
        self.apply_row_event(body.wave, event, place);
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
            if let Some(code) = code.filter(|code| !wave.failures.contains(*code)) {
                wave.failures.insert(code.to_owned());
            }
        }
    }

    fn apply_wave_compiled(&mut self, body: &WaveCompiled) {
        let mut rows = (0u32..).zip(&body.rows).peekable();
        // The rows of a unit follow each other.
        while let Some((index, row)) = rows.next() {
            let Some(RowKey {
                unit,
                role,
                attempt,
                ..
            }) = RowKey::parse(row)
            else {
                continue;
            };
            let (mut roles, mut indexes) = (vec![role], vec![(body.wave, index)]);
            let is_of_unit = |row: &(u32, &RowId)| {
                let key = RowKey::parse(row.1).filter(|key| key.unit == unit);
                key.map(|key| key.role)
            };
            while let Some((role, (index, _))) =
                rows.peek().and_then(|row| Some((is_of_unit(row)?, *row)))
            {
                rows.next();
                roles.push(role);
                indexes.push((body.wave, index));
            }
            if let Some(unit) = self.unit_mut(&unit) {
                unit.state.record_emission(&body.round, attempt, roles);
                unit.add_rows(indexes);
            }
        }
        self.waves.push(Wave::new(body.clone()));
    }

    fn apply_verdict(&mut self, body: &VerdictRecord) {
        let mut result = None;
        if let Some(wave) = self.wave_mut(body.wave)
            && let Some(index) = wave.index(&body.item_id)
        {
            if !wave.mark_judged(index) {
                return;
            }
            if body.verdict == VerdictKind::Accepted {
                result = wave.answer_place(index);
            } else {
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
            let checked = Checked {
                text: checks.clone(),
                evidence: body.evidence.clone(),
            };
            unit.state
                .record_checked(&key.round, key.attempt, &key.role, checked);
        }
    }

    fn apply_integration_started(&mut self, body: &IntegrationStarted) {
        if let Some(unit) = self.unit_mut(&body.unit) {
            unit.state.integration = Integration::Started;
            unit.open_integration = Some(Box::new(body.clone()));
        }
    }

    fn apply_validation(&mut self, body: &ValidationFinished) {
        // Another patch may have been applied while the command ran.
        if body.stage == Stage::Before && body.applied.is_none_or(|then| then == self.applied) {
            self.before.insert(body.command.clone(), body.clone());
        }
        let Some(unit) = self.unit_mut(&body.unit) else {
            return;
        };
        let changed = body.changed_meanwhile.iter().cloned();
        unit.concurrent_changes.extend(changed);
        let runs = match body.stage {
            Stage::Before => return,
            Stage::Preview => &mut unit.previews,
            Stage::Integration => &mut unit.state.validations,
        };
        // A new series: after an interrupted integration, or for another patch.
        if body.number == 1 {
            runs.retain(|run| run.candidate != body.candidate);
        }
        runs.push(body.clone());
    }

    fn apply_integration_finished(&mut self, body: &IntegrationFinished) {
        let mut is_other_tree = false;
        let number = self.applied + 1;
        let Some(unit) = self.unit_mut(&body.unit) else {
            return;
        };
        let detail = body.detail.clone().unwrap_or_default();
        unit.open_integration = None;
        unit.integration = Some(Box::new(body.clone()));
        unit.state.integration = match (body.outcome, body.reason) {
            (IntegrationOutcome::Applied, _) => {
                is_other_tree = true;
                unit.applied_number = number;
                unit.state.changed_paths.clone_from(&body.paths);
                Integration::Applied
            }
            (IntegrationOutcome::RolledBack, _) => Integration::None,
            (_, Some(reason)) => Integration::Failed(reason, detail),
            (_, None) => Integration::Failed(BlockReason::AmbiguousIntegration, detail),
        };
        if is_other_tree {
            self.before.clear();
            self.applied += 1;
        }
    }

    fn unit_or_insert(&mut self, id: &UnitId) -> &mut Unit {
        let known = self.unit_indexes.get(id).copied();
        let at = known.unwrap_or_else(|| {
            self.unit_indexes.insert(id.clone(), self.units.len());
            if self.units.len() == self.units.capacity() {
                // Not twice as many: the tasks take most of the memory of a large run.
                self.units.reserve_exact(self.units.len() / 8 + 4);
            }
            self.units.push(Unit::new(id.clone()));
            self.units.len() - 1
        });
        &mut self.units[at]
    }

    fn apply_plan_mutation(&mut self, body: &PlanMutated) {
        self.mutations.push(Mutation::of(body));
        if body.status == "in_progress" {
            self.unit_or_insert(&body.unit).is_early = false;
        } else if let Some(unit) = self.unit_mut(&body.unit) {
            unit.ended = Some(Box::new(TaskEnd {
                status: body.status.clone(),
                reason: body.reason,
                detail: body.detail.clone(),
                is_conflict: false,
            }));
        }
    }

    fn apply_plan_conflict(&mut self, body: &PlanConflict) {
        if let Some(unit) = self.unit_mut(&body.unit) {
            unit.ended = Some(Box::new(TaskEnd {
                status: body.found.clone(),
                reason: None,
                detail: Some(body.message()),
                is_conflict: true,
            }));
        }
    }
}
