//! What follows when something came in: the events of a report or of an attempt that is over, and when its row is tried
//! again. Changes only the turn at hand and the pool's book of who runs.

use super::pool::{Kept, Pool, Running, Turn, Waiting};
use super::pool_event::{Finished, PoolEvent, Task};
use crate::job::policy::backoff;
use crate::job::{Delayed, Failure, JobError, Outcome, Row};
use crate::model::{
    AttemptEnd, AttemptFault, AttemptFinished, AttemptReported, Event, Fault, RateLimited,
    ReportRefused, ReportVia, coded, one_line,
};
use crate::platform::clock;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// When a row meets so many rate limits one after the other, more than an hour of waiting did not help: the job ends; or
/// the row fails alone, where others were answered meanwhile.
const RATE_LIMITS_MAX: u32 = 20;
/// So often a row is tried once more after the network or the machine kept it from an answer.
const OUTAGES_MAX: u32 = 3;
/// The most refused reports that are recorded of one job; more than that is a flood.
const REFUSALS_MAX: u32 = 1000;

impl<'p> Pool<'p> {
    /// Adds what came from a thread or a worker to the turn.
    pub(crate) fn handle_event(
        &mut self,
        event: PoolEvent,
        turn: &mut Turn,
    ) -> Result<(), JobError> {
        match event {
            PoolEvent::Reported {
                attempt,
                result,
                redacted,
                stop,
                acknowledge,
            } => {
                self.stop_seen |= stop;
                turn.acknowledge.push(acknowledge);
                turn.events.push(Event::from(AttemptReported {
                    wave: self.settings.wave,
                    item_id: attempt.item_id,
                    row_index: attempt.row_index,
                    attempt: attempt.attempt,
                    via: ReportVia::Report,
                    result: Value::Object(result),
                    redacted,
                    stop,
                    reported_at: clock::csv_time(clock::now()),
                }));
            }
            PoolEvent::Refused {
                item_id,
                attempt,
                reason,
            } => {
                self.refusals += 1;
                if self.refusals <= REFUSALS_MAX {
                    turn.events.push(Event::from(ReportRefused {
                        wave: self.settings.wave,
                        item_id: one_line(&item_id),
                        attempt,
                        reason: one_line(&reason),
                    }));
                }
            }
            PoolEvent::Declined(task) => self.declined(*task, turn),
            PoolEvent::Finished(finished) => self.finish(*finished, turn),
            PoolEvent::Panicked(item) => return Err(JobError::Defect { item }),
            // The turn looks for what may start anyway.
            PoolEvent::PlaceFree => {}
        }
        Ok(())
    }

