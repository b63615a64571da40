//! The order of calls of the shell, and no rule: `run::plan_run::main_loop` with what it calls, and the pool's loop as far as it
//! takes slots and room in the budget. Every decision is one of the functions of the program.
//!
//! A kill is possible before every write to ledger or plan. One write of several records is taken to be whole, as it is one
//! `write` call of a few lines.

use super::observer;
use super::outcomes::Outcome;
use super::properties;
use super::world::{Call, Disk, End, History, Setting, World, item_id, metadata, unit_of};
use mesh::job::{BudgetTracker, Status as RowStatus};
use mesh::model::{
    BlockReason, Event, Hydrated, IntegrationOutcome, PlanMutated, ProtocolChanged, RowId, RowKey,
    RunFinished, UnitId, VerdictKind, VerdictRecord, WaveNo,
};
use mesh::plan::Status;
use mesh::protocol::{Action, Answer, NOT_ASKED, next, remaining, tally};
use mesh::run::Unit;
use mesh::schedule::Dispatch;
use serde_json::Value;
use std::sync::Arc;

/// A step of the shell under way. `Err` is the property that does not hold.
pub struct Shell<'s> {
    pub setting: &'s Setting,
    pub world: World,
    /// What is on disk before each write but the first.
    pub kills: Vec<Disk>,
    writes: usize,
}

pub type Checked<T = ()> = Result<T, String>;

impl<'s> Shell<'s> {
    pub fn new(setting: &'s Setting, world: World) -> Self {
        Self {
            setting,
            world,
            kills: Vec::new(),
            writes: 0,
        }
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.world.disk
    }

    pub(super) fn write_point(&mut self) {
        if self.writes > 0 {
            self.kills.push(self.world.disk.clone());
        }
        self.writes += 1;
    }

    /// Writes events to the ledger. Each is read back as it was written.
    pub(super) fn record(&mut self, events: Vec<(Event, u64)>) -> Checked {
        if events.is_empty() {
            return Ok(());
        }
        self.write_point();
        let disk = &mut self.world.disk;
        let mut read = Vec::new();
        for (event, place) in &events {
            read.push((observer::read_back(self.setting, event)?, *place));
            disk.seen.note(event)?;
            disk.state.apply(event, *place);
        }
        let before = disk.history.take();
        let events = read;
        disk.history = Some(Arc::new(History { events, before }));
        properties::check_disk(self.setting, &self.world.disk)?;
        properties::check_budget(self.setting, &self.world.disk)
    }

    pub(super) fn record_all(&mut self, events: impl IntoIterator<Item = Event>) -> Checked {
        self.record(events.into_iter().map(|event| (event, 1)).collect())
    }

    pub(super) fn set_status(&mut self, unit: &UnitId, status: Status) -> Checked {
        self.write_point();
        properties::check_status(&self.world.disk.plan, unit, status)?;
        let plan = &mut self.world.disk.plan;
        plan.set_status(&item_id(unit), status)
            .map_err(|error| error.to_string())
    }

    pub(super) fn next(&self, unit: &Unit) -> Action {
        let (protocol, has_metadata) = self.setting.protocol(&self.disk().plan, unit);
        next(&protocol, &unit.state, has_metadata)
    }

    pub(super) fn concurrency(&self) -> usize {
        self.disk()
            .state
            .concurrency(self.setting.scenario.concurrency)
    }

    /// A call of the program on a run: begins it, or resumes it as the ledger has it.
    pub fn begin_call(&mut self, is_committed: bool) -> Checked {
        let scenario = &self.setting.scenario;
        properties::check_fold(self.disk())?;
        self.world.disk.state.forget_faults();
        self.world.disk.seen.forget_faults();
        let budget = scenario.budget[usize::from(self.disk().seen.is_raised)];
        let budget = BudgetTracker::new(budget, self.disk().state.spent());
        self.world.call = Call::new(self.concurrency(), budget);
        self.roll_back(is_committed)?;
        self.end_left_waves()?;
        self.turn()
    }

    /// Completes an interrupted integration if it was committed, else restores the tree.
    pub(super) fn roll_back(&mut self, is_committed: bool) -> Checked {
        let units = self.disk().state.units.iter();
        let open = units.filter(|unit| unit.open_integration.is_some());
        let open: Vec<UnitId> = open.map(|unit| unit.id.clone()).collect();
        for unit in open {
            let outcome = match is_committed {
                true => IntegrationOutcome::Applied,
                false => IntegrationOutcome::RolledBack,
            };
            self.finish_integration(&unit, outcome, None)?;
        }
        Ok(())
    }

