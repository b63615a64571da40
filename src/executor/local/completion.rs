//! Handles the end of an attempt: records its events and schedules the next attempt of its row.
//!
//! Changes only the current turn, the active rows and the shared limits.

use super::active_rows::{ActiveRow, ActiveRows};
use super::pool_event::{FinishedAttempt, Task};
use super::row_queue::{FaultCounts, PendingRow};
use super::turn::Turn;
use crate::job::policy::backoff;
use crate::job::{Delayed, Failure, Outcome, Row, Settings, SharedLimits, State};
use crate::model::{
    AttemptEnd, AttemptFault, AttemptFinished, AttemptKey, Fault, RateLimited, ReportVia, with_code,
};
use crate::platform::clock;
use crate::refusal::Refusal;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// The maximum number of consecutive rate limits of one row, which is more than an hour of waiting. Then the job ends; if
/// other rows were answered in the meantime, only the row fails.
const RATE_LIMITS_MAX: u32 = 20;
/// The maximum number of retries of a row after an outage of the network or the machine.
const OUTAGES_MAX: u32 = 3;

/// Handles the end of one attempt.
pub(crate) struct Completion<'c, 'p> {
    pub settings: &'c Settings,
    pub limits: &'c SharedLimits,
    /// The state after the last durable turn.
    pub state: &'c State,
    pub active: &'c mut ActiveRows<'p>,
    /// Slots of the pool.
    pub slots: usize,
    /// Rows that run now, over all jobs with shared slots.
    pub running: usize,
}