    /// The events of an attempt that is over, and when its row is tried again.
    fn finish(&mut self, finished: Finished, turn: &mut Turn) {
        let Finished {
            row,
            attempt,
            outcome,
            ..
        } = finished;
        let share = self.share.as_ref();
        let at_once = share.map_or(self.running.len(), |share| share.taken());
        // It was put there when it began.
        let Some(running) = self.no_longer_running(row.index) else {
            return;
        };
        let kept = self.kept_by_a_limit(running.kept);
        let limits = kept.rate_limits;
        let average = self.average.unwrap_or(finished.duration);
        self.average = Some((average * 7 + finished.duration) / 8);
        let said = finished.until.map(left_until);
        let mut session = None;
        let (end, error) = match outcome {
            Outcome::Result(result, via) => {
                if via != ReportVia::Report {
                    turn.events.push(Event::from(AttemptReported {
                        wave: self.settings.wave,
                        item_id: row.id.clone(),
                        row_index: row.index,
                        attempt,
                        via,
                        result: Value::Object(result),
                        redacted: finished.redacted,
                        stop: false,
                        reported_at: clock::csv_time(clock::now()),
                    }));
                }
                (AttemptEnd::Completed, None)
            }
            Outcome::Failed(failure, text) => {
                session = finished.session.filter(|_| failure.is_mendable());
                let end = match self.is_worth_waiting(finished.fault, running.kept.outages) {
                    true => AttemptEnd::Unavailable,
                    false => self.after_failure(failure, row.index),
                };
                (end, Some(coded(failure.code(), &text)))
            }
            Outcome::Unavailable(text, refusal) => {
                let is_worn_out = limits >= RATE_LIMITS_MAX;
                let is_alone = is_worn_out && self.limits.answers() > kept.answers_before;
                let (end, failure) = match refusal.fault {
                    Fault::LogIn | Fault::Credit => (AttemptEnd::Unavailable, Failure::WorkerExit),
                    Fault::RateLimit if is_alone => (AttemptEnd::Failed, Failure::RateLimited),
                    _ => (AttemptEnd::RateLimited, Failure::RateLimited),
                };
                if refusal.fault == Fault::RateLimit {
                    self.limits.refused(said);
                    if is_worn_out && !is_alone {
                        let text = format!("item `{}` met {limits} in a row: {text}", row.id);
                        self.limits.breaker().wore_out(&text);
                    }
                }
                (end, Some(coded(failure.code(), &text)))
            }
        };
        if end == AttemptEnd::Completed {
            self.limits.went_well(at_once);
        }
        let counts = !matches!(end, AttemptEnd::RateLimited | AttemptEnd::Unavailable);
        let delayed = self.delayed(&row, attempt);
        let wait = (end == AttemptEnd::RateLimited)
            .then(|| self.wait(finished.fault, limits, said, delayed));
        let fault = finished.fault.map(|kind| AttemptFault {
            kind,
            until: wait.map(|wait| clock::ledger_time(clock::now() + wait)),
            feedback: running.feedback.clone().filter(|_| !counts),
        });
        if !counts {
            session = running.session.clone();
        }
        self.limits.charge(running.reserve, finished.usage, counts);
        turn.completed += u64::from(end == AttemptEnd::Completed);
        turn.failed += u64::from(end == AttemptEnd::Failed);
        turn.events.push(Event::from(AttemptFinished {
            wave: self.settings.wave,
            item_id: row.id.clone(),
            row_index: row.index,
            attempt,
            end,
            error: error.clone(),
            exit_code: finished.exit_code,
            signal: finished.signal,
            leaked: finished.leaked,
            duration_ms: finished.duration.as_millis() as u64,
            usage: finished.usage,
            session: session.clone(),
            fault,
            completed_at: clock::csv_time(clock::now()),
        }));
        match end {
            AttemptEnd::Retry => {
                let failures = self.state.item(row.index).map_or(0, |item| item.failures);
                let delayed = self.delayed(&row, attempt);
                let backoff = self.settings.bounds.retry_delay;
                let delay = backoff.after_failure(u32::from(failures) + 1, delayed);
                turn.again.push((
                    delay,
                    Waiting {
                        row,
                        feedback: error,
                        session,
                        kept: Kept {
                            rate_limits: 0,
                            ..running.kept
                        },
                        was_locked_out: false,
                    },
                ));
            }
            AttemptEnd::RateLimited => {
                let delay = wait.unwrap_or_default();
                let account_until = self.limits.breaker().until();
                turn.events.push(Event::from(RateLimited {
                    wave: self.settings.wave,
                    item_id: row.id.clone(),
                    row_index: row.index,
                    delay_ms: delay.as_millis() as u64,
                    places: Some(self.places()),
                    account_until: account_until.map(clock::ledger_time),
                }));
                // It says nothing of the row: the next prompt has no word of it.
                let is_quota = finished.fault == Some(Fault::Quota);
                let waiting = Waiting {
                    row,
                    feedback: running.feedback,
                    session: running.session,
                    kept: if is_quota { running.kept } else { kept },
                    was_locked_out: false,
                };
                // The breaker holds back a row that met a quota, and all others.
                let delay = if is_quota { Duration::ZERO } else { delay };
                turn.again.push((delay, waiting));
            }
            // Who is not logged in or does not pay is asked by a later call.
            AttemptEnd::Unavailable if is_outage(finished.fault) => {
                let outages = running.kept.outages + 1;
                let delayed = self.delayed(&row, attempt);
                let ours = self.settings.bounds.retry_delay;
                let delay = backoff::after_outage(outages, ours, delayed);
                let waiting = Waiting {
                    row,
                    feedback: running.feedback,
                    session: running.session,
                    kept: Kept {
                        rate_limits: 0,
                        outages,
                        ..running.kept
                    },
                    was_locked_out: false,
                };
                turn.again.push((delay, waiting));
            }
            _ => {}
        }
    }

    /// What is kept in mind of a row once it met a rate limit more.
    fn kept_by_a_limit(&self, before: Kept) -> Kept {
        let is_first = before.rate_limits == 0;
        Kept {
            rate_limits: before.rate_limits + 1,
            answers_before: if is_first {
                self.limits.answers()
            } else {
                before.answers_before
            },
            ..before
        }
    }