    /// One turn of the loop.
    pub fn turn(&mut self) -> Checked {
        for (number, is_finished) in std::mem::take(&mut self.world.call.ended) {
            match is_finished {
                true => self.judge(number)?,
                false => self.world.call.is_stopping = true,
            }
        }
        self.take_validated()?;
        self.advance()?;
        if !self.world.call.is_stopping {
            self.start_waves()?;
        }
        self.fill()?;
        if self.world.call.is_idle() {
            self.end()?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Checked {
        let end = self.final_status();
        let (status, exit_code) = match end {
            End::Finished => ("completed", 0),
            _ => ("cancelled", 4),
        };
        self.record_all([Event::from(RunFinished {
            status: status.to_owned(),
            exit_code,
            detail: None,
        })])?;
        self.world.call.end = Some(end);
        properties::check_end(self.setting, self.disk(), &self.world.call, end)
    }

    pub(super) fn final_status(&self) -> End {
        let call = &self.world.call;
        let mut units = self.disk().state.in_flight();
        if call.is_stopping || !call.closed.is_empty() {
            return End::BudgetReached;
        }
        match units.any(|unit| matches!(self.next(unit), Action::Halt(_))) {
            true => End::Unanswered,
            false => End::Finished,
        }
    }

    pub(super) fn judge(&mut self, number: WaveNo) -> Checked {
        let state = &self.disk().state;
        let wave = state.wave(number).ok_or("a wave that was not compiled")?;
        let mut is_refused = !wave.refused.is_empty();
        let mut verdicts = Vec::new();
        for (index, id) in wave.open_rows() {
            let verdict = self.verdict(number, index, id);
            is_refused |= verdict.verdict != VerdictKind::Accepted && verdict.fault.is_none();
            verdicts.push(Event::from(verdict));
        }
        self.judged(number, is_refused, verdicts)
    }

    /// Records the verdicts of a wave, together with the change of the concurrency number.
    pub(super) fn judged(
        &mut self,
        number: WaveNo,
        is_refused: bool,
        mut verdicts: Vec<Event>,
    ) -> Checked {
        let full = self.setting.scenario.concurrency;
        let state = &self.disk().state;
        let wave = state.wave(number).ok_or("a wave that was not compiled")?;
        let change = state.backpressure_after(wave, is_refused, full);
        verdicts.extend(change.map(Event::from));
        self.record_all(verdicts)?;
        let number = self.concurrency();
        self.world.call.slots.set_limit(number);
        Ok(())
    }

    /// The verdict on a row, without the checks of its text, whose result is the outcome.
    pub(super) fn verdict(&self, number: WaveNo, index: u64, id: &RowId) -> VerdictRecord {
        let state = &self.disk().state;
        let wave = state.wave(number).expect("it was compiled");
        let key = RowKey::parse(id).expect("a row of a unit");
        let unit = &unit_of(state, &key.unit).state;
        let item = wave.job.item(index).expect("it has ended");
        let place = match item.status {
            RowStatus::Completed => item.reported,
            _ => item.finished,
        };
        let outcome = self
            .setting
            .outcomes
            .at(place.map_or(0, |place| place.get()));
        let code = |code: &str| Some(code.to_owned());
        let mut verdict = VerdictRecord {
            wave: number,
            item_id: id.clone(),
            verdict: VerdictKind::Accepted,
            code: None,
            detail: None,
            fault: None,
            checks: None,
            evidence: None,
        };
        match outcome {
            Outcome::Answer(_) => {}
            Outcome::Tried(_, seen) => {
                verdict.checks = Some("applies".to_owned());
                verdict.evidence = Some(seen.clone());
            }
            Outcome::Refused(why) => {
                verdict.code = code(why);
                verdict.verdict = unit.verdict_on_refused(&key.round, &key.role);
            }
            Outcome::TimedOut | Outcome::Silent => {
                let (round, role) = (&key.round, &key.role);
                verdict.code = code(if *outcome == Outcome::Silent {
                    "no_response"
                } else {
                    "timeout"
                });
                verdict.verdict = unit.verdict_on_failed_row(round, role, item.failures);
            }
            Outcome::Limited(fault) => {
                verdict.code = code("rate_limited");
                verdict.fault = Some(*fault);
                verdict.verdict = unit.verdict_on_fault(&key.role);
            }
        }
        verdict
    }

    pub(super) fn advance(&mut self) -> Checked {
        let is_rolling = self.setting.scenario.dispatch == Dispatch::Rolling;
        let mut waves = self.disk().state.waves.iter();
        let is_waiting = !is_rolling && waves.any(|wave| wave.is_open());
        if is_waiting || self.world.call.is_stopping {
            return Ok(());
        }
        self.advance_units()?;
        if !is_rolling && !self.world.call.queue.is_empty() {
            return Ok(());
        }
        self.fill_free_slots()?;
        self.compile_waves()
    }

    pub(super) fn advance_units(&mut self) -> Checked {
        let mut has_moved = true;
        while std::mem::take(&mut has_moved) {
            let units = self.disk().state.in_flight();
            let units = units.filter(|unit| self.next(unit).is_step());
            for unit in units.map(|unit| unit.id.clone()).collect::<Vec<_>>() {
                while self.step(&unit)? {
                    has_moved = true;
                }
            }
        }
        Ok(())
    }

    pub(super) fn step(&mut self, id: &UnitId) -> Checked<bool> {
        let unit = self
            .disk()
            .state
            .unit(id)
            .filter(|unit| unit.ended.is_none());
        let Some(unit) = unit.cloned() else {
            return Ok(false);
        };
        match self.next(&unit) {
            Action::Await | Action::Emit(_) | Action::Halt(_) => return Ok(false),
            Action::Integrate if self.has_to_wait(&unit) => return Ok(false),
            Action::Integrate => return self.step_integration(&unit),
            Action::Change(change) => {
                let (protocol, _) = self.setting.protocol(&self.disk().plan, &unit);
                self.record_all([Event::from(ProtocolChanged {
                    unit: id.clone(),
                    from: protocol.name.clone(),
                    to: change.to,
                    keeps: change.keeps_answers,
                    code: change.code,
                    detail: String::new(),
                })])?;
            }
            Action::Tally => self.tally(&unit)?,
            Action::Block(reason, detail) => self.persist(&unit, Some((reason, detail)))?,
            Action::Complete => self.persist(&unit, None)?,
            Action::Hydrate(_) => {
                let notes = metadata(self.setting.spec(id));
                self.write_point();
                let plan = &mut self.world.disk.plan;
                plan.set_notes(&item_id(id), &notes)
                    .map_err(|error| error.to_string())?;
                self.record_all([Event::from(Hydrated {
                    unit: id.clone(),
                    item_id: RowId::new(id.as_str()),
                    mesh: notes,
                    left_out: Vec::new(),
                })])?;
            }
        }
        Ok(true)
    }

    pub(super) fn tally(&mut self, unit: &Unit) -> Checked {
        let (protocol, _) = self.setting.protocol(&self.disk().plan, unit);
        let gate = protocol
            .consensus
            .as_ref()
            .ok_or("a count without a gate")?;
        let missing = match gate.early_vote {
            true => NOT_ASKED,
            false => "no verdict",
        };
        let answers = unit.state.current_answers();
        let lines = &self.setting.outcomes.lines;
        let votes = protocol
            .voters()
            .iter()
            .map(|role| match answers.get(role) {
                Some(Answer::Accepted(place)) => Ok(place.read(lines).expect("a known answer")),
                Some(Answer::Rejected { code, .. } | Answer::Retry { code, .. }) => {
                    Err(code.as_str())
                }
                Some(Answer::Open | Answer::Fault { .. }) => Err("no verdict"),
                None => Err(missing),
            });
        let votes: Vec<Result<Value, &str>> = votes.collect();
        let votes = protocol.voters().iter().zip(votes.iter());
        let votes = votes.map(|(role, vote)| (role, vote.as_ref().map_err(|why| *why)));
        let candidates = remaining(&protocol, &unit.state);
        let candidates: Vec<_> = candidates.iter().map(|one| one.role).collect();
        let number = unit.state.tallies.len() as u32 + 1;
        let tally = tally(&unit.id, number, gate.threshold, &candidates, votes);
        self.record_all([Event::from(tally)])
    }

    /// The plan first, then the ledger.
    pub(super) fn persist(
        &mut self,
        unit: &Unit,
        reason: Option<(BlockReason, String)>,
    ) -> Checked {
        let status = match reason {
            None => Status::Completed,
            Some(_) => Status::Blocked,
        };
        self.set_status(&unit.id, status)?;
        self.record_all([Event::from(PlanMutated {
            unit: unit.id.clone(),
            status: status.as_str().to_owned(),
            comment: Some(String::new()),
            reason: reason.as_ref().map(|(reason, _)| *reason),
            detail: reason.map(|(_, detail)| detail),
        })])
    }
}
