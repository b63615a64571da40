//! The state of every row of a job: a fold over the ledger's events.
//!
//! The pool changes it by recording events, a resumed job rebuilds it by reading them; both go through
//! [`State::apply`], so the two can't disagree. A row takes a few bytes: texts stay in the ledger, at offsets that the
//! state holds ([`read_record`](super::row_record::read_record)).

use super::policy::Spent;
use super::result::Failure;
use crate::model::{AttemptEnd, AttemptFinished, Event, WaveNo};
use crate::platform::clock;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The status of a row (column `status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not started, or to be tried again.
    #[default]
    Pending,
    /// An attempt has started and not ended.
    Running,
    /// It has its result.
    Completed,
    /// It failed for good.
    Failed,
}

impl Status {
    /// The column's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
        }
    }
}

/// One row's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item {
    /// Its status.
    pub status: Status,
    /// Attempts started, except those that met a rate limit.
    pub attempts: u16,
    /// Failed attempts; `--retries` limits these.
    pub failures: u16,
    /// The record of its accepted result.
    pub reported: Option<LedgerOffset>,
    /// The record of its last relevant end: its last failure, its completion, or what it waits for.
    pub finished: Option<LedgerOffset>,
}

/// The offset of a record's line in the ledger.
pub type LedgerOffset = NonZeroU64;

/// Rows by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All rows.
    pub total: u64,
    /// Rows with a result.
    pub completed: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Running rows.
    pub running: u64,
}

impl Counts {
    /// Rows not started, or to be started again.
    pub fn pending(&self) -> u64 {
        self.total
            .saturating_sub(self.completed + self.failed + self.running)
    }

    /// Rows that completed or failed.
    pub fn ended(&self) -> u64 {
        self.completed + self.failed
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.completed += other.completed;
        self.failed += other.failed;
        self.running += other.running;
    }
}

/// Attempt counts of the whole job, for the telemetry of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCounts {
    /// Worker processes started.
    pub spawned: u64,
    /// Worker processes reaped.
    pub closed: u64,
    /// Attempts that completed their row.
    pub completed: u64,
    /// Attempts after which the row was retried.
    pub retried: u64,
    /// Attempts that timed out.
    pub timed_out: u64,
}

impl std::ops::AddAssign for AttemptCounts {
    fn add_assign(&mut self, other: Self) {
        self.spawned += other.spawned;
        self.closed += other.closed;
        self.completed += other.completed;
        self.retried += other.retried;
        self.timed_out += other.timed_out;
    }
}

/// All rows of one job.
#[derive(Clone, Debug)]
pub struct State {
    wave: WaveNo,
    /// The index of the first item.
    first: u64,
    items: Vec<Item>,
    counts: Counts,
    /// Attempt telemetry.
    pub attempts: AttemptCounts,
    /// A worker asked to stop the job.
    pub stop_requested: bool,
    /// The usage so far.
    pub spent: Spent,
    /// When the account's quota resets, as last known.
    pub account_until: Option<Timestamp>,
}

impl State {
    /// A new job of wave `wave`.
    pub fn new(wave: WaveNo) -> Self {
        Self::of_rows_from(wave, 0)
    }

    /// The rows of wave `wave` from row index `first` on, for a part of a job: memory is taken from there on only, and
    /// events of rows before it change nothing.
    pub fn of_rows_from(wave: WaveNo, first: u64) -> Self {
        Self {
            wave,
            first,
            items: Vec::new(),
            counts: Counts::default(),
            attempts: AttemptCounts::default(),
            stop_requested: false,
            spent: Spent::default(),
            account_until: None,
        }
    }

    /// Sets the number of picked rows. Row indexes may be larger, because not every row of the input is picked.
    pub fn expect(&mut self, total: u64) {
        let missing = (total as usize).saturating_sub(self.items.len());
        self.items.reserve_exact(missing);
        self.counts.total = total;
    }

    /// Row `index`.
    pub fn item(&self, index: u64) -> Option<&Item> {
        self.items.get(index.checked_sub(self.first)? as usize)
    }

    /// Rows by status.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Applies an event and its offset in the ledger; ignores events of other waves.
    pub fn apply(&mut self, event: &Event, place: u64) {
        // The first record of every ledger is the run's own, so no event of a row has offset 0.
        let place = LedgerOffset::new(place);
        match event {
            Event::WaveStarted(body) if body.wave == self.wave => self.expect(body.items),
            Event::AttemptStarted(body) if body.wave == self.wave => {
                self.attempts.spawned += 1;
                self.spent.rows += u64::from(!self.has_begun(body.row_index));
                self.change(body.row_index, |item| {
                    item.status = Status::Running;
                    item.attempts = item
                        .attempts
                        .max(u16::try_from(body.attempt).unwrap_or(u16::MAX));
                });
            }
            Event::AttemptReported(body) if body.wave == self.wave => {
                self.stop_requested |= body.stop;
                self.change(body.row_index, |item| item.reported = place);
            }
            Event::AttemptFinished(body) if body.wave == self.wave => self.finish(body, place),
            Event::RateLimited(body) => {
                let until = body.account_until.as_deref().and_then(clock::read);
                self.account_until = until.or(self.account_until);
            }
            Event::RowsReopened(body) if body.wave == self.wave => {
                for at in 0..self.items.len() {
                    if self.items[at].status == Status::Failed {
                        self.change(self.first + at as u64, |item| {
                            item.status = Status::Pending;
                            item.failures = 0;
                        });
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, body: &AttemptFinished, place: Option<LedgerOffset>) {
        let end = body.end;
        self.count_attempt(body);
        if let Some(usage) = body.usage {
            self.spent.usage += usage;
            self.spent.attempts += 1;
        }
        self.change(body.row_index, |item| {
            if matches!(end, AttemptEnd::Failed | AttemptEnd::Retry) {
                item.failures = item.failures.saturating_add(1);
            }
            if is_uncounted(end) {
                item.attempts = item.attempts.saturating_sub(1);
            }
            item.status = match end {
                AttemptEnd::Completed => Status::Completed,
                AttemptEnd::Failed => Status::Failed,
                AttemptEnd::Retry
                | AttemptEnd::Interrupted
                | AttemptEnd::RateLimited
                | AttemptEnd::Unavailable
                | AttemptEnd::Withdrawn => Status::Pending,
            };
            if matches!(
                end,
                AttemptEnd::Completed
                    | AttemptEnd::Failed
                    | AttemptEnd::Retry
                    | AttemptEnd::RateLimited
                    | AttemptEnd::Unavailable
            ) {
                item.finished = place;
            }
        });
        if is_uncounted(end) && !self.has_begun(body.row_index) {
            self.spent.rows = self.spent.rows.saturating_sub(1);
        }
    }

    /// Whether a row completed or failed.
    pub fn has_ended(&self, index: u64) -> bool {
        let item = self.item(index);
        item.is_some_and(|item| matches!(item.status, Status::Completed | Status::Failed))
    }

    /// The indexes of the rows that completed or failed, ascending.
    pub fn ended(&self) -> impl Iterator<Item = u64> {
        let items = (self.first..).zip(&self.items);
        let ended =
            items.filter(|(_, item)| matches!(item.status, Status::Completed | Status::Failed));
        ended.map(|(index, _)| index)
    }

    /// Whether a row has an attempt that counts.
    pub fn has_begun(&self, index: u64) -> bool {
        self.item(index).is_some_and(|item| item.attempts > 0)
    }

    fn count_attempt(&mut self, body: &AttemptFinished) {
        // A result reused from an earlier run is attempt 0: no worker was started for it.
        if body.attempt == 0 {
            return;
        }
        let counts = &mut self.attempts;
        match body.end {
            AttemptEnd::Withdrawn => {
                counts.spawned -= 1;
                return;
            }
            AttemptEnd::Completed => counts.completed += 1,
            AttemptEnd::Retry => counts.retried += 1,
            AttemptEnd::Failed
            | AttemptEnd::Interrupted
            | AttemptEnd::RateLimited
            | AttemptEnd::Unavailable => {}
        }
        counts.closed += 1;
        let timed_out = body.error.as_deref().is_some_and(Failure::is_timeout_text);
        counts.timed_out += u64::from(timed_out);
    }

    /// The rows whose attempt has no end after a kill or a stop, by index, and whether each has a durable result. The
    /// caller records how each attempt ended.
    pub fn left_open(&self) -> BTreeMap<u64, bool> {
        let open = |(index, item): (usize, &Item)| {
            let is_open = item.status == Status::Running;
            is_open.then_some((self.first + index as u64, item.reported.is_some()))
        };
        self.items.iter().enumerate().filter_map(open).collect()
    }

    /// Resuming after a worker's stop request overrides it: the request applies only to the run that it stopped.
    pub fn forget_stop_request(&mut self) {
        self.stop_requested = false;
    }

    /// The only function that changes a row's state.
    fn change(&mut self, index: u64, edit: impl FnOnce(&mut Item)) {
        let Some(at) = index.checked_sub(self.first).map(|at| at as usize) else {
            return;
        };
        if at >= self.items.len() {
            self.items.resize(at + 1, Item::default());
        }
        let item = &mut self.items[at];
        let before = item.status;
        edit(item);
        let after = item.status;
        if let Some(count) = self.count(before) {
            *count -= 1;
        }
        if let Some(count) = self.count(after) {
            *count += 1;
        }
    }

    fn count(&mut self, status: Status) -> Option<&mut u64> {
        match status {
            Status::Pending => None,
            Status::Running => Some(&mut self.counts.running),
            Status::Completed => Some(&mut self.counts.completed),
            Status::Failed => Some(&mut self.counts.failed),
        }
    }
}

/// Whether an attempt does not count as one.
fn is_uncounted(end: AttemptEnd) -> bool {
    matches!(
        end,
        AttemptEnd::Withdrawn | AttemptEnd::RateLimited | AttemptEnd::Unavailable
    )
}
