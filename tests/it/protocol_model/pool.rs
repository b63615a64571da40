//! The part of the shell that runs rows: starts waves, as `run::plan_run::waves` does, and fills their slots, as the pool's loop does.

use super::observer::USAGE;
use super::outcomes::Outcome;
use super::properties;
use super::shell::{Checked, Shell};
use super::world::rank;
use mesh::job::{Room, Status as RowStatus};
use mesh::model::{
    AttemptEnd, AttemptFault, AttemptKey, BudgetReached, Event, JobId, ReportVia, RowKey, WaveNo,
    WaveStarted,
};
use mesh::schedule::Dispatch;
use std::collections::BTreeSet;

impl Shell<'_> {
    pub(super) fn start_waves(&mut self) -> Checked {
        let call = &self.world.call;
        let open = self.disk().state.waves.iter().filter(|wave| wave.is_open());
        let new = open.filter(|wave| {
            let number = wave.compiled.wave;
            !call.running.contains_key(&number) && !call.ended.contains_key(&number)
        });
        let at_once = match self.setting.scenario.dispatch {
            Dispatch::Rolling => usize::MAX,
            Dispatch::Barrier => usize::from(call.running.is_empty() && call.ended.is_empty()),
        };
        let waves = new.take(at_once).map(|wave| wave.compiled.wave);
        for number in waves.collect::<Vec<_>>() {
            let wave = self
                .disk()
                .state
                .wave(number)
                .ok_or("a wave that was not compiled")?;
            let key = RowKey::parse(&wave.compiled.rows[0]).ok_or("a row without a unit")?;
            let rank = rank(&self.disk().plan, &key.unit, number);
            let started = Event::from(WaveStarted {
                wave: number,
                job_id: JobId::new("j"),
                items: wave.compiled.rows.len() as u64,
                max_concurrency: wave.compiled.max_concurrency,
            });
            self.record(vec![(started, 1)])?;
            self.world.call.running.insert(number, rank);
        }
        Ok(())
    }

    /// Ends what a kill left of all waves before the first of them starts, as `run::plan_run::left_waves` does.
    pub(super) fn end_left_waves(&mut self) -> Checked {
        let mut events = Vec::new();
        for wave in &self.disk().state.waves {
            for (index, has_result) in wave.job.left_open() {
                let item = wave.job.item(index).ok_or("a row that does not exist")?;
                let end = match has_result {
                    true => AttemptEnd::Completed,
                    false => AttemptEnd::Interrupted,
                };
                let key = self.attempt_key(wave.compiled.wave, index);
                let place = item.reported.map_or(1, |place| place.get());
                events.push((Event::from(key.finished(end, String::new())), place));
            }
        }
        self.record(events)
    }

    pub(super) fn attempt_key(&self, wave: WaveNo, row_index: u64) -> AttemptKey {
        let compiled = &self
            .disk()
            .state
            .wave(wave)
            .expect("it was compiled")
            .compiled;
        let item = self
            .disk()
            .state
            .wave(wave)
            .and_then(|wave| wave.job.item(row_index));
        AttemptKey {
            wave,
            item_id: compiled.rows[row_index as usize].clone(),
            row_index,
            attempt: item.map_or(1, |item| u32::from(item.attempts).max(1)),
        }
    }

    /// Starts the rows that fit, the most urgent waves first, and ends the waves that have none left.
    pub fn fill(&mut self) -> Checked {
        let mut has_started = true;
        while std::mem::take(&mut has_started) {
            let mut waves: Vec<_> = self.world.call.running.clone().into_iter().collect();
            waves.sort_by_key(|(_, rank)| *rank);
            for (number, _) in waves {
                has_started |= self.fill_wave(number)?;
            }
        }
        let running: BTreeSet<WaveNo> = self.world.running_rows().iter().map(|row| row.0).collect();
        for number in self.world.call.running.keys().copied().collect::<Vec<_>>() {
            let wave = self
                .disk()
                .state
                .wave(number)
                .ok_or("a wave that was not compiled")?;
            let rows = wave.compiled.rows.len() as u64;
            let is_over = (0..rows).all(|row| wave.job.has_ended(row));
            let is_stopped = self.world.call.is_stopping && !running.contains(&number);
            if is_over || is_stopped {
                self.end_wave(number, is_over);
            }
        }
        Ok(())
    }

    pub(super) fn end_wave(&mut self, number: WaveNo, is_finished: bool) {
        let call = &mut self.world.call;
        if let Some(rank) = call.running.remove(&number) {
            call.slots.leave(rank);
        }
        call.ended.insert(number, is_finished);
    }

    /// As the pool's loop fills its slots: a slot first, then room in the budget.
    pub(super) fn fill_wave(&mut self, number: WaveNo) -> Checked<bool> {
        let mut has_started = false;
        while let Some(rank) = self.world.call.running.get(&number).copied()
            && !self.world.call.is_stopping
        {
            let wave = self
                .disk()
                .state
                .wave(number)
                .ok_or("a wave that was not compiled")?;
            let mut rows = 0..wave.compiled.rows.len() as u64;
            let status = |row: u64| {
                wave.job
                    .item(row)
                    .map_or(RowStatus::Pending, |item| item.status)
            };
            let running = rows
                .clone()
                .filter(|row| status(*row) == RowStatus::Running)
                .count();
            let pending = rows.find(|row| status(*row) == RowStatus::Pending);
            let Some(row) = pending.filter(|_| running < wave.compiled.max_concurrency) else {
                break;
            };
            let is_fresh = !wave.job.has_begun(row);
            if !self.world.call.slots.take(rank) {
                break;
            }
            match self.world.call.budget.reserve(is_fresh) {
                Room::Yes(reserve) => {
                    self.world.call.reserves.insert((number, row), reserve);
                    let mut key = self.attempt_key(number, row);
                    let wave = self.disk().state.wave(number);
                    let item = wave.and_then(|wave| wave.job.item(row));
                    key.attempt = item.map_or(0, |item| u32::from(item.attempts)) + 1;
                    properties::check_start(self.setting, &self.world)?;
                    self.record_all([Event::from(key.started())])?;
                    has_started = true;
                }
                Room::Wait => {
                    self.world.call.slots.give_back();
                    break;
                }
                Room::Reached(budget, limit) => {
                    self.world.call.slots.give_back();
                    self.world.call.is_stopping = true;
                    self.record_all([Event::from(BudgetReached {
                        budget: budget.to_owned(),
                        limit,
                        unit: None,
                    })])?;
                    break;
                }
            }
        }
        Ok(has_started)
    }

    /// A row ends. A worker's report is durable before its end.
    pub fn end_row(&mut self, number: WaveNo, row: u64, outcome: &Outcome) -> Checked {
        let place = self.setting.outcomes.place(outcome);
        let key = self.attempt_key(number, row);
        let mut key_of_end = key.clone();
        if let Some(result) = outcome.result() {
            let reported = key.reported(ReportVia::Report, result, String::new());
            self.record(vec![(Event::from(reported), place)])?;
        }
        let (end, error) = match outcome {
            // The executor tries it once more, unless it has done so before a kill.
            Outcome::TimedOut if self.count_failures(number, row) == 0 => {
                let first = key_of_end.clone();
                let mut first = first.finished(AttemptEnd::Retry, String::new());
                first.error = Some("timeout: too long".to_owned());
                self.record(vec![(Event::from(first), place)])?;
                key_of_end.attempt += 1;
                self.record_all([Event::from(key_of_end.clone().started())])?;
                (AttemptEnd::Failed, Some("timeout: too long"))
            }
            Outcome::TimedOut => (AttemptEnd::Failed, Some("timeout: too long")),
            Outcome::Silent => (AttemptEnd::Failed, Some("no_response: nothing")),
            Outcome::Limited(_) => (AttemptEnd::Failed, Some("rate_limited: wait")),
            _ => (AttemptEnd::Completed, None),
        };
        let mut finished = key_of_end.finished(end, String::new());
        finished.error = error.map(str::to_owned);
        if let Outcome::Limited(kind) = outcome {
            finished.fault = Some(AttemptFault {
                kind: *kind,
                until: None,
                feedback: None,
            });
        }
        let usage = USAGE;
        finished.usage = Some(usage);
        self.record(vec![(Event::from(finished), place)])?;
        let call = &mut self.world.call;
        let reserve = call
            .reserves
            .remove(&(number, row))
            .ok_or("a row without a reservation")?;
        call.budget.charge(reserve, Some(usage), true);
        call.slots.give_back();
        self.fill()
    }

    pub(super) fn count_failures(&self, number: WaveNo, row: u64) -> u16 {
        let wave = self.disk().state.wave(number);
        let item = wave.and_then(|wave| wave.job.item(row));
        item.map_or(0, |item| item.failures)
    }
}