    /// Until a row that met a limit is tried again, as far as is known.
    fn wait(
        &self,
        fault: Option<Fault>,
        limits: u32,
        said: Option<Duration>,
        delayed: Delayed<'_>,
    ) -> Duration {
        let until = self.limits.breaker().until();
        match until.filter(|_| fault == Some(Fault::Quota)) {
            Some(until) => left_until(until),
            None => backoff::after_rate_limit(limits, said, delayed),
        }
    }

    /// A queued row that no thread began. Because of a limit it goes on later, else the job is over.
    fn declined(&mut self, task: Task, turn: &mut Turn) {
        let asks = self
            .running
            .get(&task.row.index)
            .is_some_and(|running| running.asks);
        if asks {
            self.limits.breaker().withdrawn();
        }
        let again = self.running.get(&task.row.index).map(|running| Waiting {
            row: task.row.clone(),
            feedback: running.feedback.clone(),
            session: running.session.clone(),
            kept: running.kept,
            was_locked_out: task.was_locked_out,
        });
        self.withdrawn(task, turn);
        turn.again.extend(again.map(|row| (Duration::ZERO, row)));
    }

    /// Takes a row out of those under way; its place is free when its end is in the ledger.
    fn no_longer_running(&mut self, row: u64) -> Option<Running<'p>> {
        let mut running = self.running.remove(&row)?;
        self.freed.extend(running.place.take());
        Some(running)
    }

    fn delayed(&self, row: &Row, attempt: u32) -> Delayed<'_> {
        Delayed {
            job_id: &self.settings.job_id,
            row_index: row.index,
            attempt,
        }
    }

    /// Whether a row is tried once more, without using up an attempt, because the network or the machine failed and not the
    /// row. A program that has started for no row will start for none. `--retries 0` is the word of somebody who
    /// wants every row to be tried once.
    fn is_worth_waiting(&self, fault: Option<Fault>, outages: u32) -> bool {
        let may_pass = fault != Some(Fault::Program) || self.limits.has_answered();
        let has_some_left = outages < OUTAGES_MAX && self.settings.bounds.retries > 0;
        is_outage(fault) && may_pass && has_some_left
    }

    fn after_failure(&self, failure: Failure, index: u64) -> AttemptEnd {
        let failures = self.state.item(index).map_or(0, |item| item.failures);
        match failure {
            Failure::Cancelled => AttemptEnd::Interrupted,
            _ if failure.may_be_retried() && u32::from(failures) < self.settings.bounds.retries => {
                AttemptEnd::Retry
            }
            _ => AttemptEnd::Failed,
        }
    }

    /// The end of an attempt that an earlier `mesh` began and never saw the end of.
    pub(crate) fn closing(&self, row: &Row, end: AttemptEnd) -> Event {
        let is_open = end == AttemptEnd::Interrupted;
        let attempts = self.state.item(row.index).map_or(1, |item| item.attempts);
        Event::from(AttemptFinished {
            wave: self.settings.wave,
            item_id: row.id.clone(),
            row_index: row.index,
            attempt: u32::from(attempts),
            end,
            error: is_open.then(|| format!("{}: mesh was ended while it ran", Failure::Cancelled)),
            exit_code: None,
            signal: None,
            leaked: Vec::new(),
            duration_ms: 0,
            usage: None,
            session: None,
            fault: None,
            completed_at: clock::csv_time(clock::now()),
        })
    }

    /// Takes back the rows that no thread has begun; no further one will want a place.
    pub(crate) fn withdraw(&mut self, turn: &mut Turn) {
        if let Some(share) = &self.share {
            share.leave();
        }
        let queued: Vec<Task> = self.queue.try_iter().collect();
        for task in queued {
            self.withdrawn(task, turn);
        }
    }

    fn withdrawn(&mut self, task: Task, turn: &mut Turn) {
        if let Some(Running { reserve, .. }) = self.no_longer_running(task.row.index) {
            self.limits.charge(reserve, None, false);
        }
        turn.events.push(Event::from(AttemptFinished {
            wave: self.settings.wave,
            item_id: task.row.id,
            row_index: task.row.index,
            attempt: task.attempt,
            end: AttemptEnd::Withdrawn,
            error: None,
            exit_code: None,
            signal: None,
            leaked: Vec::new(),
            duration_ms: 0,
            usage: None,
            session: None,
            fault: None,
            completed_at: clock::csv_time(clock::now()),
        }));
    }
}

/// The network or the machine failed.
fn is_outage(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::Network | Fault::Memory | Fault::Program))
}

/// From now until `until`.
fn left_until(until: Timestamp) -> Duration {
    let left = until.duration_since(clock::now());
    Duration::try_from(left).unwrap_or_default()
}