impl<'p> Completion<'_, 'p> {
    /// Records the end of an attempt, and when its row is tried again.
    pub fn finish(&mut self, finished: FinishedAttempt, turn: &mut Turn) {
        // It was inserted when it started.
        let Some(active) = self.active.remove(finished.row.index) else {
            return;
        };
        self.active.record_duration(finished.duration);
        let key = self.key(&finished.row, finished.attempt);
        let limited = self.after_one_more_limit(active.faults);
        let continued = match &finished.outcome {
            Outcome::Failed(failure, _) if failure.can_be_corrected() => finished.session,
            _ => None,
        };
        let (end, error) = match finished.outcome {
            Outcome::Result(result, via) => {
                if via != ReportVia::Report {
                    let now = clock::csv_time(clock::now());
                    let mut reported = key.clone().reported(via, Value::Object(result), now);
                    reported.redacted = finished.redacted;
                    turn.record(reported);
                }
                self.limits.record_success(self.running);
                (AttemptEnd::Completed, None)
            }
            Outcome::Failed(failure, text) => {
                let end = match self.is_worth_waiting(finished.fault, active.faults.outages) {
                    true => AttemptEnd::Unavailable,
                    false => self.end_of_failure(failure, finished.row.index),
                };
                (end, Some(with_code(failure.code(), &text)))
            }
            Outcome::Unavailable(text, refusal) => {
                let retry_after = finished.until.map(time_until);
                let (end, failure) = self.refuse(&key, &text, &refusal, limited, retry_after);
                (end, Some(with_code(failure.code(), &text)))
            }
        };
        let counts = !matches!(end, AttemptEnd::RateLimited | AttemptEnd::Unavailable);
        let session = match counts {
            true => continued,
            false => active.session.clone(),
        };
        let wait = (end == AttemptEnd::RateLimited)
            .then(|| self.wait(finished.fault, limited, finished.until, &key));
        self.limits.charge(active.reserve, finished.usage, counts);
        turn.completed += u64::from(end == AttemptEnd::Completed);
        turn.failed += u64::from(end == AttemptEnd::Failed);
        turn.record(AttemptFinished {
            error: error.clone(),
            exit_code: finished.exit_code,
            signal: finished.signal,
            leaked: finished.leaked,
            duration_ms: finished.duration.as_millis() as u64,
            usage: finished.usage,
            session: session.clone(),
            fault: finished.fault.map(|kind| AttemptFault {
                kind,
                until: wait.map(|wait| clock::ledger_time(clock::now() + wait)),
                feedback: active.feedback.clone().filter(|_| !counts),
            }),
            ..key.clone().finished(end, clock::csv_time(clock::now()))
        });
        match end {
            AttemptEnd::Retry => {
                let delay = self.retry_delay(&key);
                let mut next = pending(active, finished.row);
                (next.feedback, next.session) = (error, session);
                next.faults.rate_limits = 0;
                turn.retries.push((delay, next));
            }
            AttemptEnd::RateLimited => {
                let delay = wait.unwrap_or_default();
                turn.record(self.rate_limited(key, delay));
                let mut next = pending(active, finished.row);
                // The breaker holds back all rows after a quota, this one included.
                if finished.fault == Some(Fault::Quota) {
                    turn.retries.push((Duration::ZERO, next));
                } else {
                    next.faults = limited;
                    turn.retries.push((delay, next));
                }
            }
            // Without a log-in or credit the row waits for a later run.
            AttemptEnd::Unavailable if is_outage(finished.fault) => {
                let mut next = pending(active, finished.row);
                next.faults.rate_limits = 0;
                next.faults.outages += 1;
                let base = self.settings.bounds.retry_delay;
                let delay = backoff::after_outage(next.faults.outages, base, self.delayed(&key));
                turn.retries.push((delay, next));
            }
            _ => {}
        }
    }

    /// The end of an attempt that the service refused.
    fn refuse(
        &self,
        key: &AttemptKey,
        text: &str,
        refusal: &Refusal,
        limited: FaultCounts,
        retry_after: Option<Duration>,
    ) -> (AttemptEnd, Failure) {
        if matches!(refusal.fault, Fault::LogIn | Fault::Credit) {
            return (AttemptEnd::Unavailable, Failure::WorkerExit);
        }
        if refusal.fault == Fault::RateLimit {
            self.limits.refused(retry_after);
            let count = limited.rate_limits;
            if count >= RATE_LIMITS_MAX {
                if self.limits.answers() > limited.answers_before {
                    return (AttemptEnd::Failed, Failure::RateLimited);
                }
                let item = &key.item_id;
                let text = format!("item `{item}` met {count} rate limits in a row: {text}");
                self.limits.breaker().give_up_on_limits(&text);
            }
        }
        (AttemptEnd::RateLimited, Failure::RateLimited)
    }

    /// The faults of a row after one more rate limit.
    fn after_one_more_limit(&self, before: FaultCounts) -> FaultCounts {
        FaultCounts {
            rate_limits: before.rate_limits + 1,
            answers_before: match before.rate_limits {
                0 => self.limits.answers(),
                _ => before.answers_before,
            },
            ..before
        }
    }

    /// How long a row waits after a limit.
    fn wait(
        &self,
        fault: Option<Fault>,
        limited: FaultCounts,
        until: Option<Timestamp>,
        key: &AttemptKey,
    ) -> Duration {
        let account_until = self.limits.breaker().until();
        match account_until.filter(|_| fault == Some(Fault::Quota)) {
            Some(until) => time_until(until),
            None => {
                let retry_after = until.map(time_until);
                backoff::after_rate_limit(limited.rate_limits, retry_after, self.delayed(key))
            }
        }
    }

    fn rate_limited(&self, key: AttemptKey, delay: Duration) -> RateLimited {
        let account_until = self.limits.breaker().until();
        RateLimited {
            wave: key.wave,
            item_id: key.item_id,
            row_index: key.row_index,
            delay_ms: delay.as_millis() as u64,
            places: Some(self.slots.min(self.limits.capacity().places)),
            account_until: account_until.map(clock::ledger_time),
        }
    }

    /// Whether to try a row again without using up an attempt, because the network or the machine failed. A program that
    /// never started for any row will not start for this one. `--retries 0` tries every row exactly once.
    fn is_worth_waiting(&self, fault: Option<Fault>, outages: u32) -> bool {
        let may_pass = fault != Some(Fault::Program) || self.limits.has_answered();
        is_outage(fault) && may_pass && outages < OUTAGES_MAX && self.settings.bounds.retries > 0
    }

    fn end_of_failure(&self, failure: Failure, index: u64) -> AttemptEnd {
        let has_retries = self.failures(index) < self.settings.bounds.retries;
        match failure {
            Failure::Cancelled => AttemptEnd::Interrupted,
            _ if failure.may_be_retried() && has_retries => AttemptEnd::Retry,
            _ => AttemptEnd::Failed,
        }
    }

    fn failures(&self, index: u64) -> u32 {
        self.state
            .item(index)
            .map_or(0, |item| u32::from(item.failures))
    }

    fn retry_delay(&self, key: &AttemptKey) -> Duration {
        let base = self.settings.bounds.retry_delay;
        base.after_failure(self.failures(key.row_index) + 1, self.delayed(key))
    }

    fn delayed(&self, key: &AttemptKey) -> Delayed<'_> {
        Delayed {
            job_id: &self.settings.job_id,
            row_index: key.row_index,
            attempt: key.attempt,
        }
    }

    fn key(&self, row: &Row, attempt: u32) -> AttemptKey {
        AttemptKey {
            wave: self.settings.wave,
            item_id: row.id.clone(),
            row_index: row.index,
            attempt,
        }
    }

    /// Withdraws a queued row that its thread did not begin. It is tried again after a limit; otherwise the job is over.
    pub fn decline(&mut self, task: Task, turn: &mut Turn) {
        let row = task.row.clone();
        let was_locked_out = task.was_locked_out;
        if let Some(active) = self.withdraw(task, turn) {
            if active.is_probe {
                self.limits.breaker().withdraw();
            }
            let next = PendingRow {
                was_locked_out,
                ..pending(active, row)
            };
            turn.retries.push((Duration::ZERO, next));
        }
    }

    /// Records that a queued row was not started after all.
    pub fn withdraw(&mut self, task: Task, turn: &mut Turn) -> Option<ActiveRow<'p>> {
        let active = self.active.remove(task.row.index);
        if let Some(active) = &active {
            self.limits.charge(active.reserve, None, false);
        }
        let now = clock::csv_time(clock::now());
        let key = self.key(&task.row, task.attempt);
        turn.record(key.finished(AttemptEnd::Withdrawn, now));
        active
    }
}

/// `row` as it was before it became active.
fn pending(active: ActiveRow<'_>, row: Row) -> PendingRow {
    PendingRow {
        row,
        feedback: active.feedback,
        session: active.session,
        faults: active.faults,
        was_locked_out: false,
    }
}

/// Whether the network or the machine failed.
fn is_outage(fault: Option<Fault>) -> bool {
    fault.is_some_and(Fault::is_outage)
}

fn time_until(until: Timestamp) -> Duration {
    let left = until.duration_since(clock::now());
    Duration::try_from(left).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::local::heartbeat::Heartbeat;
    use crate::job::{Budget, Reserve, Room, Spent};
    use crate::model::{Event, RowId, WaveNo};
    use std::sync::Arc;

    /// The settings of a job as a ledger has them.
    fn settings() -> Settings {
        serde_json::from_value(serde_json::json!({
            "run_id": "r", "job_id": "j", "wave": 1, "csv_path": "in.csv", "input_path": "in.csv",
            "delimiter": null, "rename": [], "instruction": "", "id_column": null,
            "output_csv_path": "out.csv", "output_schema": null,
            "selection": { "rows": null, "sample": null },
            "bounds": {
                "max_concurrency": 1, "max_runtime_seconds": 60, "retries": 1, "grace_seconds": 1
            },
            "halt": "never", "max_wall_seconds": null, "flatten": false, "formula_cells": "quote",
            "keep_logs": "none", "result_bytes_max": 1000, "output_bytes_max": 1000,
            "worker": {
                "adapter": "command", "program": "/bin/true", "fixed_args": [], "args": [],
                "folder": "/", "env_names": []
            },
            "scratch": "/nowhere", "logs": "/nowhere",
        }))
        .expect("settings")
    }

    fn row() -> Row {
        Row {
            index: 0,
            id: RowId::new("a"),
            source_id: String::new(),
            fields: Vec::new(),
        }
    }

    fn reserve(limits: &SharedLimits) -> Reserve {
        match limits.reserve(true) {
            Room::Yes(reserve) => reserve,
            other => panic!("{other:?}"),
        }
    }

    /// The end of a row that met `before` rate limits and now meets another one, and the turn that handled it.
    fn rate_limited(limits: &SharedLimits, before: u32, answers_before: u64) -> (AttemptEnd, Turn) {
        let (settings, state) = (settings(), State::new(WaveNo(1)));
        let mut active = ActiveRows::default();
        let faults = FaultCounts {
            rate_limits: before,
            answers_before,
            outages: 0,
        };
        active.insert(
            0,
            ActiveRow {
                id: RowId::new("a"),
                heartbeat: Arc::new(Heartbeat::new()),
                feedback: None,
                session: None,
                reserve: reserve(limits),
                faults,
                permit: None,
                is_probe: false,
            },
        );
        let refusal = Refusal {
            fault: Fault::RateLimit,
            reset: None,
        };
        let finished = FinishedAttempt {
            row: row(),
            attempt: 1,
            outcome: Outcome::Unavailable("HTTP 429".to_owned(), refusal),
            redacted: Vec::new(),
            fault: Some(Fault::RateLimit),
            until: None,
            exit_code: Some(1),
            signal: None,
            leaked: Vec::new(),
            duration: Duration::ZERO,
            usage: None,
            session: None,
        };
        let mut turn = Turn::default();
        let mut completion = Completion {
            settings: &settings,
            limits,
            state: &state,
            active: &mut active,
            slots: 1,
            running: 1,
        };
        completion.finish(finished, &mut turn);
        let Some(Event::AttemptFinished(end)) = turn.events.first() else {
            panic!("{:?}", turn.events);
        };
        (end.end, turn)
    }

    fn limits() -> SharedLimits {
        let wait_max = Duration::from_secs(3600);
        SharedLimits::new(Budget::default(), Spent::default(), 1, false, wait_max)
    }

    #[test]
    fn the_twentieth_rate_limit_in_a_row_ends_the_job() {
        let limits = limits();
        let (end, turn) = rate_limited(&limits, RATE_LIMITS_MAX - 2, 0);
        assert_eq!((end, limits.shut()), (AttemptEnd::RateLimited, None));
        assert_eq!(turn.retries[0].1.faults.rate_limits, RATE_LIMITS_MAX - 1);

        let (end, _) = rate_limited(&limits, RATE_LIMITS_MAX - 1, 0);
        assert_eq!(end, AttemptEnd::RateLimited, "the row does not fail");
        let shut = format!("{:?}", limits.shut());
        let text = "item `a` met 20 rate limits in a row: HTTP 429";
        assert!(shut.contains("TooLong") && shut.contains(text), "{shut}");
    }

    #[test]
    fn a_row_that_alone_meets_twenty_rate_limits_fails() {
        let limits = limits();
        limits.answered(false, true);
        let (end, turn) = rate_limited(&limits, RATE_LIMITS_MAX - 1, 0);
        assert_eq!((end, limits.shut()), (AttemptEnd::Failed, None));
        assert_eq!((turn.failed, turn.retries.len()), (1, 0));

        let (end, _) = rate_limited(&limits, RATE_LIMITS_MAX - 1, 1);
        assert_eq!(end, AttemptEnd::RateLimited, "nothing was answered since");
        assert!(limits.shut().is_some());
    }
}
